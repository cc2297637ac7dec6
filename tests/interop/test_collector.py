"""The OpenTelemetry Collector's otlp and otlphttp exporters, gzip on and off, fed by an SDK: what the Collector took is what the
appliance judged.

usage: test_collector.py TRIPLINED TRIPLINE SOURCE COLLECTOR. Runs in a network namespace of its own; `make interop`.
"""
import os
import re
import signal
import socket
import subprocess
import sys

import sdk_scenarios
from appliance_process import Appliance, ask_neighbours_again, enter_namespace, expect, expect_true, metric, wait_for
from conservation_laws import check_laws
from held_thread import held_thread
from sdk_scenarios import DURABLE, IMPAIRED, ONE_SHARD, Peer, check_violations, fill_journal_ring, raised, sequence

COLLECTOR = sys.argv[4]
RECEIVER = ("127.0.0.1", 14317)
WAYS = {
    "otlp": "otlp/out: {endpoint: '10.86.0.2:4317', tls: {insecure: true}, ",
    "otlphttp proto": "otlphttp/out: {endpoint: 'http://10.86.0.2:4318', encoding: proto, ",
    "otlphttp json": "otlphttp/out: {endpoint: 'http://10.86.0.2:4318', encoding: json, ",
}
CONFIG = """receivers: {otlp: {protocols: {grpc: {endpoint: '%s:%d'}}}}
processors: {batch: {timeout: 100ms, send_batch_size: 400, send_batch_max_size: 400}}
exporters:
  %s compression: %s, timeout: 10s,
    retry_on_failure: {initial_interval: 500ms, max_interval: 3s, max_elapsed_time: 120s},
    sending_queue: {queue_size: 100000, num_consumers: 4}}
service:
  telemetry: {metrics: {level: none}, logs: {level: info}}
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [%s/out]}}
"""


class Collector:
    """While it runs the SDK's program can send to it; when it ends it has sent on all that it took."""

    def __init__(self, way, compression):
        self.way, self.compression = way, compression

    def __enter__(self):
        with open("collector.yaml", "w", encoding="utf-8") as file:
            file.write(CONFIG % (*RECEIVER, WAYS[self.way], self.compression, self.way.split()[0]))
        with open("collector.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([COLLECTOR, "--config=file:collector.yaml"], stderr=log)
        wait_for("the Collector", self.listens)
        return self

    def listens(self):
        if self.process.poll() is not None:
            sys.exit(f"the Collector ended:\n{self.log()}")
        with socket.create_connection(RECEIVER, timeout=1):
            return True

    def log(self):
        with open("collector.log", encoding="utf-8") as file:
            return file.read()

    def __exit__(self, kind, _value, _trace):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        if kind is None:
            expect(f"exit code of the Collector:\n{self.log()[-2000:]}", code, 0)


def plan_of(peer, traces, **changes):
    return peer.plan("grpc", "none", traces, endpoint="%s:%d" % RECEIVER, **changes)


def ways():
    return [(way, compression) for way in WAYS for compression in ("none", "gzip")]


def feed(peer, plan):
    report, log = peer.send(plan)
    expect(f"taken by the Collector\n{log[-2000:]}", report["failed"], 0)
    return report["spans"]


def counted(appliance, peer, traces):
    plans, sent = [], 0
    for way, compression in ways():
        with Collector(way, compression):
            plans.append(plan_of(peer, traces))
            sent += feed(peer, plans[-1])
        expect(f"{way} {compression}: spans judged", metric("tripline_spans_evaluated_total"), sent)
    violations = check_violations(appliance, plans)
    check_laws("after the Collector")
    print(f"Collector: {sent} spans in {len(plans)} ways, {violations} violations, all accounted")


def partial_success(peer):
    for way in WAYS:
        judged, rejected = metric("tripline_spans_evaluated_total"), metric("tripline_spans_rejected_total", reason="span_id")
        with Collector(way, "gzip") as collector:
            spans = feed(peer, plan_of(peer, 20, bad=3))
        expect("rejected by reason, once", metric("tripline_spans_rejected_total", reason="span_id") - rejected, 3)
        expect("judged", metric("tripline_spans_evaluated_total") - judged, spans - 3)
        expect_true(f"{way} says it was partial:\n{collector.log()}", re.search(r'Partial success response.*"dropped_spans": 3', collector.log()))
    print("Collector: a partial success is in its log, with the number of spans, and is not sent again")


def overload(appliance, peer):
    for way in WAYS:
        plan = plan_of(peer, 300, skip_every=1)
        with Collector(way, "gzip") as collector:
            with held_thread(appliance.process, "journal"):
                fill_journal_ring()
                judged, refusals = metric("tripline_spans_evaluated_total"), metric("tripline_overload_answers_total")
                feed(peer, plan)
                wait_for("refusals", lambda: metric("tripline_overload_answers_total") >= refusals + 2)
            wait_for("delivery", lambda: metric("tripline_spans_evaluated_total") - judged >= 300)
            refusals = metric("tripline_overload_answers_total") - refusals
            expect_true(f"it says that it tries again:\n{collector.log()}", "Will retry the request" in collector.log())
        expect(f"{way}: each span once", metric("tripline_spans_evaluated_total") - judged, 300)
        wait_for("the journal", lambda: metric("tripline_violations_pending") == 0)
        marks = sequence(plan, plan["mark_every"])
        expect(f"{way}: each mark once", [seq for seq in raised(appliance, "marked") if seq in marks], marks)
        print(f"Collector {way}: refused {refusals} times for overload, all 300 spans delivered once")
    check_laws("after overload")


def drain(appliance, peer):
    """The Collector keeps what it was not told to be taken: nothing is lost over a restart."""
    for way in ("otlp", "otlphttp proto"):
        plan = plan_of(peer, 4000, batch=40, mark_every=1, skip_every=1, pace_ms=2)
        judged = metric("tripline_spans_evaluated_total")
        with Collector(way, "none"):
            started = peer.start(plan)
            wait_for("traffic", lambda: metric("tripline_spans_evaluated_total") - judged > 400)
            expect("exit code after SIGTERM", appliance.stop(), 0)
            expect_true("all requests ended in time", "not all requests ended" not in appliance.log())
            appliance.start()
            expect("taken by the Collector", peer.finish(started)[0]["failed"], 0)
            of_this = lambda: [seq for seq in raised(appliance, "marked") if seq >= plan["first"]]
            wait_for("delivery", lambda: len(set(of_this())) == 4000, 60)
        durable = of_this()
        expect(f"{way}: all are durable", sorted(set(durable)), sequence(plan, 1))
        print(f"Collector {way}: SIGTERM in the middle of 4000 spans: all durable, {len(durable) - 4000} judged twice")


def main():
    peer = Peer("Collector", [os.path.join(os.path.dirname(COLLECTOR), "export")], ("grpc",))
    with open(os.path.join(sdk_scenarios.HERE, "peer_rules.yaml"), encoding="utf-8") as file:
        rules = {"rules.yaml": file.read()}
    with Appliance(*sys.argv[1:4], DURABLE, rules) as appliance:
        counted(appliance, peer, 2000)
        partial_success(peer)
        drain(appliance, peer)
    with Appliance(*sys.argv[1:4], ONE_SHARD, rules) as appliance:
        overload(appliance, peer)
    with Appliance(*sys.argv[1:4], IMPAIRED, rules) as appliance:
        ask_neighbours_again()
        counted(appliance, peer, 2000)
        print(f"Collector: and so over a wire that lost {metric('tripline_impaired_frames_total', fate='lost')} frames")


enter_namespace("TRIPLINE_COLLECTOR")
main()
