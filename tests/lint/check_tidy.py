#!/usr/bin/env python3
"""No file over 800 lines and no function over 70, in the product's own code.

Relies on clang-format: a definition starts in column 0 and its closing brace stands alone there. `--self-test` proves that
planted offenders are caught.
"""
import sys
import tempfile
from pathlib import Path

from source_tree import c_files

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
FOLDERS = ("dataplane", "drivers", "control")


def functions(lines):
    """(name, first line, line count) of each function definition."""
    start, head = None, ""
    body = False
    continued = False
    for number, line in enumerate(lines, 1):
        macro, continued = continued or line.startswith("#"), line.endswith("\\")
        if macro:
            continue
        if body:
            if line.startswith("}"):
                if start:
                    yield head.split("(")[0].split()[-1].lstrip("*"), start, number - start + 1
                start, head, body = None, "", False
            continue
        if not line or line.startswith(("/", " *", "*")):
            continue
        if not line[0].isspace() and line[0] not in "{}":
            start, head = number, ""
        if start is None:
            continue
        head += " " + line.strip()
        if line.rstrip().endswith("{"):
            body = True
            # Types and tables have a brace in column 0 too.
            if "(" not in head or "=" in head.split("(")[0] or head.split("(")[0].split()[0] == "typedef":
                start = None
        elif line.rstrip().endswith((";", "}")):
            start, head = None, ""


def offenders(root):
    found = []
    for path in c_files(root, FOLDERS):
        lines = (Path(root) / path).read_text().splitlines()
        if len(lines) > FILE_LINES_MAX:
            found.append(f"{path}: {len(lines)} lines, {FILE_LINES_MAX} at most")
        for name, start, count in functions(lines):
            if count > FUNCTION_LINES_MAX:
                found.append(f"{path}:{start}: {name}: {count} lines, {FUNCTION_LINES_MAX} at most")
    return found


def function_text(head, lines):
    return head + " {\n" + "  work();\n" * (lines - 2) + "}\n"


def self_test():
    cases = {
        "long.c": ("int a;\n" * 801, True),
        "full.c": ("int a;\n" * 800, False),
        "function.c": (function_text("static int f(void)", 71), True),
        "at_most.c": (function_text("static int f(void)", 70) + function_text("void g(int a)", 70), False),
        "two_lines.c": (function_text("struct s *f(int a,\n            int b)", 70), True),
        "after_table.c": ("static const int t[] = {\n    1,\n};\nint one(void) { return 1; }\n" + function_text("int f(void)", 71), True),
        "table.c": ("static const int t[] = {\n" + "    1,\n" * 100 + "};\nstruct s {\n" + "  int a;\n" * 100 + "};\n", False),
        "macro.c": ("#define A(x) \\\n  do { \\\n" + "    x; \\\n" * 100 + "  } while (0)\n" + function_text("int f(void)", 60), False),
    }
    failed = 0
    for name, (text, refused) in cases.items():
        with tempfile.TemporaryDirectory() as root:
            path = Path(root) / "control" / name
            path.parent.mkdir()
            path.write_text(text)
            if bool(offenders(root)) != refused:
                print(name, "not caught" if refused else f"refused: {offenders(root)}")
                failed += 1
    return failed


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    found = offenders(sys.argv[1])
    print("\n".join(found) if found else "files and functions are short enough")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
