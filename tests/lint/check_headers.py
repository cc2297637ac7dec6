#!/usr/bin/env python3
"""Every header compiles alone, and twice, with the flags and include directories of its own room.

Usage: check_headers.py SOURCE_ROOT BUILD_ROOT. Flags come from the build's compile_commands.json: those of a source file that
includes the header, else of one in its folder, else of any that can see the folder. A header that no file sees yet is named and skipped.
"""
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from source_tree import c_files


class Seer:
    """A source file that is compiled, and the folders whose headers it can see."""

    def __init__(self, command):
        self.command, folder = command, command["directory"]
        self.source = Path(os.path.normpath(os.path.join(folder, command["file"])))
        self.includes = {line.strip() for line in self.source.read_text().splitlines() if line.startswith("#include")}
        self.folders = {self.source.parent} | {Path(os.path.normpath(os.path.join(folder, argument[2:])))
                                               for argument in shlex.split(command["command"]) if argument.startswith("-I")}


def flags(command):
    """The command without its input, output and dependency file."""
    kept, skip = [], False
    for argument in shlex.split(command["command"])[:-1]:
        if skip:
            skip = False
        elif argument in ("-o", "-MF", "-MQ"):
            skip = True
        elif argument not in ("-c", "-MD") and not argument.startswith("-O"):
            kept.append(argument)
    return kept


def command_for(header, seers):
    """The best of those that see the header's folder: of a file in that folder that includes it, or one elsewhere, or neither."""
    includes = f'#include "{header.name}"'

    def rank(seer):
        return (includes in seer.includes, seer.source.parent == header.parent)

    best = max((seer for seer in seers if header.parent in seer.folders), key=rank, default=None)
    return best and best.command


def compile_alone(header, command):
    text = f'#include "{header}"\n#include "{header}"\n'
    arguments = flags(command) + ["-Werror", "-fsyntax-only", "-x", "c", "-"]
    return subprocess.run(arguments, input=text, text=True, capture_output=True, cwd=command["directory"]).stderr


def main():
    root, build = (Path(os.path.realpath(path)) for path in sys.argv[1:3])
    seers = [Seer(c) for c in json.loads((build / "compile_commands.json").read_text()) if c["file"].endswith(".c")]
    jobs, skipped = [], []
    for path in c_files(root, suffixes=(".h",)):
        command = command_for(root / path, seers)
        if command:
            jobs.append((path, command))
        else:
            skipped.append(path)
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda job: compile_alone(root / job[0], job[1]), jobs))
    failed = 0
    for (path, _), output in zip(jobs, outputs):
        if output:
            print(f"{path} does not compile alone:\n{output}")
            failed += 1
    for path in skipped:
        print(f"{path}: skipped, no source file sees it")
    print(f"{len(jobs)} headers, {failed} failed, {len(skipped)} skipped")
    return 1 if failed or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
