"""`make interop`: sets up the peers that Debian does not carry, then runs each family's tests in a network namespace of its own.

usage: run_peers.py BUILD [FAMILY...]. A peer that cannot be had here is skipped, and counted.
"""
import os
import subprocess
import sys
import time

import peer_setup

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = 77
FAMILIES = {
    "python": lambda cache: peer_setup.python(cache),
    "go": lambda cache: peer_setup.go(cache, "export"),
    "javascript": lambda cache: peer_setup.javascript(cache),
    "collector": lambda cache: peer_setup.go(cache, "collector"),
    "telemetrygen": lambda cache: peer_setup.go(cache, "telemetrygen"),
}


def main():
    build = os.path.abspath(sys.argv[1])
    families = sys.argv[2:] or list(FAMILIES)
    cache = os.path.join(build, "interop")
    counted = {"passed": 0, "failed": 0, "skipped": 0}
    for family in families:
        began, outcome = time.monotonic(), "passed"
        print(f"== {family}", flush=True)
        try:
            command = FAMILIES[family](cache)
            program = os.path.join(HERE, f"test_{'sdk_' if family in ('python', 'go', 'javascript') else ''}{family}.py")
            done = subprocess.run([sys.executable, program, os.path.join(build, "triplined"), os.path.join(build, "tripline"),
                                   os.path.join(HERE, "../.."), *command], check=False)
            outcome = "passed" if done.returncode == 0 else "skipped" if done.returncode == SKIPPED else "failed"
        except peer_setup.Missing as missing:
            print(f"skipped: {missing}")
            outcome = "skipped"
        counted[outcome] += 1
        print(f"== {family}: {outcome} in {time.monotonic() - began:.0f} s", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counted.items()))
    sys.exit(counted["failed"] != 0 or counted["passed"] == 0)


main()
