"""The CLI and the lifecycle of rules against the real daemon: nouns, outputs, exit codes, apply, merge, SIGHUP, tail, drain.

usage: test_cli.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, fetch, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
CONFIG = """rules: {files: [rules]}
management: {listen: '127.0.0.2:9999'}
"""
OK, FAILED, USAGE, NOT_FOUND, UNREACHABLE = range(5)


def rule(name, limit):
    return f"rules:\n  - name: {name}\n    on: webhook\n    if: body.order.amount > {limit}\n    message: \"{name} ${{body.order.id}}\"\n"


def order(identity, amount):
    connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=5)
    body = json.dumps({"order": {"id": identity, "amount": amount}})
    connection.request("POST", "/webhook/orders", body, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


def cli(appliance, *arguments, code=OK, **options):
    result = appliance.run_cli(*arguments, text=True, **options)
    expect(f"exit code of {arguments}: {result.stderr}", result.returncode, code)
    return result


def as_json(appliance, *arguments):
    return json.loads(cli(appliance, *arguments, "-o", "json").stdout)


def test_outputs(appliance):
    """Each noun in each form; YAML and JSON say the same."""
    import yaml
    for words in (("rules", "list"), ("rules", "get", "first"), ("violations", "list")):
        table = cli(appliance, *words).stdout
        expect_true(f"{words}: a table with upper-case titles or pairs", table.strip())
        expect(f"{words}: YAML", yaml.safe_load(cli(appliance, *words, "-o", "yaml").stdout), as_json(appliance, *words))
    for words in (("status",), ("shards", "list")):
        expect_true(f"{words}: YAML", yaml.safe_load(cli(appliance, *words, "-o", "yaml").stdout).keys() == as_json(appliance, *words).keys())
        expect_true(f"{words}: a table", cli(appliance, *words).stdout.strip())
    expect("shards", [shard["shard"] for shard in as_json(appliance, "shards", "list")["shards"]],
           list(range(len(as_json(appliance, "shards", "list")["shards"]))))


def test_exit_codes(appliance):
    for words in ((), ("nonsense",), ("rules",), ("rules", "list", "-o", "xml"), ("violations", "list", "--no-such-option")):
        result = cli(appliance, *words, code=USAGE)
        expect_true(f"{words}: says how", "usage" in result.stderr or "-o is one of" in result.stderr)
    expect_true("help", "usage" in cli(appliance, "--help").stdout)
    cli(appliance, "rules", "get", "nobody", code=NOT_FOUND)
    wrong = cli(appliance, "violations", "list", "--severity", "awful", code=FAILED)
    expect_true("a bad filter is explained", "severity is one of" in wrong.stderr)
    nobody = subprocess.run([TRIPLINE, "-s", "/nonexistent.sock", "status"], capture_output=True, text=True, check=False)
    expect("unreachable", nobody.returncode, UNREACHABLE)
    expect_true("unreachable: says what", "/nonexistent.sock" in nobody.stderr)


def test_apply(appliance):
    with open("second.yaml", "w", encoding="utf-8") as file:
        file.write(rule("second", 200))
    generation = as_json(appliance, "status")["rules"]["generation"]
    cli(appliance, "rules", "apply", "--merge", "second.yaml")
    names = [item["name"] for item in as_json(appliance, "rules", "list")["rules"]]
    expect("merged", sorted(names), ["first", "second"])
    expect("a generation on", as_json(appliance, "status")["rules"]["generation"], generation + 1)
    expect("accepted durable", order("A", 300), 200)
    expect("both rules", sorted(v["message"] for v in appliance.violations()), ["first A", "second A"])
    with open("bad.yaml", "w", encoding="utf-8") as file:
        file.write("rules:\n  - name: third\n    on: webhook\n    if: body.order.amount >\n")
    bad = cli(appliance, "rules", "apply", "bad.yaml", code=FAILED)
    expect_true(f"file:line:column: {bad.stderr}", re.search(r"bad\.yaml:4:\d+", bad.stderr))
    expect("nothing changed", sorted(item["name"] for item in as_json(appliance, "rules", "list")["rules"]), ["first", "second"])
    cli(appliance, "rules", "apply", "second.yaml")
    expect("replaced", [item["name"] for item in as_json(appliance, "rules", "list")["rules"]], ["second"])
    expect("counted by rule", (metric_at("tripline_rule_violations_total", rule="first"),
                               metric_at("tripline_rule_violations_total", rule="second")), (1, 1))


def metric_at(name, **labels):
    """From the address that the configuration names."""
    for line in fetch("http://127.0.0.2:9999/metrics").splitlines():
        if line.startswith(name) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return int(float(line.rsplit(" ", 1)[1]))
    return None


def test_validate_offline():
    """Anywhere: without root and without a daemon."""
    command = [TRIPLINE, "rules", "validate", os.path.join(SOURCE, "config/rules.d")]
    os.chmod(os.getcwd(), 0o755)
    unprivileged = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    good = subprocess.run([*unprivileged, *command], capture_output=True, text=True, check=False, env={})
    if "ermission denied" in good.stderr:  # the build is in somebody's home: only the daemon's absence can be shown
        good = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    expect(f"the shipped rules: {good.stderr}", good.returncode, OK)
    bad = subprocess.run([TRIPLINE, "rules", "validate", "bad.yaml"], capture_output=True, text=True, check=False, env={})
    expect("a bad rule", bad.returncode, FAILED)
    expect_true(f"with a caret: {bad.stderr}{bad.stdout}", "^" in bad.stderr + bad.stdout)


def test_reload(appliance):
    """SIGHUP reads the files again; bad ones leave the set in force."""
    reloads = metric_at("tripline_rules_reloads_total")
    with open("rules/first.yaml", "w", encoding="utf-8") as file:
        file.write(rule("reloaded", 400))
    appliance.process.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: [item["name"] for item in as_json(appliance, "rules", "list")["rules"]] == ["reloaded"])
    with open("rules/first.yaml", "w", encoding="utf-8") as file:
        file.write("rules:\n  - name: reloaded\n    on: webhook\n    if: body.x ~ 1\n")
    appliance.process.send_signal(signal.SIGHUP)
    wait_for("the refusal", lambda: metric_at("tripline_rules_reloads_total") == reloads + 2)
    expect("failed", (metric_at("tripline_rules_reload_failures_total"), metric_at("tripline_rules_last_reload_success")), (2, 0))
    expect("the set before", [item["name"] for item in as_json(appliance, "rules", "list")["rules"]], ["reloaded"])
    expect_true("the log says where", re.search(r"first\.yaml:4:\d+", appliance.log()))


def test_tail(appliance):
    tail = subprocess.Popen([TRIPLINE, "-s", "tripline-data/control.sock", "violations", "tail", "--count", "3"],
                            stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    for number in range(3):
        expect("an order", order(f"T{number}", 1000), 200)
    lines = [json.loads(line) for line in tail.communicate(timeout=20)[0].splitlines()]
    expect("each new one, in order", [line["message"] for line in lines], ["reloaded T0", "reloaded T1", "reloaded T2"])


def test_filters(appliance):
    listed = as_json(appliance, "violations", "list", "--rule", "reloaded", "--limit", "2")
    expect("newest first", [v["message"] for v in listed["violations"]], ["reloaded T2", "reloaded T1"])
    following = as_json(appliance, "violations", "list", "--rule", "reloaded", "--limit", "2", "--after", str(listed["next"]))
    expect("the next page", [v["message"] for v in following["violations"]], ["reloaded T0"])
    expect("in the future", as_json(appliance, "violations", "list", "--since", "2099-01-01T00:00:00Z")["violations"], [])
    expect("of the last hour", len(as_json(appliance, "violations", "list", "--since", "1h")["violations"]), 5)
    oldest = as_json(appliance, "violations", "list", "--rule", "reloaded", "--order", "oldest", "--limit", "2")
    expect("oldest first", [v["message"] for v in oldest["violations"]], ["reloaded T0", "reloaded T1"])
    following = as_json(appliance, "violations", "list", "--rule", "reloaded", "--order", "oldest", "--after", str(oldest["next"]))
    expect("the next page of it", [v["message"] for v in following["violations"]], ["reloaded T2"])
    one = oldest["violations"][1]
    expect("one by its id", as_json(appliance, "violations", "list", "--id", one["id"])["violations"], [one])
    expect("by source", len(as_json(appliance, "violations", "list", "--source", "webhook")["violations"]), 5)
    expect("of no service", as_json(appliance, "violations", "list", "--service", "pay me & co")["violations"], [])
    counts = as_json(appliance, "violations", "count", "--by", "rule")
    expect("counted", ({count["key"]: count["count"] for count in counts["counts"]}, counts["total"]),
           ({"first": 1, "second": 1, "reloaded": 3}, 5))
    expect("counted by time", sum(count["count"] for count in as_json(appliance, "violations", "count", "--by", "time", "--bucket",
                                                                      "1d")["counts"]), 5)
    cli(appliance, "violations", "count", "--by", "colour", code=FAILED)


def test_drain(appliance):
    """SIGTERM with traffic: it ends within ten seconds with exit code 0; what was answered durable stays."""
    stop, answered = threading.Event(), []

    def send():
        while not stop.is_set():
            try:
                name = f"D{len(answered)}"
                if order(name, 1000) == 200:
                    answered.append(name)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.5)
    began = time.monotonic()
    expect("exit code", appliance.stop(), 0)
    expect_true("within ten seconds", time.monotonic() - began < 10)
    stop.set()
    sender.join()
    appliance.start("http://127.0.0.2:9999/readyz")
    kept = {v["message"] for v in appliance.violations()}
    expect_true(f"{len(answered)} answered orders are kept", answered and all(f"reloaded {name}" in kept for name in answered))
    expect("rules after a restart", [item["name"] for item in as_json(appliance, "rules", "list")["rules"]], ["reloaded"])


def test_log(appliance):
    for line in appliance.log().splitlines():
        expect_true(f"a line of the log has level and subject: {line}", re.match(r"(DEBUG|INFO|WARNING|ERROR) [a-z]+: ", line))


def main():
    appliance = Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG)
    os.mkdir("rules")
    with open("rules/first.yaml", "w", encoding="utf-8") as file:
        file.write(rule("first", 100))
    appliance.start("http://127.0.0.2:9999/readyz")
    with appliance:
        test_outputs(appliance)
        test_exit_codes(appliance)
        test_apply(appliance)
        test_validate_offline()
        test_reload(appliance)
        test_tail(appliance)
        test_filters(appliance)
        test_drain(appliance)
        test_log(appliance)
    print("nouns, outputs, exit codes, apply, reload, tail and drain are as the manual says")


enter_namespace("TRIPLINE_CLI_TEST")
main()
