#!/bin/sh
# The full volume of every kind of case: BUILD FIRST_SEED CASES. Each kind on a core of its own.
set -eu
program=$1/tests/reference/reference_cases
failed=0
jobs=
for kind in $("$program" kinds); do
  "$program" "$kind" "$2" "$3" &
  jobs="$jobs $!"
done
for job in $jobs; do wait "$job" || failed=1; done
exit $failed
