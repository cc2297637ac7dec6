"""The lifecycle of rules against the real daemon: the four integration tests that BeTrace has (a rule's whole life, ingestion with
violations, ten clients of ten operations, health), and what Tripline adds: import, history, rollback, the command line, a restart.

usage: test_lifecycle.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own. Times are printed and judged by nobody.
"""
import http.client
import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, scrape, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
CONFIG = "rules: {files: [rules.yaml]}\n"
RULES = "rules: []\n"
OK, FAILED, USAGE, NOT_FOUND = range(4)
CLIENTS, OPERATIONS = 10, 10
timings = {}


class SocketConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("tripline", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Api:
    """One client with a connection of its own; every operation is timed."""

    def __init__(self):
        self.connection = SocketConnection("tripline-data/control.sock")

    def ask(self, method, path, body=None, timed=None):
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        before = time.perf_counter()
        self.connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        answer = self.connection.getresponse()
        content = answer.read()
        if timed:
            timings.setdefault(timed, []).append(time.perf_counter() - before)
        return answer.status, json.loads(content) if answer.headers.get_content_type() == "application/json" else content.decode()

    def good(self, method, path, body=None, timed=None, status=200):
        found, content = self.ask(method, path, body, timed)
        expect(f"{method} {path}: {content}", found, status)
        return content


def span_rule(name, limit="1s", **keys):
    return {"name": name, "description": "d", "on": "span", "if": f"duration > {limit}", "enabled": True, "severity": "HIGH", "tags": ["t"], **keys}


def complete_rule_lifecycle():
    api = Api()
    rule = api.good("POST", "/v1/rules", span_rule("test-rule"), "create")
    expect("created", (rule["id"], rule["severity"], rule["enabled"], rule["version"], rule["state"]), ("test-rule", "high", True, 1, "persisted"))
    expect("get", api.good("GET", "/v1/rules/test-rule", timed="get"), rule)
    listed = api.good("GET", "/v1/rules", timed="list")
    expect("list", (listed["total_count"], [item["id"] for item in listed["rules"]]), (1, ["test-rule"]))
    updated = api.good("PUT", "/v1/rules/test-rule", {**rule, "if": "duration > 2s", "expression": "duration > 2s"}, "update")
    expect("updated", (updated["expression"], updated["version"], updated["created_at"]), ("duration > 2s", 2, rule["created_at"]))
    expect_true("updated later", updated["updated_at"] > rule["updated_at"])
    expect("disabled", api.good("POST", "/v1/rules/test-rule/disable", timed="disable")["enabled"], False)
    expect("not listed", api.good("GET", "/v1/rules?enabled_only=true")["rules"], [])
    expect("enabled", api.good("POST", "/v1/rules/test-rule/enable", timed="enable")["enabled"], True)
    expect("delete", api.good("DELETE", "/v1/rules/test-rule", timed="delete")["success"], True)
    expect("gone", api.ask("GET", "/v1/rules/test-rule")[0], 404)
    expect("gone from the list", api.good("GET", "/v1/rules")["total_count"], 0)
    expect("no change", (api.ask("PUT", "/v1/rules/test-rule", span_rule("test-rule"))[0], api.ask("DELETE", "/v1/rules/test-rule")[0]), (404, 404))


def post_span(connection, number, duration_ms):
    start = time.time_ns()
    span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "checkout", "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + duration_ms * 1000000)}
    connection.request("POST", "/v1/traces", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def ingestion_with_violations(appliance):
    api = Api()
    api.good("POST", "/v1/rules", span_rule("slow-span", "500ms", message="took ${duration}"))
    connection = http.client.HTTPConnection("10.86.0.2", 4318, timeout=10)
    for number in range(1, 11):
        expect("span", post_span(connection, number, 1000 if number % 2 else 100), 200)
    wait_for("violations", lambda: len(appliance.violations("--rule", "slow-span")) == 5)
    expect("of the slow ones", sorted(int(v["trace_id"], 16) for v in appliance.violations("--rule", "slow-span")), [1, 3, 5, 7, 9])
    expect("version", {v["rule_version"] for v in appliance.violations("--rule", "slow-span")}, {1})
    # From the answer of a change on every span is judged by it.
    api.good("POST", "/v1/rules/slow-span/disable")
    expect("span", post_span(connection, 11, 1000), 200)
    api.good("POST", "/v1/rules/slow-span/enable")
    expect("span", post_span(connection, 13, 1000), 200)
    wait_for("one more", lambda: len(appliance.violations("--rule", "slow-span")) == 6)
    expect("not while it was disabled", {int(v["trace_id"], 16) for v in appliance.violations("--rule", "slow-span")} & {11, 13}, {13})
    api.good("DELETE", "/v1/rules/slow-span")


def client(number, errors):
    try:
        api = Api()
        for operation in range(OPERATIONS):
            api.good("POST", "/v1/rules", span_rule(f"rule-{number}-{operation}", f"{operation + 1}s"), "concurrent create")
    except BaseException as error:  # a thread's exit is nobody's
        errors.append(error)


def api_history(name):
    return Api().good("GET", f"/v1/rules/{name}/history")["versions"]


def concurrent_operations():
    errors, before = [], metric("tripline_rules_generation")
    started = time.perf_counter()
    threads = [threading.Thread(target=client, args=(number, errors)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect("errors", errors, [])
    timings["10 clients, an operation"] = [(time.perf_counter() - started) / (CLIENTS * OPERATIONS)]
    api = Api()
    expect("all are there", api.good("GET", "/v1/rules")["total_count"], CLIENTS * OPERATIONS)
    after = metric("tripline_rules_generation")
    expect_true("those that came together share a generation", before + OPERATIONS <= after <= before + CLIENTS * OPERATIONS)
    print(f"10 clients: {CLIENTS * OPERATIONS / (after - before):.1f} changes in a generation")
    expect("every shard has it", {line.rsplit(" ", 1)[1] for line in scrape() if line.startswith("tripline_shard_rules_generation{")},
           {str(after)})
    versions = [api_history(f"rule-{number}-{operation}") for number in range(CLIENTS) for operation in range(OPERATIONS)]
    expect("each with its own action", {(len(history), history[0]["action"], history[0]["by"][:4]) for history in versions}, {(1, "create", "uid ")})
    same_rule(api)


def same_rule(api):
    """Two changes of one rule exclude each other; one of them may be refused, none is lost."""
    statuses = []

    def change(limit):
        own = Api()
        for _ in range(10):
            statuses.append(own.ask("PUT", "/v1/rules/rule-0-0", span_rule("rule-0-0", f"{limit}s"))[0])
            limit += 10

    threads = [threading.Thread(target=change, args=(100 + number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect_true(f"done or busy: {statuses}", set(statuses) <= {200, 409} and 200 in statuses)
    expect("versions", api.good("GET", "/v1/rules/rule-0-0")["version"], 1 + statuses.count(200))


def health_endpoints():
    api = Api()
    for path, word in (("/v1/health", "HEALTHY"), ("/v1/ready", "HEALTHY"), ("/healthz", "ok"), ("/readyz", "ok")):
        answer = api.good("GET", path, timed="health")
        expect(path, answer["status"], word)
        expect_true(f"{path}: uptime", answer["uptime_seconds"] > 0)
        expect_true(f"{path}: version", answer["version"])


def history_and_rollback():
    api = Api()
    api.good("POST", "/v1/rules/delete", {"names": [f"rule-{c}-{o}" for c in range(CLIENTS) for o in range(OPERATIONS)]})
    start = api.good("GET", "/v1/ruleset/history")["generation"]
    text = "rules:\n- {name: good, on: span, if: duration > 1s, tags: [a]}\n- {name: bad, on: span, if: duration >}\n- {name: fine, on: span, if: root, tags: [a]}\n"
    status, refused = api.ask("POST", "/v1/rules/import", text)
    expect("all or none", (status, refused["errors"][0]["line"]), (400, 3))
    status, partial = api.ask("POST", "/v1/rules/import?atomic=false", text)
    expect("what is good", (status, [r["status"] for r in partial["results"]]), (207, ["created", "failed", "created"]))
    expect("failed ones are shown", [f["name"] for f in api.good("GET", "/v1/ruleset/failed")["failed"]][-1:], ["bad"])
    expect("and counted", metric("tripline_rules_failed") > 0, True)
    api.good("PUT", "/v1/rules/good", span_rule("good", "3s"))
    expect("versions", [v["version"] for v in api.good("GET", "/v1/rules/good/history")["versions"]], [2, 1])
    expect("difference", api.good("GET", "/v1/rules/good/diff")["changes"]["if"], {"from": "duration > 1s", "to": "duration > 3s"})
    expect("rolled back", api.good("POST", "/v1/rules/good/rollback", {"version": 1})["if"], "duration > 1s")
    expect("by tag", {r["name"] for r in api.good("POST", "/v1/rules/disable", {"tags": ["a"]})["results"]}, {"good", "fine"})
    sha256 = next(g["sha256"] for g in api.good("GET", "/v1/ruleset/history")["generations"] if g["generation"] == start + 1)
    expect_true("a set goes back", api.good("POST", "/v1/ruleset/rollback", {"generation": start + 1})["sha256"] != sha256)
    expect("to what it was", api.good("GET", "/v1/rules/good")["if"], "duration > 1s")
    return api.good("GET", "/v1/ruleset"), api.good("GET", "/v1/rules/good/history"), api.good("GET", "/v1/ruleset/history")


def cli(appliance, *arguments, code=OK, **options):
    result = appliance.run_cli("rules", *arguments, text=True, **options)
    expect(f"exit code of rules {arguments}: {result.stdout} {result.stderr}", result.returncode, code)
    return result


def write(name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)


def command_line(appliance):
    write("one.yaml", "rules:\n- {name: one, on: span, if: duration > 1s, tags: [x]}\n")
    write("two.json", json.dumps(span_rule("two", tags=["x", "y"])))
    write("many.yaml", "rules:\n- {name: two, on: span, if: duration > 9s}\n- {name: three, on: span, if: duration >}\n")
    expect("create", json.loads(cli(appliance, "create", "-f", "one.yaml", "-o", "json").stdout)["version"], 1)
    expect_true("create twice", "exists" in cli(appliance, "create", "-f", "one.yaml", code=FAILED).stderr)
    cli(appliance, "create", "--file", "two.json")
    expect("list by tag", [r["name"] for r in json.loads(cli(appliance, "list", "--tag", "x", "--tag", "y", "-o", "json").stdout)["rules"]], ["two"])
    expect("list by severity", [r["name"] for r in json.loads(cli(appliance, "list", "--severity", "HIGH", "--tag", "x", "-o", "json").stdout)["rules"]], ["two"])
    write("one.yaml", "rules:\n- {name: one, on: span, if: duration > 2s, tags: [x]}\n")
    expect_true("update as YAML", "duration > 2s" in cli(appliance, "update", "-f", "one.yaml").stdout)
    cli(appliance, "update", "-f", "two.json", "--expect", "7", code=FAILED)
    cli(appliance, "update", "none", "-f", "two.json", code=NOT_FOUND)
    cli(appliance, "disable", "one")
    expect("only enabled", [r["name"] for r in json.loads(cli(appliance, "list", "--enabled", "--tag", "x", "-o", "json").stdout)["rules"]], ["two"])
    cli(appliance, "enable", "--tag", "x")
    cli(appliance, "enable", "one", "nobody", code=NOT_FOUND)
    bad = cli(appliance, "import", "many.yaml", code=FAILED)
    expect_true(f"names the file: {bad.stderr}", "many.yaml:3:" in bad.stderr and "^" in bad.stderr)
    partial = cli(appliance, "import", "many.yaml", "--partial", code=FAILED)
    expect_true(f"tells each: {partial.stdout}", "updated" in partial.stdout and "failed" in partial.stdout)
    expect_true("failed", "three" in cli(appliance, "failed").stdout)
    history = json.loads(cli(appliance, "history", "one", "-o", "json").stdout)["versions"]
    expect("history", [(v["version"], v["action"]) for v in history], [(4, "enable"), (3, "disable"), (2, "update"), (1, "create")])
    expect_true("who", history[0]["by"].startswith("uid "))
    expect_true("diff", "-    if: 'duration > 1s'\n+    if: 'duration > 2s'" in cli(appliance, "diff", "one", "--from", "1", "--to", "2").stdout)
    cli(appliance, "rollback", "one", "1")
    cli(appliance, "rollback", "one", "99", code=NOT_FOUND)
    generations = json.loads(cli(appliance, "history", "-o", "json").stdout)["generations"]
    cli(appliance, "delete", "one", "two")
    expect_true("set diff", "- one" in cli(appliance, "diff", "--from", str(generations[0]["generation"])).stdout)
    cli(appliance, "rollback", "--generation", str(generations[0]["generation"]))
    write("all.yaml", cli(appliance, "export").stdout)
    cli(appliance, "validate", "all.yaml")
    before = json.loads(cli(appliance, "apply", "all.yaml", "-o", "json").stdout)
    expect("what is exported can be applied", (before["added"], before["changed"], before["removed"]), (0, 0, 0))
    expect_true("one exported", cli(appliance, "export", "one").stdout.count("name:") == 1)
    cli(appliance, "export", "nobody", code=NOT_FOUND)
    for words in ((), ("create",), ("enable",), ("delete",), ("rollback", "one"), ("rollback", "one", "x"), ("import",), ("nonsense",)):
        cli(appliance, *words, code=USAGE)
    expect_true("help of a verb", "--partial" in cli(appliance, "import", "--help").stdout)
    expect_true("help of the noun", "rules rollback" in cli(appliance, "--help").stdout)
    expect("deleted", [r["status"] for r in json.loads(cli(appliance, "delete", "one", "-o", "json").stdout)["results"]], ["deleted"])


def main():
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, {"rules.yaml": RULES}) as appliance:
        complete_rule_lifecycle()
        ingestion_with_violations(appliance)
        concurrent_operations()
        health_endpoints()
        before = history_and_rollback()
        command_line(appliance)
        after = Api().good("GET", "/v1/ruleset"), Api().good("GET", "/v1/rules/good/history"), Api().good("GET", "/v1/ruleset/history")
        expect("it ends", appliance.stop(), 0)
        appliance.start()
        expect("all survives", (Api().good("GET", "/v1/ruleset"), Api().good("GET", "/v1/rules/good/history"), Api().good("GET", "/v1/ruleset/history")), after)
        expect_true("there was a before", before[0])
    for name, seconds in timings.items():
        print(f"{name}: {sum(seconds) / len(seconds) * 1e6:.0f} us on average, {len(seconds)} times")


enter_namespace("TRIPLINE_LIFECYCLE")
main()
