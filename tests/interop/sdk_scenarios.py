"""What every SDK must come through: spans counted one by one, partial success, overload, a drain in the middle of its traffic, and a
bad wire. The programs in peers/ share one plan and one report (tests/interop/README.md)."""
import base64
import datetime
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, ask_neighbours_again, expect, expect_true, metric, wait_for  # noqa: E402
from conservation_laws import check_laws  # noqa: E402
from held_thread import held_thread  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = "rules: {files: [rules.yaml]}\n"
DURABLE = BASE + ("traces: {idle: 2s}\n"
                  "shards: {count: 2}\nlisteners: {otlp_http: {acknowledge: durable}, otlp_grpc: {acknowledge: durable}}\n")
ONE_SHARD = BASE + "shards: {count: 1}\n"
# A lost SYN holds a batch up for seconds: no trace is complete before.
IMPAIRED = BASE + ("traces: {idle: 10s}\nshards: {count: 2}\nports: [{name: trip, kind: embedded, "
                   "impairment: {loss: 5%, duplicate: 2%, reorder: 5%, delay: 2ms, seed: 21}}]\n")
ENDPOINTS = {"grpc": "10.86.0.2:4317", "http/protobuf": "10.86.0.2:4318", "http/json": "10.86.0.2:4318", "zipkin": "10.86.0.2:9411"}


class Peer:
    """How one SDK is run, and what it is known to do."""

    def __init__(self, name, command, protocols, retries=lambda protocol: True, partial_log=None, only_counted=()):
        self.name, self.command, self.protocols = name, command, protocols
        self.retries = retries
        self.only_counted = list(only_counted)  # further (protocol, compression), without OTLP's answers
        self.partial_log = partial_log  # None: it takes a partial success for a success and says nothing
        self.seq = 0

    def plan(self, protocol, compression, traces, **changes):
        """Each plan's marks are its own."""
        plan = {"protocol": protocol, "compression": compression, "endpoint": ENDPOINTS[protocol], "first": self.seq, "traces": traces,
                "bad": 0, "batch": 512, "mark_every": 10, "skip_every": 20, "pace_ms": 0, "timeout_s": 30, **changes}
        self.seq += traces
        return plan

    def start(self, plan):
        log = open("peer.log", "w+", encoding="utf-8", errors="replace")
        return subprocess.Popen([*self.command, json.dumps(plan)], stdout=subprocess.PIPE, stderr=log, text=True), log

    def finish(self, started):
        """What the SDK was told, and its log."""
        process, log = started
        output = process.communicate(timeout=180)[0]
        log.seek(0)
        text = log.read()
        log.close()
        if process.returncode != 0 or not output:
            sys.exit(f"{self.name} ended with {process.returncode}:\n{output}{text[-4000:]}")
        report = json.loads(output.splitlines()[-1])
        expect(f"{self.name}: every span that ended was exported", report["acknowledged"] + report["failed"], report["spans"])
        return {**report, "acknowledged_marks": report["acknowledged_marks"] or [], "failed_marks": report["failed_marks"] or []}, text

    def send(self, plan):
        return self.finish(self.start(plan))

    def combinations(self):
        return [(protocol, compression) for protocol in self.protocols for compression in ("none", "gzip")]


def sequence(plan, every):
    return [seq for seq in range(plan["first"], plan["first"] + plan["traces"]) if seq % every == 0]


def raised(appliance, rule):
    return sorted(int(violation["message"]) for violation in appliance.violations() if violation["rule"] == rule)


def check_violations(appliance, plans):
    """Exactly those that were asked for, each once, durable."""
    marks = sorted(seq for plan in plans for seq in sequence(plan, plan["mark_every"]))
    missing = sorted(seq for plan in plans for seq in sequence(plan, plan["skip_every"]))
    wait_for("the journal", lambda: metric("tripline_violations_pending") == 0)
    expect("a violation for every marked span", raised(appliance, "marked"), marks)
    wait_for("the traces' verdicts", lambda: len(raised(appliance, "charge-missing")) >= len(missing))
    expect("a violation for every trace without a charge", raised(appliance, "charge-missing"), missing)
    expect("emitted = durable", metric("tripline_violations_emitted_total"), metric("tripline_violations_durable_total"))
    return len(marks) + len(missing)


