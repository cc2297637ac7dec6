"""`make interop`: sets up the peers that Debian does not carry, then runs each family's tests in a network namespace of its own.

usage: run_peers.py BUILD [FAMILY...]. A peer that cannot be had here is skipped, and counted.
"""
import os
import subprocess
import sys
import time

import peer_setup

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(sys.argv[1])
CACHE = os.path.join(BUILD, "interop")
SKIPPED = 77


def test(program, command):
    return [sys.executable, os.path.join(HERE, program), os.path.join(BUILD, "triplined"), os.path.join(BUILD, "tripline"),
            os.path.join(HERE, "../.."), *command]


# Each sets its peer up and says what to run.
FAMILIES = {
    "python": lambda: test("test_sdk_python.py", peer_setup.python(CACHE)),
    "go": lambda: test("test_sdk_go.py", peer_setup.go(CACHE, "export")),
    "javascript": lambda: test("test_sdk_javascript.py", peer_setup.javascript(CACHE)),
    "collector": lambda: test("test_collector.py", peer_setup.go(CACHE, "collector")),
    "telemetrygen": lambda: test("test_telemetrygen.py", peer_setup.go(CACHE, "telemetrygen")),
    "formats": lambda: [os.path.join(HERE, "formats/run.sh"), BUILD, peer_setup.formats(CACHE)],
}


def main():
    counted = {"passed": 0, "failed": 0, "skipped": 0}
    for family in sys.argv[2:] or FAMILIES:
        began, outcome = time.monotonic(), "passed"
        print(f"== {family}", flush=True)
        try:
            code = subprocess.run(FAMILIES[family](), check=False).returncode
            outcome = "passed" if code == 0 else "skipped" if code == SKIPPED else "failed"
        except peer_setup.Missing as missing:
            print(f"skipped: {missing}")
            outcome = "skipped"
        counted[outcome] += 1
        print(f"== {family}: {outcome} in {time.monotonic() - began:.0f} s", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counted.items()))
    sys.exit(counted["failed"] != 0 or counted["passed"] == 0)


main()
