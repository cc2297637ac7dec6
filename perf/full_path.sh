#!/bin/sh
# The full path beside the kernel: wrk posts OTLP (100 spans of about 200 bytes a request, protobuf) to the appliance and to an
# epoll server, each over a veth pair of the same MTU with segmentation offload off, in turns, in one run. The oracle: every span of every answered
# request was evaluated (the appliance's own counter against wrk's).
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
Y
python3 "$source/perf/make_otlp_request.py" 100 >request.bin
cat >post.lua <<L
local f = io.open("request.bin", "rb")
wrk.method = "POST"
wrk.path = "/v1/traces"
wrk.headers["Content-Type"] = "application/x-protobuf"
wrk.body = f:read("*a")
L
"$build/triplined" --config appliance.yaml 2>daemon.log &
daemon=$!
unshare -n sleep 600 &
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
trap 'kill $daemon $server $holder 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
until [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9464/readyz)" = 200 ]; do sleep 0.2; done
spans() { curl -s http://127.0.0.1:9464/metrics | awk '/^tripline_spans_evaluated_total/ {n += $2} END {printf "%.0f", n}'; }
load() { taskset -c 0,1 wrk -t2 -c32 -d3 -s post.lua "http://$1:4318" | awk '/requests in/ {n = $1} /Requests\/sec/ {r = $2} /Socket errors|Non-2xx/ {e = 1} END {print n, r, e + 0}'; }
echo "one core each; $(wc -c <request.bin) bytes and 100 spans a request; 32 connections; $(uname -m), $cores cores"
round=0
while [ $round -lt "$rounds" ]; do
  round=$((round + 1))
  before=$(spans)
  set -- $(load 10.86.0.2)
  sleep 0.3
  after=$(spans)
  ours=$2
  [ "$3" = 0 ] || { echo "errors in the load on the appliance" >&2; exit 1; }
  [ $((after - before)) -ge $(($1 * 100)) ] || { echo "oracle: $((after - before)) spans for $1 requests" >&2; exit 1; }
  set -- $(load 10.87.0.2)
  echo "$ours $2" | awk -v r=$round '{printf "round %d  appliance %.0f req/s (%.2f M spans/s, judged)  kernel epoll %.0f req/s (nothing judged)  ratio %.2f\n", r, $1, $1 / 1e4, $2, $1 / $2}'
done