def counted(appliance, peer, traces, batch=512):
    plans, sent = [], 0
    for protocol, compression in peer.combinations() + peer.only_counted:
        plan = peer.plan(protocol, compression, traces, batch=batch)
        report, log = peer.send(plan)
        expect(f"{peer.name} {protocol} {compression}: acknowledged\n{log[-2000:]}", report["acknowledged"], report["spans"])
        sent += report["spans"]
        expect(f"{peer.name} {protocol} {compression}: spans judged", metric("tripline_spans_evaluated_total"), sent)
        plans.append(plan)
    violations = check_violations(appliance, plans)
    check_laws(f"after {peer.name}")
    print(f"{peer.name}: {sent} spans in {len(plans)} ways, {violations} violations, all accounted")


def partial_success(peer):
    for protocol, compression in peer.combinations():
        judged, rejected = metric("tripline_spans_evaluated_total"), metric("tripline_spans_rejected_total", reason="span_id")
        report, log = peer.send(peer.plan(protocol, compression, 20, bad=3))
        expect("rejected by reason", metric("tripline_spans_rejected_total", reason="span_id") - rejected, 3)
        expect("judged", metric("tripline_spans_evaluated_total") - judged, report["spans"] - 3)
        expect("a partial success is not sent again", (report["failed"], report["acknowledged"]), (0, report["spans"]))
        if peer.partial_log:
            expect_true(f"{peer.name} {protocol} says it was partial:\n{log}", re.search(peer.partial_log, log))
    told = "its log says so" if peer.partial_log else "taken as success, without a word"
    print(f"{peer.name}: 3 of {report['spans']} spans rejected by a partial success: {told}")


def fill_journal_ring():
    """With the journal held up, until the appliance refuses."""
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "ballast", "startTimeUnixNano": "1", "endTimeUnixNano": "2",
            "attributes": [{"key": "note", "value": {"stringValue": "x" * 250}}]}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "ballast"}}]}
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span] * 500}]}]}).encode()
    request = urllib.request.Request("http://10.86.0.2:4318/v1/traces", body, {"Content-Type": "application/json"})
    for _ in range(200):
        try:
            urllib.request.urlopen(request, timeout=20).close()
        except urllib.error.HTTPError as refusal:
            expect("the refusal", (refusal.code, refusal.headers["Retry-After"] is not None), (503, True))
            return
    sys.exit("the journal's ring does not fill")


def check_retry_info():
    """An overloaded gRPC call says UNAVAILABLE, and when to come again."""
    url = "http://10.86.0.2:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    answer = subprocess.run(["curl", "-sS", "-m", "20", "-i", "--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H",
                             "te: trailers", "--data-binary", "@empty-message", url], check=True, capture_output=True, text=True).stdout
    expect_true(f"UNAVAILABLE:\n{answer}", re.search(r"^grpc-status: 14\r?$", answer, re.MULTILINE))
    details = re.search(r"^grpc-status-details-bin: (\S+)", answer, re.MULTILINE)
    expect_true(f"RetryInfo:\n{answer}", details and b"google.rpc.RetryInfo" in base64.b64decode(details.group(1) + "=="))


