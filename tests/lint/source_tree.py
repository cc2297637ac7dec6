"""The project's own C files, for the checks beside this file."""
from pathlib import Path

SOURCE_FOLDERS = ("dataplane", "drivers", "control", "tests", "perf")


def c_files(root, folders=SOURCE_FOLDERS, suffixes=(".c", ".h")):
    """Paths relative to `root`, sorted."""
    root = Path(root)
    found = []
    for folder in folders:
        found += [path.relative_to(root) for path in (root / folder).rglob("*") if path.suffix in suffixes]
    return sorted(found)
