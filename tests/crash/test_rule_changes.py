"""kill -9 while rules change: each rule is afterwards what its last acknowledged change made it, or what the one under way would have;
a whole set is one or the other, never between; versions and history survive, also over snapshots of the state.

usage: test_rule_changes.py TRIPLINED TRIPLINE SOURCE ROUNDS [SEED]. TRIPLINED may be triplined_at_points: then each round is also killed
where a change is written or published. Runs in a network namespace of its own.
"""
import http.client
import json
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402
from crash_points import environment_of, points_of  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
ROUNDS = int(sys.argv[4])
SEED = int(sys.argv[5]) if len(sys.argv) > 5 else int.from_bytes(os.urandom(4), "little")
AT_POINTS = os.path.basename(TRIPLINED) == "triplined_at_points"
TIMES = (1, 2, 3, 5, 8, 13, 30)
CONFIG = """ports: [{name: trip, kind: embedded, mtu: 1500}]
shards: {idle_sleep: 100us, prefault: false}
rules: {files: [rules.yaml]}
journal: {segment_bytes: 2MiB}
"""
LOAD_RULES = "".join(f'  - {{name: load-{i}, on: webhook, if: body.n > 0, message: "${{body.n}} ${{body.fill}}"}}\n' for i in range(24))
CLIENTS, SET_RULES = 5, 300
FILL = "x" * 3500


class SocketConnection(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("tripline", timeout=30)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("tripline-data/control.sock")


def ask(connection, method, path, body=None):
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if answer.headers.get_content_type() == "application/json" else text.decode()


def get(path):
    status, content = ask(SocketConnection(), "GET", path)
    return content if status == 200 else None


def seen(rule):
    """What of a rule is compared; None when there is none."""
    return rule and (rule["if"], rule["enabled"])


class Changer(threading.Thread):
    """Changes rules of its own, one after the other. `known` is what was acknowledged, `pending` what was asked and not answered."""

    def __init__(self, number, seed, known):
        super().__init__()
        self.number, self.chance, self.known, self.pending = number, random.Random(seed), known, None
        self.acknowledged, self.unexpected = 0, []

    def choose(self):
        name = f"rule-{self.number}-{self.chance.randrange(4)}"
        now = self.known.get(name)
        limit = self.chance.randrange(1, 100000, 2)  # odd: no whole number of microseconds, which would come back as that
        text = {"name": name, "on": "span", "if": f"duration > {limit}ns", "tags": ["own"]}
        if now is None:
            return name, ("POST", "/v1/rules", text), (text["if"], True)
        kind = self.chance.randrange(4)
        if kind == 0:
            return name, ("DELETE", f"/v1/rules/{name}", None), None
        if kind == 1:
            return name, ("POST", f"/v1/rules/{name}/{'disable' if now[1] else 'enable'}", None), (now[0], not now[1])
        if kind == 2:
            return name, ("POST", "/v1/rules/import", {"rules": [text]}), (text["if"], True)
        return name, ("PUT", f"/v1/rules/{name}", text), (text["if"], True)

    def run(self):
        try:
            connection = SocketConnection()
            while True:
                name, (method, path, body), after = self.choose()
                self.pending = (name, after)
                status, content = ask(connection, method, path, json.dumps(body) if body else None)
                if status != 200:
                    self.unexpected.append((method, path, status, content))
                    return
                self.known[name] = after
                self.pending = None
                self.acknowledged += 1
        except (OSError, http.client.HTTPException):
            pass


class SetChanger(threading.Thread):
    """Replaces a part of the set by another one of the same names: all its rules say which."""

    def __init__(self, known):
        super().__init__()
        self.known, self.pending, self.acknowledged, self.unexpected = known, None, 0, []

    def run(self):
        try:
            connection = SocketConnection()
            while True:
                number = (self.known or -1) + 2
                rules = [{"name": f"set-{i}", "on": "span", "if": f"duration > {number}ns", "description": "d" * 200} for i in range(SET_RULES)]
                self.pending = number
                status, content = ask(connection, "POST", "/v1/rules/import", json.dumps({"rules": rules}))
                if status != 200:
                    self.unexpected.append((status, content))
                    return
                self.known, self.pending = number, None
                self.acknowledged += 1
        except (OSError, http.client.HTTPException):
            pass


class Load(threading.Thread):
    """Webhooks with violations, so that the journal grows and its state is snapshot."""

    def run(self):
        number = 1
        while True:
            try:
                connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=2)
                while True:
                    connection.request("POST", "/webhook/orders", json.dumps({"n": number, "fill": FILL}), {"Content-Type": "application/json"})
                    connection.getresponse().read()
                    number += 1
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException):
                return


