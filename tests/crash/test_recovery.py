"""Recovery as it is seen from outside, over a disk that is slow on purpose: what management answers meanwhile, what systemd is told,
SIGTERM in the middle, damage that is refused, and the index that is read afterwards.

usage: test_recovery.py TRIPLINED TRIPLINE SOURCE MAKE_VIOLATION_JOURNAL SLOW_READS. Runs in a network namespace of its own.
"""
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import appliance_process  # noqa: E402
from appliance_process import Appliance, enter_namespace, expect, expect_true, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE, MAKE_JOURNAL, SLOW_READS = (os.path.abspath(path) for path in sys.argv[1:6])
CONFIG = "shards: {count: 1, idle_sleep: 100us}\nrules: {files: [rules.yaml]}\n"
RULES = "rules:\n  - {name: any, on: webhook, if: body.n > 0}\n"
VIOLATIONS, SEGMENT_MIB = 300000, 16
OK, FAILED, JOURNAL_REFUSED = 0, 1, 3


class Notifications:
    """What the daemon tells systemd, datagram by datagram. They are taken as they come, as systemd does: a full socket would hold
    the daemon up."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("notify.sock")
        self.datagrams = []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            self.datagrams.append(dict(line.split("=", 1) for line in self.socket.recv(65536).decode().splitlines()))

    def read(self):
        time.sleep(0.2)
        return list(self.datagrams)

    def statuses(self):
        return [datagram["STATUS"] for datagram in self.read() if "STATUS" in datagram]


def start(appliance, slow_us=0, notifications=True):
    """Not waited for, unlike Appliance.start."""
    environment = dict(os.environ)
    if slow_us:
        environment.update(SLOW_READS_US=str(slow_us), LD_PRELOAD=SLOW_READS)
    if notifications:
        environment["NOTIFY_SOCKET"] = os.path.abspath("notify.sock")
    with open("daemon.log", "wb") as log:
        appliance.process = subprocess.Popen([TRIPLINED, "--config", "appliance.yaml"], stderr=log, env=environment)


def get(path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", 9464, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


def status():
    return json.loads(get("/v1/status")[2])


def wait_for_state(*states):
    wait_for(f"state {states}", lambda: status()["state"] in states, 120)


def value(lines, name):
    return float(next(line for line in lines.splitlines() if line.startswith(name + " ")).split()[1])


def digest_of_journal():
    digest = hashlib.sha256()
    for name in sorted(os.listdir("tripline-data/journal")):
        with open(f"tripline-data/journal/{name}", "rb") as file:
            digest.update(name.encode() + file.read())
    return digest.hexdigest()


def is_recovering():
    found = status()
    return found["state"] == "recovering" and 5 <= found["recovery"]["percent"] <= 60


def look_while_recovering(appliance):
    code, _, text = get("/healthz")
    expect("liveness", (code, json.loads(text)["status"]), (200, "ok"))
    code, headers, text = get("/readyz")
    expect("readiness", code, 503)
    expect_true(f"the reason: {text}", json.loads(text)["reason"].startswith("recovering ") and " %" in text)
    expect_true("when to ask again", 1 <= int(headers["Retry-After"]) <= 60)
    for path in ("/v1/rules", "/v1/rules/any", "/v1/violations", "/v1/violations/counts", "/v1/violations/tail", "/v1/shards",
                 "/v1/ruleset", "/nothing"):
        code, headers, text = get(path)
        expect(f"{path} meanwhile", (code, json.loads(text)["code"]), (503, "starting"))
        expect_true(f"{path}: when to ask again", int(headers["Retry-After"]) >= 1)
    lines = get("/metrics")[2]
    expect("not ready", value(lines, "tripline_ready"), 0)
    expect_true("the ratio", 0 < value(lines, "tripline_recovery_progress_ratio") < 1)
    result = appliance.run_cli("status", "-o", "json")
    recovery = json.loads(result.stdout)["recovery"]
    expect("the command's exit code", result.returncode, FAILED)
    expect_true(f"figures: {recovery}", recovery["bytes_read"] > 0 and recovery["records"] > 0 and recovery["segment"] >= 1 and
                recovery["estimated_rest_seconds"] > 0 and recovery["bytes_to_read"] > VIOLATIONS * 256)
    listing = appliance.run_cli("violations", "list", text=True)
    expect("a list meanwhile", listing.returncode, FAILED)
    expect_true(f"it says why: {listing.stderr}", "recovering" in listing.stderr or "starting" in listing.stderr)


def watch_until_ready():
    """Percentages never fall; all bytes and all records are counted at the end."""
    percents = []
    while True:
        found = status()
        percents.append((found.get("recovery") or found["journal"]["recovery"])["percent"])
        if found["state"] == "ready":
            break
        expect_true(f"a state of a start: {found['state']}", found["state"] in ("starting", "recovering", "not ready"))
        time.sleep(0.02)
    expect("percentages are in order", percents, sorted(percents))
    expect_true(f"many were seen: {percents}", len(set(percents)) > 10)
    recovery = found["journal"]["recovery"]
    expect("at the end", (recovery["percent"], recovery["bytes_read"] == recovery["bytes_to_read"], recovery["records"]),
           (100, True, VIOLATIONS))


def test_progress(appliance):
    notifications = Notifications()
    start(appliance, slow_us=300000)
    wait_for("a recovery under way", is_recovering, 60)
    look_while_recovering(appliance)
    watch_until_ready()
    wait_for("the whole index", lambda: status()["journal"]["index"]["complete"], 60)
    answer = json.loads(get("/v1/violations?limit=1")[2])
    expect("the newest", (answer["violations"][0]["lsn"], answer["index_complete"], answer["index_from"]), (VIOLATIONS, True, None))
    told = notifications.read()
    ready = [index for index, datagram in enumerate(told) if datagram.get("READY") == "1"]
    expect("READY is said once", len(ready), 1)
    before = [datagram for datagram in told[:ready[0]] if datagram.get("STATUS", "").startswith("recovering")]
    expect_true(f"systemd sees it recover: {told}", len(before) >= 2 and "records" in before[-1]["STATUS"])
    expect_true("and gives it time", all(int(datagram["EXTEND_TIMEOUT_USEC"]) >= 30000000 for datagram in before[1:]))
    expect("it ends in order", appliance.stop(), 0)


def test_index_is_incomplete_and_says_so(appliance):
    """Ready before the index is: what is there is given, and that it is not all."""
    notifications = Notifications()
    start(appliance, slow_us=800000)
    wait_for_state("ready")
    with ThreadPoolExecutor(3) as pool:  # side by side: each waits some seconds for the index, which takes ten
        asked = [pool.submit(get, path) for path in ("/v1/violations?order=oldest&limit=2", "/v1/violations/counts?by=severity")]
        command = pool.submit(appliance.run_cli, "violations", "count", "--by", "severity", text=True)
    answer, counts = (json.loads(future.result()[2]) for future in asked)
    expect("an index on its way", answer["index_complete"], False)
    expect_true(f"counts of what is there: {counts['total']}", counts["total"] < VIOLATIONS and not counts["index_complete"])
    result = command.result()
    expect("counted by the command", result.returncode, OK)
    expect_true(f"which says that there is more: {result.stderr}", "index" in result.stderr)
    wait_for("systemd sees the index grow", lambda: any("index" in text and "%" in text for text in notifications.statuses()), 30)
    wait_for("the whole index", lambda: status()["journal"]["index"]["complete"], 60)
    total = json.loads(get("/v1/violations/counts?by=severity")[2])
    expect("all counted", (total["total"], total["index_complete"]), (VIOLATIONS, True))
    expect("it ends in order", appliance.stop(), 0)


def test_stop_in_the_middle(appliance):
    """The journal as it was; exit code 0; at once."""
    notifications = Notifications()
    before = digest_of_journal()
    for number in (signal.SIGTERM, signal.SIGINT):
        start(appliance, slow_us=2000000)
        wait_for("a recovery under way", is_recovering, 60)
        appliance.process.send_signal(number)
        expect("exit code", appliance.process.wait(timeout=60), OK)
        stopped = re.search(r"recovery stopped at journal-([0-9a-f]{16})\.seg, offset \d+: the journal is as it was", appliance.log())
        expect_true(f"the log says so, and early on: {appliance.log()}", stopped and int(stopped[1], 16) <= 3)
        expect("files", digest_of_journal(), before)
    expect_true("never ready", not any("READY" in datagram for datagram in notifications.read()))


def test_refusal(appliance):
    """File, offset and LSN, in the log and in systemd's status; an exit code of its own, which the unit does not restart after."""
    name = "tripline-data/journal/journal-0000000000000002.seg"
    with open(name, "r+b") as file:
        file.seek(1 << 20)
        good = file.read(1)
        file.seek(1 << 20)
        file.write(bytes([good[0] ^ 1]))
    before = digest_of_journal()
    notifications = Notifications()
    start(appliance)
    expect("exit code", appliance.process.wait(timeout=60), JOURNAL_REFUSED)
    text = next(text for text in notifications.statuses() if text.startswith("refused: "))
    for part in ("journal-0000000000000002.seg", "offset", "LSN"):
        expect_true(f"{part} in {text!r} and in the log", part in text and part in appliance.log())
    expect("the error's number", [datagram["ERRNO"] for datagram in notifications.read() if "ERRNO" in datagram], ["74"])
    expect("files", digest_of_journal(), before)
    with open(os.path.join(SOURCE, "config/systemd/tripline.service"), encoding="ascii") as unit:
        expect_true("the unit knows that code", f"RestartPreventExitStatus={JOURNAL_REFUSED}\n" in unit.read())
    with open(name, "r+b") as file:
        file.seek(1 << 20)
        file.write(good)


def main():
    enter_namespace("TRIPLINE_RECOVERY_TEST")
    appliance = Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, {"rules.yaml": RULES})
    subprocess.run([MAKE_JOURNAL, "tripline-data", str(VIOLATIONS), str(SEGMENT_MIB)], check=True)
    for test in (test_stop_in_the_middle, test_refusal, test_progress, test_index_is_incomplete_and_says_so):
        if os.path.exists("notify.sock"):
            os.remove("notify.sock")
        test(appliance)
    appliance.process = None
    with appliance:
        wait_for("the whole index", lambda: status()["journal"]["index"]["complete"], 60)
        expect("after all that", json.loads(get("/v1/violations/counts")[2])["total"], VIOLATIONS)
    print(f"ok: {appliance_process.checks} checks")


main()
