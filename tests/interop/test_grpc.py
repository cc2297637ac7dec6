"""OTLP/gRPC by gRPC's own library, and HTTP/2 by curl and h2load: answers, statuses, compression, limits, drain. What was sent is
what was accounted.

usage: test_grpc.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own; needs python3-grpcio.
"""
import os
import re
import subprocess
import sys
import threading
import time

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
ADDRESS = "10.86.0.2:4317"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
CONFIG = """rules: {files: [config/rules.d]}
listeners: {otlp_grpc: {acknowledge: durable, max_body_bytes: 1MiB}}
"""


def request_of(spans):
    return subprocess.run([sys.executable, os.path.join(SOURCE, "perf/make_otlp_request.py"), str(spans)], check=True,
                          capture_output=True).stdout


def call(channel, body, method=EXPORT, **options):
    """The answer's bytes, or the code and the error."""
    try:
        return channel.unary_unary(method, request_serializer=None, response_deserializer=None)(body, timeout=20, **options)
    except grpc.RpcError as error:
        return error.code(), error


def test_calls():
    spans = metric("tripline_spans_evaluated_total")
    body = request_of(50)
    with grpc.insecure_channel(ADDRESS) as channel:
        for _ in range(20):
            expect("identity", call(channel, body), b"")
        for _ in range(20):
            expect("gzip", call(channel, body, compression=grpc.Compression.Gzip), b"")
        expect("an empty message", call(channel, b""), b"")
        large = request_of(5200)
        expect_true("a message of many frames and windows", 900000 < len(large) < 1048576)
        expect("large", call(channel, large), b"")
        expect("large, gzip", call(channel, large, compression=grpc.Compression.Gzip), b"")
    expect("spans judged", metric("tripline_spans_evaluated_total") - spans, 40 * 50 + 2 * 5200)
    expect("calls counted", metric("tripline_otlp_grpc_calls_total"), 43)


def test_partial_success():
    """A span with an id of zeros is rejected alone, and the answer's message says so."""
    span = b"\x0a\x10" + bytes(16) + b"\x12\x08" + bytes([1] * 8)
    scope = b"\x12" + bytes([len(span)]) + span
    resource = b"\x12" + bytes([len(scope)]) + scope
    with grpc.insecure_channel(ADDRESS) as channel:
        answer = call(channel, b"\x0a" + bytes([len(resource)]) + resource)
    expect_true(f"partial_success with one rejected span: {answer!r}", answer[:1] == b"\x0a" and b"\x08\x01" in answer)


def test_statuses():
    with grpc.insecure_channel(ADDRESS, options=[("grpc.max_send_message_length", 1 << 24)]) as channel:
        expect("malformed", call(channel, b"\xff\xff")[0], grpc.StatusCode.INVALID_ARGUMENT)
        code, error = call(channel, b"\xff\xff")
        expect_true(f"says why: {error.details()}", error.details())
        expect("too large", call(channel, bytes(2 << 20))[0], grpc.StatusCode.RESOURCE_EXHAUSTED)
        expect("too large when decompressed", call(channel, bytes(2 << 20), compression=grpc.Compression.Gzip)[0],
               grpc.StatusCode.RESOURCE_EXHAUSTED)
        expect("unknown method", call(channel, b"", method=EXPORT + "s")[0],
               grpc.StatusCode.UNIMPLEMENTED)
        for service in "logs.v1.LogsService", "metrics.v1.MetricsService":
            code, error = call(channel, b"", method=f"/opentelemetry.proto.collector.{service}/Export")
            expect(service, (code, error.details()),
                   (grpc.StatusCode.UNIMPLEMENTED, "only traces are taken here: TraceService/Export"))
        expect("unknown compression", call(channel, request_of(1), compression=grpc.Compression.Deflate)[0],
               grpc.StatusCode.UNIMPLEMENTED)
        expect("the channel lives on", call(channel, request_of(1)), b"")


