"""Real disks that fail: a small filesystem on a loop device that is full and has room again, and one that turns read-only under load.

usage: test_disk.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import itertools
import json
import os
import sys
import urllib.error

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, fetch, metric, wait_for  # noqa: E402
from loop_disk import CONFIG_ON_DISK, Disk, gone_at_the_end, run  # noqa: E402
from order_load import Load  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
RULES = "rules:\n" + "".join(f'  - {{name: r{i}, on: webhook, if: body.n > 0, message: "${{body.n}} ${{body.fill}}"}}\n' for i in range(100))
FILL = "x" * 3500
READY = "http://127.0.0.1:9464/readyz"


def start_load(first):
    """Orders, some 360 KB of violations each."""
    return Load(itertools.count(first), fill=FILL, senders=6)


def is_ready():
    try:
        return bool(fetch(READY))
    except urllib.error.HTTPError:
        return False


def check_kept(appliance, loads):
    # An order's violations are one unit of the journal: its first and its last stand for all, which would be half a gigabyte of JSON.
    first, last = ({int(v["message"].split()[0]) for v in appliance.violations("--rule", rule)} for rule in ("r0", "r99"))
    found = first & last
    acknowledged = set().union(*(load.acknowledged for load in loads))
    expect("acknowledged and lost", sorted(acknowledged - found), [])
    return len(acknowledged)


def full_disk(appliance, disk):
    loads = []
    for cycle in range(2):
        filler = disk.fill(3 << 20)
        load = start_load(100000 * (cycle + 1))
        wait_for("the disk is full", lambda: metric("tripline_journal_out_of_space") == 1, 120)
        wait_for("not ready", lambda: not is_ready())
        wait_for("refused with 503", lambda: load.statuses.get(503, 0) > 0, 120)
        expect("the journal has not failed", metric("tripline_journal_failed"), 0)
        status = json.loads(appliance.run_cli("status", "-o", "json").stdout)
        expect("status says it", status["journal"]["out_of_space"], True)
        before = len(load.acknowledged)
        os.unlink(filler)
        wait_for("ready again, without a restart", is_ready, 60)
        wait_for("acknowledged again", lambda: len(load.acknowledged) > before, 60)
        load.stop()
        loads.append(load)
        check_kept(appliance, loads)
    return loads


def read_only(appliance, disk, loads):
    load = start_load(900000)
    wait_for("load", lambda: load.acknowledged)
    with open(f"/sys/fs/ext4/{os.path.basename(disk.device)}/trigger_fs_error", "w", encoding="ascii") as file:
        file.write("tripline")
    wait_for("the journal has failed", lambda: metric("tripline_journal_failed") == 1, 60)
    expect("not ready", is_ready(), False)
    count = len(load.acknowledged)
    refused = load.statuses.get(503, 0)
    wait_for("refused with 503", lambda: load.statuses.get(503, 0) > refused, 60)
    expect("nothing is acknowledged any more", len(load.acknowledged), count)
    load.stop()
    expect_true("the log says what is safe", "which is all that was acknowledged as durable" in appliance.log())
    loads.append(load)


def main():
    appliance = Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG_ON_DISK, {"rules.yaml": RULES})
    disk = Disk(appliance.directory, 4096)  # sparse; more than the load writes
    with gone_at_the_end(appliance, disk):
        appliance.start()
        loads = full_disk(appliance, disk)
        read_only(appliance, disk, loads)
        appliance.stop()
        run("umount", disk.at)
        run("fsck.ext4", "-fy", disk.device)
        expect("mounted again", run("mount", disk.device, disk.at).returncode, 0)
        appliance.start()
        count = check_kept(appliance, loads)
        expect_true("something was acknowledged", count > 0)
        appliance.stop()
    print(f"full twice, read-only once: {count} acknowledged, none lost")


enter_namespace("TRIPLINE_DISK")
main()
