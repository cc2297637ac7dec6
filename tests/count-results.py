"""Adds up meson's test logs: one plain line at the end, counted over all suites."""
import json
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
passed = failed = skipped = 0
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            if test["result"] in PASSED:
                passed += 1
            elif test["result"] == "SKIP":
                skipped += 1
                print("skipped:", test["name"], (test.get("stdout") or "").strip().splitlines()[-1:])
            else:
                failed += 1
                print("failed:", test["name"], test["result"])
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed != 0 or passed == 0)
