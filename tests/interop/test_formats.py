"""Spans in the formats beside OTLP: Zipkin by curl, Jaeger and OTLP by datagrams that stock clients made. What was sent is what was
accounted, and becomes what the documentation says.

usage: test_formats.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import gzip
import json
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import appliance_process  # noqa: E402
from appliance_process import Appliance, enter_namespace, expect, metric, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
ZIPKIN_URL = "http://10.86.0.2:9411/api/v2/spans"
CONFIG = """rules: {files: [formats.yaml]}
ports: [{name: trip, ipv6: 'fd86::2/64', host_ipv6: 'fd86::1/64'}]
listeners: {zipkin: {acknowledge: durable, max_body_bytes: 1MiB}}
"""
RULES = """rules:
  - name: failed-checkout
    on: span
    if: service = "checkout" && resource.service.name = "checkout" && kind = server && status = error && root
    message: "${name} ${span.http.method} ${span.http.status_code}"
  - name: charge
    on: span
    if: kind = client && !root && duration >= 49ms && (span.amount = 500 || span.amount = "500")
    message: "${span.amount}"
  - name: tenant
    on: span
    if: resource.deployment.environment = "interop" && kind = server
    message: "${span.load} ${span.cached}"
  - name: paid-elsewhere
    on: span
    if: span.peer.service = "backend"
    message: "${name}"
