# The whole service as one binary on a base of glibc, certificates and nothing else: no shell, no package manager.
# Build: make image (docker, podman or buildah, whichever there is). scripts/image-smoke.ts takes these steps without one.
ARG BUN=docker.io/oven/bun:1.4.5
ARG RUNTIME=gcr.io/distroless/base-nossl-debian12:nonroot

FROM ${BUN} AS build
WORKDIR /build
COPY package.json bun.lock ./
COPY patches ./patches
# With the development packages, because what the pages are bundled from is among them; without those of one platform
# (the embedded PostgreSQL, the compilers) and without running anybody's install script.
RUN bun install --frozen-lockfile --omit=optional --ignore-scripts
COPY drizzle ./drizzle
COPY src ./src
# Not --minify: Elysia reads the source of handlers to learn what they use, and renamed variables mislead it.
RUN bun build --compile --minify-whitespace --minify-syntax --bytecode --format=esm src/cli.ts --outfile tenantry
RUN mkdir data

FROM ${RUNTIME}
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Tenantry" \
      org.opencontainers.image.description="A multi-tenant chat backend for language models" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /build/tenantry /usr/local/bin/tenantry
# By number, because a runtime need not know names. Whoever mounts a folder at /data gives it to this user.
COPY --from=build --chown=65532:65532 /build/data /data
USER 65532:65532
WORKDIR /data
ENV HOST=0.0.0.0 PORT=3000 DATABASE_URL=sqlite:/data/tenantry.db
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/tenantry", "health"]
ENTRYPOINT ["/usr/local/bin/tenantry"]
CMD ["serve"]
