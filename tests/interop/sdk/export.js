// Sends spans through the stock OpenTelemetry exporters, over http/protobuf or http/json, with or without gzip, or as Zipkin's, and exits
// 0 when the SDK reports every export as a success.
'use strict';
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { Resource } = require('@opentelemetry/resources');
const { SpanKind, SpanStatusCode } = require('@opentelemetry/api');

const [encoding, compression, traces] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const makeExporter = {
  proto: () => new (require('@opentelemetry/exporter-trace-otlp-proto').OTLPTraceExporter)({ url: 'http://10.86.0.2:4318/v1/traces', compression }),
  json: () => new (require('@opentelemetry/exporter-trace-otlp-http').OTLPTraceExporter)({ url: 'http://10.86.0.2:4318/v1/traces', compression }),
  zipkin: () => new (require('@opentelemetry/exporter-zipkin').ZipkinExporter)({ url: 'http://10.86.0.2:9411/api/v2/spans' }),
};
const exporter = makeExporter[encoding]();
let failures = 0;
const send = exporter.export.bind(exporter);
exporter.export = (spans, done) => send(spans, (result) => {
  if (result.code !== 0) {
    failures++;
    console.error(result.error);
  }
  done(result);
});
const provider = new BasicTracerProvider({
  resource: new Resource({ 'service.name': 'checkout' }),
  spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: 100000 })],
});
const tracer = provider.getTracer('interop');
for (let i = 0; i < traces; i++) {
  const start = Date.now() - 10000;
  const span = tracer.startSpan('POST /checkout', { kind: SpanKind.SERVER, startTime: start, root: true });
  span.setAttribute('http.status_code', 200);
  if (i % 10 === 0) span.setStatus({ code: SpanStatusCode.ERROR, message: 'declined' });
  span.end(start + (i % 5 === 0 ? 3000 : 100)); // one in five breaks the promise of 2 s
}
provider.forceFlush().then(() => provider.shutdown()).then(() => process.exit(failures ? 1 : 0));
