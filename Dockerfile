# syntax=docker/dockerfile:1.7
# The image of the service: the program, three libraries and no shell. The first build compiles RocksDB and librdkafka:
# 15 to 25 minutes on two cores; the cache mounts keep them for the next.

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
 && install -D target/release/segmentd /out/usr/bin/segmentd \
 # What the base lacks: it has glibc, libstdc++ and OpenSSL.
 && install -D "$(ldd target/release/segmentd | awk '/libz\.so/ {print $3}')" /out/usr/lib/libz.so.1 \
 && mkdir -p /out/var/lib/segmentd/state

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/usr /usr
# Nothing but this folder is written to: run it with a read-only root.
COPY --from=build --chown=nonroot:nonroot /out/var/lib/segmentd /var/lib/segmentd
COPY config /etc/segmentd/config
WORKDIR /etc/segmentd
ENV SEGMENTD_STATE__DIR=/var/lib/segmentd/state
VOLUME /var/lib/segmentd/state
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["segmentd", "ready"]
ENTRYPOINT ["segmentd"]
CMD ["run"]
