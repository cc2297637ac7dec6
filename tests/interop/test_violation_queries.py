"""Queries for violations by REST and by the CLI, over a journal of violations that follow from their number (numbered_violation.h): each
filter and each pair of them, both orders, pages, counts, bad input, and what is said when the index has let violations go.

usage: test_violation_queries.py TRIPLINED TRIPLINE SOURCE MAKE_VIOLATION_JOURNAL. Runs in a network namespace of its own.
"""
import collections
import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import threading
from urllib.parse import urlencode

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import appliance_process  # noqa: E402
from appliance_process import Appliance, enter_namespace, expect, expect_true, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE, MAKE_JOURNAL = (os.path.abspath(path) for path in sys.argv[1:5])
INDEXED, LET_GO = 20000, 5000
WRITTEN = INDEXED + LET_GO
CONFIG = f"""shards: {{count: 1, idle_sleep: 100us}}
rules: {{files: [rules.yaml]}}
journal: {{index_violations: {INDEXED}}}
"""
RULES = 'rules:\n  - {name: arriving, on: webhook, if: body.n > 0, message: "${body.n}"}\n'
SEVERITIES, SOURCES = ("info", "low", "medium", "high", "critical"), ("span", "trace", "webhook", "alert")
FIRST_S = 1700000000
NUMBERS = range(LET_GO + 1, WRITTEN + 1)
OK, FAILED, USAGE = range(3)


class Violation:
    """Number n, as it must come back."""

    def __init__(self, number):
        self.number = number
        self.rule, self.severity, self.source = f"rule-{number % 40}", SEVERITIES[number % 5], SOURCES[number % 4]
        self.service = "service-200" if number % 100000 == 0 else f"service-{number % 200}"
        self.trace = f"{number * 0x9e3779b97f4a7c15 % (1 << 64):016x}{number:016x}"
        milliseconds = FIRST_S * 1000 + number
        text = f"{milliseconds:012x}7000{(1 << 63) + number:016x}"
        self.id = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


ALL = [Violation(number) for number in NUMBERS]


def time_text(number):
    """As RFC 3339: FIRST_S is 2023-11-14T22:13:20Z."""
    seconds, milliseconds = divmod(number, 1000)
    return f"2023-11-14T22:13:{20 + seconds:02}.{milliseconds:03}Z"


def rest(path, **arguments):
    connection = http.client.HTTPConnection("127.0.0.1", 9464, timeout=30)
    connection.request("GET", path + ("?" + urlencode(arguments) if arguments else ""))
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text)


def listed(**arguments):
    status, answer = rest("/v1/violations", **arguments)
    expect(f"{arguments}: {answer}"[:300], status, 200)
    return answer


def numbers_of(answer):
    return [violation["lsn"] for violation in answer["violations"]]


def cli(appliance, *arguments, code=OK):
    result = appliance.run_cli("violations", *arguments, text=True)
    expect(f"exit code of {arguments}: {result.stderr}", result.returncode, code)
    return result


def filters_of(violation):
    """Filters that this violation meets, each with what it says of any."""
    return {"id": (violation.id, lambda other: other.id == violation.id),
            "rule": (violation.rule, lambda other: other.rule == violation.rule),
            "severity": (violation.severity, lambda other: other.severity == violation.severity),
            "trace": (violation.trace, lambda other: other.trace == violation.trace),
            "service": (violation.service, lambda other: other.service == violation.service),
            "source": (violation.source, lambda other: other.source == violation.source),
            "since": (time_text(violation.number), lambda other: other.number >= violation.number),
            "until": (time_text(violation.number), lambda other: other.number < violation.number)}


