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


def include_folders(command):
    folder = Path(command["directory"])
    for argument in shlex.split(command["command"]):
        if argument.startswith("-I"):
            yield Path(os.path.normpath(folder / argument[2:]))


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


def source_of(command):
    return Path(os.path.normpath(Path(command["directory"]) / command["file"]))


def command_for(header, commands):
    """The best of those that see the header's folder: of a file in that folder that includes it, or one elsewhere, or neither."""
    includes = f'#include "{header.name}"'

    def rank(command):
        source = source_of(command)
        return (includes in source.read_text(), source.parent == header.parent)

    seeing = [c for c in commands if header.parent == source_of(c).parent or header.parent in include_folders(c)]
    return max(seeing, key=rank, default=None)


def compile_alone(header, command):
    text = f'#include "{header}"\n#include "{header}"\n'
    arguments = flags(command) + ["-Werror", "-fsyntax-only", "-x", "c", "-"]
    return subprocess.run(arguments, input=text, text=True, capture_output=True, cwd=command["directory"]).stderr


def main():
    root, build = (Path(os.path.realpath(path)) for path in sys.argv[1:3])
    commands = [c for c in json.loads((build / "compile_commands.json").read_text()) if source_of(c).suffix == ".c"]
    jobs, skipped = [], []
    for path in c_files(root, suffixes=(".h",)):
        command = command_for(root / path, commands)
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
