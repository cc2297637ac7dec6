#!/usr/bin/env python3
"""Every row of docs/tcp-profile.md names a test that exists, and every packet script stands behind a row.

`--self-test` proves that planted offenders are caught.
"""
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

# What a test cell may name besides scripts and unit tests.
OTHERS = {"fuzz_frame", "fuzz_connections", "test_peers"}
NAME = re.compile(r"[a-z0-9_*]+")


def rows(profile):
    """(line number, test cell) of the first table's rows."""
    table = profile.split("\n## ", 1)[0]
    for number, line in enumerate(table.split("\n"), 1):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 4 or cells[0] == "item" or set(cells[0]) == {"-"} or not cells[1]:
            continue
        yield number, cells[3]


def offenders(profile, scripts, units):
    found, used = [], set()
    for number, cell in rows(profile):
        names = NAME.findall(cell.replace(".pkt", " ").replace("interop", " "))
        if not names:
            found.append(f"line {number}: no test is named")
        for name in names:
            matches = {script for script in scripts if fnmatchcase(script, name)}
            used |= matches
            if not matches and name not in units and name not in OTHERS:
                found.append(f"line {number}: there is no {name}")
    return found + [f"{script}.pkt stands behind no row" for script in sorted(scripts - used)]


def self_test():
    profile = "| item | state | effect | test |\n|---|---|---|---|\n| **A** | | | |\n| a | done | - | one, two_*.pkt, test_x |\n"
    assert not offenders(profile, {"one", "two_a"}, {"test_x"})
    assert offenders(profile, {"one", "two_a", "three"}, {"test_x"}) == ["three.pkt stands behind no row"]
    assert offenders(profile, {"one"}, {"test_x"}) == ["line 4: there is no two_*"]
    assert offenders(profile.replace("one, two_*.pkt, test_x", "-"), set(), set()) == ["line 4: no test is named"]


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    root = Path(sys.argv[1])
    scripts = {path.stem for path in (root / "tests/packet").glob("*.pkt")}
    units = {path.stem for path in (root / "tests/unit/net").glob("test_*.c")}
    found = offenders((root / "docs/tcp-profile.md").read_text(encoding="utf-8"), scripts, units)
    for offender in found:
        print(f"docs/tcp-profile.md: {offender}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
