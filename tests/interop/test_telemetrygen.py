"""telemetrygen, the Collector's load generator, over gRPC and HTTP, gzip on and off: every span that it sent is judged.

usage: test_telemetrygen.py TRIPLINED TRIPLINE SOURCE TELEMETRYGEN. Runs in a network namespace of its own; `make interop`.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402
from conservation_laws import check_laws  # noqa: E402

WORKERS, TRACES, CHILDREN = 4, 1250, 3
CONFIG = """rules: {files: [rules.yaml]}
shards: {count: 2}
listeners: {otlp_http: {acknowledge: durable}, otlp_grpc: {acknowledge: durable}}
"""
RULES = """rules:
  - name: failed-root
    on: span
    if: name = "lets-go" && span.run = 2 && status = error
"""


def generate(run, compression, *way):
    done = subprocess.run([sys.argv[4], "traces", "--otlp-insecure", *way, "--workers", str(WORKERS), "--traces", str(TRACES), "--child-spans",
                           str(CHILDREN), "--rate", "0", "--batch-size", "200", "--timeout", "30s", "--status-code", "Error",
                           "--telemetry-attributes", f"run={run}"], check=False, capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, OTEL_BSP_MAX_QUEUE_SIZE="1000000", OTEL_EXPORTER_OTLP_COMPRESSION=compression))  # else its own queue drops spans, unseen
    expect(f"exit code of telemetrygen:\n{done.stdout[-2000:]}{done.stderr[-2000:]}", done.returncode, 0)
    return done.stdout + done.stderr


def main():
    spans = WORKERS * TRACES * (1 + CHILDREN)
    with Appliance(*sys.argv[1:4], CONFIG, {"rules.yaml": RULES}) as appliance:
        ways = [(compression, *way) for compression in ("none", "gzip")
                for way in (("--otlp-endpoint", "10.86.0.2:4317"), ("--otlp-endpoint", "10.86.0.2:4318", "--otlp-http"))]
        for run, way in enumerate(ways, 1):
            log = generate(run, *way)
            expect_true(f"telemetrygen exported all:\n{log[-2000:]}", not re.search(r"\t(WARN|ERROR|FATAL)\t", log))
            wait_for("spans judged", lambda: metric("tripline_spans_evaluated_total") >= run * spans)
            expect(f"{way}: spans judged", metric("tripline_spans_evaluated_total"), run * spans)
        expect("a violation for each root of the second run", len(appliance.violations()), WORKERS * TRACES)
        check_laws("after telemetrygen")
    print(f"telemetrygen: {len(ways) * spans} spans in {len(ways)} ways judged, {WORKERS * TRACES} violations durable")


enter_namespace("TRIPLINE_TELEMETRYGEN")
main()
