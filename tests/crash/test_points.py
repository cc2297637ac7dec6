"""kill -9 at every instrumented point: before and after each kind of I/O of the journal, between its completion, the durable mark and the
answer, in recovery, snapshot, retention, checkpoint and drain; at the first times that the process gets there, and torn writes. Judged as
in test_kill.py.

usage: test_points.py TRIPLINED_AT_POINTS TRIPLINE SOURCE ROUNDS|all [SEED [PART PARTS]]. ROUNDS takes so many of all at random; PART of
PARTS shares `all` between processes. Runs in a network namespace of its own.
"""
import math
import os
import random
import sys
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import enter_namespace, expect, expect_true  # noqa: E402
from crash_points import environment_of, points_of  # noqa: E402
from crash_rounds import CROWD, ORDINARY, CrashRounds, Plan  # noqa: E402

PROGRAM, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
ROUNDS = sys.argv[4]
SEED = int(sys.argv[5]) if len(sys.argv) > 5 else int.from_bytes(os.urandom(4), "little")
PART, PARTS = (int(sys.argv[6]), int(sys.argv[7])) if len(sys.argv) > 7 else (0, 1)
TIMES = {"start": (1, 2, 3), "load": (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 30, 50), "segments": (1, 2, 3, 4, 5, 6, 8), "keeper": (1, 2),
         "drain": (1,)}
# How long a point may take to be reached the first time, and later.
SECONDS = {"start": (0.02, 0.02), "load": (5, 1), "segments": (20, 4), "keeper": (20, 4), "drain": (0.1, 0.1)}
DRAIN_SECONDS = 20
# Segments fill, so that there are new ones, something to snapshot and to remove; less of it than is retained, so that all is read here.
HEAVY, HEAVY_MOST, SEGMENT_MEBIBYTES, RETAINED_MEBIBYTES = {"huge": 8, "signed": 2}, 100, 2, 48
OF_RETENTION, GROW_ROUNDS = ("journal_set_oldest_segment", "violation_store_forget", "journal_remove_segment"), 80


def plan_of(name, when, phase, nth):
    heavy = phase in ("segments", "keeper")
    connections = HEAVY if heavy else CROWD if phase == "load" and nth % 2 == 0 else ORDINARY
    return Plan(SECONDS[phase][nth > 1], acknowledged_most=HEAVY_MOST if heavy else math.inf, drain_seconds=DRAIN_SECONDS, connections=connections,
                environment=environment_of(name, when, nth))


# A torn tail is cut by the next start.
TEAR = Plan(SECONDS["load"][0], drain_seconds=DRAIN_SECONDS, connections=CROWD, environment=environment_of("submit_write_durable", "torn", 3))


def grow(rounds):
    """Until nearly as much is kept as may be. A new life may begin meanwhile."""
    for _ in range(GROW_ROUNDS):
        if len(os.listdir("tripline-data/journal")) * SEGMENT_MEBIBYTES >= RETAINED_MEBIBYTES:
            return
        rounds.run(Plan(SECONDS["keeper"][0], acknowledged=HEAVY_MOST, connections=HEAVY))
    sys.exit(f"the journal does not grow: {os.listdir('tripline-data/journal')}")


def run_point(rounds, point, reached):
    """The first times of a point, until it is not reached any more."""
    name, when, phase = point
    if name in OF_RETENTION:
        grow(rounds)
    for nth in TIMES[phase]:
        if name == "write_sync":
            rounds.run(TEAR)
        end = rounds.run(plan_of(name, when, phase, nth))
        if end == "drained":
            return
        expect(f"{name} {when} {nth}", end in ("by itself", "draining"), True)
        reached[point] += 1


def main():
    print("seed", SEED, flush=True)
    chance, reached = random.Random(SEED), Counter()
    mine = points_of(PROGRAM, *TIMES)
    expect_true("there are points", len(mine) > 100)
    with CrashRounds(PROGRAM, TRIPLINE, SOURCE, SEED, (SEGMENT_MEBIBYTES,), (RETAINED_MEBIBYTES,)) as rounds:
        if ROUNDS == "all":
            mine = mine[PART::PARTS]
            for point in mine:
                run_point(rounds, point, reached)
            never = [" ".join(point) for point in mine if not reached[point]]
            expect("points that were never reached", never, [])
        else:
            for _ in range(int(ROUNDS)):
                name, when, phase = chance.choice([point for point in mine if point[2] in ("start", "load", "drain")])
                end = rounds.run(plan_of(name, when, phase, chance.choice(TIMES[phase][:3])))
                reached[name, when, phase] += end != "drained"
            expect_true("points were reached", int(ROUNDS) < 3 or sum(reached.values()) > 0)
        rounds.end_life()
        print(rounds.summary())
    print(f"{sum(reached.values())} kills at {len(+reached)} points")


enter_namespace("TRIPLINE_CRASH_POINTS")
main()
