#!/bin/sh
# Runs every fuzz target for the given seconds over its kept corpus, with ASan and UBSan. What is found stays in build-fuzz/.
set -eu
seconds=${1:-60}
cd "$(dirname "$0")/../.."
[ -f build-fuzz/build.ninja ] ||
  CC=clang-14 /usr/bin/meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
failed=0
for source in tests/fuzz/fuzz_*.c; do
  name=$(basename "$source" .c)
  ninja -C build-fuzz "tests/fuzz/$name" >/dev/null
  mkdir -p "build-fuzz/corpus/$name"
  if (cd build-fuzz && "tests/fuzz/$name" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 "corpus/$name" \
    "../tests/fuzz/corpus/${name#fuzz_}" >"$name.log" 2>&1); then
    echo "$name: $(awk '/number_of_executed_units/ {print $2}' "build-fuzz/$name.log") runs, nothing found"
  else
    echo "$name: FAILED, see build-fuzz/$name.log"
    failed=1
  fi
done
exit $failed
