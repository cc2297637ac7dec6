"""Sends traces through the stock OpenTelemetry exporters of Python; the plan is the JSON of the first argument (see tests/interop/README.md),
the last line of output what the SDK was told of each span."""
import json
import logging
import sys
import time

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, set_span_in_context

plan = json.loads(sys.argv[1])
logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


class Told(SpanExporter):
    """Notes what became of each export, by the marks of its spans."""

    def __init__(self, exporter):
        self.exporter = exporter
        self.spans = {True: 0, False: 0}
        self.marks = {True: [], False: []}

    def export(self, spans):
        result = self.exporter.export(spans)
        good = result is SpanExportResult.SUCCESS
        self.spans[good] += len(spans)
        self.marks[good] += [span.attributes["seq"] for span in spans if span.attributes.get("marked")]
        return result

    def shutdown(self):
        self.exporter.shutdown()

    def force_flush(self, timeout_millis=30000):
        return True


class Ids(RandomIdGenerator):
    bad = False

    def generate_span_id(self):
        return 0 if self.bad else super().generate_span_id()


def stock_exporter():
    if plan["protocol"] == "grpc":
        from grpc import Compression
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        compression = Compression.Gzip if plan["compression"] == "gzip" else Compression.NoCompression
        return OTLPSpanExporter(endpoint=plan["endpoint"], insecure=True, compression=compression, timeout=plan["timeout_s"])
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    compression = Compression.Gzip if plan["compression"] == "gzip" else Compression.NoCompression
    return OTLPSpanExporter(endpoint=f"http://{plan['endpoint']}/v1/traces", compression=compression, timeout=plan["timeout_s"])


told, ids, ended = Told(stock_exporter()), Ids(), 0
provider = TracerProvider(resource=Resource({"service.name": "checkout"}), id_generator=ids)
provider.add_span_processor(BatchSpanProcessor(told, max_queue_size=1 << 20, schedule_delay_millis=100, max_export_batch_size=plan["batch"]))
tracer = provider.get_tracer("interop")
for seq in range(plan["first"], plan["first"] + plan["traces"]):
    root = tracer.start_span("POST /checkout", kind=SpanKind.SERVER, attributes={"seq": seq, "marked": seq % plan["mark_every"] == 0})
    if seq % plan["skip_every"] != 0:
        tracer.start_span("payment.charge", context=set_span_in_context(root), kind=SpanKind.CLIENT, attributes={"seq": seq}).end()
        ended += 1
    root.end()
    ended += 1
    time.sleep(plan["pace_ms"] / 1000)
ids.bad = True
for _ in range(plan["bad"]):
    tracer.start_span("bad").end()
    ended += 1
provider.force_flush(120000)
provider.shutdown()
print(json.dumps({"spans": ended, "acknowledged": told.spans[True], "failed": told.spans[False],
                  "acknowledged_marks": told.marks[True], "failed_marks": told.marks[False]}))
