# The binary alone, as an image:
#
#   docker build --tag tsdb .
#   docker run --rm --interactive --volume "$PWD/data:/data" tsdb import - < metrics.txt
#   docker run --rm --volume "$PWD/data:/data" tsdb query up
#
# `docker/Dockerfile.dev` is the image for developers.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release -p tsdb-cli --bin tsdb

FROM debian:bookworm-slim
# A user of its own; /data is the store, which has to be writable for it.
RUN useradd --system --uid 10001 tsdb && install --directory --owner tsdb /data
COPY --from=build /src/target/release/tsdb /usr/local/bin/tsdb
USER tsdb
WORKDIR /data
VOLUME /data
EXPOSE 9201
ENTRYPOINT ["tsdb", "--data-dir", "/data"]
CMD ["--help"]
