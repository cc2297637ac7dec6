"""Durable cursors: a tail that is killed, or whose daemon is, goes on where it was left and misses nothing; retention waits for a cursor
that holds, and beyond the hard limit says what it took; thousands of advances do not make recovery longer.

usage: test_cursors.py TRIPLINED TRIPLINE SOURCE ROUNDS. Runs in a network namespace of its own.
"""
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402
from management_client import Control, ask  # noqa: E402
from order_load import Load  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
ROUNDS = int(sys.argv[4])
SEGMENT_BYTES, LIMIT_BYTES, HARD_BYTES = 2 << 20, 8 << 20, 14 << 20
CONFIG = """shards: {{count: 1, idle_sleep: 100us}}
rules: {{files: [rules.yaml]}}
journal: {{segment_bytes: {segment}{retention}}}
webhooks: {{sources: [{{name: orders, kind: json}}]}}
"""
RULES = """rules:
  - {name: order, on: webhook, if: body.n > 0, message: "${body.n}"}
  - {name: large, on: webhook, if: body.large > 0, message: "${body.large} ${body.fill}"}
"""
FILL = "x" * 3500


def write_config(retention=""):
    with open("appliance.yaml", "w", encoding="utf-8") as file:
        file.write(CONFIG.format(segment=SEGMENT_BYTES, retention=retention))


class Tail:
    """One run of `violations tail --cursor`, its lines in a file."""

    def __init__(self, number):
        self.path = f"tail-{number}"
        with open(self.path, "wb") as out, open(f"{self.path}.errors", "wb") as errors:
            self.process = subprocess.Popen([TRIPLINE, "-s", "tripline-data/control.sock", "violations", "tail", "--cursor", "audit",
                                             "--from", "oldest"], stdout=out, stderr=errors)

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def lines(self):
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]  # a killed one may have begun another

    def errors(self):
        with open(f"{self.path}.errors", encoding="utf-8") as file:
            return file.read()


def check_runs(runs):
    """Each run in order; what was printed comes again only when its run ended before it could acknowledge. Returns LSNs, and how many came
    again."""
    seen, repeated, clean_up_to = set(), 0, 0
    for run, code in runs:
        lsns = [line["lsn"] for line in run.lines()]
        expect_true(f"{run.path} is in order", all(a < b for a, b in zip(lsns, lsns[1:])))
        expect_true(f"{run.path} repeats nothing that was acknowledged", not lsns or lsns[0] > clean_up_to)
        repeated += len(seen & set(lsns))
        seen |= set(lsns)
        if code == 0 and lsns:
            clean_up_to = lsns[-1]
    return seen, repeated


def tail_under_kills(appliance):
    random.seed(5)
    numbers, acknowledged, runs, kinds = itertools.count(1), set(), [], {}
    tail = Tail(0)
    for round_number in range(1, ROUNDS + 1):
        load = Load(numbers, pause=0.001)
        wait_for("some are acknowledged", lambda: len(load.acknowledged) >= 100)  # pylint: disable=cell-var-from-loop
        time.sleep(random.uniform(0.1, 1.0))
        kind = ("tail killed", "tail interrupted", "daemon killed", "both killed")[round_number % 4]
        kinds[kind] = kinds.get(kind, 0) + 1
        if kind in ("daemon killed", "both killed"):
            appliance.kill()
        if kind == "daemon killed":
            code = tail.process.wait(timeout=60)
            expect_true(f"a tail without a daemon ends with 4: {code}", code == 4)
        else:
            code = tail.end(signal.SIGINT if kind == "tail interrupted" else signal.SIGKILL)
            if kind == "tail interrupted":
                expect(f"exit code of an interrupted tail: {tail.errors()}", code, 0)
        runs.append((tail, code))
        acknowledged |= load.stop()
        if kind in ("daemon killed", "both killed"):
            appliance.start()
        before = ask("GET", "/v1/cursors/audit")[1]["lsn"]
        expect_true("a cursor that was acknowledged is not behind", all(line["lsn"] <= before for line in tail.lines()) or code != 0)
        tail = Tail(round_number)
    newest = appliance.violations("--limit", "1")[0]["lsn"] if acknowledged else 0
    wait_for("the tail is at the end", lambda: ask("GET", "/v1/cursors/audit")[1]["lsn"] >= newest)
    code = tail.end(signal.SIGINT)
    expect("exit code of the last tail", code, 0)
    runs.append((tail, code))
    wait_for("the index", lambda: metric("tripline_journal_indexed_lsn") == metric("tripline_journal_durable_lsn"))
    listed = {violation["lsn"]: violation["message"] for violation in appliance.violations()}
    seen, repeated = check_runs(runs)
    expect("durable and not seen", sorted(set(listed) - seen), [])
    expect("seen and not durable", sorted(seen - set(listed)), [])
    expect("acknowledged and not seen", sorted(acknowledged - {int(listed[lsn]) for lsn in seen}), [])
    return f"{len(seen)} violations, {len(acknowledged)} acknowledged, by {len(runs)} tails, {repeated} came again, {kinds}"


