#!/usr/bin/env python3
"""kill -9 at random moments, recovery included, of a process that is only a journal: every record of every ring that was acknowledged as
durable is there after the restart, none twice, none out of order, and what was published together is there as a whole.

usage: journal_kill_test.py WRITER_PROGRAM [rounds] [seed]
"""
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

SKIP = 77
RINGS = 3
LIFE_SECONDS_MAX = 0.1
DIRECTORY_ROUNDS = 50  # then another one: each recovery reads all of it
TOLD = struct.Struct(f"<{RINGS}Q")


def last_told(pipe):
    data = pipe.read()
    whole = len(data) // TOLD.size * TOLD.size
    return TOLD.unpack_from(data, whole - TOLD.size) if whole else (0,) * RINGS


def one_life(writer, directory, seconds, seed):
    """Starts the writer, kills it after `seconds`, returns what it acknowledged last."""
    # A file takes all it says, without a reader that would slow it down.
    with tempfile.TemporaryFile() as acknowledgements:
        process = subprocess.Popen([writer, "write", directory, str(seed)], stdout=acknowledgements)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        status = process.wait()
        if status != -signal.SIGKILL:
            raise SystemExit(SKIP if status == SKIP else f"the writer ended by itself: {status}")
        acknowledgements.seek(0)
        return last_told(acknowledgements)


def check(writer, directory):
    result = subprocess.run([writer, "check", directory], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"recovery after a kill: {result.stderr.strip()}")
    records, *last = map(int, result.stdout.split())
    return records, last


def one_directory(writer, rounds, chance, directory):
    """Returns records kept and acknowledged."""
    acknowledged, records = [0] * RINGS, 0
    for number in range(rounds):
        told = one_life(writer, directory, chance.uniform(0, LIFE_SECONDS_MAX), chance.randrange(1 << 32))
        acknowledged = [max(before, now) for before, now in zip(acknowledged, told)]
        # Every other time the next life recovers it, and may be killed while it does.
        if number % 2 and number + 1 < rounds:
            continue
        records, last = check(writer, directory)
        lost = [(wanted, found) for wanted, found in zip(acknowledged, last) if found < wanted]
        if lost:
            raise SystemExit(f"round {number}: acknowledged, and where the ring ends: {lost}")
        if records != sum(last):
            raise SystemExit(f"round {number}: {records} records, the rings end at {last}")
    return records, sum(acknowledged)


def main():
    writer = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    print(f"rounds {rounds} seed {seed}", flush=True)
    chance, kept, acknowledged = random.Random(seed), 0, 0
    for done in range(0, rounds, DIRECTORY_ROUNDS):
        directory = tempfile.mkdtemp(prefix="journal-kill-", dir=os.getcwd())
        try:
            found = one_directory(writer, min(DIRECTORY_ROUNDS, rounds - done), chance, directory)
        except SystemExit as failure:
            if failure.code == SKIP:
                shutil.rmtree(directory)
            else:
                print(f"kept: {directory}")
            raise
        shutil.rmtree(directory)
        kept, acknowledged = kept + found[0], acknowledged + found[1]
    if rounds >= 5 and acknowledged == 0:
        raise SystemExit("nothing was ever acknowledged: the test has tested nothing")
    print(f"{rounds} rounds of the journal alone: {kept} records kept, {acknowledged} acknowledged before a kill, none lost, none twice")


if __name__ == "__main__":
    main()
