"""Retention, snapshots of the state and kill -9 together: old segments go, the rule set that was applied and the ids of signed webhooks
outlive the records they came from, and recovery passes what it does not need.

usage: test_retention.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import base64
import hashlib
import hmac
import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
KEY = b"0123456789abcdef01234567"
SEGMENT_BYTES, LIMIT_BYTES = 2 << 20, 8 << 20
CONFIG = f"""shards: {{count: 1, idle_sleep: 100us}}
rules: {{files: [rules.yaml]}}
journal: {{segment_bytes: {SEGMENT_BYTES}, retain_bytes: {LIMIT_BYTES}}}
webhooks:
  sources:
    - {{name: orders, kind: json}}
    - {{name: signed, kind: standard-webhooks, secrets: [{{id: k1, secret: whsec_{base64.b64encode(KEY).decode()}}}]}}
"""
RULES = """rules:
  - {name: configured, on: webhook, if: body.n > 0, message: "${body.n}"}
"""
APPLIED_NAMES = [f"applied-{index:02}" for index in range(24)]
APPLIED = "rules:\n" + "".join(
    f'  - {{name: {name}, on: webhook, if: body.n > 0, message: "${{body.n}} ${{body.fill}}"}}\n' for name in APPLIED_NAMES)
SENDERS = 8
SMALL_REPLAY_CAPACITY = 1024
FILL = "x" * 3500


def post(connection, path, body, headers=None):
    connection.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    return answer.status, answer.read()


def signed(connection, name, moment):
    body = b'{"n": 0}'
    mac = hmac.new(KEY, f"{name}.{moment}.".encode() + body, hashlib.sha256).digest()
    return post(connection, "/webhook/signed", body, {"webhook-id": name, "webhook-timestamp": str(moment),
                                                      "webhook-signature": "v1," + base64.b64encode(mac).decode()})


def fill(first, until):
    """Some 80 KB of violations a request, until the condition holds. Returns the last number that was acknowledged, of all."""
    numbers, ended = itertools.count(first + 1), threading.Event()

    def send():
        connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=60)
        while not ended.is_set():
            status, _ = post(connection, "/webhook/orders", json.dumps({"n": next(numbers), "fill": FILL}))
            if status not in (200, 503):
                sys.exit(f"an order: {status}")

    senders = [threading.Thread(target=send, daemon=True) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    wait_for("enough segments", until, 200)
    ended.set()
    for sender in senders:
        sender.join()
    connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=60)
    last = next(numbers)
    expect("the last order", post(connection, "/webhook/orders", json.dumps({"n": last, "fill": FILL}))[0], 200)
    return last


def segments():
    return [name for name in os.listdir("tripline-data/journal") if name.endswith(".seg")]


def start_without_room(appliance):
    """A table too small for the ids of the journal: the start fails, as a forgotten id could have its effect twice."""
    connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=60)
    moment = int(time.time())
    statuses = {signed(connection, f"room-{index}", moment)[0] for index in range(SMALL_REPLAY_CAPACITY + 1)}
    expect("ids for a full table", statuses, {200})
    appliance.kill()
    small = CONFIG.replace("webhooks:", f"webhooks:\n  replay_capacity: {SMALL_REPLAY_CAPACITY}")
    with open("small.yaml", "w", encoding="utf-8") as file:
        file.write(small)
    refused = subprocess.run([TRIPLINED, "--config", "small.yaml"], capture_output=True, timeout=60, check=False)
    expect("a start without room for them", refused.returncode, 1)
    expect_true("says why", b"did not fit: raise webhooks.replay_capacity" in refused.stderr)
    appliance.start()


def main():
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, {"rules.yaml": RULES, "applied.yaml": APPLIED}) as appliance:
        expect("apply", appliance.run_cli("rules", "apply", "applied.yaml").returncode, 0)
        connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=60)
        moment = int(time.time())
        first_answers = {name: signed(connection, name, moment) for name in ("a", "b", "c")}
        expect_true("signed webhooks are accepted", all(status == 200 for status, _ in first_answers.values()))
        number = fill(0, lambda: metric("tripline_journal_removed_segments_total") >= 6)
        wait_for("old files are gone", lambda: len(segments()) <= LIMIT_BYTES // SEGMENT_BYTES + 4)  # metrics may be of a second ago
        wait_for("the limit", lambda: metric("tripline_journal_bytes") <= LIMIT_BYTES + 2 * SEGMENT_BYTES)
        oldest = metric("tripline_journal_oldest_lsn")
        found = appliance.violations()
        expect_true("the newest are kept", {int(v["message"].split()[0]) for v in found} >= {number})
        expect_true("none is older than what is kept", all(violation["lsn"] >= oldest for violation in found))
        expect_true("a snapshot was written", metric("tripline_journal_state_snapshots_total") > 0)
        for round_number in range(2):
            appliance.kill()
            appliance.start()
            expect_true("recovery passed segments" if round_number else "recovery", "segments older than the state passed" in appliance.log())
            rules = json.loads(appliance.run_cli("rules", "list", "-o", "json").stdout)["rules"]
            expect("the applied rules", sorted(rule["name"] for rule in rules), APPLIED_NAMES)
            connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=60)
            for name, answer in first_answers.items():
                expect(f"{name} sent again", signed(connection, name, moment), answer)
            wait_for("the index", lambda: metric("tripline_journal_indexed_lsn") == metric("tripline_journal_durable_lsn"))
            listed = {v["id"] for v in appliance.violations()}
            oldest = metric("tripline_journal_oldest_lsn")
            expect_true("nothing that was kept is lost", {v["id"] for v in found if v["lsn"] >= oldest} <= listed)
            number = fill(number, lambda: metric("tripline_journal_removed_segments_total") >= 3)
        start_without_room(appliance)
    print("retention: limits kept, state outlives its records, 2 kills")


enter_namespace("TRIPLINE_RETENTION")
main()
