# syntax=docker/dockerfile:1.7
# The image of the service. The first build compiles RocksDB and librdkafka: about 15 minutes on two cores; the cache
# mounts keep them for the next.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ make pkg-config libssl-dev libclang-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
ARG SEGMENTD_REVISION=unknown
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    SEGMENTD_REVISION=$SEGMENTD_REVISION cargo build --release --locked \
 && cp target/release/segmentd /usr/local/bin/segmentd

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates curl libssl3 libstdc++6 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home --home-dir /var/lib/segmentd segmentd \
 && install --directory --owner segmentd /var/lib/segmentd/state
COPY --from=build /usr/local/bin/segmentd /usr/local/bin/segmentd
COPY config /etc/segmentd/config
USER segmentd
WORKDIR /etc/segmentd
ENV SEGMENTD_STATE__DIR=/var/lib/segmentd/state
VOLUME /var/lib/segmentd/state
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD curl --fail --silent http://127.0.0.1:8080/livez
ENTRYPOINT ["segmentd"]
CMD ["run"]
