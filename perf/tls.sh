#!/bin/sh
# TLS beside plain text: two appliances of one core each, the same but for the certificate, in turns in one run; the one whose turn it
# is not is stopped. wrk posts over kept-alive connections: OTLP protobuf of 100 spans, webhooks of 511 B answered received. Then a
# connection for each request: handshakes a second, with the budget out of the way. The oracle: what wrk counts as answered was
# judged, by the appliance's own counters, and no handshake failed.
set -eu
build=$(realpath "$1")
rounds=${2:-3}
if [ "${TRIPLINE_BENCH:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "run as root: network namespaces and a veth pair are made" >&2; exit 1; }
  TRIPLINE_BENCH=inside exec unshare -n "$0" "$@"
fi
work=$(mktemp -d)
source=$(realpath "$(dirname "$0")/..")
cd "$work"
ln -s "$source/config" config
"$source/tests/support/make_certificates.sh" pems
ip link set lo up
appliance() { # name, its network, management's port, tls
  cat >"$1.yaml" <<Y
data_dir: ./$1-data
management: {socket: ./$1.sock, listen: "127.0.0.1:$3"}
shards: {count: 1}
ports: [{name: $1, kind: embedded, interface: ${1}0, ipv4: $2.2/24, host_ipv4: $2.1/24, ipv6: [], mtu: 9000}]
rules: {files: [config/rules.d]}
listeners: {otlp_http: {acknowledge: received$4}}
webhooks: {sources: [{name: quick, kind: json, acknowledge: received}]$4}
tls: {handshakes_per_second: 100000}
Y
  "$build/triplined" --config "$1.yaml" 2>"$1.log" &
}
appliance plain 10.88.0 9501 ""
plain=$!
appliance tls 10.89.0 9502 ", tls: {certificate: pems/server.pem, key: pems/server.key}"
tls=$!
trap 'kill -CONT $plain $tls; kill $plain $tls 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
python3 "$source/perf/make_otlp_request.py" 100 >spans.bin
printf '{"order":{"id":"A-1","amount":25,"currency":"EUR"},"note":"%s"}' "$(head -c 450 /dev/zero | tr '\0' x)" >small.bin
post() { # name, body file, path, type, header
  printf 'local f = io.open("%s", "rb")\nwrk.method = "POST"\nwrk.path = "%s"\nwrk.headers["Content-Type"] = "%s"\nwrk.body = f:read("*a")\n%s\n' \
    "$2" "$3" "$4" "$5" >"$1.lua"
}
post spans spans.bin /v1/traces application/x-protobuf ""
post close spans.bin /v1/traces application/x-protobuf 'wrk.headers["Connection"] = "close"'
post small small.bin /webhook/quick application/json ""
for port in 9501 9502; do
  until [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/readyz")" = 200 ]; do sleep 0.2; done
done
count() { curl -s "http://127.0.0.1:$1/metrics" | awk -v name="$2" 'index($1, name) == 1 {n += $2} END {printf "%.0f", n}'; }
# Beside the core that serves and the one of the journal.
load() { taskset -c 0,2 wrk -t2 -c32 -d2 -s "$1.lua" "$2" | awk '/requests in/ {n = $1} /Requests\/sec/ {r = $2} /Socket errors|Non-2xx/ {e = 1} END {print n, r, e + 0}'; }
turn() { # script, URL, management's port, counter, how many it counts a request
  before=$(count "$3" "$4")
  set -- "$@" $(load "$1" "$2")
  sleep 0.3
  counted=$(($(count "$3" "$4") - before))
  [ "$8" = 0 ] || { echo "errors in the load of $2" >&2; exit 1; }
  [ "$counted" -ge $(($6 * $5)) ] && [ "$counted" -le $((($6 + 32) * $5)) ] || { # wrk leaves the last of each connection unread
    echo "oracle: $counted counted for $6 requests of $5" >&2
    exit 1
  }
  rate=$7
}
row() { # script, port, counter, how many it counts a request, what
  kill -STOP $tls
  turn "$1" "http://10.88.0.2:$2" 9501 "$3" "$4"
  without=$rate
  kill -CONT $tls
  kill -STOP $plain
  turn "$1" "https://10.89.0.2:$2" 9502 "$3" "$4"
  kill -CONT $plain
  echo "$without $rate" | awk -v what="$5" '{printf "%-52s plain %8.0f req/s   TLS %8.0f req/s   ratio %.2f\n", what, $1, $2, $2 / $1}'
}
echo "one core each; 32 connections; TLS 1.3, AES-128-GCM, P-256; $(uname -m), $(nproc) cores; wrk has the others"
round=0
while [ $round -lt "$rounds" ]; do
  round=$((round + 1))
  row spans 4318 tripline_spans_evaluated_total 100 "OTLP, 100 spans, $(wc -c <spans.bin) B, kept alive"
  row small 8080 tripline_webhooks_received_only_total 1 "webhook, $(wc -c <small.bin) B, kept alive"
  row close 4318 tripline_spans_evaluated_total 100 "OTLP, 100 spans, a connection (a handshake) each"
done
# wrk ends with handshakes under way.
failed=$(curl -s http://127.0.0.1:9502/metrics | awk '/^tripline_tls_handshakes_failed_total/ && !/peer_gone/ {n += $2} END {printf "%.0f", n}')
[ "$failed" = 0 ] || { echo "$failed handshakes failed" >&2; exit 1; }
