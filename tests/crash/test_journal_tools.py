"""`tripline journal` on a real journal, beside a running daemon and without one: flush, info, verify, dump, export, damage, salvage,
and a daemon that goes on with what was salvaged.

usage: test_journal_tools.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import csv
import http.client
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
CONFIG = """shards: {count: 1, idle_sleep: 100us}
rules: {files: [rules.yaml]}
journal:
  segment_bytes: 2MiB
  signing: {key_id: k1, key_file: private.pem, interval: 200ms}
webhooks:
  sources:
    - {name: orders, kind: json}
    - {name: relaxed, kind: json, durability: relaxed}
"""
RULES = """rules:
  - {name: order, on: webhook, if: body.n > 0, severity: high, message: "${body.n}, \\"quoted\\""}
"""
OK, FAILED, USAGE = range(3)
PUBLIC = ("--key", "k1=public.pem")


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True).stdout


def new_key():
    """Private and public half, as an operator makes them."""
    private = openssl("genpkey", "-algorithm", "ed25519")
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=private, capture_output=True, text=True, check=True).stdout
    return private, public


def post(path, number, wanted):
    connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=60)
    connection.request("POST", path, json.dumps({"n": number}), {"Content-Type": "application/json"})
    expect("an order", connection.getresponse().status, wanted)
    connection.close()


def journal(appliance, *arguments, code=OK):
    result = appliance.run_cli("journal", *arguments, text=True)
    expect(f"exit code of journal {arguments}: {result.stderr}", result.returncode, code)
    return result


def online(appliance):
    for number in range(1, 11):
        post("/webhook/orders", number, 200)
    post("/webhook/relaxed", 11, 202)
    flushed = json.loads(journal(appliance, "flush", "-o", "json").stdout)["durable_lsn"]
    info = json.loads(journal(appliance, "info", "-o", "json").stdout)
    expect("what is durable is in the files", info["last_lsn"] >= flushed, True)
    expect("version", info["version"], 2)
    expect_true("chained", info["hash_chain"])
    listed = [v["message"] for v in appliance.violations()]
    expect_true("a relaxed webhook is there after a flush", '11, "quoted"' in listed)
    verified = json.loads(journal(appliance, "verify", "-o", "json").stdout)
    expect("no damage", (verified["damages"], verified["torn_tail_bytes"]), (0, 0))
    expect_true("the chain has an end", len(verified["hash_chain_end"]) == 64)
    status = json.loads(appliance.run_cli("status", "-o", "json").stdout)
    signed = wait_signed(appliance, flushed)
    expect_true(f"signed: {signed}", signed["checkpoints_verified"] > 0 and signed["checkpoints_wrong"] == 0)
    expect("without the key none is verified", verified["checkpoints_verified"], 0)
    expect_true("status tells what may be lost", "100 ms" in status["durability"]["relaxed"]["loss_window"])
    expect("answers that waited", status["durability"]["strict"]["park"]["answers"], 10)
    return appliance.violations()


def wait_signed(appliance, lsn):
    """Until the journal is signed up to there; verified by the public half alone."""
    found = {}

    def signed():
        found.update(json.loads(journal(appliance, "verify", *PUBLIC, "-o", "json").stdout))
        return (found["signed_lsn"] or 0) >= lsn

    wait_for("a checkpoint", lambda: appliance.run_cli("journal", "verify", *PUBLIC).returncode == OK, 20)
    wait_for("all is signed", signed, 20)
    return found


def rotate(appliance, other):
    """A new key in the old one's file: after SIGHUP its public half is needed, too."""
    with open("private.pem", "w", encoding="ascii") as file:
        file.write("no key\n")
    os.kill(appliance.process.pid, signal.SIGHUP)
    wait_for("the refusal", lambda: "the signing key before stays in force" in appliance.log())
    with open("private.pem", "w", encoding="ascii") as file:
        file.write(other[0])
    with open("other.pem", "w", encoding="ascii") as file:
        file.write(other[1])
    before = metric("tripline_journal_checkpoints_total")
    os.kill(appliance.process.pid, signal.SIGHUP)
    time.sleep(0.5)
    post("/webhook/orders", 12, 200)
    wait_for("another checkpoint", lambda: metric("tripline_journal_checkpoints_total") > before)
    refused = journal(appliance, "verify", "--key", "k1=other.pem", code=FAILED)
    expect_true("the first is not of the new key", "first wrong checkpoint: LSN" in refused.stderr)
    refused = journal(appliance, "verify", *PUBLIC, code=FAILED)
    expect_true("the last is not of the old key", "the signature of key k1 does not hold" in refused.stderr)
    journal(appliance, "verify", *PUBLIC, "--key", "k1=other.pem")
    journal(appliance, "verify", "--key", "k9=public.pem", code=FAILED)
    journal(appliance, "verify", "--key", "public.pem", code=USAGE)