def test_each_filter_and_each_pair(appliance):
    for violation in (ALL[0], ALL[len(ALL) // 2 + 3], ALL[-1]):
        filters = filters_of(violation)
        for names in itertools.chain(((name,) for name in filters), itertools.combinations(filters, 2)):
            arguments = {name: filters[name][0] for name in names}
            wanted = [other.number for other in ALL if all(filters[name][1](other) for name in names)]
            newest, oldest = listed(**arguments, limit=50), listed(**arguments, limit=50, order="oldest")
            expect(f"newest of {arguments}", numbers_of(newest), wanted[:-51:-1])
            expect(f"oldest of {arguments}", numbers_of(oldest), wanted[:50])
            expect(f"more of {arguments}", newest["next"] is not None, len(wanted) > 50)
            _, counts = rest("/v1/violations/counts", **arguments, by="severity")
            expect(f"counts of {arguments}", counts["total"], len(wanted))
        for name, (value, _) in filters.items():
            by_command = json.loads(cli(appliance, "list", f"--{name}", value, "--limit", "50", "-o", "json").stdout)
            expect(f"the command's {name}", by_command, listed(**{name: value}, limit=50))


def test_what_comes_back():
    violation = ALL[1234]
    found = listed(id=violation.id)["violations"][0]
    expect("fields", {key: found[key] for key in ("id", "rule", "severity", "source", "trace_id", "service", "lsn", "count", "message")},
           {"id": violation.id, "rule": violation.rule, "severity": violation.severity, "source": violation.source,
            "trace_id": violation.trace, "service": violation.service, "lsn": violation.number, "count": 1,
            "message": "something took longer than it may"})
    expect("the time", found["time"], time_text(violation.number)[:-1] + "000000Z")
    for key, value in (("id", Violation(WRITTEN + 99999).id), ("trace", "0" * 31 + "1"), ("rule", "rule-40"), ("service", "nobody"),
                       ("since", time_text(WRITTEN + 1)), ("until", time_text(1))):
        answer = listed(**{key: value})
        expect(f"nothing by {key}", (answer["violations"], answer["next"]), ([], None))


def pages(order, limit, between=lambda: None, **filters):
    found, after = [], None
    while True:
        answer = listed(order=order, limit=limit, **filters, **({"after": after} if after else {}))
        found += numbers_of(answer)
        after = answer["next"]
        if after is None:
            return found
        between()


def post(number):
    connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=10)
    connection.request("POST", "/webhook/orders", json.dumps({"n": number}), {"Content-Type": "application/json"})
    expect("a webhook", connection.getresponse().status, 200)
    connection.close()


def test_counts():
    for by, key in (("rule", lambda violation: violation.rule), ("severity", lambda violation: violation.severity)):
        _, answer = rest("/v1/violations/counts", by=by)
        expect(f"by {by}", {group["key"]: group["count"] for group in answer["counts"]},
               dict(collections.Counter(key(violation) for violation in ALL)))
    expect("the worst first", [group["key"] for group in rest("/v1/violations/counts", by="severity")[1]["counts"]],
           list(reversed(SEVERITIES)))
    _, answer = rest("/v1/violations/counts", by="time", bucket="5s", severity="high")
    wanted = collections.Counter((FIRST_S + violation.number // 1000) // 5 * 5 for violation in ALL if violation.severity == "high")
    expect("buckets in time", [group["count"] for group in answer["counts"]], [wanted[start] for start in sorted(wanted)])
    expect("where they begin", answer["counts"][0]["key"], "2023-11-14T22:13:25.000000000Z")


def test_bad_input(appliance):
    bad = [("severity", "fatal"), ("severity", ""), ("source", "log"), ("order", "up"), ("id", "1"), ("id", "g" * 36), ("trace", "abc"),
           ("trace", "0" * 33), ("since", "yesterday"), ("until", "2023-13-01T00:00:00Z"), ("limit", "0"), ("limit", "-1"),
           ("limit", "1000001"), ("limit", "ten"), ("limit", "1e3"), ("after", "0"), ("after", "x"), ("after", "99999999999999999999")]
    for name, value in bad:
        status, answer = rest("/v1/violations", **{name: value})
        expect(f"{name}={value!r}", (status, answer["code"]), (400, "argument"))
        expect_true(f"it names what is wrong: {answer['message']}", re.match(rf"{name} is ", answer["message"]))
        result = appliance.run_cli("violations", "list", f"--{name}={value}", text=True)
        expect_true(f"the command says so: {result.stderr}", result.returncode == FAILED and f"{name} is " in result.stderr)
    for name, value in (("by", "colour"), ("bucket", "0s"), ("bucket", "5"), ("bucket", "-5m"), ("bucket", "99999d")):
        status, answer = rest("/v1/violations/counts", **{"by": "time", name: value})
        expect(f"{name}={value!r}", (status, answer["code"]), (400, "argument"))
    cli(appliance, "list", "--colour", "red", code=USAGE)
    cli(appliance, "shout", code=USAGE)


def test_extent(appliance):
    """What was let go is not passed over in silence."""
    answer = listed(order="oldest", limit=1)
    expect("from where", answer["index_from"], {"lsn": LET_GO + 1, "time": time_text(LET_GO + 1)[:-1] + "000000Z"})
    expect("it is complete", answer["index_complete"], True)
    expect("one that was let go", listed(id=Violation(LET_GO).id)["violations"], [])
    result = cli(appliance, "list", "--id", Violation(LET_GO).id)
    expect_true(f"the command says from where: {result.stderr}", f"before LSN {LET_GO + 1} " in result.stderr)
    expect("not beside JSON", cli(appliance, "list", "--limit", "1", "-o", "json").stderr, "")
    index = rest("/v1/status")[1]["journal"]["index"]
    expect("status", (index["violations"], index["capacity"], index["let_go"], index["from_lsn"]), (INDEXED, INDEXED, LET_GO, LET_GO + 1))


def test_pages():
    wanted = list(NUMBERS)
    expect("all, oldest first", pages("oldest", 777), wanted)
    expect("all, newest first", pages("newest", 3001), wanted[::-1])
    expect("a page at the end has no next", listed(order="oldest", after=WRITTEN - 5, limit=5)["next"], None)
    expect("of one rule", pages("newest", 7, rule="rule-7"), [number for number in wanted[::-1] if number % 40 == 7])


def test_pages_while_more_arrive():
    """Arrivals neither shift nor repeat a page; by now the index lets the oldest go for them."""
    before = WRITTEN
    arrived = itertools.count(1)
    found = pages("newest", 1000, lambda: post(next(arrived)), rule="rule-3")
    expect_true(f"newest first, all that stayed: {len(found)}",
                found == [number for number in range(before, 0, -1) if number % 40 == 3][:len(found)] and len(found) >= 470)
    sender_done = threading.Event()

    def send():
        for number in range(100, 160):
            post(number)
        sender_done.set()

    thread = threading.Thread(target=send)
    thread.start()
    found = pages("oldest", 500, severity="low")
    thread.join()
    expect("oldest first, in order and once", found, sorted(set(found)))
    expect_true("sent", sender_done.is_set())
    held = [number for number in range(LET_GO + 200, WRITTEN + 1) if number % 5 == 1]
    expect_true("none that stayed is missing", set(held) <= set(found))
    wait_for("those that arrived", lambda: len(listed(rule="arriving", limit=1000)["violations"]) >= 60, 10)


def main():
    enter_namespace("TRIPLINE_QUERY_TEST")
    appliance = Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, {"rules.yaml": RULES})
    subprocess.run([MAKE_JOURNAL, "tripline-data", str(WRITTEN), "16"], check=True)
    with appliance:
        wait_for("the index", lambda: listed(limit=1)["index_complete"], 60)
        test_each_filter_and_each_pair(appliance)
        test_what_comes_back()
        test_counts()
        test_bad_input(appliance)
        test_extent(appliance)
        test_pages()
        test_pages_while_more_arrive()
    print(f"ok: {appliance_process.checks} checks")


main()
