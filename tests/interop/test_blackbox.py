"""The flight recorder of the real daemon: what happened to it is there, by API, command line and metrics; and when it dies of a
signal, what it recorded last is left in a file that reads back.

usage: test_blackbox.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import glob
import json
import os
import signal
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, fetch, metric, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
CONFIG = "rules: {files: [rules.yaml]}\nshards: {count: 1, idle_sleep: 100us}\nrecorder: {events: 1024, sample: 100%}\n"
OFF = "rules: {files: [rules.yaml]}\nshards: {count: 1, idle_sleep: 100us}\nrecorder: {enabled: false}\n"
RULES = "rules:\n  - {name: large-order, on: webhook, severity: high, if: 'body.amount > 100'}\n"
FAILED, USAGE, NOT_FOUND = 1, 2, 3
API = "http://127.0.0.1:9464/v1/blackbox"


def post(path, port, body):
    request = urllib.request.Request(f"http://10.86.0.2:{port}{path}", body.encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def events(appliance, *filters):
    result = appliance.run_cli("blackbox", "dump", *filters)
    expect("exit code of the dump", (result.returncode, result.stderr), (0, b""))
    return [json.loads(line) for line in result.stdout.splitlines()]


def chosen(found, **wanted):
    return [event for event in found if all(event.get(key) == value for key, value in wanted.items())]


def send_traffic():
    for number in range(5):
        expect("spans", post("/v1/traces", 4318, "{}"), 200)
        expect("webhook", post("/webhook/orders", 8080, json.dumps({"amount": 200 if number == 0 else 1})), 200)
    expect("malformed", post("/v1/traces", 4318, '{"resourceSpans":1}'), 400)
    expect("unknown source", post("/webhook/nobody", 8080, "{}"), 404)


def what_happened_is_there(appliance):
    send_traffic()
    found = events(appliance)
    expect("spans", len(chosen(found, kind="request_answered", protocol="otlp_http", status=200, peer="10.86.0.1")), 5)
    webhooks = chosen(found, kind="request_answered", protocol="webhooks", status=200, parked=True)
    expect("webhooks", len(webhooks), 5)
    expect_true("they waited for the disk", all(event["ns"] > 0 for event in webhooks))
    expect("malformed", len(chosen(found, kind="malformed", reason="malformed", status=400)), 1)
    expect("unknown source", len(chosen(found, kind="request_refused", reason="unknown_source", status=404)), 1)
    expect("violations", [event["violations"] for event in chosen(found, kind="violations_raised")], [1])
    expect("rules", len(chosen(found, kind="rules_adopted")), 1)
    expect("in order", [event["sequence"] for event in found], list(range(len(found))))
    expect("the newest", events(appliance, "--limit", "2"), found[-2:])
    expect("of one kind", events(appliance, "--kind", "malformed"), chosen(found, kind="malformed"))
    expect("of one shard", events(appliance, "--shard", "0"), found)
    expect("by the API", json.loads(fetch(API + "?kind=malformed&shard=0"))["events"], chosen(found, kind="malformed"))
    for wrong in ("kind=none", "shard=1", "limit=x", "limit=1000001"):
        try:
            fetch(f"{API}?{wrong}")
            expect(wrong, "taken", "refused")
        except urllib.error.HTTPError as error:
            expect(wrong, error.code, 400)
    return found


def the_counts_agree(appliance, found):
    result = appliance.run_cli("blackbox", "stats", "-o", "json")
    expect("exit code of the stats", result.returncode, 0)
    stats = json.loads(result.stdout)["shards"][0]
    expect("stats", (stats["enabled"], stats["capacity"], stats["recorded"], stats["sampled_out"], stats["overwritten"]),
           (True, 1024, len(found), 0, 0))
    expect("metrics", metric("tripline_blackbox_events_total"), len(found))
    expect("metrics of a kind", metric("tripline_blackbox_events_total", kind="malformed"), 1)
    expect("capacity", metric("tripline_blackbox_capacity"), 1024)
    for _ in range(400):
        expect("spans", post("/v1/traces", 4318, "{}"), 200)
    expect("it holds no more than it can", len(events(appliance, "--limit", "1000000")), 1024)
    expect("the rest is counted", metric("tripline_blackbox_overwritten_total") + 1024, metric("tripline_blackbox_events_total"))


def usage(appliance):
    for words in (["blackbox"], ["blackbox", "read"], ["blackbox", "burn"]):
        expect(" ".join(words), appliance.run_cli(*words).returncode, USAGE)
    expect("no such file", appliance.run_cli("blackbox", "read", "nothing.json").returncode, NOT_FOUND)


def dumps():
    return sorted(glob.glob("tripline-data/blackbox-*.json"))


def expect_death(appliance, number):
    """A build with the address sanitizer has a handler of SIGSEGV behind ours, which exits with 1."""
    appliance.process.send_signal(number)
    code = appliance.process.wait(timeout=30)
    expect("it dies of it", code, 1 if number == signal.SIGSEGV and "AddressSanitizer" in appliance.log() else -number)


def a_crash_leaves_what_was_recorded(appliance):
    expect("no dump yet", dumps(), [])
    last = events(appliance, "--limit", "1")[0]
    expect_death(appliance, signal.SIGSEGV)
    expect("one dump", len(dumps()), 1)
    result = appliance.run_cli("blackbox", "read", dumps()[0])
    expect("exit code of the read", (result.returncode, result.stderr), (0, b""))
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    expect("its reason", (lines[0]["signal"], lines[0]["assertion"], lines[0]["process"]), ("SIGSEGV", None, appliance.process.pid))
    expect("all of them", len(lines) - 1, 1024)
    expect("the last", chosen(lines[1:], sequence=last["sequence"]), [last])
    expect("its count", lines[0]["shards"][0]["recorded"], lines[-1]["sequence"] + 1)
    with open(dumps()[0], encoding="utf-8") as file:
        whole = json.load(file)
    expect("it is JSON", len(whole["events"]), 1024)


def a_dump_that_was_cut_short_is_read_as_far_as_it_goes(appliance):
    with open(dumps()[0], "rb") as file:
        text = file.read()
    with open("cut.json", "wb") as file:
        file.write(text[: len(text) // 2])
    result = appliance.run_cli("blackbox", "read", "cut.json")
    expect("exit code", result.returncode, FAILED)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    expect_true("about a half", 400 < len(lines) < 624)
    expect_true("events", all("sequence" in line for line in lines))


def old_dumps_make_room(appliance):
    for number in range(10):
        with open(f"tripline-data/blackbox-2001-01-0{number}T00:00:00.000000000Z.json", "w", encoding="ascii") as file:
            file.write("{}\n")
    newest = dumps()[-1]
    appliance.start()
    expect("eight are kept", len(dumps()), 8)
    expect("the newest among them", dumps()[-1], newest)
    expect_true("and named", os.path.basename(newest) in appliance.log())
    expect("a new life", len(chosen(events(appliance), kind="request_answered")), 0)
    expect("spans", post("/v1/traces", 4318, "{}"), 200)
    wait_for("its answer", lambda: len(chosen(events(appliance), kind="request_answered")) == 1)


def abort_is_a_crash_too(appliance):
    before = len(dumps())
    expect_death(appliance, signal.SIGABRT)
    expect("one more", len(dumps()), before + 1)


def nothing_when_it_is_off():
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, OFF, {"rules.yaml": RULES}) as appliance:
        expect("spans", post("/v1/traces", 4318, "{}"), 200)
        expect("malformed", post("/v1/traces", 4318, "["), 400)
        expect("nothing", events(appliance), [])
        expect("no capacity", metric("tripline_blackbox_capacity"), 0)
        expect("no events", metric("tripline_blackbox_events_total"), 0)


def while_it_is_on(appliance):
    found = what_happened_is_there(appliance)
    the_counts_agree(appliance, found)
    usage(appliance)
    a_crash_leaves_what_was_recorded(appliance)
    a_dump_that_was_cut_short_is_read_as_far_as_it_goes(appliance)
    old_dumps_make_room(appliance)
    abort_is_a_crash_too(appliance)
    with appliance.start():
        expect("it starts again", post("/v1/traces", 4318, "{}"), 200)


def main():
    enter_namespace("TRIPLINE_BLACKBOX")
    appliance = Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, {"rules.yaml": RULES}).start()
    try:
        while_it_is_on(appliance)
    finally:
        if appliance.process.poll() is None:
            appliance.kill()
    nothing_when_it_is_off()
    print("black box: all as expected")


main()
