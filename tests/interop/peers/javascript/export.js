// Sends traces through the stock OpenTelemetry exporters of JavaScript; the plan is the JSON of the first argument (see tests/interop/README.md),
// the last line of output what the SDK was told of each span.
'use strict';
const { context, diag, trace, DiagConsoleLogger, DiagLogLevel, SpanKind } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BasicTracerProvider, BatchSpanProcessor, RandomIdGenerator } = require('@opentelemetry/sdk-trace-base');

const plan = JSON.parse(process.argv[2]);
const log = (...words) => console.error(...words);
diag.setLogger({ error: log, warn: log, info: log, debug: log, verbose: log }, DiagLogLevel.INFO);
const packages = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' };

function stockExporter() {
  if (plan.protocol === 'zipkin') {
    const { ZipkinExporter } = require('@opentelemetry/exporter-zipkin');
    return new ZipkinExporter({ url: `http://${plan.endpoint}/api/v2/spans` });
  }
  const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${packages[plan.protocol]}`);
  const { CompressionAlgorithm } = require('@opentelemetry/otlp-exporter-base');
  return new OTLPTraceExporter({
    url: plan.protocol === 'grpc' ? `http://${plan.endpoint}` : `http://${plan.endpoint}/v1/traces`,
    compression: plan.compression === 'gzip' ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE,
    timeoutMillis: plan.timeout_s * 1000,
    concurrencyLimit: 10000, // forceFlush exports all batches at once
  });
}
const exporter = stockExporter();

// Notes what became of each export, by the marks of its spans.
const told = { spans: 0, acknowledged: 0, failed: 0, acknowledged_marks: [], failed_marks: [] };
const send = exporter.export.bind(exporter);
exporter.export = (spans, done) => send(spans, (result) => {
  const outcome = result.code === 0 ? 'acknowledged' : 'failed';
  if (result.error) log(String(result.error));
  told[outcome] += spans.length;
  for (const span of spans) if (span.attributes.marked) told[`${outcome}_marks`].push(span.attributes.seq);
  done(result);
});

class Ids {
  constructor() {
    const random = new RandomIdGenerator();
    this.bad = false;
    this.generateTraceId = () => random.generateTraceId();
    this.generateSpanId = () => (this.bad ? '0000000000000000' : random.generateSpanId());
  }
}
const ids = new Ids();
const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'checkout' }),
  idGenerator: ids,
  spanProcessors: [new BatchSpanProcessor(exporter, {
    maxQueueSize: 1 << 20, maxExportBatchSize: plan.batch, scheduledDelayMillis: 100, exportTimeoutMillis: 120000 })],
});
const tracer = provider.getTracer('interop');

async function main() {
  for (let seq = plan.first; seq < plan.first + plan.traces; seq++) {
    const root = tracer.startSpan('POST /checkout', {
      kind: SpanKind.SERVER, root: true, attributes: { seq, marked: seq % plan.mark_every === 0 } });
    if (seq % plan.skip_every !== 0) {
      tracer.startSpan('payment.charge', { kind: SpanKind.CLIENT, attributes: { seq } }, trace.setSpan(context.active(), root)).end();
      told.spans++;
    }
    root.end();
    told.spans++;
    if (plan.pace_ms) await new Promise((resolve) => setTimeout(resolve, plan.pace_ms));
  }
  ids.bad = true;
  for (let i = 0; i < plan.bad; i++) {
    tracer.startSpan('bad', { root: true }).end();
    told.spans++;
  }
  await provider.forceFlush().catch(log);
  await provider.shutdown().catch(log);
  console.log(JSON.stringify(told));
}
main();
