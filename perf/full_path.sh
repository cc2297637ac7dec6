#!/bin/sh
# The full path beside the kernel: wrk posts to the appliance, to an epoll server and, where it is installed, to nginx, each over a
# veth pair of the same MTU with segmentation offload off, each on the same one core, in turns, in one run: the appliance, which polls,
# is stopped while the others have their turn. Rows: OTLP protobuf of 100 spans; webhooks of
# 512 B and 4 KB answered received; webhooks answered durable (beside servers that keep nothing). The oracle: what wrk counts as
# answered was judged, by the appliance's own counters.
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
ip link set lo up
cat >appliance.yaml <<Y
shards: {count: 1}
rules: {files: [config/rules.d]}
webhooks:
  sources:
    - {name: quick, kind: json, acknowledge: received}
    - {name: durable, kind: json}
Y
python3 "$source/perf/make_otlp_request.py" 100 >spans.bin
order() { printf '{"order":{"id":"A-1","amount":25,"currency":"EUR"},"note":"%s"}' "$(head -c "$1" /dev/zero | tr '\0' x)"; }
order 450 >small.bin
order 4034 >large.bin
post() { # name, body file, path, type
  printf 'local f = io.open("%s", "rb")\nwrk.method = "POST"\nwrk.path = "%s"\nwrk.headers["Content-Type"] = "%s"\nwrk.body = f:read("*a")\n' \
    "$2" "$3" "$4" >"$1.lua"
}
post spans spans.bin /v1/traces application/x-protobuf
post small small.bin /webhook/quick application/json
post large large.bin /webhook/quick application/json
post durable small.bin /webhook/durable application/json
"$build/triplined" --config appliance.yaml 2>daemon.log &
daemon=$!
unshare -n sleep 1200 &
holder=$!
sleep 0.3
ip link add peer0 mtu 9000 type veth peer name peer1
ip link set peer1 netns $holder
ethtool -K peer0 tso off gso off >/dev/null
ip addr add 10.87.0.1/24 dev peer0
ip link set peer0 up
nsenter -t $holder -n sh -c 'ip link set lo up; ethtool -K peer1 tso off gso off >/dev/null; ip link set peer1 mtu 9000 up; ip addr add 10.87.0.2/24 dev peer1'
cores=$(nproc)
nsenter -t $holder -n taskset -c $((cores - 1)) "$build/perf/epoll_server" 10.87.0.2 &
server=$!
trap 'kill -CONT $daemon; kill $daemon $server $holder ${nginx:-} 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
if command -v nginx >/dev/null; then
  cat >nginx.conf <<N
worker_processes 1; daemon off; pid $work/nginx.pid; error_log /dev/null;
events { worker_connections 20000; }
http { access_log off; client_body_buffer_size 256k; client_max_body_size 16m; keepalive_requests 100000000;
  server { listen 10.87.0.2:8081; location / { return 200; } } }
N
  nsenter -t $holder -n taskset -c $((cores - 1)) nginx -c "$work/nginx.conf" -p "$work" &
  nginx=$!
else
  echo "nginx is not installed: its column is 0"
fi
until [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9464/readyz)" = 200 ]; do sleep 0.2; done
count() { curl -s http://127.0.0.1:9464/metrics | awk -v name="$1" 'index($1, name) == 1 {n += $2} END {printf "%.0f", n}'; }
# Beside the core that serves and the one of the journal.
load() { taskset -c 0,2 wrk -t2 -c32 -d2 -s "$1.lua" "http://$2" | awk '/requests in/ {n = $1} /Requests\/sec/ {r = $2} /Socket errors|Non-2xx/ {e = 1} END {print n, r, e + 0}'; }
row() { # script, port, counter, how many it counts a request, what
  before=$(count "$3")
  set -- "$@" $(load "$1" "10.86.0.2:$2")
  sleep 0.3
  counted=$(($(count "$3") - before))
  [ "$8" = 0 ] || { echo "errors in the load on the appliance" >&2; exit 1; }
  [ "$counted" -ge $(($6 * $4)) ] && [ "$counted" -le $((($6 + 32) * $4)) ] || { # wrk leaves the last of each connection unread
    echo "oracle: $counted counted for $6 requests of $4" >&2
    exit 1
  }
  kill -STOP $daemon
  epoll=$(load "$1" 10.87.0.2:4318 | cut -d' ' -f2)
  other=0
  [ -z "${nginx:-}" ] || other=$(load "$1" 10.87.0.2:8081 | cut -d' ' -f2)
  kill -CONT $daemon
  echo "$7 $epoll $other" | awk -v what="$5" '{printf "%-44s appliance %8.0f req/s   kernel epoll %8.0f (ratio %.2f)   nginx %8.0f (ratio %.2f)\n", what, $1, $2, $1 / $2, $3, $3 ? $1 / $3 : 0}'
}
echo "one core each; 32 connections; $(uname -m), $cores cores; the other servers judge and keep nothing"
round=0
while [ $round -lt "$rounds" ]; do
  round=$((round + 1))
  row spans 4318 tripline_spans_evaluated_total 100 "OTLP, 100 spans, $(wc -c <spans.bin) B, judged"
  row small 8080 tripline_webhooks_received_only_total 1 "webhook, $(wc -c <small.bin) B, received"
  row large 8080 tripline_webhooks_received_only_total 1 "webhook, $(wc -c <large.bin) B, received"
  row durable 8080 tripline_webhooks_durable_total 1 "webhook, $(wc -c <small.bin) B, durable"
done
