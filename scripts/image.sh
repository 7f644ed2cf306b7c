#!/usr/bin/env bash
# Builds the image with whichever engine is there. TAG, BUN (base of the build) and RUNTIME (base of the image) may be
# given in the environment; arguments are handed to the engine.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
for engine in docker podman buildah; do
  if command -v "$engine" >/dev/null && "$engine" info >/dev/null 2>&1; then
    # buildah and podman drop HEALTHCHECK from images of the OCI format.
    [ "$engine" = docker ] || set -- --format docker "$@"
    exec "$engine" build --tag "${TAG:-tenantry:latest}" \
      --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "CREATED=$(date -u +%FT%TZ)" \
      ${BUN:+--build-arg "BUN=$BUN"} ${RUNTIME:+--build-arg "RUNTIME=$RUNTIME"} "$@" .
  fi
done
echo "No running docker, podman or buildah was found; start one of them and try again." >&2
exit 1
