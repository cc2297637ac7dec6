"""Real peers from Debian against the appliance: curl, Alertmanager, Prometheus and promtool. What was sent is what was accounted.

usage: test_peers.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import base64
import gzip
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import appliance_process  # noqa: E402
from appliance_process import Appliance, enter_namespace, expect, fetch, metric, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
KEY = b"0123456789abcdef01234567"
CONFIG = f"""rules: {{files: [config/rules.d]}}
webhooks:
  sources:
    - {{name: orders, kind: standard-webhooks, secrets: [{{id: k1, secret: whsec_{base64.b64encode(KEY).decode()}}}]}}
    - {{name: repository, kind: github, secrets: [{{id: k1, secret: octopus}}]}}
    - {{name: alertmanager, kind: alertmanager}}
"""
def curl(*arguments):
    """Status and body."""
    output = subprocess.run(["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *arguments], check=True, capture_output=True).stdout
    body, status = output.rsplit(b"\n", 1)
    return int(status), body


def span_json(number, name="GET /"):
    return {"traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}", "name": name, "kind": 2,
            "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225600001000000"}


def request_json(count):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span_json(i) for i in range(count)]}]}]}).encode()


def test_curl():
    url, as_json = "http://10.86.0.2:4318/v1/traces", ["-H", "Content-Type: application/json"]
    spans = metric("tripline_spans_evaluated_total")
    with open("body.json", "wb") as file:
        file.write(request_json(300))
    with open("body.json.gz", "wb") as file:
        file.write(gzip.compress(request_json(300)))
    with open("large.json", "wb") as file:
        file.write(request_json(12000))  # above 1 MiB: curl asks with Expect: 100-continue
    protobuf = subprocess.run([sys.executable, os.path.join(SOURCE, "perf/make_otlp_request.py"), "300"], check=True, capture_output=True).stdout
    with open("body.bin", "wb") as file:
        file.write(protobuf)
    expect("JSON", curl(*as_json, "--data-binary", "@body.json", url), (200, b"{}"))
    expect("gzip", curl(*as_json, "-H", "Content-Encoding: gzip", "--data-binary", "@body.json.gz", url), (200, b"{}"))
    expect("chunked", curl(*as_json, "-H", "Transfer-Encoding: chunked", "--data-binary", "@body.json", url), (200, b"{}"))
    expect("large", curl(*as_json, "--data-binary", "@large.json", url), (200, b"{}"))
    expect("protobuf", curl("-H", "Content-Type: application/x-protobuf", "--data-binary", "@body.bin", url), (200, b""))
    expect("spans judged", metric("tripline_spans_evaluated_total") - spans, 300 * 4 + 12000)
    bad = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span_json(1), dict(span_json(2), spanId="00" * 8)]}]}]})
    status, body = curl(*as_json, "-d", bad, url)
    expect("partial success", (status, json.loads(body)["partialSuccess"]["rejectedSpans"]), (200, "1"))
    expect("malformed", curl(*as_json, "-d", "{", url)[0], 400)
    expect("GET", curl(url)[0], 405)
    expect("unknown path", curl(*as_json, "-d", "{}", url + "s")[0], 404)
    expect("media type", curl("-H", "Content-Type: text/plain", "-d", "x", url)[0], 415)
    expect("coding", curl(*as_json, "-H", "Content-Encoding: br", "-d", "{}", url)[0], 415)
    expect("spans accounted", metric("tripline_spans_decoded_total"),
           metric("tripline_spans_evaluated_total") + metric("tripline_spans_rejected_total"))


def standard(identity, body, key=KEY, timestamp=None):
    timestamp = str(int(time.time() if timestamp is None else timestamp))
    digest = base64.b64encode(hmac.new(key, f"{identity}.{timestamp}.{body}".encode(), hashlib.sha256).digest()).decode()
    return curl("-H", "Content-Type: application/json", "-H", f"webhook-id: {identity}", "-H", f"webhook-timestamp: {timestamp}",
                "-H", f"webhook-signature: v1,{digest}", "-d", body, "http://10.86.0.2:8080/webhook/orders")


def test_webhooks(appliance):
    order = '{"order":{"id":"S-1","amount":50000}}'
    first = standard("msg_1", order)
    expect("genuine", first[0], 200)
    expect("again: the first answer", standard("msg_1", order), first)
    expect("same id, other body", standard("msg_1", '{"order":{"id":"S-2","amount":50000}}')[0], 409)
    expect("wrong key", standard("msg_2", order, key=b"x" * 24)[0], 401)
    expect("an id is not burned by a bad signature", standard("msg_2", order)[0], 200)
    expect("too old", standard("msg_3", order, timestamp=time.time() - 340)[0], 401)
    expect("too new", standard("msg_4", order, timestamp=time.time() + 340)[0], 401)
    expect("within window and skew", standard("msg_5", order, timestamp=time.time() - 320)[0], 200)
    expect("not JSON", standard("msg_6", "{")[0], 400)
    expect("no object", standard("msg_7", "[]")[0], 422)
    signature = "sha256=" + hmac.new(b"octopus", b'{"zen":1}', hashlib.sha256).hexdigest()
    github = ["-H", "Content-Type: application/json", "-H", "X-GitHub-Delivery: d1", "-d", '{"zen":1}', "http://10.86.0.2:8080/webhook/repository"]
    expect("github", curl("-H", f"X-Hub-Signature-256: {signature}", *github)[0], 200)
    expect("github unsigned", curl(*github)[0], 401)
    expect("unknown source", curl("-H", "Content-Type: application/json", "-d", "{}", "http://10.86.0.2:8080/webhook/nobody")[0], 404)
    expect("effects", len([v for v in appliance.violations() if v["rule"] == "oversized-order"]), 3)
    expect("accepted = durable", metric("tripline_webhooks_accepted_total"), metric("tripline_webhooks_durable_total"))
    return first


def test_replay_after_kill(appliance, first):
    expect("after kill -9 the first answer still stands", standard("msg_1", '{"order":{"id":"S-1","amount":50000}}'), first)
    expect("and no second effect", len([v for v in appliance.violations() if v["rule"] == "oversized-order"]), 3)


def test_alertmanager(appliance):
    with open("alertmanager.yml", "w", encoding="utf-8") as file:
        file.write("route: {receiver: tripline, group_wait: 0s, group_interval: 1s}\n"
                   "receivers: [{name: tripline, webhook_configs: [{url: 'http://10.86.0.2:8080/webhook/alertmanager'}]}]\n")
    peer = subprocess.Popen(["prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address=",
                             "--web.listen-address=127.0.0.1:9093"], stderr=subprocess.DEVNULL)
    try:
        wait_for("Alertmanager", lambda: fetch("http://127.0.0.1:9093/-/ready") is not None)
        alerts = [{"labels": {"alertname": "DiskFull", "severity": "critical", "service": "db"}},
                  {"labels": {"alertname": "SlowQueries", "severity": "warning", "service": "db"}}]
        post = urllib.request.Request("http://127.0.0.1:9093/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(post, timeout=5).close()
        wait_for("the alert", lambda: any(v["source"] == "alert" for v in appliance.violations()))
        found = [(v["rule"], v["service"], v["message"].split(" ")[0]) for v in appliance.violations() if v["source"] == "alert"]
        expect("alerts", found, [("critical-alert-outside-runbook", "db", "DiskFull")])
    finally:
        peer.terminate()
        peer.wait()


def test_prometheus():
    text = fetch("http://127.0.0.1:9464/metrics")
    checked = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    expect("promtool", (checked.returncode, checked.stdout + checked.stderr), (0, b""))
    with open("prometheus.yml", "w", encoding="utf-8") as file:
        file.write("scrape_configs: [{job_name: tripline, scrape_interval: 1s, static_configs: [{targets: ['127.0.0.1:9464']}]}]\n")
    peer = subprocess.Popen(["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--web.listen-address=127.0.0.1:9090"],
                            stderr=subprocess.DEVNULL)
    try:
        query = "http://127.0.0.1:9090/api/v1/query?query=sum(tripline_spans_evaluated_total)"
        wait_for("a scrape", lambda: json.loads(fetch(query))["data"]["result"])
        expect("scraped", int(json.loads(fetch(query))["data"]["result"][0]["value"][1]), metric("tripline_spans_evaluated_total"))
    finally:
        peer.terminate()
        peer.wait()


def otlp_protobuf(count):
    return subprocess.run([sys.executable, os.path.join(SOURCE, "perf/make_otlp_request.py"), str(count)], check=True, capture_output=True).stdout


def test_ipv6():
    """TCP, then datagrams far beyond the MTU: the kernel cuts them, the appliance puts them together."""
    url, as_json = "http://[fd86::2]:4318/v1/traces", ["-H", "Content-Type: application/json"]
    spans = metric("tripline_spans_evaluated_total")
    expect("JSON over IPv6", curl("-6", *as_json, "--data-binary", "@body.json", url), (200, b"{}"))
    expect("large over IPv6", curl("-6", *as_json, "--data-binary", "@large.json", url), (200, b"{}"))
    expect("spans judged over IPv6", metric("tripline_spans_evaluated_total") - spans, 300 + 12000)
    expect("solicitations answered", metric("tripline_nd_answered_total") > 0, True)
    count = 60000 * 100 // len(otlp_protobuf(100))
    datagram, whole = otlp_protobuf(count), metric("tripline_datagrams_reassembled_total")
    expect("size of a datagram", 55000 < len(datagram) < 64000, True)
    spans = metric("tripline_spans_evaluated_total")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        for _ in range(10):
            sender.sendto(datagram, ("fd86::2", 4318))
            time.sleep(0.02)
    wait_for("datagrams judged", lambda: metric("tripline_spans_evaluated_total") - spans == 10 * count)
    expect("datagrams put together", metric("tripline_datagrams_reassembled_total") - whole, 10)
    # The kernel's packet fan-out puts IPv4 together before it hands it over, longer than a frame: refused and counted.
    spans, cut = metric("tripline_spans_evaluated_total"), metric("tripline_frames_dropped_total", reason="truncated")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram, ("10.86.0.2", 4318))
    wait_for("cut datagram counted", lambda: metric("tripline_frames_dropped_total", reason="truncated") - cut == 1)
    expect("spans of a cut datagram", metric("tripline_spans_evaluated_total") - spans, 0)


def test_no_allocation():
    expect("heap bytes that shards allocated", metric("tripline_shard_heap_allocated_bytes_total"), 0)


def main():
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG) as appliance:
        test_curl()
        test_ipv6()
        first = test_webhooks(appliance)
        test_no_allocation()
        appliance.kill()
        appliance.start()
        test_replay_after_kill(appliance, first)
        test_alertmanager(appliance)
        test_prometheus()
        test_no_allocation()
    print(f"{appliance_process.checks} checks passed")


enter_namespace("TRIPLINE_PEERS")
main()
