#!/usr/bin/env python3
"""Golden output of `tripline rules test|backtest|explain`: each NAME.case holds arguments, NAME.expected what they print.

Usage: run_golden.py TRIPLINE. With UPDATE_GOLDEN=1 the expected files are written anew. Runs in its own folder, without a daemon.
"""
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What depends on the machine, or on the size of a structure.
MASKS = [(re.compile(r"\d+\.\d+ ns (an event|a match)"), r"N ns \1"),
         (re.compile(r'("ns_per_\w+": )\d+\.\d+(e[+-]?\d+)?'), r"\1N"),
         (re.compile(r"\d+ bytes of its own"), "N bytes of its own"),
         (re.compile(r"\d+ in pattern databases"), "N in pattern databases"),
         (re.compile(r'("\w+_bytes_\w+": )\d+'), r"\1N")]


def output_of(tripline, arguments):
    environment = {"PATH": "/nonexistent", "TRIPLINE_SOCKET": "./no-daemon.sock"}
    environment.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
    done = subprocess.run([tripline, *arguments], cwd=HERE, env=environment, capture_output=True, text=True, timeout=120)
    text = f"exit {done.returncode}\n--- stdout\n{done.stdout}--- stderr\n{done.stderr}"
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text


def main():
    tripline = os.path.abspath(sys.argv[1])
    cases = sorted(HERE.glob("*.case"))
    print(f"1..{len(cases)}")
    failed = 0
    for number, case in enumerate(cases, 1):
        actual = output_of(tripline, shlex.split(case.read_text()))
        expected = case.with_suffix(".expected")
        if os.environ.get("UPDATE_GOLDEN"):
            expected.write_text(actual)
        good = expected.exists() and expected.read_text() == actual
        print(f"{'ok' if good else 'not ok'} {number} - {case.stem}")
        if not good:
            failed += 1
            print("\n".join("# " + line for line in actual.splitlines()))
    return 1 if failed or not cases else 0


sys.exit(main())
