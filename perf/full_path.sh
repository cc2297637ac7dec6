#!/bin/sh
# The full path over veth beside the kernel: wrk posts to the appliance on its embedded port (af_packet, MTU 9000), to one on af_xdp
# (MTU 3300, the most that takes), to an epoll server and, where it is installed, to nginx (MTU 9000, segmentation offload off as with
# the appliance), in turns, in one run. Each server has the same core to itself, and wrk the others; an appliance, which polls, is
# stopped while the others have their turn. "a core" is requests by the seconds that the server was busy on its core: of an appliance,
# which is never idle to the kernel, the share that its shard counts as busy. What a sender's core does for the receiver's kernel is
# charged to the sender, for all alike. The oracle: what wrk counts as answered was judged, by the appliance's own counters. Medians
# of the rounds, their spread, and medians of the ratios of a round.
# Usage: full_path.sh BUILD [ROUNDS [SECONDS [KIND:CONNECTIONS...]]]; kinds: spans, small, large, huge, durable.
set -eu
build=$(realpath "$1")
rounds=${2:-3}
seconds=${3:-2}
if [ "${TRIPLINE_BENCH:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "run as root: network namespaces and veth pairs are made" >&2; exit 1; }
  TRIPLINE_BENCH=inside exec setsid -w unshare -n "$0" "$@"
fi
if [ $# -gt 3 ]; then
  shift 3
else
  set -- spans:32 spans:1000 small:32 small:1000 small:10000 large:32 large:1000 large:10000 huge:32 huge:1000 huge:10000 durable:32
fi
# First among equals on a shared machine: by task, and by session where the kernel shares cores by session.
renice -n -20 -p $$ >/dev/null
[ ! -w /proc/self/autogroup ] || echo -20 >/proc/self/autogroup
ulimit -n "$(ulimit -H -n)"
work=$(mktemp -d)
source=$(realpath "$(dirname "$0")/..")
cores=$(nproc)
[ "$cores" -ge 3 ] || { echo "three cores are needed: one for the server, two for wrk" >&2; exit 1; }
core=$((cores - 1))
cd "$work"
ip link set lo up
# wrk closes first, and thousands of connections a turn would leave it no port.
sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_max_tw_buckets=16
ip link add xdp0 mtu 3300 numrxqueues 1 numtxqueues 1 type veth peer name xdp1 mtu 3300 numrxqueues 1 numtxqueues 1
sysctl -qw net.ipv6.conf.xdp1.disable_ipv6=1
ip addr add 10.88.0.1/24 dev xdp0
ip link set xdp0 up
ip link set xdp1 up
configure() { # name, management's port, ports
  cat >"$1.yaml" <<Y
data_dir: ${LOAD_DATA:-$work}/tripline-$$-$1
management: {socket: $work/$1.sock, listen: 127.0.0.1:$2}
shards: {cores: [$core], control_core: 0, journal_core: 0, prefault: true}
rules: {files: [$source/perf/ten_rules.yaml]}
ports: [$3]
webhooks:
  sources:
    - {name: quick, kind: json, acknowledge: received}
    - {name: durable, kind: json}
Y
}
configure af_packet 9464 '{name: trip, kind: embedded}'
configure af_xdp 9465 '{name: xdp, kind: af_xdp, interface: xdp1, ipv4: 10.88.0.2/24, mtu: 3300}'
python3 "$source/perf/make_otlp_request.py" 100 >spans.bin
order() { printf '{"order":{"id":"A-1","amount":25,"currency":"EUR"},"note":"%s"}' "$(head -c "$1" /dev/zero | tr '\0' x)"; }
order 451 >small.bin
order 4035 >large.bin
order 65475 >huge.bin
post() { # name, body file, path, type
  printf 'local f = io.open("%s", "rb")\nwrk.method = "POST"\nwrk.path = "%s"\nwrk.headers["Content-Type"] = "%s"\nwrk.body = f:read("*a")\n' \
    "$2" "$3" "$4" >"$1.lua"
}
post spans spans.bin /v1/traces application/x-protobuf
for size in small large huge; do post $size $size.bin /webhook/quick application/json; done
post durable small.bin /webhook/durable application/json
pids=""
trap 'for p in $pids; do kill -CONT $p; kill $p; done 2>/dev/null; wait 2>/dev/null; rm -rf "$work" "${LOAD_DATA:-$work}"/tripline-$$-*' EXIT
unshare -n sleep 3600 &
holder=$!
pids="$pids $holder"
sleep 0.3
ip link add peer0 mtu 9000 type veth peer name peer1
ip link set peer1 netns $holder
ethtool -K peer0 tso off gso off >/dev/null
ip addr add 10.87.0.1/24 dev peer0
ip link set peer0 up
nsenter -t $holder -n sh -c 'ip link set lo up; ethtool -K peer1 tso off gso off >/dev/null; ip link set peer1 mtu 9000 up
  ip addr add 10.87.0.2/24 dev peer1; sysctl -qw net.core.somaxconn=16384 net.ipv4.tcp_max_syn_backlog=16384'
nsenter -t $holder -n taskset -c $core "$build/perf/epoll_server" 10.87.0.2 &
epoll_pid=$!
pids="$pids $epoll_pid"
servers="af_packet af_xdp epoll"
if command -v nginx >/dev/null; then
  cat >nginx.conf <<N
worker_processes 1; daemon off; pid $work/nginx.pid; error_log /dev/null;
events { worker_connections 16384; }
http { access_log off; client_body_buffer_size 256k; client_max_body_size 16m; keepalive_requests 100000000;
  server { listen 10.87.0.2:8081 backlog=16384; location / { return 200; } } }
N
  nsenter -t $holder -n taskset -c $core nginx -c "$work/nginx.conf" -p "$work" &
  nginx_pid=$!
  pids="$pids $nginx_pid"
  servers="$servers nginx"
fi
metrics() { if [ "$1" = af_packet ]; then curl -s http://127.0.0.1:9464/metrics; else curl -s http://127.0.0.1:9465/metrics; fi; }
start() { # name: an appliance, left stopped
  "$build/triplined" --config "$1.yaml" 2>"$1.log" &
  eval "$1_pid=$!"
  pids="$pids $!"
  tries=0
  until metrics "$1" | grep -q '^tripline_loop'; do
    tries=$((tries + 1))
    [ $tries -le 100 ] || { cat "$1.log" >&2; exit 1; }
    sleep 0.2
  done
  kill -STOP $!
}
start af_packet
start af_xdp
of() { eval "echo \$$1_pid"; }
used() { # nanoseconds of the server on its core; of an appliance also cycles busy and idle, and what it counted
  case $1 in
  af_packet | af_xdp)
    for thread in /proc/"$(of "$1")"/task/*; do
      if [ "$(cat "$thread/comm" 2>/dev/null)" = shard-0 ]; then cut -d' ' -f1 "$thread/schedstat"; fi
    done
    metrics "$1" | awk -v name="$2" '
      index($1, "tripline_loop_busy_cycles_total") == 1 {busy += $2} index($1, "tripline_loop_idle_cycles_total") == 1 {idle += $2}
      index($1, name) == 1 {n += $2} END {printf "%.0f %.0f %.0f\n", busy, idle, n}' ;;
  nginx) cut -d' ' -f1 "/proc/$(pgrep -P "$nginx_pid")/schedstat"; echo 1 0 0 ;;
  *) cut -d' ' -f1 "/proc/$(of "$1")/schedstat"; echo 1 0 0 ;;
  esac
}
turn() { # kind, connections, server
  each=1 port=8080 counter=tripline_webhooks_received_only_total
  case $1 in
  spans) each=100 port=4318 counter=tripline_spans_evaluated_total ;;
  durable) counter=tripline_webhooks_durable_total ;;
  esac
  case $3 in
  af_packet) url=http://10.86.0.2:$port ;;
  af_xdp) url=http://10.88.0.2:$port ;;
  epoll) url=http://10.87.0.2:4318 ;;
  nginx) url=http://10.87.0.2:8081 ;;
  esac
  case $3 in af_*) kill -CONT "$(of "$3")" ;; esac
  before=$(used "$3" $counter)
  taskset -c 0-$((core - 1)) wrk -t$core -c"$2" -d"${seconds}s" --timeout 10s -s "$1.lua" $url >wrk.txt 2>&1 || { tail -3 wrk.txt >&2; exit 1; }
  # What wrk left behind is still being judged.
  after=$(used "$3" $counter)
  tries=0 settled=
  while sleep 0.3 && [ "${after##* }" != "$settled" ] && [ $tries -lt 30 ]; do
    settled=${after##* }
    after=$(used "$3" $counter)
    tries=$((tries + 1))
  done
  echo "$1 $2 $3 $each" $before $after >>turns
  awk '/requests in/ {n = $1} /Requests\/sec/ {rate = $2} /Non-2xx/ {bad = $NF} /Socket errors/ {gsub(",", ""); errors = $4 + $6 + $8 + $10}
    END {print n + 0, rate + 0, bad + 0, errors + 0}' wrk.txt >>turns
  case $3 in af_*) kill -STOP "$(of "$3")" ;; esac
}
echo "one core each; $rounds rounds of $seconds s; $(uname -m), $cores cores, load $(cut -d' ' -f1 /proc/loadavg); the other servers judge and keep nothing"
round=0
while [ $round -lt "$rounds" ]; do
  round=$((round + 1))
  for each_row; do for server in $servers; do turn "${each_row%:*}" "${each_row#*:}" $server; done; done
done
python3 "$source/perf/full_path_table.py" turns
