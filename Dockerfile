# The whole service as one binary on a small base. Build: make image (docker, podman or buildah, whichever there is).
ARG BUN=docker.io/oven/bun:1.4.5
ARG RUNTIME=docker.io/library/debian:bookworm-slim

FROM ${BUN} AS build
WORKDIR /build
COPY package.json bun.lock ./
COPY patches ./patches
RUN bun install --frozen-lockfile --production
COPY drizzle ./drizzle
COPY src ./src
# Not --minify: Elysia reads the source of handlers to learn what they use, and renamed variables mislead it.
RUN bun build --compile --minify-whitespace --minify-syntax --bytecode --format=esm src/cli.ts --outfile tenantry

FROM ${RUNTIME}
RUN useradd --system --uid 10001 tenantry && mkdir /data && chown tenantry /data
COPY --from=build /build/tenantry /usr/local/bin/tenantry
USER tenantry
WORKDIR /
ENV HOST=0.0.0.0 PORT=3000 DATABASE_URL=sqlite:/data/tenantry.db
VOLUME /data
EXPOSE 3000
ENTRYPOINT ["/usr/local/bin/tenantry"]
CMD ["serve"]
