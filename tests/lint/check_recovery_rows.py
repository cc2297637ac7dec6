"""Every row of the recovery tables in docs/journal-format.md has a case in test_journal_recovery.c that names it, and the other way
round; rows are numbered without gaps.

check_recovery_rows.py ROOT | --self-test
"""
import re
import sys
from pathlib import Path

DOCUMENT = "docs/journal-format.md"
TEST = "tests/unit/journal/test_journal_recovery.c"


def rows_of(document):
    section = document.split("\n## Recovery\n", 1)[-1].split("\n## ", 1)[0]
    return re.findall(r"^\| ([A-Z]\d+) \|", section, re.MULTILINE)


def cases_of(test):
    table = re.search(r"struct row rows\[\] = \{(.*?)\n\};", test, re.DOTALL)
    return {row for shows in re.findall(r'^    \{"([^"]*)"', table.group(1) if table else "", re.MULTILINE) for row in shows.split()}


def complaints(document, test):
    rows, cases = rows_of(document), cases_of(test)
    found = [] if rows else ["there are no numbered rows"]
    for letter in sorted({row[0] for row in rows}):
        numbers = [int(row[1:]) for row in rows if row[0] == letter]
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"rows {letter} are not numbered one after another: {numbers}")
    found += [f"row {row} has no case in {TEST}" for row in rows if row not in cases]
    found += [f"a case shows row {case}, which {DOCUMENT} does not have" for case in sorted(cases - set(rows))]
    return found


def self_test():
    document = "# x\n## Recovery\n| row | what |\n|---|---|\n| S1 | a |\n| S2 | b |\n## Next\n| S9 | no |\n"
    test = 'static const struct row rows[] = {\n    {"S1", "x"},\n    {"S2 S1", "y"},\n};\n'
    assert complaints(document, test) == []
    assert complaints(document, test.replace("S2 ", ""))
    assert complaints(document, test.replace("S2 S1", "S2 S3"))
    assert complaints(document.replace("| S2 |", "| S3 |"), test.replace("S2", "S3"))
    assert complaints("", test)


def main():
    if sys.argv[1] == "--self-test":
        self_test()
        return 0
    root = Path(sys.argv[1])
    found = complaints((root / DOCUMENT).read_text(), (root / TEST).read_text())
    print("\n".join(found))
    return 1 if found else 0


sys.exit(main())
