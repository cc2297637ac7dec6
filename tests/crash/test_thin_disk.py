"""A disk that promised more than it has: an ext4 in a sparse file on a small tmpfs, so that under load a durable write of
the journal fails. What is answered, shown and kept from then on; and that nothing acknowledged is missing after a restart on the mended disk.

usage: test_thin_disk.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import datetime
import http.client
import json
import os
import sys
import tempfile
import threading
import time
import urllib.error

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, fetch, metric, wait_for  # noqa: E402
from loop_disk import CONFIG_ON_DISK, SKIP, gone_at_the_end, run  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
RULES = """rules:
  - {name: order, on: webhook, if: body.n > 0, message: "${body.n} ${body.fill}"}
  - {name: slow, on: span, if: name = "checkout", message: slow}
"""
SPANS = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "01" * 16, "spanId": "02" * 8, "name": "checkout"}]}]}]}
READY = "http://127.0.0.1:9464/readyz"
PROMISED_MIB, FULL_MIB = 256, 16


class ThinDisk:
    def __init__(self, directory):
        self.store, self.at = tempfile.mkdtemp(prefix="tripline-thin-"), os.path.join(directory, "disk")
        self.image, self.device = os.path.join(self.store, "image"), ""
        os.makedirs(self.at)
        steps = (("mount", "-t", "tmpfs", "-o", f"size={FULL_MIB}m", "tmpfs", self.store), ("truncate", "-s", f"{PROMISED_MIB}M", self.image),
                 ("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", self.image), ("losetup", "--find", "--show", self.image))
        done = None
        for step in steps:
            done = run(*step)
            if done.returncode != 0:
                self.skip(done)
        self.device = done.stdout.strip()
        mounted = run("mount", "-o", "errors=continue", self.device, self.at)
        if mounted.returncode != 0:
            self.skip(mounted)

    def skip(self, done):
        print("loop devices or mounts are not permitted here: skipped:", done.stderr.strip())
        self.close()
        sys.exit(SKIP)

    def mend(self):
        # Room first: unmounting writes what is dirty. The kernel lets go of an io_uring's files some time after its process.
        expect("the store has room", run("mount", "-o", f"remount,size={2 * PROMISED_MIB}m", self.store).returncode, 0)
        wait_for("unmounted", lambda: run("umount", self.at).returncode == 0)
        run("fsck.ext4", "-fy", self.device)
        expect("mounted again", run("mount", self.device, self.at).returncode, 0)

    def close(self):
        run("umount", "-l", self.at)
        if self.device:
            run("losetup", "-d", self.device)
        run("umount", "-l", self.store)
        os.rmdir(self.store)


def post(port, path, body):
    connection = http.client.HTTPConnection("10.86.0.2", port, timeout=5)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("Retry-After"), said


class Watch:
    """When /readyz was last asked and still said that all is well."""

    def __init__(self):
        self.ended, self.last_good = threading.Event(), 0.0
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while not self.ended.is_set():
            asked = time.time()
            try:
                fetch(READY)
                self.last_good = asked
            except OSError:
                pass
            time.sleep(0.005)


def send_until_refused(acknowledged):
    """Orders of some 3 KB until the journal has failed; how many were answered 200."""
    for number in range(1, 100000):
        status, retry_after, said = post(8080, "/webhook/orders", {"n": number, "fill": "x" * 3000})
        if status == 200:
            acknowledged.add(number)
        elif status == 503:
            expect_true("503 says when to come back", retry_after)
            if "journal has failed" in said:
                return
    sys.exit("the disk never failed")


def check_told(appliance, watch, count):
    status = json.loads(appliance.run_cli("status", "-o", "json").stdout)
    journal, failure = status["journal"], status["journal"]["failure"]
    expect("not ready", (status["ready"], journal["failed"]), (False, True))
    expect_true(f"its error: {failure['error']}", failure["error"] in ("Input/output error", "No space left on device"))
    expect_true("what was being done", failure["operation"])
    expect_true("in which file", failure["file"].startswith("journal-0"))
    expect("what is safe", failure["safe_lsn"], journal["durable_lsn"])
    expect_true("all that was acknowledged is", failure["safe_lsn"] >= 2 * count)
    since = datetime.datetime.fromisoformat(failure["since"][:26].rstrip("Z") + "+00:00").timestamp()
    expect_true(f"ready for {watch.last_good - since:.3f} s after the failure", watch.last_good - since < 0.1)
    try:
        fetch(READY)
        sys.exit("/readyz is good")
    except urllib.error.HTTPError as refusal:
        said = refusal.read().decode()
        for part in (failure["error"], failure["file"], f"safe up to LSN {failure['safe_lsn']}"):
            expect_true(f"/readyz says {part}: {said}", part in said)
            expect_true(f"the log says {part}", part in appliance.log())
    return failure["safe_lsn"]


def check_goes_on(safe_lsn):
    """No acknowledgement, and spans are judged and counted: raised = durable + pending + shed."""
    before, shed = metric("tripline_spans_evaluated_total"), metric("tripline_violations_shed_total", reason="journal_failed")
    for _ in range(200):
        status, retry_after, _ = post(4318, "/v1/traces", SPANS)
        expect("spans", (status, retry_after), (503, "1"))
        expect("orders", post(8080, "/webhook/orders", {"n": 1, "fill": ""})[0], 503)
    expect("judged", metric("tripline_spans_evaluated_total") - before, 200)
    wait_for("shed", lambda: metric("tripline_violations_shed_total", reason="journal_failed") - shed == 200)
    emitted, durable = metric("tripline_violations_emitted_total"), metric("tripline_violations_durable_total")
    expect("conserved", emitted, durable + metric("tripline_violations_pending") + shed + 200)
    expect("nothing is durable any more", metric("tripline_journal_durable_lsn"), safe_lsn)


def main():
    appliance = Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG_ON_DISK, {"rules.yaml": RULES})
    disk = ThinDisk(appliance.directory)
    acknowledged = set()
    with gone_at_the_end(appliance, disk):
        appliance.start()
        watch = Watch()
        send_until_refused(acknowledged)
        wait_for("the journal has failed", lambda: metric("tripline_journal_failed") == 1)
        time.sleep(0.2)
        watch.ended.set()
        watch.thread.join()
        safe_lsn = check_told(appliance, watch, len(acknowledged))
        check_goes_on(safe_lsn)
        appliance.stop()
        disk.mend()
        appliance.start()
        found = {int(v["message"].split()[0]) for v in appliance.violations("--rule", "order")}
        expect("acknowledged and lost", sorted(acknowledged - found), [])
        expect_true("something was acknowledged", acknowledged)
        appliance.stop()
    print(f"failed after {len(acknowledged)} acknowledged, none lost")


enter_namespace("TRIPLINE_THIN_DISK")
main()
