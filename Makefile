# Needs make, and Bun or npm. A missing Bun is installed from npm into .bun/, at the version pinned here.
BUN_VERSION := 1.4.5
PINNED := .bun/node_modules/.bin/bun
BUN := $(or $(shell command -v bun 2>/dev/null),$(PINNED))
export PATH := $(CURDIR)/.bun/node_modules/.bin:$(PATH)

TASKS := dev start check lint types format generate migrate bench mutate ci image image-smoke \
	test test-unit test-integration test-integration-sqlite test-integration-postgres test-cov test-watch

.PHONY: help install $(TASKS)

help:
	@echo "make dev | test | check, and: $(TASKS)"

install: $(BUN)
	@$(BUN) install --frozen-lockfile --silent

$(TASKS): install
	@$(BUN) run --silent $@

$(PINNED):
	npm install --prefix .bun --no-save --no-audit --no-fund --loglevel=error bun@$(BUN_VERSION)