def test_concurrency():
    """Many calls at once on few connections."""
    body, failures = request_of(20), []
    spans = metric("tripline_spans_evaluated_total")

    def client():
        with grpc.insecure_channel(ADDRESS, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = channel.unary_unary(EXPORT, request_serializer=None, response_deserializer=None)
            futures = [stub.future(body, timeout=30) for _ in range(200)]
            failures.extend(future.code() for future in futures if future.exception() is not None)

    threads = [threading.Thread(target=client) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect("calls that failed", failures, [])
    expect("spans judged", metric("tripline_spans_evaluated_total") - spans, 6 * 200 * 20)


def curl(*arguments):
    output = subprocess.run(["curl", "-sS", "-m", "20", "--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}", *arguments],
                            check=True, capture_output=True).stdout
    body, status = output.rsplit(b"\n", 1)
    return status.decode(), body


def test_http2():
    """The HTTP ports speak it, too."""
    with open("spans.bin", "wb") as file:
        file.write(request_of(10))
    spans, orders = "http://10.86.0.2:4318/v1/traces", "http://10.86.0.2:8080/webhook/orders"
    protobuf, as_json = ["-H", "Content-Type: application/x-protobuf"], ["-H", "Content-Type: application/json"]
    expect("spans", curl(*protobuf, "--data-binary", "@spans.bin", spans), ("2 200", b""))
    status, body = curl(*as_json, "-d", '{"order":{"id":"H2","amount":50000}}', orders)
    expect("a durable webhook", (status, body[:19]), ("2 200", b'{"status":"durable"'))
    expect("its violation", [v["message"].split()[1] for v in Appliance.current.violations() if v["rule"] == "oversized-order"], ["H2"])
    expect("unknown path", curl(*as_json, "-d", "{}", spans + "x")[0], "2 404")
    expect("method", curl(spans)[0], "2 405")
    expect("media type", curl("-H", "Content-Type: text/plain", "-d", "x", spans)[0], "2 415")
    expect("malformed", curl(*as_json, "-d", "{", spans)[0], "2 400")
    expect("a header too large", curl(*as_json, "-H", "X-Large: " + "a" * 5000, "-d", "{}", spans)[0], "2 431")
    expect("gRPC's port wants gRPC", curl(*as_json, "-d", "{}", "http://10.86.0.2:4317/v1/traces")[0], "2 415")


def test_h2load():
    requests = 20000
    spans = metric("tripline_spans_evaluated_total")
    output = subprocess.run(["h2load", "-n", str(requests), "-c", "16", "-m", "20", "-d", "spans.bin", "-H",
                             "content-type: application/x-protobuf", "http://10.86.0.2:4318/v1/traces"], check=True,
                            capture_output=True, text=True, timeout=120).stdout
    expect_true(f"all succeeded:\n{output}", re.search(rf"requests: {requests} total, .* {requests} succeeded, 0 failed", output))
    expect("spans judged", metric("tripline_spans_evaluated_total") - spans, requests * 10)
    wait_for("connections closed", lambda: metric("tripline_http2_connections") == 0)
    requests_begun, answered = metric("tripline_requests_total"), metric("tripline_responses_total")
    expect("requests = answered + aborted", requests_begun, answered + metric("tripline_requests_aborted_total"))
    expect("heap bytes that shards allocated", metric("tripline_shard_heap_allocated_bytes_total"), 0)
    print(re.search(r"finished in .*", output).group(0))


def test_drain(appliance):
    """SIGTERM under load: calls that were begun are answered; the rest is told to go elsewhere, and nothing hangs."""
    codes, stop, body = [], threading.Event(), request_of(5)

    def client():
        with grpc.insecure_channel(ADDRESS, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            while not stop.is_set():
                answer = call(channel, body)
                codes.append(answer if answer == b"" else answer[0])
                if answer != b"":
                    return

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    expect("exit code", appliance.stop(), 0)
    expect_true("within ten seconds", time.monotonic() - began < 10)
    stop.set()
    for thread in threads:
        thread.join()
    expect_true(f"only answers and UNAVAILABLE: {set(codes)}",
                set(codes) <= {b"", grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED} and codes.count(b"") > 10)


def main():
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG) as appliance:
        Appliance.current = appliance
        test_calls()
        test_partial_success()
        test_statuses()
        test_concurrency()
        test_http2()
        test_h2load()
        test_drain(appliance)
    print("gRPC and HTTP/2: answered and accounted")


enter_namespace("TRIPLINE_GRPC_TEST")
main()
