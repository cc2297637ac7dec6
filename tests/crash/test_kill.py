"""kill -9 under load: every webhook answered 200 (durable) has its violation after the restart, none twice, and LSNs only grow.

usage: test_kill.py TRIPLINED TRIPLINE SOURCE ROUNDS. Runs in a network namespace of its own.
"""
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
ROUNDS = int(sys.argv[4])
CONFIG = "rules: {files: [config/rules.d]}\njournal: {segment_bytes: 4MiB}\n"


def start(directory):
    log = open(os.path.join(directory, "daemon.log"), "ab")
    daemon = subprocess.Popen([TRIPLINED, "--config", "appliance.yaml"], cwd=directory, stderr=log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            break
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 9464, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return daemon
        except OSError:
            pass
        time.sleep(0.05)
    print(open(os.path.join(directory, "daemon.log")).read()[-4000:])
    sys.exit("the daemon does not become ready")


def post_orders(worker, first, acknowledged, stop):
    """One order after the other on one connection; what was answered 200 is acknowledged."""
    number = first
    while not stop.is_set():
        try:
            connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=2)
            while not stop.is_set():
                name = f"w{worker}-{number}"
                number += 1
                body = json.dumps({"order": {"id": name, "amount": 50000, "currency": "EUR"}})
                connection.request("POST", "/webhook/orders", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    acknowledged.append(name)
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)


def violations(directory):
    output = subprocess.run([TRIPLINE, "-s", "tripline-data/control.sock", "violations", "list", "--limit", "1000000", "-o", "json"],
                            cwd=directory, check=True, capture_output=True, timeout=120).stdout
    return json.loads(output)["violations"]


def check(directory, acknowledged, round_number):
    found = violations(directory)
    orders = [violation["attributes"].get("body.order.id") for violation in found if violation["rule"] == "oversized-order"]
    identities = [violation["id"] for violation in found]
    lsns = [violation["lsn"] for violation in found]
    missing = set(acknowledged) - set(orders)
    if missing:
        sys.exit(f"round {round_number}: {len(missing)} acknowledged orders are lost, such as {sorted(missing)[:3]}")
    if len(set(identities)) != len(identities) or len(set(orders)) != len(orders):
        sys.exit(f"round {round_number}: a violation is there twice")
    if lsns != sorted(lsns, reverse=True) or len(set(lsns)) != len(lsns):
        sys.exit(f"round {round_number}: the LSNs do not grow")
    return len(found)


def main():
    directory = tempfile.mkdtemp(prefix="tripline-crash-")
    os.symlink(os.path.join(SOURCE, "config"), os.path.join(directory, "config"))
    with open(os.path.join(directory, "appliance.yaml"), "w", encoding="utf-8") as file:
        file.write(CONFIG)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    acknowledged, total = [], 0
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    chance = random.Random(seed)
    for round_number in range(1, ROUNDS + 1):
        daemon = start(directory)
        total = check(directory, acknowledged, round_number)
        stop = threading.Event()
        workers = [threading.Thread(target=post_orders, args=(f"{round_number}.{i}", 0, acknowledged, stop)) for i in range(6)]
        for worker in workers:
            worker.start()
        time.sleep(chance.uniform(0.05, 0.6))
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        stop.set()
        for worker in workers:
            worker.join()
    daemon = start(directory)
    total = check(directory, acknowledged, ROUNDS)
    daemon.terminate()
    code = daemon.wait(timeout=15)
    log = open(os.path.join(directory, "daemon.log"), encoding="utf-8", errors="replace").read()
    shutil.rmtree(directory)
    if code != 0 or not acknowledged:
        print(log[-6000:])
        sys.exit(f"exit code {code}, {len(acknowledged)} acknowledged")
    print(f"{ROUNDS} rounds of kill -9: {len(acknowledged)} acknowledged, {total} durable, 0 lost, 0 twice")


if os.environ.get("TRIPLINE_CRASH") != "inside":
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], check=False).returncode != 0:
        print("network namespaces are not permitted here: skipped")
        sys.exit(77)
    os.environ["TRIPLINE_CRASH"] = "inside"
    os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
main()