def overload(appliance, peer):
    with open("empty-message", "wb") as file:
        file.write(bytes(5))
    for protocol in peer.protocols:
        plan = peer.plan(protocol, "gzip", 300, batch=100, timeout_s=60, skip_every=1)
        marks = sequence(plan, plan["mark_every"])
        with held_thread(appliance.process, "journal"):
            fill_journal_ring()
            check_retry_info()
            judged, refusals = metric("tripline_spans_evaluated_total"), metric("tripline_overload_answers_total")
            started = peer.start(plan)
            enough = 2 if peer.retries(protocol) else 1
            wait_for("refusals", lambda: metric("tripline_overload_answers_total") >= refusals + enough)
        report, log = peer.finish(started)
        refusals = metric("tripline_overload_answers_total") - refusals
        if peer.retries(protocol):
            expect(f"{peer.name} {protocol}: delivered in the end\n{log[-2000:]}", (report["acknowledged"], report["failed"]), (300, 0))
        else:
            expect_true(f"{peer.name} {protocol}: the SDK gave up", report["failed"] > 0)
        expect(f"{protocol}: what was refused had no effect", metric("tripline_spans_evaluated_total") - judged, report["acknowledged"])
        wait_for("the journal", lambda: metric("tripline_violations_pending") == 0)
        expect(f"{protocol}: each mark once", [seq for seq in raised(appliance, "marked") if seq in marks], sorted(report["acknowledged_marks"]))
        expect(f"{protocol}: no mark is missing", sorted(report["acknowledged_marks"] + report["failed_marks"]), marks)
        print(f"{peer.name} {protocol}: refused {refusals} times for overload, {report['acknowledged']} of {report['spans']} spans "
              f"delivered{'' if peer.retries(protocol) else ', the rest given up by the SDK, which does not retry'}")
    check_laws("after overload")


def drain(appliance, peer):
    """SIGTERM in the middle of the traffic, then a new daemon on the same journal: what was acknowledged is there."""
    for protocol in peer.protocols:
        plan = peer.plan(protocol, "none", 4000, batch=40, mark_every=1, skip_every=1, pace_ms=2, timeout_s=30)
        judged = metric("tripline_spans_evaluated_total")
        started = peer.start(plan)
        wait_for("traffic", lambda: metric("tripline_spans_evaluated_total") - judged > 400)
        expect("exit code after SIGTERM", appliance.stop(), 0)
        expect_true("all requests ended in time", "not all requests ended" not in appliance.log())
        restarted = datetime.datetime.now(datetime.timezone.utc).isoformat()[:26]
        appliance.start()
        report, log = peer.finish(started)
        violations = [(int(violation["message"]), violation["time"]) for violation in appliance.violations() if violation["rule"] == "marked"]
        durable = [seq for seq, _ in violations if seq >= plan["first"]]
        kept = {seq for seq, judged_at in violations if seq >= plan["first"] and judged_at < restarted}
        acknowledged, failed = set(report["acknowledged_marks"]), set(report["failed_marks"])
        expect(f"{peer.name} {protocol}: acknowledged and not durable\n{log[-2000:]}", sorted(acknowledged - set(durable)), [])
        expect("every span was acknowledged or reported as failed", sorted(acknowledged | failed), sequence(plan, 1))
        expect_true(f"some before ({len(kept & acknowledged)}) and some after the restart ({len(acknowledged - kept)})",
                    kept & acknowledged and acknowledged - kept)
        print(f"{peer.name} {protocol}: SIGTERM after {len(kept)} of 4000 spans; {len(acknowledged)} acknowledged, all "
              f"durable; {len(failed)} reported as failed; {len(durable) - len(set(durable))} judged twice")


def run(peer, triplined, tripline, source):
    with open(os.path.join(HERE, "peer_rules.yaml"), encoding="utf-8") as file:
        rules = {"rules.yaml": file.read()}
    with Appliance(triplined, tripline, source, DURABLE, rules) as appliance:
        counted(appliance, peer, 3000)
        partial_success(peer)
        drain(appliance, peer)
    with Appliance(triplined, tripline, source, ONE_SHARD, rules) as appliance:
        overload(appliance, peer)
    with Appliance(triplined, tripline, source, IMPAIRED, rules) as appliance:
        ask_neighbours_again()
        counted(appliance, peer, 1000, batch=20)
        lost = metric("tripline_impaired_frames_total", fate="lost")
        expect_true("frames were lost", lost > 0)
        print(f"{peer.name}: and so over a wire that lost {lost} frames")
