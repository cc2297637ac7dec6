"""Cursors on a disk that is full: a change is refused and done later; a sink that is gone does not keep the appliance from going on.

usage: test_cursors_disk.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import itertools
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402
from loop_disk import Disk, gone_at_the_end  # noqa: E402
from management_client import Control, ask  # noqa: E402
from order_load import Load  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
CONFIG = """shards: {{count: 1, idle_sleep: 100us}}
data_dir: disk/data
management: {{socket: ./tripline-data/control.sock}}
rules: {{files: [rules.yaml]}}
journal: {{segment_bytes: 2MiB{retention}}}
webhooks: {{sources: [{{name: orders, kind: json}}]}}
"""
RULES = "rules:\n" + "".join(f'  - {{name: r{i}, on: webhook, if: body.n > 0, message: "${{body.n}} ${{body.fill}}"}}\n' for i in range(20))
FILL = "x" * 3500
NUMBERS = itertools.count(1)


def write_config(retention):
    with open("appliance.yaml", "w", encoding="utf-8") as file:
        file.write(CONFIG.format(retention=retention))


def full_disk(appliance, disk):
    expect("a cursor", ask("PUT", "/v1/cursors/tail", {"lsn": "oldest"})[0], 201)
    filler = disk.fill(3 << 20)
    load = Load(NUMBERS, fill=FILL)
    wait_for("the disk is full", lambda: metric("tripline_journal_out_of_space") == 1, 120)
    control = Control()
    status, answer = control.ask("PUT", "/v1/cursors/tail", {"lsn": "now"})
    expect("a change is refused", (status, answer["code"], control.retry_after), (503, "not_durable", "1"))
    expect("a deletion, too", control.ask("DELETE", "/v1/cursors/tail")[0], 503)
    expect("it stays where it was", control.ask("GET", "/v1/cursors/tail")[1]["lsn"], 0)
    expect("and can be read from", len(control.ask("GET", "/v1/violations?cursor=tail&limit=7")[1]["violations"]), 7)
    os.unlink(filler)
    wait_for("it is done later", lambda: control.ask("PUT", "/v1/cursors/tail", {"lsn": 77})[0] == 200, 60)
    load.stop()
    appliance.kill()
    appliance.start()
    expect("and is durable", ask("GET", "/v1/cursors/tail")[1]["lsn"], 77)


def dead_sink(appliance, disk):
    """Nobody frees the disk: what the sink needs goes, and all is said."""
    status, sink = ask("PUT", "/v1/cursors/dead.sink", {"lsn": "oldest", "kind": "sink"})  # retention may have been there before
    expect("a sink", status, 201)
    load = Load(NUMBERS, fill=FILL)
    wait_for("segments are held", lambda: metric("tripline_journal_retention_cursor_segments") >= 2, 120)
    filler = disk.fill(6 << 20)
    control = Control()  # the metric counts other cursors, too
    wait_for("the sink is overtaken", lambda: control.ask("GET", "/v1/cursors/dead.sink")[1]["lost_records"] > 0, 120)
    before = len(load.acknowledged)
    wait_for("then it goes on by itself", lambda: len(load.acknowledged) > before + 100, 120)
    load.stop()
    expect("the journal has not failed", metric("tripline_journal_failed"), 0)
    expect_true("the log names the sink", "cursor dead.sink has not had LSN" in appliance.log())
    status, told = ask("GET", "/v1/violations?cursor=dead.sink")
    expect("and its reader is told", (status, told["code"], told["gap"]["from"]), (410, "gap", sink["lsn"] + 1))
    appliance.kill()
    appliance.start()
    expect("also after a kill", ask("GET", "/v1/violations?cursor=dead.sink")[0], 410)
    listed = {json.loads(line)["lsn"] for line in
              appliance.run_cli("violations", "tail", "--cursor", "dead.sink", "--count", "50").stdout.splitlines()[1:]}
    expect_true("what is left is read", len(listed) == 50 and min(listed) > told["gap"]["to"])
    os.unlink(filler)


def main():
    appliance = Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG.format(retention=""), {"rules.yaml": RULES})
    disk = Disk(appliance.directory, 512)
    with gone_at_the_end(appliance, disk):
        appliance.start()
        full_disk(appliance, disk)
        expect("exit code", appliance.stop(), 0)
        write_config(", retain_bytes: 8MiB, retain_bytes_hard: 0")
        appliance.start()
        dead_sink(appliance, disk)
        expect("exit code", appliance.stop(), 0)
    print("a full disk: cursors change later; a dead sink gives way")


enter_namespace("TRIPLINE_CURSORS_DISK")
main()