"""


def golden(name):
    with open(os.path.join(SOURCE, "tests/golden/spans", name), "rb") as file:
        return file.read()


def curl(*arguments):
    """Status and body."""
    output = subprocess.run(["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *arguments], check=True, capture_output=True).stdout
    body, status = output.rsplit(b"\n", 1)
    return int(status), body


def post(body, *arguments):
    with open("body", "wb") as file:
        file.write(body)
    return curl("-H", "Content-Type: application/json", *arguments, "--data-binary", "@body", ZIPKIN_URL)


def spans():
    return {name: metric(f"tripline_spans_{name}_total") for name in ("decoded", "evaluated", "rejected")}


def expect_spans(what, before, evaluated, rejected):
    now = spans()
    expect(what, (now["evaluated"] - before["evaluated"], now["rejected"] - before["rejected"]), (evaluated, rejected))
    expect(f"{what}: decoded = evaluated + rejected", now["decoded"], now["evaluated"] + now["rejected"])


def raised(appliance, rule):
    return sorted((v["trace_id"], v["message"]) for v in appliance.violations() if v["rule"] == rule)


def test_zipkin(appliance):
    before = spans()
    capture = golden("opentelemetry.zipkin")
    expect("a capture", post(capture), (202, b""))
    expect("gzip", post(gzip.compress(capture), "-H", "Content-Encoding: gzip"), (202, b""))
    expect("chunked, with a parameter", curl("-H", "Content-Type: application/json; charset=utf-8", "-H", "Transfer-Encoding: chunked",
                                             "-d", capture.decode(), ZIPKIN_URL), (202, b""))
    expect("HTTP/2", post(capture, "--http2-prior-knowledge"), (202, b""))
    expect_spans("OpenTelemetry's", before, 16, 0)
    failed = json.loads(capture)[1]
    expect("failed", raised(appliance, "failed-checkout"), 4 * [(failed["traceId"], "POST /checkout POST 200")])
    expect("charges", [message for _, message in raised(appliance, "charge")], 8 * ["500"])
    before = spans()
    expect("ids of 64 bits", post(golden("py_zipkin-64-bit-ids.zipkin")), (202, b""))
    expect("both halves of a span", post(golden("shared.zipkin")), (202, b""))
    expect("nothing", post(b"[]"), (202, b""))
    expect_spans("py_zipkin's", before, 6, 0)
    expect("remote service", raised(appliance, "paid-elsewhere"), [("000000000000000086154a4ba6e91385", "get /api")])
    before = spans()
    good = '{"traceId":"1","id":"2"}'
    expect("some bad spans", post(f'[{good},{{"traceId":"0","id":"2"}},{{"traceId":"1","id":"x"}},{good}]'.encode()), (202, b""))
    expect_spans("bad ones rejected alone", before, 2, 2)
    status, body = post(b'[{"traceId":"1"}]')
    expect("bad spans only", (status, json.loads(body)["code"]), (400, "malformed"))
    expect("malformed", post(f"[{good},".encode())[0], 400)
    expect_spans("nothing of these", before, 2, 4)
    expect("too large", post(b" " * (1 << 20) + b"[]")[0], 413)
    expect("too large when it is whole", post(gzip.compress(b" " * (1 << 20) + b"[]"), "-H", "Content-Encoding: gzip")[0], 413)
    expect("other coding", post(b"[]", "-H", "Content-Encoding: br")[0], 415)
    expect("protobuf", curl("-H", "Content-Type: application/x-protobuf", "-d", "x", ZIPKIN_URL)[0], 415)
    expect("version 1", curl("-H", "Content-Type: application/json", "-d", "[]", "http://10.86.0.2:9411/api/v1/spans")[0], 404)
    expect("GET", curl(ZIPKIN_URL)[0], 405)


def send(datagram, port, address="10.86.0.2"):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram, (address, port))


def dropped(kind, reason):
    return metric(f"tripline_{kind}_datagrams_dropped_total", reason=reason)


def test_jaeger(appliance):
    before, failed = spans(), len(raised(appliance, "failed-checkout"))
    capture = golden("jaeger-client.jaeger")
    send(capture, 6831)
    send(golden("opentelemetry.jaeger"), 6831, "fd86::2")
    wait_for("both judged", lambda: metric("tripline_jaeger_datagrams_accepted_total") == 2)
    expect_spans("Jaeger's", before, 10, 0)
    wait_for("violations", lambda: len(raised(appliance, "failed-checkout")) == failed + 2)
    wait_for("process tags", lambda: [message for _, message in raised(appliance, "tenant")] == 2 * ["0.5 false"])
    for datagram, reason in ((capture[:-1], "malformed"), (b"", "malformed"), (b"\x80\x01\x00\x04\0\0\0\x09emitBatch", "protocol"),
                             (b"\x82\x81\x00\x0femitZipkinBatch\x19\x0c\x00", "method")):
        count = dropped("jaeger", reason)
        send(datagram, 6831)
        wait_for(f"counted as {reason}", lambda: dropped("jaeger", reason) == count + 1)  # pylint: disable=cell-var-from-loop
    # A batch of 60 KB: the one of the capture with its list of spans repeated.
    head, span = capture[:capture.index(b"\x19\x6c")], capture[capture.index(b"\x19\x6c") + 2:-2]
    count = 60000 // len(span)
    spans_head = b"\x19\xfc" + bytes([count * 6 & 127 | 128, count * 6 >> 7])
    before = spans()
    send(head + spans_head + count * span + b"\x00\x00", 6831, "fd86::2")
    wait_for("a large batch", lambda: metric("tripline_jaeger_datagrams_accepted_total") == 3)
    expect_spans("of a large batch", before, 6 * count, 0)
    expect("Jaeger datagrams = accepted + dropped", metric("tripline_jaeger_datagrams_total"),
           metric("tripline_jaeger_datagrams_accepted_total") + metric("tripline_jaeger_datagrams_dropped_total"))


def test_otlp_datagrams():
    before = spans()
    request = subprocess.run([sys.executable, os.path.join(SOURCE, "perf/make_otlp_request.py"), "10"], check=True, capture_output=True).stdout
    for datagram in (request, request, request[:-1], b""):
        send(datagram, 4318)
    wait_for("all four", lambda: metric("tripline_otlp_requests_total", encoding="datagram") == 4)
    expect("accepted", metric("tripline_otlp_datagrams_accepted_total"), 3)
    expect("malformed", dropped("otlp", "malformed"), 1)
    now = spans()
    expect("judged", now["evaluated"] - before["evaluated"], 20)
    expect("decoded = evaluated + rejected", now["decoded"], now["evaluated"] + now["rejected"])


def test_nothing_leaks():
    expect("UDP delivered = Jaeger's + OTLP's", metric("tripline_udp_delivered_datagrams_total"),
           metric("tripline_jaeger_datagrams_total") + metric("tripline_otlp_requests_total", encoding="datagram"))
    expect("requests = answered", metric("tripline_requests_total"), metric("tripline_responses_total"))
    expect("heap bytes that shards allocated", metric("tripline_shard_heap_allocated_bytes_total"), 0)


def main():
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG, {"formats.yaml": RULES}) as appliance:
        test_zipkin(appliance)
        test_jaeger(appliance)
        test_otlp_datagrams()
        test_nothing_leaks()
    print(f"{appliance_process.checks} checks passed")


enter_namespace("TRIPLINE_FORMATS")
main()
