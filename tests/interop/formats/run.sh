#!/bin/sh
# `make interop`: stock clients of Zipkin (py_zipkin, OpenTelemetry's exporter) and of Jaeger's agent (jaeger-client, OpenTelemetry's
# exporter) against the appliance in a network namespace. Spans sent must be spans judged, as what they were.
# usage: run.sh BUILD ENVIRONMENT: a virtual environment with requirements.txt
set -eu
build=$(realpath "$1")
environment=$(realpath "$2")
here=$(realpath "$(dirname "$0")")
if [ "${TRIPLINE_INTEROP:-}" != inside ]; then
  TRIPLINE_INTEROP=inside exec unshare -n "$0" "$@"
fi
work=$(mktemp -d)
cd "$work"
ip link set lo up
printf 'rules: {files: [%s]}\n' "$here/rules.yaml" >appliance.yaml
"$build/triplined" --config appliance.yaml 2>daemon.log &
daemon=$!
trap 'kill $daemon 2>/dev/null; wait $daemon; rm -rf "$work"' EXIT
until [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9464/readyz)" = 200 ]; do sleep 0.2; done
metric() { curl -s http://127.0.0.1:9464/metrics | awk -v name="$1" 'index($1, name "{") == 1 {n += $2} END {printf "%.0f", n}'; }
violations() { "$build/tripline" -s tripline-data/control.sock violations list --rule "$1" --limit 100000 -o json | grep -c '"lsn"' || true; }
failed=0
check() { # what, found, wanted
  echo "$1: $2"
  [ "$2" = "$3" ] || { echo "  $3 expected"; failed=1; }
}
traces=500
sent=0
clients=0
for client in py_zipkin:9411:2 opentelemetry-zipkin:9411:2 jaeger-client:6831:3 opentelemetry-jaeger:6831:2; do
  name=${client%%:*}
  port=${client#*:}
  "$environment/bin/python" -W ignore "$here/send_spans.py" "$name" 10.86.0.2 "${port%:*}" $traces || failed=1
  clients=$((clients + 1))
  sent=$((sent + traces * ${client##*:}))
  sleep 0.5
  check "$name: spans judged" "$(metric tripline_spans_evaluated_total)" $sent
done
sleep 4 # traces are judged once they are idle
check "spans rejected" "$(metric tripline_spans_rejected_total)" 0
check "datagrams dropped" "$(metric tripline_jaeger_datagrams_dropped_total)" 0
check "failed checkouts" "$(violations failed-checkout)" $((clients * traces / 10))
check "charges" "$(violations charge)" $((clients * traces))
check "checkouts with a charge" "$(violations checkout-with-charge)" $((clients * traces))
exit $failed
