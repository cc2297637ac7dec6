"""Backtests against the real daemon: what its rules raised from traffic of the kernel's TCP, curl and gRPC is what a backtest raises
from a capture of the same traffic; its journal compared with other rules; rules taken from it and explained.

usage: test_trials.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own, by Debian's interpreter for its gRPC.
"""
import gzip
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
CONFIG = "rules: {files: [current.yaml]}\n"
CURRENT = """rules:
  - {name: slow, on: span, if: 'duration > 2s', message: '${name} took ${duration}'}
  - name: unchecked
    when: '{name = "charge" && span.amount > 100}'
    always: '{name = "check"}'
    message: '${span.amount} unchecked'
  - {name: large, on: webhook, if: 'name = "orders" && body.order.amount > 10', message: 'order ${body.order.id}'}
  - {name: page, on: alert, if: 'label.severity = "critical"', message: '${name}'}
"""
CHANGED = CURRENT.replace("duration > 2s", "duration > 3s").replace("name: page", "name: paged")
ADDRESS = "10.86.0.2"


class Capture(threading.Thread):
    """Every frame of an interface into a pcap file, until stopped."""

    def __init__(self, interface, path):
        super().__init__()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((interface, 0))
        self.socket.settimeout(0.2)
        self.path, self.ended = path, threading.Event()

    def run(self):
        with open(self.path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
            while True:
                try:
                    frame = self.socket.recv(262144)
                except TimeoutError:
                    if self.ended.is_set():
                        return
                    continue
                now = time.time_ns()
                file.write(struct.pack("<IIII", now // 10**9, now % 10**9, len(frame), len(frame)) + frame)

    def stop(self):
        self.ended.set()
        self.join()


def span_json(identity, name, duration_ms, amount=0):
    start = time.time_ns() - duration_ms * 10**6
    span = {"traceId": f"{identity:032x}", "spanId": f"{identity:016x}", "name": name, "kind": 2, "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + duration_ms * 10**6),
            "attributes": [{"key": "amount", "value": {"intValue": str(amount)}}]}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def field(number, content):
    length, out = len(content), bytes([number << 3 | 2])
    while length > 127:
        out, length = out + bytes([length & 127 | 128]), length >> 7
    return out + bytes([length]) + content


def span_protobuf(identity, name, duration_ms):
    start = time.time_ns() - duration_ms * 10**6
    span = (field(1, identity.to_bytes(16, "big")) + field(2, identity.to_bytes(8, "big")) + field(5, name.encode()) +
            bytes([7 << 3 | 1]) + struct.pack("<Q", start) + bytes([8 << 3 | 1]) + struct.pack("<Q", start + duration_ms * 10**6))
    return field(1, field(2, field(2, span)))


def post(connection, path, body, **headers):
    connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    answer.read()
    expect(f"answer of {path}", answer.status in (200, 202), True)


def send_http():
    spans = http.client.HTTPConnection(ADDRESS, 4318, timeout=10)
    for identity in range(1, 61):
        body = json.dumps(span_json(identity, "charge" if identity % 5 == 0 else "GET", identity * 100, identity * 10)).encode()
        if identity % 2:
            post(spans, "/v1/traces", gzip.compress(body), **{"Content-Encoding": "gzip"})
        else:
            post(spans, "/v1/traces", body)
    large = {"resourceSpans": [group for identity in range(1000, 2500)
                               for group in span_json(identity, "bulk", 2500)["resourceSpans"]]}
    post(spans, "/v1/traces", json.dumps(large).encode())
    hooks = http.client.HTTPConnection(ADDRESS, 8080, timeout=10)
    for amount in range(5, 16):
        post(hooks, "/webhook/orders", json.dumps({"order": {"id": f"o{amount}", "amount": amount}}).encode())
    with open("config/samples/alerts.json", "rb") as file:
        post(hooks, "/webhook/alertmanager", file.read())
    zipkin = [{"traceId": f"{3000 + i:032x}", "id": f"{3000 + i:016x}", "name": "zipkin", "timestamp": time.time_ns() // 1000,
               "duration": i * 1000000} for i in range(1, 5)]
    post(http.client.HTTPConnection(ADDRESS, 9411, timeout=10), "/api/v2/spans", json.dumps(zipkin).encode())


def send_grpc():
    with grpc.insecure_channel(f"{ADDRESS}:4317") as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export", lambda b: b, lambda b: b)
        for i in range(1, 6):
            export(span_protobuf(4000 + i, "grpc", i * 1000), timeout=10)


def send_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for i in range(1, 6):
            udp.sendto(span_protobuf(5000 + i, "udp", i * 1000), (ADDRESS, 4318))


def offline(*arguments, code=0):
    """Without a socket: no daemon is asked."""
    result = subprocess.run([TRIPLINE, "-s", "/nonexistent.sock", *arguments], capture_output=True, text=True, timeout=60, check=False)
    expect(f"exit code of {arguments}: {result.stderr}", result.returncode, code)
    return result.stdout


def told(violations):
    return sorted((v["rule"], v["source"], v["trace_id"] or "", v["message"], v["service"] or "", tuple(v["span_ids"] or ()),
                   json.dumps(v["attributes"], sort_keys=True)) for v in violations)


def test_capture(appliance):
    capture = Capture("trip0", "traffic.pcap")
    capture.start()
    time.sleep(0.3)
    send_http()
    send_grpc()
    send_udp()
    # 40 + 1,500 spans above 2 s, 2 of Zipkin, 3 of gRPC and of UDP; charges of 150 to 600; orders from 11 on.
    wait_for("all violations", lambda: len(appliance.violations()) >= 40 + 1500 + 2 + 3 + 3 + 10 + 5)
    time.sleep(1)
    capture.stop()
    durable = appliance.violations()
    result = json.loads(offline("rules", "backtest", "--rules", "current.yaml", "--from", "traffic.pcap", "--limit", "100000",
                                "-o", "json"))
    expect("violations of the capture and of the daemon", told(result["violations"]["only_new"]), told(durable))
    reads = result["input"]
    expect("all frames are accounted for", reads["frames"], reads["frames_read"] + sum(
        count for name, count in reads["unread"].items() if name in ("not_ip", "other_ports", "truncated_frames", "bad_headers", "fragments")))
    expect("nothing of it is missing", [name for name in reads["unread"] if name not in ("not_ip", "other_ports")], [])
    expect("spans", reads["spans_judged"], 60 + 1500 + 4 + 5 + 5)
    return durable


def test_two_sets(durable):
    result = json.loads(offline("rules", "backtest", "--rules", "changed.yaml", "--against", "current.yaml", "--from", "traffic.pcap",
                                "-o", "json"))
    by_rule = {rule["rule"]: (rule["both"], rule["only_new"], rule["only_current"]) for rule in result["rules"]}
    slow = [v for v in durable if v["rule"] == "slow"]
    slower = sum(1 for v in slow if v["attributes"]["duration"] > 3 * 10**9)
    pages = sum(1 for v in durable if v["rule"] == "page")
    expect("slow", by_rule["slow"], (slower, 0, len(slow) - slower))
    expect("page and paged", (by_rule["page"], by_rule["paged"]), ((0, 0, pages), (0, pages, 0)))
    expect_true("the others stay", by_rule["unchecked"][1:] == by_rule["large"][1:] == (0, 0))


def test_journal(appliance, durable):
    result = appliance.run_cli("rules", "backtest", "--rules", "changed.yaml", "--against", "daemon", "--from", "tripline-data/journal",
                               "-o", "json", text=True)
    expect(f"backtest of the journal: {result.stderr}", result.returncode, 0)
    result = json.loads(result.stdout)
    count = {name: sum(1 for v in durable if v["rule"] == name) for name in ("slow", "unchecked", "large", "page")}
    by_rule = {rule["rule"]: (rule["both"], rule["only_current"], rule["not_judged"]) for rule in result["rules"]}
    expect("of the journal", by_rule, {"slow": (0, 0, count["slow"]), "page": (0, count["page"], 0),
                                       "unchecked": (count["unchecked"], 0, 0), "large": (count["large"], 0, 0)})
    expect("webhooks are named", result["input"]["recorded_webhooks"], 12)


def test_explain(appliance):
    result = appliance.run_cli("rules", "explain", "unchecked", "-o", "json", text=True)
    expect(f"explain: {result.stderr}", result.returncode, 0)
    asked, read = json.loads(result.stdout), json.loads(offline("rules", "explain", "unchecked", "--rules", "current.yaml", "-o", "json"))
    for part in ("conditions", "columns", "predicates", "found_by", "owner", "memory"):
        expect(f"explain {part}", asked[part], read[part])
    expect("no such rule", appliance.run_cli("rules", "explain", "nobody").returncode, 3)


def main():
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, {"current.yaml": CURRENT, "changed.yaml": CHANGED}) as appliance:
        durable = test_capture(appliance)
        test_two_sets(durable)
        test_journal(appliance, durable)
        test_explain(appliance)
    print(f"a capture raises the {len(durable)} violations that the daemon did")


enter_namespace("TRIPLINE_TRIALS_TEST")
main()
