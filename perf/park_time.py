"""From webhook in to durable to 200 out: how long answers are parked, by the appliance's own histogram, and how long the client waits,
beyond what one flush of the device takes (p50 beyond its p50, p99 beyond its p99). The client is our load generator on the other end of a memif port, so that no kernel's
network is in between. Three loads: one request at a time, 32 connections with one each, and 256 with 1,024 requests outstanding; each
run has an appliance of its own, a journal on the disk, and a probe of the device before and after it. Runs take turns; medians over
the rounds, with the least and the most. Oracle: every answer is a checked 200, and as many webhooks are durable by the
appliance's count, and as many answers were parked.

usage: park_time.py BUILD [ROUNDS [SECONDS]]. As root: in a network namespace of its own. TMPDIR is where the journals lie.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(SOURCE, "tests/support"))
from appliance_process import Appliance, enter_namespace, fetch, METRICS_URL, wait_for  # noqa: E402

BUILD = os.path.abspath(sys.argv[1])
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
SECONDS = sys.argv[3] if len(sys.argv) > 3 else "2"
STATUS_URL = METRICS_URL.replace("/metrics", "/v1/status")
BODY_BYTES, PROBES, MTU = 1024, "400", "1500"
LOADS = {"1 connection": (1, 1), "32 connections": (32, 32), "256 connections, 1,024 outstanding": (256, 1024)}
TARGETS = {"p50": 200, "p99": 500}
CORES = os.cpu_count()


def by_interrupts():
    """The cores, those first that devices interrupt least: a disk's interrupts are charged to whom they interrupt."""
    with open("/proc/interrupts", encoding="ascii") as file:
        cores = [int(word[3:]) for word in file.readline().split()]
        counts = dict.fromkeys(cores, 0)
        for line in file:
            words = line.split()
            if words[0][:-1].isdigit():
                for core, word in zip(cores, words[1:]):
                    counts[core] += int(word)
    return sorted(os.sched_getaffinity(0), key=lambda core: counts.get(core, 0))


SHARD, GENERATOR, *_, JOURNAL = by_interrupts() if len(os.sched_getaffinity(0)) >= 3 else sys.exit("three cores are needed: shard, generator, journal")
CONFIG = f"""
shards: {{cores: [{SHARD}], control_core: {JOURNAL}, journal_core: {JOURNAL}, prefault: true}}
ports: [{{name: load, kind: memif, role: server, path: SOCKET, ipv4: 10.86.0.2/24, mtu: {MTU}}}]
rules: {{files: [{os.path.abspath(SOURCE)}/perf/ten_rules.yaml]}}
webhooks: {{sources: [{{name: durable, kind: json}}]}}
"""


def first_among_equals():
    """On a shared machine: by task, and by session where the kernel shares cores by session."""
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    if os.path.exists("/proc/self/autogroup"):
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write("-20")


def probe(directory):
    result = subprocess.run([f"{BUILD}/perf/flush_probe", directory, PROBES], check=True, capture_output=True, text=True)
    return dict(zip(("p50", "p99"), map(float, result.stdout.split())))


def value_of(lines, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def generate(appliance, socket, connections, window):
    """What the generator prints of its run: answered, requests a second, p50 and p99 in microseconds."""
    command = [f"{BUILD}/perf/memif_load", socket, str(GENERATOR), MTU, SECONDS, "1",
               "1", str(appliance.process.pid), f"durable:{connections}:{BODY_BYTES}:{window}"]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    if result.returncode != 0:
        sys.exit(f"the generator ended with {result.returncode}: {result.stdout}{result.stderr}{appliance.log()}")
    words = result.stdout.split()
    answered = next(int(line.split()[2]) for line in result.stdout.splitlines() if line.startswith("answered durable"))
    return answered, {"rate": float(words[words.index("req/s") - 1]), "p50": float(words[words.index("p50") + 1]),
                      "p99": float(words[words.index("p99") + 1])}


def run(load):
    connections, window = LOADS[load]
    folder = tempfile.TemporaryDirectory()
    socket = os.path.join(folder.name, "memif.sock")
    appliance = Appliance(f"{BUILD}/triplined", f"{BUILD}/tripline", SOURCE, CONFIG.replace("SOCKET", socket))
    with folder, appliance.start("http://127.0.0.1:9464/healthz"):
        # Not readiness: a port without a link, as this one until the generator comes, is not ready.
        wait_for("the ports", lambda: json.loads(fetch(STATUS_URL))["state"] in ("ready", "not ready"), 60)
        time.sleep(0.5)  # the segment ahead is being filled
        before = probe(appliance.directory)
        answered, client = generate(appliance, socket, connections, window)
        after = probe(appliance.directory)
        lines = fetch(METRICS_URL).splitlines()
    counted = value_of(lines, "tripline_webhooks_durable_total"), value_of(lines, 'tripline_durable_park_seconds_count{shard="0",durability="strict"}')
    if counted != (answered, answered):
        sys.exit(f"oracle: {answered} answered, durable and parked {counted}")
    park = {share: 1e6 * value_of(lines, f'tripline_durable_park_{share}_seconds{{durability="strict"}}') for share in TARGETS}
    batches = value_of(lines, "tripline_journal_batches_total")
    return {"answered": answered, "client": client, "park": park, "batch": answered / batches if batches else 0,
            "flush": {share: min(before[share], after[share]) for share in TARGETS}}  # as others left the device to us


def spread(values):
    return f"{statistics.median(values):8.0f} [{min(values):.0f}..{max(values):.0f}]"


def main():
    enter_namespace("TRIPLINE_PARK_TIME")
    first_among_equals()
    with open("/proc/loadavg", encoding="ascii") as file:
        print(f"# webhooks of {BODY_BYTES} B, strict, one polling core, {ROUNDS} rounds of {SECONDS} s, {CORES} cores, load {file.read().split()[0]}; us")
    rounds = [{load: run(load) for load in LOADS} for _ in range(ROUNDS)]
    for load in LOADS:
        runs = [done[load] for done in rounds]
        print(f"{load}: {spread([one['client']['rate'] for one in runs])} req/s, {spread([one['batch'] for one in runs])} records a batch, {sum(one['answered'] for one in runs)} answers")
        for share, most in TARGETS.items():
            parked, client = ([one[what][share] - one["flush"][share] for one in runs] for what in ("park", "client"))
            print(f"  {share}: parked {spread([one['park'][share] for one in runs])}, client {spread([one['client'][share] for one in runs])}, "
                  f"a flush of the device {spread([one['flush'][share] for one in runs])}; beyond it: parked {spread(parked)}, "
                  f"client {spread(client)}, asked for {most}")
    print("# oracle: every answer was 200; durable and parked by the appliance's count are the same numbers")


main()
