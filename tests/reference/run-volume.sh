#!/bin/sh
# The full volume of every kind of case: BUILD FIRST_SEED CASES. A kind takes one core; as many at a time as there are.
set -eu
program=$1/tests/reference/reference_cases
"$program" kinds | xargs -P "$(nproc)" -I KIND "$program" KIND "$2" "$3"
