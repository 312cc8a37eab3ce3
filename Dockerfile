# Builds the image of the gateway: docker build -t gatehouse .
#
#   docker run --rm -p 8080:8080 -p 8443:8443 -p 127.0.0.1:3000:3000 \
#     -e GATEHOUSE_LISTEN__ADMIN=0.0.0.0:3000 -e GATEHOUSE_ADMIN_TOKEN=… \
#     -e GATEHOUSE_TENANCY__BASE_DOMAIN=example.com -e GATEHOUSE_UPSTREAM__DEFAULT=http://app:9000 \
#     -v "$PWD/certs:/var/lib/gatehouse/certs:ro" -v gatehouse-data:/var/lib/gatehouse/data gatehouse
#
# A configuration file is mounted as /var/lib/gatehouse/config.toml. Without the two admin lines, the admin API is reachable
# from within the container only.

FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin gatehouse

FROM debian:bookworm-slim
# Roots for https upstreams; everything else the binary brings along.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 gatehouse \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/gatehouse --shell /usr/sbin/nologin gatehouse \
 && install --directory --owner=gatehouse --group=gatehouse --mode=0750 /var/lib/gatehouse /var/lib/gatehouse/data /var/lib/gatehouse/certs
COPY --from=build /build/target/release/gatehouse /usr/local/bin/gatehouse

# Relative paths of the configuration (data, certs) lie here.
WORKDIR /var/lib/gatehouse
VOLUME /var/lib/gatehouse/data
EXPOSE 8080 8443 3000
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["gatehouse", "health"]
ENTRYPOINT ["gatehouse"]
CMD ["run"]
