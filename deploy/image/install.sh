#!/bin/sh
# Lay out what the image adds to its base: install.sh ARCHITECTURE WHEEL_FOLDER ROOT
#
# ROOT/opt/tidewaiter becomes an environment of the base's own /usr/bin/python3.11, with the packages of the lock,
# each checked against its hash, and the one wheel in WHEEL_FOLDER. Only wheels are taken, so that nothing of a
# package runs here, and those of the named architecture (amd64 or arm64), whatever this machine is.
set -eu

architecture=$1
wheels=$2
root=$3
here=$(dirname "$0")
python=${PYTHON:-python3}
home=/opt/tidewaiter
site=$root$home/lib/python3.11/site-packages

case $architecture in
  amd64) machine=x86_64 ;;
  arm64) machine=aarch64 ;;
  *) echo "install.sh: no wheels are known for the architecture '$architecture': amd64 or arm64" >&2; exit 2 ;;
esac

set -- "$wheels"/tidewaiter-*.whl
if [ $# -ne 1 ] || [ ! -f "$1" ]; then
  echo "install.sh: $wheels must hold one wheel of tidewaiter: run 'make wheel'" >&2
  exit 2
fi
wheel=$1

# Every tag that the base's glibc, 2.36, can load; pip takes each by its own name only.
platforms=--platform=manylinux2014_$machine
minor=36
while [ "$minor" -ge 17 ]; do
  platforms="--platform=manylinux_2_${minor}_$machine $platforms"
  minor=$((minor - 1))
done

# shellcheck disable=SC2086  # the platforms are words of their own
install() {
  "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile --no-deps \
    --root-user-action=ignore --only-binary=:all: --implementation=cp --python-version=3.11 --abi=cp311 --abi=abi3 --abi=none \
    $platforms --target="$site" "$@"
}
install --require-hashes --requirement="$here/requirements.txt"
rm -rf "${site:?}/bin"
install "$wheel"
# The packages' commands are for this machine's interpreter; ours is written below, for that of the base.
rm -rf "${site:?}/bin"

mkdir -p "$root$home/bin"
ln -sf /usr/bin/python3.11 "$root$home/bin/python"
cat >"$root$home/pyvenv.cfg" <<END
home = /usr/bin
include-system-site-packages = false
END
cat >"$root$home/bin/tidewaiter" <<END
#!$home/bin/python -I
import sys

from tidewaiter.cli.main import main

sys.exit(main())
END
chmod 0755 "$root$home/bin/tidewaiter"

# The root is read-only when it runs, so bytecode is made here; by hashes, which no clock changes.
"$python" -m compileall -q -s "$root" --invalidation-mode unchecked-hash "$site"
