# The endpoint with the shipped model in a static, non-root image. Build from the repository alone:
#   docker build -t cipherpoint .
#   docker run -p 8080:80 -v "$PWD/compiled_model:/repository/compiled_model:ro" cipherpoint
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/endpoint ./endpoint && mkdir -p /out/keys

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/endpoint /endpoint
COPY --chown=nonroot:nonroot --from=build /out/keys /keys
COPY compiled_model /repository/compiled_model
# A process without privileges may listen on port 80 in a container: Docker sets net.ipv4.ip_unprivileged_port_start to 0.
ENV PORT=80 \
    CIPHERPOINT_MODEL=/repository/compiled_model \
    CIPHERPOINT_KEYSTORE=file:///keys
EXPOSE 80
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["/endpoint", "check-health"]
ENTRYPOINT ["/endpoint"]