def offline(appliance, violations):
    lines = journal(appliance, "export").stdout.splitlines()
    expect("export says what the API says", [json.loads(line) for line in lines], list(reversed(violations)))
    rows = list(csv.DictReader(io.StringIO(journal(appliance, "export", "--format", "csv").stdout)))
    expect("CSV", [(row["message"], int(row["lsn"])) for row in rows], [(v["message"], v["lsn"]) for v in reversed(violations)])
    expect("filters", journal(appliance, "export", "--severity", "low").stdout, "")
    expect("limit", len(journal(appliance, "export", "--limit", "3").stdout.splitlines()), 3)
    dump = [json.loads(line) for line in journal(appliance, "dump").stdout.splitlines()]
    expect("every LSN", [record["lsn"] for record in dump], list(range(1, len(dump) + 1)))
    signed = json.loads(journal(appliance, "verify", *PUBLIC, "--key", "k1=other.pem", "-o", "json").stdout)
    expect("the stop signed all before its own record", (signed["signed_lsn"], dump[-1]["type"]), (len(dump) - 1, "checkpoint"))
    expect("types", {"violation", "webhook", "rules_commit"} <= {record["type"] for record in dump}, True)
    change = next(record["rules"] for record in dump if "rules" in record)
    expect("who changed the rules, and what", (change["action"], change["by"], change["rules"][0]["name"], change["rules"][0]["version"]),
           ("start", "rules.files", "order", 1))
    webhook = next(record for record in dump if record["type"] == "webhook")
    expect("a webhook", (webhook["webhook"]["source"], webhook["webhook"]["status"]), ("orders", 200))
    journal(appliance, "dump", "--from", "x", code=USAGE)
    journal(appliance, "salvage", code=USAGE)
    journal(appliance, "verify", "--dir", "/nowhere", code=FAILED)
    return dump


def damage_and_salvage(appliance, dump):
    segment = "tripline-data/journal/journal-0000000000000001.seg"
    victim = dump[len(dump) // 2]
    with open(segment, "r+b") as file:
        file.seek(victim["batch_offset"] + 200)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xff]))
    refused = subprocess.run([TRIPLINED, "--config", "appliance.yaml"], capture_output=True, text=True, timeout=60, check=False)
    place = f"journal-0000000000000001.seg: offset {victim['batch_offset']}"
    expect_true(f"the daemon names the place: {refused.stderr[-500:]}", refused.returncode == 3 and place in refused.stderr)
    verified = journal(appliance, "verify", code=FAILED)
    expect_true(f"verify names the place: {verified.stderr}", "first break: " + place in verified.stderr)
    report = json.loads(journal(appliance, "verify", "-o", "json", code=FAILED).stdout)["first_damage"]
    lost = set(range(report["first_lost_lsn"], report["last_lost_lsn"] + 1))
    expect_true("the lost records are named", victim["lsn"] in lost)
    os.makedirs("salvaged")
    journal(appliance, "salvage", "--to", "salvaged/journal")
    journal(appliance, "salvage", "--to", "salvaged/journal", code=FAILED)
    shutil.rmtree("tripline-data/journal")
    os.rename("salvaged/journal", "tripline-data/journal")
    return lost


def main():
    os.umask(0o077)
    private, public = new_key()
    files = {"rules.yaml": RULES, "private.pem": private, "public.pem": public}
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, files) as appliance:
        online(appliance)
        rotate(appliance, new_key())
        post("/webhook/orders", 13, 200)
        wait_for("it is listed", lambda: any('13, "quoted"' in violation["message"] for violation in appliance.violations()))
        violations = appliance.violations()
        expect("it ends", appliance.stop(), 0)
        lost = damage_and_salvage(appliance, offline(appliance, violations))
        appliance.start()
        kept = [v["id"] for v in violations if v["lsn"] not in lost]
        expect("what was salvaged is asked for", [v["id"] for v in appliance.violations()], kept)
        post("/webhook/orders", 12, 200)
        journal(appliance, "verify")
        time.sleep(0.1)
    print("journal tools: online, offline, damaged, salvaged")


enter_namespace("TRIPLINE_TOOLS")
main()
