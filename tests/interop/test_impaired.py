"""curl, wrk and h2load over a port that loses, doubles, reorders and delays frames: every answer is byte for byte that of a clean
wire, and what was sent is what was accounted.

usage: test_impaired.py TRIPLINED TRIPLINE SOURCE [SECONDS]. Runs in a network namespace of its own.
"""
import gzip
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, ask_neighbours_again, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402
from conservation_laws import check_laws  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
SECONDS = int(sys.argv[4]) if len(sys.argv) > 4 else 3
WIRES = {
    "clean": "{}",
    "lossy": "{loss: 2%, duplicate: 1%, reorder: 3%, delay: 2ms, seed: 11}",
    "far": "{loss: 0.2%, duplicate: 0.5%, reorder: 1%, delay: 40ms, seed: 12}",
}
CONFIG = """rules: {{files: [config/rules.d]}}
shards: {{count: 2}}
ports: [{{name: trip, kind: embedded, impairment: {wire}}}]
webhooks: {{sources: [{{name: orders, kind: json}}]}}
"""
SPANS = 20
MANY = 30  # of each kind on one connection
LARGE_SPANS = 6500
CONNECTIONS = 24
PROTOBUF = "Content-Type: application/x-protobuf"
TRACES, ORDERS = "10.86.0.2:4318/v1/traces", "10.86.0.2:8080/webhook/orders"


def span_json(number):
    return {"traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}", "name": "GET /", "kind": 2,
            "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225600001000000"}


def request_json(spans):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()


def write_bodies():
    files = {
        "small.json": request_json([span_json(i) for i in range(SPANS)]),
        "large.json": request_json([span_json(i) for i in range(LARGE_SPANS)]),
        "small.json.gz": gzip.compress(request_json([span_json(i) for i in range(SPANS)])),
        "partial.json": request_json([span_json(1), dict(span_json(2), spanId="00" * 8)]),
        "malformed.json": b'{"resourceSpans": [' * 400,
        "order.json": b'{"order":{"id":"A-1","amount":50000,"note":"' + b"x" * 40000 + b'"}}',
        "spans.bin": subprocess.run([sys.executable, os.path.join(SOURCE, "perf/make_otlp_request.py"), str(SPANS)], check=True,
                                    capture_output=True).stdout,
    }
    # An answer that differs from the first one by a byte is told of.
    files["spans.lua"] = (b'local f = io.open("spans.bin", "rb")\nwrk.method = "POST"\nwrk.path = "/v1/traces"\n'
                          b'wrk.headers["Content-Type"] = "application/x-protobuf"\nwrk.body = f:read("*a")\n'
                          b'response = function(status, headers, body)\n'
                          b'  if status ~= 503 and (status ~= 200 or body ~= "") then print("unexpected: " .. status .. " " .. body) end\nend\n')
    for name, content in files.items():
        with open(name, "wb") as file:
            file.write(content)


def curl(*arguments):
    """Heads and bodies as they came, but for what is made new for each answer."""
    done = subprocess.run(["curl", "-sS", "-m", "60", "-i", *arguments], check=False, capture_output=True)
    expect(f"curl {arguments}: {done.stderr}", done.returncode, 0)
    return re.sub(rb'"correlation_id":"[^"]*"', b"", done.stdout)


def all_answers():
    """What curl hears: each kind of answer, then many on one connection."""
    as_json = ["-H", "Content-Type: application/json"]
    answers = {
        "JSON": curl(*as_json, "--data-binary", "@small.json", f"http://{TRACES}"),
        "gzip": curl(*as_json, "-H", "Content-Encoding: gzip", "--data-binary", "@small.json.gz", f"http://{TRACES}"),
        "chunked": curl(*as_json, "-H", "Transfer-Encoding: chunked", "--data-binary", "@small.json", f"http://{TRACES}"),
        "large": curl(*as_json, "--data-binary", "@large.json", f"http://{TRACES}"),
        "large, HTTP/2": curl("--http2-prior-knowledge", *as_json, "--data-binary", "@large.json", f"http://{TRACES}"),
        "large, IPv6": curl(*as_json, "--data-binary", "@large.json", "http://[fd86::2]:4318/v1/traces"),
        "partial success": curl(*as_json, "--data-binary", "@partial.json", f"http://{TRACES}"),
        "malformed": curl(*as_json, "--data-binary", "@malformed.json", f"http://{TRACES}"),
        "a durable webhook": curl(*as_json, "--data-binary", "@order.json", f"http://{ORDERS}"),
        "unknown path": curl(*as_json, "-d", "{}", f"http://{TRACES}x"),
    }
    many = []
    for number in range(MANY):
        many += ["--next", "-sS", "-i", *as_json, "-d", f'{{"order":{{"id":"M-{number}","amount":{number}}}}}', f"http://{ORDERS}",
                 "--next", "-sS", "-i", *as_json, "--data-binary", "@partial.json", f"http://{TRACES}"]
    answers["many"] = curl(*many[1:])
    return answers


