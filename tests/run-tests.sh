#!/bin/sh
# Builds and runs every suite; the last line counts them all. A suite that meson skips (exit 77) says why in its log.
set -eu
cd "$(dirname "$0")/.."
failed=0
suites=
run() { # build directory, then setup arguments
  directory=$1
  shift
  [ -f "$directory/build.ninja" ] || /usr/bin/meson setup "$directory" "$@" >/dev/null
  ninja -C "$directory" >/dev/null || { ninja -C "$directory" | tail -40; failed=1; }
  /usr/bin/meson test -C "$directory" --print-errorlogs ${suites:-} || failed=1
}
run build-test --werror
CC=clang-14 run build-sanitize --werror -Db_sanitize=address,undefined -Db_lundef=false
suites='--suite threads' CC=clang-14 run build-threads --werror -Db_sanitize=thread -Db_lundef=false
python3 tests/count-results.py build-test/meson-logs/testlog.json build-sanitize/meson-logs/testlog.json \
  build-threads/meson-logs/testlog.json
exit $failed