def closed_pipe(appliance):
    """Whoever reads the lines ends: what could not be written is not acknowledged."""
    ask("PUT", "/v1/cursors/piped", {"lsn": "oldest"})
    before = ask("GET", "/v1/cursors/piped")[1]["lsn"]
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run([TRIPLINE, "-s", "tripline-data/control.sock", "violations", "tail", "--cursor", "piped"], stdout=writing,
                            stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    expect("exit code with a closed pipe", result.returncode, 1)
    expect("nothing is acknowledged", ask("GET", "/v1/cursors/piped")[1]["lsn"], before)
    counted = appliance.run_cli("violations", "tail", "--cursor", "piped", "--count", "3")
    again = appliance.run_cli("violations", "tail", "--cursor", "piped", "--count", "4")
    first, second = ([json.loads(line)["lsn"] for line in run.stdout.splitlines()] for run in (counted, again))
    expect("so many and no more", (len(first), len(second)), (3, 4))
    oldest = [violation["lsn"] for violation in appliance.violations("--order", "oldest")][:7]
    expect("one goes on where the other ended", first + second, oldest)
    expect("deleted", appliance.run_cli("cursors", "delete", "piped").returncode, 0)
    expect("and unknown", appliance.run_cli("cursors", "show", "piped").returncode, 3)


def fill(until, numbers=itertools.count(1)):
    load = Load(numbers, "large", fill=FILL)
    wait_for("enough was written", until, 200)
    return load.stop()


def retention_waits(appliance):
    expect("a sink's cursor", ask("PUT", "/v1/cursors/sink.alerts", {"lsn": "oldest", "kind": "sink"})[0], 201)
    oldest = ask("GET", "/v1/cursors/sink.alerts")[1]["lsn"] + 1
    fill(lambda: metric("tripline_journal_retention_cursor_segments") >= 3)
    for _ in range(2):
        wait_for("status tells", lambda: json.loads(appliance.run_cli("status", "-o", "json").stdout)["journal"]["kept"]["held_by_cursors"] >= 3)
        expect("nothing is removed", metric("tripline_journal_oldest_lsn"), oldest)
        expect_true("more than the limit is kept", metric("tripline_journal_bytes") > LIMIT_BYTES + 2 * SEGMENT_BYTES)
        expect_true("its lag is told", metric("tripline_cursor_lag_records", cursor="sink.alerts") > 1000)
        expect("told once", appliance.log().count("are held: a cursor needs LSN"), 1)
        appliance.kill()
        os.rename("daemon.log", "daemon.log.before")
        appliance.start()
    wait_for("held again", lambda: metric("tripline_journal_retention_cursor_segments") >= 3)
    expect("the sink has all", ask("PUT", "/v1/cursors/sink.alerts", {"lsn": "now"})[0], 200)
    wait_for("then it goes", lambda: metric("tripline_journal_bytes") <= LIMIT_BYTES + 2 * SEGMENT_BYTES)
    expect("and nothing is held", metric("tripline_journal_retention_cursor_segments"), 0)
    expect("nobody lost anything", metric("tripline_cursors_overtaken_total"), 0)


def hard_limit(appliance):
    expect("backwards takes a reset", ask("PUT", "/v1/cursors/sink.alerts", {"lsn": 1})[0], 409)
    expect("where nothing is kept", ask("POST", "/v1/cursors/sink.alerts/reset", {"lsn": 1})[0], 410)
    status, cursor = ask("POST", "/v1/cursors/sink.alerts/reset", {"lsn": "oldest"})
    expect("reset", status, 200)
    fill(lambda: metric("tripline_cursors_overtaken_total") >= 1)
    expect_true("the hard limit is kept", metric("tripline_journal_bytes") <= HARD_BYTES + 3 * SEGMENT_BYTES)
    expect_true("the log names it", "cursor sink.alerts has not had LSN" in appliance.log())
    status, told = ask("GET", "/v1/violations?cursor=sink.alerts")
    expect("a gap is told", (status, told["code"], told["gap"]["from"]), (410, "gap", cursor["lsn"] + 1))
    # It is told as soon as it is decided; a kill before the decision is durable keeps the records.
    wait_for("they are removed", lambda: metric("tripline_journal_oldest_lsn") > told["gap"]["to"])
    appliance.kill()
    appliance.start()
    status, again = ask("GET", "/v1/violations?cursor=sink.alerts")
    expect("also after a kill", (status, again["gap"]["from"]), (410, cursor["lsn"] + 1))
    expect_true("it does not shrink", again["gap"]["to"] >= told["gap"]["to"])
    lost = ask("GET", "/v1/cursors/sink.alerts")[1]["lost_records"]
    expect_true(f"what it lost is counted: {lost}", lost >= told["gap"]["to"] - told["gap"]["from"] + 1)
    attention = json.loads(appliance.run_cli("status", "-o", "json").stdout)["cursors"]["attention"]
    expect("status names it", [cursor["name"] for cursor in attention], ["sink.alerts"])
    expect_true("and the table, too", b"sink.alerts" in appliance.run_cli("status").stdout)
    tail = appliance.run_cli("violations", "tail", "--cursor", "sink.alerts", "--count", "5")
    lines = [json.loads(line) for line in tail.stdout.splitlines()]
    expect("the gap is a line", list(lines[0]), ["gap"])
    expect_true("and the lines go on behind it", [line["lsn"] > lines[0]["gap"]["to"] for line in lines[1:]] == [True] * 5)
    dumped = appliance.run_cli("journal", "dump", "--dir", "tripline-data/journal").stdout
    expect_true("the journal says it", b'"overtaken"' in dumped)
    expect("deleted", ask("DELETE", "/v1/cursors/sink.alerts")[0], 200)
    return f"a gap of {told['gap']['to'] - told['gap']['from'] + 1} records told"


def many_advances(appliance):
    """Recovery reads a handful of segments, however often cursors moved."""
    names, seconds, errors, counts = [f"mover-{index}" for index in range(48)], 12, [], []

    def move(name):
        control, moves, last, until = Control(), 0, None, time.monotonic() + seconds
        while time.monotonic() < until:
            status, answer = control.ask("PUT", f"/v1/cursors/{name}", {"lsn": "now"})
            if status not in (200, 201) or answer["durable_lsn"] != answer["lsn"]:
                errors.append((status, answer))
            moves += answer["lsn"] != last  # where it is already needs no record
            last = answer["lsn"]
        counts.append((name, moves, last))

    threads = [threading.Thread(target=move, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    fill(lambda: not any(thread.is_alive() for thread in threads))
    expect("errors", errors, [])
    snapshots = json.loads(appliance.run_cli("status", "-o", "json").stdout)["journal"]["snapshots"]
    appliance.kill()
    advances = sum(moves for _, moves, _ in counts)
    expect_true(f"thousands of advances: {advances}", advances > 2000)
    most = max(moves for _, moves, _ in counts)
    expect_true(f"{most} records of a cursor, {snapshots} snapshots: ten a second at most, and those", most <= 10 * seconds + 3 + snapshots)
    segments = sorted(os.listdir("tripline-data/journal"))
    os.rename("daemon.log", "daemon.log.before")
    appliance.start()
    for name, _, lsn in counts:
        expect(f"{name} is where it was", ask("GET", f"/v1/cursors/{name}")[1]["lsn"], lsn)
    found = re.search(r"(\d+) records recovered in (\d+) ms, next LSN (\d+), (\d+) of (\d+) segments", appliance.log())
    records, _, next_lsn, passed, used = (int(number) for number in found.groups())
    expect_true(f"a handful of {used} segments is read, {passed} are passed: {segments}", used - passed <= 7)
    return f"{advances} advances, {records} records of {next_lsn - 1} visited"


def main():
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG.format(segment=SEGMENT_BYTES, retention=""), {"rules.yaml": RULES}) as appliance:
        told = [tail_under_kills(appliance)]
        closed_pipe(appliance)
        appliance.stop()
        write_config(f", retain_bytes: {LIMIT_BYTES}, retain_bytes_hard: 0")
        os.rename("daemon.log", "daemon.log.before")
        appliance.start()
        ask("DELETE", "/v1/cursors/audit")
        retention_waits(appliance)
        appliance.stop()
        write_config(f", retain_bytes: {LIMIT_BYTES}, retain_bytes_hard: {HARD_BYTES}")
        appliance.start()
        told.append(hard_limit(appliance))
        told.append(many_advances(appliance))
    print("cursors: " + "; ".join(told))


enter_namespace("TRIPLINE_CURSORS")
main()
