#!/bin/sh
# The full path without the kernel: a load generator of ours (memif_load) is the peer of the appliance's memif port. Requests over
# 32, 1,000 and 10,000 connections, in turns, in one run; medians and spread. "a core" counts only the time that the shard's
# thread was on its core, as a shared machine takes some away. The oracle: every answer is checked by the generator, and the
# appliance's own counters must equal what the generator was answered: requests, spans, violations.
# Usage: memif_path.sh BUILD [ROUNDS [SECONDS [MTU [RUN...]]]]
set -eu
build=$(realpath "$1")
rounds=${2:-5}
seconds=${3:-1}
mtu=${4:-1500}
if [ "${TRIPLINE_BENCH:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "run as root: a network namespace is made" >&2; exit 1; }
  TRIPLINE_BENCH=inside exec setsid -w unshare -n "$0" "$@"
fi
# First among equals on a shared machine: by task, and by session where the kernel shares cores by session. The rates a core leave
# out what is taken all the same.
renice -n -20 -p $$ >/dev/null
[ ! -w /proc/self/autogroup ] || echo -20 >/proc/self/autogroup
[ $# -le 4 ] && set -- "$build" "$rounds" "$seconds" "$mtu" \
  otlp:32 otlp:1000 otlp:10000 webhook:32:512 webhook:1000:512 webhook:10000:512 \
  webhook:32:4096 webhook:1000:4096 webhook:10000:4096 webhook:32:65536 webhook:1000:65536 webhook:10000:65536 \
  signed:32:1024 durable:32:512
shift 4
work=$(mktemp -d)
data=$(mktemp -d -p "${LOAD_DATA:-/tmp}") # where the journal lies
source=$(realpath "$(dirname "$0")/..")
cores=$(nproc)
[ "$cores" -ge 3 ] || { echo "three cores are needed: shard, generator, journal" >&2; exit 1; }
ip link set lo up
cd "$work"
cat >appliance.yaml <<Y
data_dir: $data
management: {socket: $work/control.sock}
shards: {cores: [$((cores - 1))], control_core: 0, journal_core: 0, prefault: true}
ports: [{name: load, kind: memif, role: server, path: $work/memif.sock, ipv4: 10.86.0.2/24, mtu: $mtu}]
rules: {files: [$source/perf/ten_rules.yaml]}
traces: {live_max: 1048576}
webhooks:
  replay_capacity: 8388608
  sources:
    - {name: quick, kind: json, acknowledge: received}
    - {name: signed, kind: github, acknowledge: received, secrets: [{id: load, secret: load-generator-secret}]}
    - {name: durable, kind: json}
Y
"$build/triplined" --config appliance.yaml 2>daemon.log &
daemon=$!
trap 'kill $daemon 2>/dev/null; wait 2>/dev/null; rm -rf "$work" "$data"' EXIT
tries=0
# Not /readyz: a port without a link, as this one until the generator comes, is not ready.
until [ -S memif.sock ] && curl -s http://127.0.0.1:9464/v1/status | grep -q '"state": *"\(not \)\?ready"'; do
  tries=$((tries + 1))
  [ $tries -le 100 ] || { cat daemon.log >&2; exit 1; }
  sleep 0.2
done
echo "memif, MTU $mtu, one polling core, 10 rules; $rounds rounds of $seconds s; $(uname -m), $cores cores, load $(cut -d' ' -f1 /proc/loadavg)"
timeout 900 "$build/perf/memif_load" "$work/memif.sock" $((cores - 2)) "$mtu" "$seconds" "$rounds" "${LOAD_WINDOW:-128}" $daemon "$@" >load.txt || { echo "the generator ended with $?" >&2;
  cat load.txt daemon.log >&2
  exit 1
}
grep -v '^answered' load.txt
count() { curl -s http://127.0.0.1:9464/metrics | awk -v name="$1" 'index($1, name) == 1 {n += $2} END {printf "%.0f", n}'; }
same() { # what, answered by the generator's count, counted by the appliance
  [ "$2" = "$3" ] || { echo "oracle: $1: the generator has $2 answers, the appliance counts $3" >&2; exit 1; }
}
answered() { awk -v name="$1" '$1 == "answered" && $2 == name {print $3}' load.txt; }
same spans $(($(answered otlp) * 100)) "$(count tripline_spans_evaluated_total)"
same webhooks $(($(answered webhook) + $(answered signed))) "$(count tripline_webhooks_received_only_total)"
same durable "$(answered durable)" "$(count tripline_webhooks_durable_total)"
same violations "$(answered violations)" "$(count tripline_violations_emitted_total)"
echo "oracle: $(answered otlp) OTLP requests, $(($(answered webhook) + $(answered signed) + $(answered durable))) webhooks, $(answered violations) violations, the same on both sides; $(count tripline_traces_evicted_total) traces evicted"
