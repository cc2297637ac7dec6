#!/bin/sh
# The whole path, bounded, in a network namespace of its own: starts the appliance on an empty data folder, sends the samples, prints
# the durable violations and compares them with those expected. Exit 0 only when they are exactly those.
set -eu
if [ "${TRIPLINE_DEMO:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "the demo makes a network namespace and a veth pair: run it as root" >&2; exit 1; }
  TRIPLINE_DEMO=inside exec unshare -n "$0" "$@"
fi
build=$(realpath "$1")
source=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
cd "$work"
ln -s "$source/config" config
ip link set lo up
"$build/triplined" 2>daemon.log &
daemon=$!
finish() {
  kill $daemon 2>/dev/null || true
  wait $daemon || true
  rm -rf "$work"
}
trap finish EXIT
tries=0
until [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9464/readyz)" = 200 ]; do
  tries=$((tries + 1))
  if [ $tries -gt 150 ] || ! kill -0 $daemon 2>/dev/null; then
    cat daemon.log >&2
    exit 1
  fi
  sleep 0.2
done
sh config/samples/send.sh
expected=config/samples/expected-violations.txt
tries=0
while [ "$("$build/tripline" violations list -o json | grep -c '"lsn"')" -lt "$(wc -l <$expected)" ] && [ $tries -lt 40 ]; do
  tries=$((tries + 1))
  sleep 0.25
done
sleep 1 # what should not come gets its chance
echo
"$build/tripline" violations list
"$build/tripline" violations list -o json |
  python3 -c 'import json,sys; [print(v["rule"], v["severity"]) for v in json.load(sys.stdin)["violations"]]' | sort >found.txt
echo
if diff "$expected" found.txt; then
  echo "exactly the $(wc -l <$expected) expected violations, all durable"
else
  echo "not the expected violations" >&2
  exit 1
fi
