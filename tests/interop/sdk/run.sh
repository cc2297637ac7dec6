#!/bin/sh
# `make interop`: the OpenTelemetry JavaScript SDK's http/protobuf and http/json exporters, gzip on and off, and its Zipkin exporter, against
# the appliance in a network namespace. Spans sent must be spans judged, and the slow ones violations. Needs node and, once, the npm registry.
set -eu
build=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
source=$(realpath "$here/../../..")
if [ "${TRIPLINE_INTEROP:-}" != inside ]; then
  (cd "$here" && npm ci --no-audit --no-fund --ignore-scripts >/dev/null)
  TRIPLINE_INTEROP=inside exec unshare -n "$0" "$@"
fi
work=$(mktemp -d)
cd "$work"
ln -s "$source/config" config
ip link set lo up
"$build/triplined" 2>daemon.log &
daemon=$!
trap 'kill $daemon 2>/dev/null; wait $daemon; rm -rf "$work"' EXIT
until [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9464/readyz)" = 200 ]; do sleep 0.2; done
metric() { curl -s http://127.0.0.1:9464/metrics | awk -v name="$1" 'index($1, name "{") == 1 {n += $2} END {printf "%.0f", n}'; }
traces=1000
sent=0
failed=0
for format in 'proto none' 'proto gzip' 'json none' 'json gzip' 'zipkin none'; do
  node "$here/export.js" $format $traces || { echo "$format: the SDK reports a failure"; failed=1; }
  sent=$((sent + traces))
  judged=$(metric tripline_spans_evaluated_total)
  echo "$format: sent $sent, judged $judged"
  [ "$judged" = "$sent" ] || failed=1
done
slow=$("$build/tripline" violations list --rule slow-checkout --limit 10000 -o json | grep -c '"lsn"')
echo "slow-checkout: $slow violations, $((sent / 5)) expected"
[ "$slow" = $((sent / 5)) ] || failed=1
exit $failed
