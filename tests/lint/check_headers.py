#!/usr/bin/env python3
"""Every header compiles alone, and twice, with the flags and include directories of its own room.

Usage: check_headers.py SOURCE_ROOT BUILD_ROOT. Flags come from the build's compile_commands.json: those of a source file in the
header's folder, else of any file that can see the folder. A header that no file sees yet is named and skipped.
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


def command_for(header, commands):
    def source_of(command):
        return Path(os.path.normpath(Path(command["directory"]) / command["file"]))

    for command in commands:
        if source_of(command).parent == header.parent:
            return command
    for command in commands:
        if header.parent in include_folders(command):
            return command
    return None


def compile_alone(header, command):
    text = f'#include "{header}"\n#include "{header}"\n'
    arguments = flags(command) + ["-Werror", "-fsyntax-only", "-x", "c", "-"]
    return subprocess.run(arguments, input=text, text=True, capture_output=True, cwd=command["directory"]).stderr


def main():
    root, build = (Path(os.path.realpath(path)) for path in sys.argv[1:3])
    commands = json.loads((build / "compile_commands.json").read_text())
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
