"""kill -9 at random moments: while the daemon starts and recovers, under load, while it drains. What was answered as durable - webhooks,
signed webhooks, spans - is in the journal's files, nothing is there twice, no LSN is missing, and a signed webhook that is sent again gets
its first answer and has no second effect.

usage: test_kill.py TRIPLINED TRIPLINE SOURCE ROUNDS [SEED]. Runs in a network namespace of its own.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import enter_namespace, expect_true  # noqa: E402
from crash_requests import MAKERS  # noqa: E402
from crash_rounds import CROWD, ORDINARY, CrashRounds, Plan  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
ROUNDS = int(sys.argv[4])
SEED = int(sys.argv[5]) if len(sys.argv) > 5 else int.from_bytes(os.urandom(4), "little")
START_SECONDS, LOAD_SECONDS, LINGER_SECONDS, DRAIN_SECONDS = 0.4, 2, 0.005, 0.15
ACKNOWLEDGED_MOST, CROWD_MOST = 400, 60


def plan_of(chance):
    """Loads are counted in what was acknowledged, so that a round does as much where the machine is busy; the kill is at any moment."""
    kind = chance.random()
    if kind < 0.15:
        return Plan(0, kill_after_start=chance.uniform(0, START_SECONDS))
    crowd, draining = kind < 0.25, kind > 0.9
    return Plan(LOAD_SECONDS, acknowledged=chance.randrange(CROWD_MOST if crowd else ACKNOWLEDGED_MOST), linger_seconds=chance.uniform(0, LINGER_SECONDS),
                drain_seconds=chance.uniform(0, DRAIN_SECONDS) if draining else None, connections=CROWD if crowd else ORDINARY)


def main():
    print("seed", SEED, flush=True)
    with CrashRounds(TRIPLINED, TRIPLINE, SOURCE, SEED) as rounds:
        for _ in range(ROUNDS):
            rounds.run(plan_of(rounds.chance))
        rounds.end_life()
        print(rounds.summary())
        durable = set(MAKERS) - {"relaxed"}
        expect_true("all kinds were acknowledged", ROUNDS < 30 or all(rounds.totals[kind] for kind in durable))


enter_namespace("TRIPLINE_CRASH")
main()
