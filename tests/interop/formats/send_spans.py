"""Sends traces through a stock client of Zipkin or Jaeger and exits 0 when it is told that all went out.

usage: send_spans.py CLIENT HOST PORT TRACES. CLIENT: py_zipkin, opentelemetry-zipkin (HTTP); jaeger-client, opentelemetry-jaeger (UDP).
A trace is a server span, every tenth failed, and a client span of 50 ms below it.
"""
import logging
import sys
import time
import urllib.request

CLIENT, HOST, PORT, TRACES = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
failures = []


class NoteErrors(logging.Handler):
    """These clients tell their log what they could not send, and nobody else."""

    def emit(self, record):
        failures.append(record.getMessage())


def failed(trace):
    return trace % 10 == 0


def py_zipkin():
    from py_zipkin import Encoding
    from py_zipkin.transport import BaseTransportHandler
    from py_zipkin.zipkin import zipkin_client_span, zipkin_server_span

    class Http(BaseTransportHandler):
        def get_max_payload_bytes(self):
            return None

        def send(self, payload):
            request = urllib.request.Request(f"http://{HOST}:{PORT}/api/v2/spans", payload.encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                if answer.status != 202:
                    failures.append(f"status {answer.status}")

    for trace in range(TRACES):
        start = time.time() - 10
        with zipkin_server_span(service_name="checkout", span_name="POST /checkout", transport_handler=Http(), sample_rate=100, encoding=Encoding.V2_JSON,
                                binary_annotations={"http.method": "POST", "http.status_code": 200},
                                use_128bit_trace_id=trace % 2 == 0) as server:
            if failed(trace):
                server.update_binary_annotations({"error": "declined"})
            with zipkin_client_span(service_name="checkout", span_name="charge", binary_annotations={"amount": "500"}, timestamp=start, duration=0.05) as client:
                client.add_sa_binary_annotation(port=443, service_name="psp", host="192.0.2.7")
                client.add_annotation("sent")


def opentelemetry(exporter):
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

    provider = TracerProvider(resource=Resource({"service.name": "checkout", "deployment.environment": "interop"}))
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100 * TRACES, max_export_batch_size=15))
    tracer = provider.get_tracer("interop")
    for trace in range(TRACES):
        start = time.time_ns() - 10_000_000_000
        server = tracer.start_span("POST /checkout", kind=SpanKind.SERVER, start_time=start, context=set_span_in_context(None),
                                   attributes={"http.method": "POST", "http.status_code": 200, "load": 0.5, "cached": False, "tags": ("a", "b")})
        client = tracer.start_span("charge", kind=SpanKind.CLIENT, start_time=start, context=set_span_in_context(server), attributes={"amount": 500})
        client.add_event("sent", {"bytes": 17})
        client.end(start + 50_000_000)
        server.set_status(Status(StatusCode.ERROR, "declined") if failed(trace) else Status(StatusCode.OK))
        server.end(start + 100_000_000)
    provider.shutdown()


def opentelemetry_zipkin():
    from opentelemetry.exporter.zipkin.json import ZipkinExporter

    opentelemetry(ZipkinExporter(endpoint=f"http://{HOST}:{PORT}/api/v2/spans"))


def opentelemetry_jaeger():
    from opentelemetry.exporter.jaeger.thrift import JaegerExporter

    opentelemetry(JaegerExporter(agent_host_name=HOST, agent_port=PORT, udp_split_oversized_batches=True))


def jaeger_client():
    import opentracing
    from jaeger_client import Config

    tracer = Config(service_name="checkout", config={"sampler": {"type": "const", "param": 1}, "reporter_queue_size": 10 * TRACES, "generate_128bit_trace_id": True,
                                                     "local_agent": {"reporting_host": HOST, "reporting_port": PORT}, "tags": {"deployment.environment": "interop"}}).new_tracer()
    for trace in range(TRACES):
        start = time.time() - 10
        server = tracer.start_span("POST /checkout", start_time=start, ignore_active_span=True,
                                   tags={"span.kind": "server", "http.method": "POST", "http.status_code": 200, "load": 0.5, "cached": False})
        client = tracer.start_span("charge", child_of=server, start_time=start, tags={"span.kind": "client", "amount": 500})
        client.log_kv({"event": "sent", "bytes": 17})
        client.finish(start + 0.05)
        after = tracer.start_span("audit", references=[opentracing.follows_from(server.context)], start_time=start + 0.05)
        after.finish(start + 0.06)
        if failed(trace):
            server.set_tag("error", True)
        server.finish(start + 0.1)
    flushed = tracer.close()
    while not flushed.done():
        time.sleep(0.1)


logging.getLogger().addHandler(NoteErrors(logging.ERROR))
{"py_zipkin": py_zipkin, "opentelemetry-zipkin": opentelemetry_zipkin, "jaeger-client": jaeger_client, "opentelemetry-jaeger": opentelemetry_jaeger}[CLIENT]()
if failures:
    sys.exit(f"{CLIENT}: {len(failures)} errors, the first: {failures[0]}")
