#!/bin/sh
# Lock the image's packages and the release's tools, with the hash of every wheel, from pyproject.toml:
# lock.sh [--upgrade]
#
# Both architectures of the image are resolved and must come out alike, so that one file holds for both.
set -eu
cd "$(dirname "$0")/../.."
uv=${UV:-uv}

lock() {
  machine=$1
  output=$2
  shift 2
  "$uv" pip compile --quiet --output-file "$output" "$@" \
    --python-version 3.11 --python-platform "$machine-manylinux_2_36" --only-binary :all: \
    --generate-hashes --no-emit-index-url --custom-compile-command "make lock"
}
image() {
  lock "$@" pyproject.toml --extra webhook --extra signatures --extra valkey --extra traces
}
other=$(mktemp)
trap 'rm -f "$other"' EXIT
image x86_64 deploy/image/requirements.txt "$@"
cp deploy/image/requirements.txt "$other"
image aarch64 "$other" "$@"
cmp deploy/image/requirements.txt "$other" || {
  echo "lock.sh: the two architectures need different packages: one lock cannot hold for both" >&2
  exit 1
}
lock x86_64 deploy/image/release-requirements.txt "$@" --group pyproject.toml:release
