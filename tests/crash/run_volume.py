"""`make crash`: the crash tests at volume, several appliances at a time, each in a network namespace and a directory of its own.

ROUNDS of the whole appliance are killed at random moments, as many of the journal alone, a hundredth while rules change, and some while
cursors move; and the appliance is killed at every instrumented point. Failures keep their directory and tell their seed.

usage: run_volume.py BUILD ROUNDS PROCESSES [SEED]. CRASH_UNTIL=HH:MM:SS (UTC) starts nothing new after that and tells what was run;
CRASH_KINDS=points,rules,... runs only these.
"""
import os
import random
import subprocess
import sys
import time
from datetime import datetime, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
CHUNK = 200  # rounds a process
POINT_PARTS = 8
SKIP = 77


def jobs(build, rounds, chance):
    """(what, rounds, command): the points first, then all else in chunks."""
    def script(name, *arguments):
        return [sys.executable, os.path.join(HERE, name), *map(str, arguments)]

    def seed():
        return chance.randrange(1 << 32)

    daemon, at_points, cli = (os.path.join(build, name) for name in ("triplined", "tests/crash/points/triplined_at_points", "tripline"))
    found = [("points", 0, script("test_points.py", at_points, cli, SOURCE, "all", seed(), part, POINT_PARTS)) for part in range(POINT_PARTS)]
    found += [("rules at points", max(36, rounds // 200),
               script("test_rule_changes.py", at_points, cli, SOURCE, max(36, rounds // 200), seed()))]
    mixed = []
    for start in range(0, rounds, CHUNK):
        part = min(CHUNK, rounds - start)
        mixed.append(("random moments", part, script("test_kill.py", daemon, cli, SOURCE, part, seed())))
        mixed.append(("journal alone", part, script("journal_kill_test.py", os.path.join(build, "tests/crash/journal_writer_process"), part, seed())))
        mixed.append(("rules", max(1, part // 100), script("test_rule_changes.py", daemon, cli, SOURCE, max(1, part // 100), seed())))
        if start % (10 * CHUNK) == 0:
            mixed.append(("cursors", 16, script("test_cursors.py", daemon, cli, SOURCE, 16)))
    kinds = [kind for kind in os.environ.get("CRASH_KINDS", "").split(",") if kind]
    return [job for job in found + mixed if not kinds or job[0] in kinds]


class Running:
    def __init__(self, job, slot, cpus, logs, number):
        self.what, self.rounds, self.command = job
        self.slot, self.began = slot, time.monotonic()
        self.log = os.path.join(logs, f"{number:04}-{self.what.replace(' ', '-')}.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT, cwd=logs, env={**os.environ, "TMPDIR": logs},
                                            preexec_fn=lambda: os.sched_setaffinity(0, cpus))

    def told(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()


def shares(processes):
    """The processors of each slot."""
    cpus = sorted(os.sched_getaffinity(0))
    each = max(1, len(cpus) // processes)
    return [set(cpus[slot * each % len(cpus):][:each]) for slot in range(processes)]


def is_late():
    until = os.environ.get("CRASH_UNTIL")
    return until is not None and datetime.now(timezone.utc).strftime("%H:%M:%S") >= until


def tell(done):
    took = int(time.monotonic() - done.began)
    last = done.told().strip().splitlines()[-1:] or [""]
    print(f"{datetime.now(timezone.utc):%H:%M:%S} {done.what}, {done.rounds or 'all'}, {took} s, exit {done.process.returncode}: {last[0]}", flush=True)
    if done.process.returncode not in (0, SKIP):
        print(" ".join(done.command), done.told()[-6000:], sep="\n", flush=True)


def main():
    build, rounds, processes = os.path.abspath(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else int.from_bytes(os.urandom(4), "little")
    logs = os.path.join(build, "crash-logs")
    os.makedirs(logs, exist_ok=True)
    print(f"seed {seed}, {rounds} rounds, {processes} at a time, logs in {logs}", flush=True)
    waiting, cpus = jobs(build, rounds, random.Random(seed)), shares(processes)
    running, failures, counts, number = {}, 0, {}, 0
    while waiting or running:
        for slot in range(processes):
            if waiting and slot not in running and not is_late():
                running[slot] = Running(waiting.pop(0), slot, cpus[slot], logs, number)
                number += 1
        for slot, job in list(running.items()):
            if job.process.poll() is None:
                continue
            tell(job)
            failures += job.process.returncode not in (0, SKIP)
            counts[job.what] = counts.get(job.what, 0) + (job.rounds if job.process.returncode == 0 else 0)
            del running[slot]
        if is_late() and not running:
            print(f"not started: {len(waiting)} parts")
            break
        time.sleep(0.2)
    print(f"rounds without a fault: {counts}; parts that failed: {failures}")
    sys.exit(1 if failures else 0)


main()
