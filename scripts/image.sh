#!/usr/bin/env bash
# Builds the image with whichever engine is there. TAG, BUN and RUNTIME may be given in the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
for engine in docker podman buildah; do
  if command -v "$engine" >/dev/null && "$engine" info >/dev/null 2>&1; then
    exec "$engine" build --tag "${TAG:-tenantry:latest}" ${BUN:+--build-arg "BUN=$BUN"} ${RUNTIME:+--build-arg "RUNTIME=$RUNTIME"} .
  fi
done
echo "No running docker, podman or buildah was found; start one of them and try again." >&2
exit 1
