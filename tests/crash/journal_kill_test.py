#!/usr/bin/env python3
"""kill -9 at random moments: every record acknowledged as durable is there after the restart, none twice, none out of order.

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
LIFE_SECONDS_MAX = 0.15


def last_acknowledged(pipe):
    data = pipe.read()
    whole = len(data) // 8 * 8
    return struct.unpack("<Q", data[whole - 8:whole])[0] if whole else 0


def one_life(writer, directory, seconds):
    """Starts the writer, kills it after `seconds`, returns what it acknowledged last."""
    # A file takes all it says, without a reader that would slow it down.
    with tempfile.TemporaryFile() as acknowledgements:
        process = subprocess.Popen([writer, "write", directory], stdout=acknowledgements)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        status = process.wait()
        if status != -signal.SIGKILL:
            raise SystemExit(SKIP if status == SKIP else f"the writer ended by itself: {status}")
        acknowledgements.seek(0)
        return last_acknowledged(acknowledgements)


def check(writer, directory):
    result = subprocess.run([writer, "check", directory], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"recovery after a kill: {result.stderr.strip()}")
    records, last = map(int, result.stdout.split())
    return records, last


def main():
    writer = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    print(f"rounds {rounds} seed {seed}")
    chance = random.Random(seed)
    directory = tempfile.mkdtemp(prefix="journal-kill-", dir=os.getcwd())
    kept = acknowledged_ever = 0
    try:
        for number in range(rounds):
            acknowledged = one_life(writer, directory, chance.uniform(0, LIFE_SECONDS_MAX))
            acknowledged_ever = max(acknowledged_ever, acknowledged)
            records, last = check(writer, directory)
            if last < acknowledged_ever:
                raise SystemExit(f"round {number}: {acknowledged_ever} was acknowledged, the journal ends at {last}")
            if records != last:
                raise SystemExit(f"round {number}: {records} records end at number {last}")
            kept = last
    finally:
        shutil.rmtree(directory)
    if rounds >= 5 and acknowledged_ever == 0:
        raise SystemExit("nothing was ever acknowledged: the test has tested nothing")
    print(f"{kept} records kept, {acknowledged_ever} acknowledged before a kill, none lost, none twice")


if __name__ == "__main__":
    main()
