# Both images, one target each: docker build --target controller -t steelyard-controller . ; docker build --target speaker -t steelyard-speaker .
# An image holds one static binary and nothing else. (`make images` writes the same without a container engine.)

ARG GO_VERSION=1.26

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY internal internal
COPY speaker speaker
ARG TARGETOS=linux
ARG TARGETARCH
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath -buildvcs=false -ldflags '-s -w' -o /out/ ./cmd/steelyard-controller ./cmd/steelyard-speaker

FROM scratch AS controller
COPY --from=build /out/steelyard-controller /steelyard-controller
USER 65534:65534
ENTRYPOINT ["/steelyard-controller"]

# The speaker is root in its container, with the capability NET_RAW and no other: a capability reaches a process of another user
# only through the file it was started from, and an image from scratch carries no file capabilities everywhere.
FROM scratch AS speaker
COPY --from=build /out/steelyard-speaker /steelyard-speaker
USER 0:0
ENTRYPOINT ["/steelyard-speaker"]