# small, gzip and chunked; three large ones; the good span of each partial success.
CURL_SPANS = 3 * SPANS + 3 * LARGE_SPANS + 1 + MANY
CURL_REJECTED = 1 + MANY


def nothing_left_to_send():
    """A client that ends leaves its lost segments to the kernel, which may send them again seconds later."""
    ended = {"06", "05", "0A", "07"}  # TIME_WAIT, FIN_WAIT2, LISTEN, CLOSE
    states = []
    for family in ("tcp", "tcp6"):
        with open(f"/proc/net/{family}", encoding="ascii") as table:
            states += [line.split()[3] for line in table.readlines()[1:] if int(line.split()[2].split(":")[1], 16) == 4318]
    return set(states) <= ended


def check_laws_at_the_end_of(client):
    wait_for(f"the last segments of {client}", nothing_left_to_send, 120)
    check_laws(f"after {client}")


def test_curl(appliance, reference):
    answers = all_answers()
    check_laws_at_the_end_of("curl")
    for name, answer in answers.items():
        expect_true(f"{name}: an answer", answer.startswith(b"HTTP/"))
        expect(f"{name}: as over a clean wire", answer, reference.get(name, answer))
    expect("spans judged", metric("tripline_spans_evaluated_total"), CURL_SPANS)
    expect("spans rejected, in requests that were answered 200",
           metric("tripline_spans_rejected_total") - metric("tripline_spans_rejected_total", reason="malformed"), CURL_REJECTED)
    expect("webhooks durable", metric("tripline_webhooks_durable_total"), 1 + MANY)
    expect("violations", [v["message"].split()[1] for v in appliance.violations() if v["rule"] == "oversized-order"], ["A-1"])
    return answers


def test_wrk():
    spans, served_before = metric("tripline_spans_evaluated_total"), metric("tripline_responses_total")
    good_before = metric("tripline_responses_total", status="200")
    output = subprocess.run(["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{SECONDS}", "--timeout", "20s", "-s", "spans.lua",
                             "http://10.86.0.2:4318"], check=True, capture_output=True, text=True, timeout=SECONDS + 60).stdout
    for trouble in ("Socket errors", "unexpected"):
        expect_true(f"no {trouble}:\n{output}", trouble not in output)
    answered = int(re.search(r"(\d+) requests in", output).group(1))
    check_laws_at_the_end_of("wrk")
    served = metric("tripline_responses_total") - served_before
    expect_true(f"wrk: {answered} answered, {served} served", 0 < answered <= served <= answered + CONNECTIONS)
    expect("every span of every answer was judged", metric("tripline_spans_evaluated_total") - spans,
           (metric("tripline_responses_total", status="200") - good_before) * SPANS)
    return answered


def test_h2load(requests):
    spans = metric("tripline_spans_evaluated_total")
    output = subprocess.run(["h2load", "-n", str(requests), "-c", "8", "-m", "10", "-d", "spans.bin", "-H",
                             PROTOBUF.lower(), "http://10.86.0.2:4318/v1/traces"], check=True,
                            capture_output=True, text=True, timeout=120).stdout
    expect_true(f"all succeeded:\n{output}", re.search(rf"requests: {requests} total, .* {requests} succeeded, 0 failed, 0 errored", output))
    expect_true(f"no answer has a body it should not:\n{output}", re.search(r"traffic: .* 0B \(0\) data", output))
    check_laws_at_the_end_of("h2load")
    expect("spans judged", metric("tripline_spans_evaluated_total") - spans, requests * SPANS)


def impaired(fate, **labels):
    return metric("tripline_impaired_frames_total", fate=fate, **labels)


def test_every_fate():
    """How many frames the clients need depends on the machine: a wire that loses two in a thousand may not have lost one yet."""
    def unseen():
        return [(fate, direction) for fate in ("lost", "duplicated", "reordered") for direction in ("received", "sent")
                if impaired(fate, direction=direction) == 0]
    for _ in range(20):
        if not unseen():
            break
        test_h2load(500)
    expect("fates that no frame has met", unseen(), [])


def test_wire(name, reference):
    began = time.monotonic()
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG.format(wire=WIRES[name])) as appliance:
        ask_neighbours_again()
        write_bodies()
        answers = test_curl(appliance, reference)
        answered = test_wrk()
        test_h2load(1000)
        if reference:
            test_every_fate()
            expect("frames that the layer had no room for", impaired("no_room"), 0)
        print(f"{name}: {impaired('passed_on')} frames passed on, {impaired('lost')} lost, {impaired('duplicated')} doubled, "
              f"{impaired('reordered')} late; wrk {answered} requests; {time.monotonic() - began:.1f} s")
    return answers


def main():
    reference = test_wire("clean", {})
    test_wire("lossy", reference)
    test_wire("far", reference)
    print("byte-exact and accounted over every wire")


enter_namespace("TRIPLINE_IMPAIRED_TEST")
main()