def check_rules(changers, known):
    for changer in changers:
        expect(f"client {changer.number}", changer.unexpected, [])
        for name in {*(f"rule-{changer.number}-{i}" for i in range(4))}:
            found = seen(get(f"/v1/rules/{name}"))
            allowed = [known.get(name)]
            if changer.pending and changer.pending[0] == name:
                allowed.append(changer.pending[1])
            expect_true(f"{name}: {found}, allowed {allowed}", found in allowed)
            known[name] = found
            history = get(f"/v1/rules/{name}/history")
            if found is None and history is None:
                continue
            versions = [version["version"] for version in history["versions"]]
            expect(f"{name}: no version is missing", versions, list(range(versions[0], versions[0] - len(versions), -1)))
            expect_true(f"{name}: its first is there, or a hundred", versions[-1] == 1 or len(versions) == 100)
            newest = history["versions"][0]
            expect(f"{name}: the newest is what is in force", None if newest["deleted"] else newest["rule"]["if"], found and found[0])


def check_set(changer):
    expect("the set's changes", changer.unexpected, [])
    conditions = {rule["expression"] for rule in get("/v1/rules")["rules"] if rule["name"].startswith("set-")}
    allowed = [changer.known] + ([changer.pending] if changer.pending else [])
    wanted = [{f"duration > {number}ns"} if number else set() for number in allowed]
    expect_true(f"one set or the other: {conditions}, {wanted}", conditions in wanted)
    return allowed[wanted.index(conditions)]


def check_generations(before):
    history = get("/v1/ruleset/history")
    numbers = [g["generation"] for g in history["generations"]]
    expect("generations without a gap", numbers, list(range(numbers[0], numbers[0] - len(numbers), -1)))
    expect_true(f"generation {numbers[0]} after {before}", numbers[0] >= before)
    expect("the set is the one that was hashed then", metric("tripline_rules_info", sha256=history["generations"][0]["sha256"]), 1)
    return numbers[0]


def arm(appliance, points, number):
    """Started anew to be killed at the next of the points; where that is in the start, started once more."""
    name, when, _ = points[number % len(points)]
    appliance.kill()
    appliance.spawn(environment_of(name, when, TIMES[number // len(points) % len(TIMES)]))
    try:
        wait_for("ready, or gone", lambda: appliance.process.poll() is not None or get("/v1/rules") is not None, 60, 0.02)
    except (OSError, http.client.HTTPException):
        appliance.process.wait(60)
    if appliance.process.poll() is not None:
        appliance.start()


def is_gone(appliance, seconds):
    """Whether the daemon was killed within that time, at a point of its own."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and appliance.process.poll() is None:
        time.sleep(0.01)
    return appliance.process.poll() is not None


def snapshot_written(appliance):
    return appliance.process.poll() is not None or metric("tripline_journal_state_snapshots_total") > 0


def main():
    print("seed", SEED, flush=True)
    chance, known, set_number, acknowledged, snapshots, generation = random.Random(SEED), {}, None, 0, 0, 1
    points, reached = points_of(TRIPLINED, "rules") if AT_POINTS else [], set()
    first = chance.randrange(len(points) * len(TIMES)) if AT_POINTS else 0
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, {"rules.yaml": "rules:\n" + LOAD_RULES}) as appliance:
        for number in range(ROUNDS):
            if AT_POINTS:
                arm(appliance, points, first + number)
            changers = [Changer(client, chance.randrange(1 << 30), dict(known)) for client in range(CLIENTS)]
            changer_of_set, loads = SetChanger(set_number), [Load(daemon=True) for _ in range(3)]
            for thread in [*changers, changer_of_set, *loads]:
                thread.start()
            gone = is_gone(appliance, chance.uniform(0.3, 2.5))
            if number % 4 == 3 and not gone:  # changes after a snapshot, and soon after it
                wait_for("a snapshot of the state", lambda: snapshot_written(appliance), 60)
                snapshots += 1
            time.sleep(chance.uniform(0, 0.1))
            if gone and AT_POINTS:
                reached.add(points[(first + number) % len(points)])
            expect("how it ended", appliance.process.poll() in ((None, -9) if AT_POINTS else (None,)), True)
            appliance.kill()
            for thread in [*changers, changer_of_set, *loads]:
                thread.join()
            for changer in changers:
                known.update({name: state for name, state in changer.known.items() if name.startswith(f"rule-{changer.number}-")})
            acknowledged += sum(changer.acknowledged for changer in changers) + changer_of_set.acknowledged
            appliance.start()
            check_rules(changers, known)
            set_number = check_set(changer_of_set)
            generation = check_generations(generation)
    expect_true("something was acknowledged", AT_POINTS or acknowledged > ROUNDS)
    expect_true(f"points were reached: {reached}", not AT_POINTS or ROUNDS < 2 * len(points) or len(reached) == len(points))
    print(f"{ROUNDS} rounds of kill -9, {snapshots} after a snapshot, {len(reached)} points: {acknowledged} changes acknowledged, none lost, none in part")


enter_namespace("TRIPLINE_RULE_CHANGES")
main()
