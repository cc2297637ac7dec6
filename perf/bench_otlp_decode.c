/* OTLP protobuf to columns: 20,000 spans of about 565 bytes (10 attributes), 100 a request, streamed; 0, 4 and 16 attributes
 * referenced. The floor is reading every byte once, in the same run, pass by pass in turn. An oracle compares all rows with what
 * was generated, before and outside the timed passes; each timed pass counts its rows. JSON of the same spans for comparison. */
#include "bench.h"
#include "image_fixture.h"
#include "otlp_workload.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PASSES = 25, VARIANTS = 5 };

static const struct fixture_column columns[] = {
    {SCOPE_SPAN, "http.request.method"},
    {SCOPE_SPAN, "http.response.status_code"},
    {SCOPE_SPAN, "error.type"},
    {SCOPE_RESOURCE, "deployment.environment.name"},
    {SCOPE_SPAN, "url.path"},
    {SCOPE_SPAN, "server.address"},
    {SCOPE_SPAN, "server.port"},
    {SCOPE_SPAN, "user_agent.original"},
    {SCOPE_SPAN, "db.system"},
    {SCOPE_SPAN, "db.query.text"},
    {SCOPE_SPAN, "messaging.system"},
    {SCOPE_SPAN, "rpc.service"},
    {SCOPE_SPAN, "client.address"},
    {SCOPE_SPAN, "network.protocol.version"},
    {SCOPE_RESOURCE, "host.name"},
    {SCOPE_RESOURCE, "service.version"},
};

static struct otlp_workload work;

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The oracle: every row of a request, in order, against its span. */
struct oracle {
  const struct model_resource *resource;
  uint64_t row, mismatches;
};

static const struct value *generated(const struct model_attribute *attributes, uint32_t count,
                                     const struct fixture_column *column) {
  for (uint32_t i = 0; i < count; i++)
    if (strlen(column->key) == attributes[i].key.length &&
        memcmp(attributes[i].key.at, column->key, attributes[i].key.length) == 0)
      return &attributes[i].value;
  return NULL;
}

static bool same_value(const struct value *got, const struct value *expected) {
  if (!expected) return got->type == VALUE_NULL;
  if (got->type != expected->type) return false;
  if (got->type == VALUE_INTEGER) return got->integer == expected->integer;
  return got->length == expected->length && memcmp(got->text, expected->text, got->length) == 0;
}

static bool check_batch(void *context, struct event_batch *batch) {
  struct oracle *oracle = context;
  for (uint32_t row = 0; row < batch->count; row++, oracle->row++) {
    const struct model_span *span = &oracle->resource->spans[oracle->row];
    const struct event_fields *fields = &batch->fields[row];
    bool same = memcmp(fields->trace_id, span->trace_id, 16) == 0 && memcmp(fields->span_id, span->span_id, 8) == 0 &&
                fields->has_parent == (span->parent_id_bytes != 0) && fields->kind == span->kind &&
                fields->status == span->status && fields->start_ns == span->start_ns && fields->end_ns == span->end_ns &&
                fields->name.length == span->name.length &&
                fields->service.length == oracle->resource->attributes[0].value.length;
    for (uint32_t slot = 0; slot < batch->column_capacity; slot++) {
      const bool of_span = columns[slot].scope == SCOPE_SPAN;
      same = same && same_value(event_batch_value(batch, row, slot),
                                generated(of_span ? span->attributes : oracle->resource->attributes,
                                          of_span ? span->attribute_count : oracle->resource->attribute_count, &columns[slot]));
    }
    oracle->mismatches += !same;
  }
  batch->count = 0;
  return true;
}

static bool count_batch(void *context, struct event_batch *batch) {
  *(uint64_t *)context += batch->count;
  batch->count = 0;
  return true;
}

static void decode(enum otlp_encoding encoding, unsigned request, struct image_fixture *fixture, const struct event_sink *sink) {
  struct span_result result;
  const uint8_t *body = work.body[encoding][request];
  const uint32_t bytes = (uint32_t)work.bytes[encoding][request];
  if (encoding == OTLP_JSON) {
    otlp_decode_json(body, bytes, work.scratch, bytes, &fixture->batch, sink, &result);
  } else {
    otlp_decode_protobuf(body, bytes, &fixture->batch, sink, &result);
  }
  if (result.outcome != SPANS_DECODED) abort();
}

static uint64_t check(enum otlp_encoding encoding, struct image_fixture *fixture) {
  uint64_t mismatches = 0;
  for (unsigned r = 0; r < WORKLOAD_REQUESTS; r++) {
    struct oracle oracle = {.resource = &work.resources[r]};
    const struct event_sink sink = {.context = &oracle, .evaluate = check_batch};
    decode(encoding, r, fixture, &sink);
    mismatches += oracle.mismatches + (oracle.row != WORKLOAD_SPANS);
  }
  return mismatches;
}

static int compare(const void *a, const void *b) {
  const double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

int main(void) {
  static const struct {
    const char *name;
    enum otlp_encoding encoding;
    uint32_t columns;
  } variants[VARIANTS] = {{"read the bytes only (floor)", OTLP_PROTOBUF, 0},
                          {"protobuf, no attribute referenced", OTLP_PROTOBUF, 0},
                          {"protobuf, 4 attributes referenced", OTLP_PROTOBUF, 4},
                          {"protobuf, 16 attributes referenced", OTLP_PROTOBUF, 16},
                          {"JSON, 4 attributes referenced", OTLP_JSON, 4}};
  static double ns[VARIANTS][PASSES];
  struct image_fixture *fixtures[VARIANTS];
  uint64_t mismatches = 0;
  workload_generate(&work);
  for (unsigned v = 0; v < VARIANTS; v++) {
    fixtures[v] = image_fixture_create(EVENT_SPAN, columns, variants[v].columns);
    if (v > 0) mismatches += check(variants[v].encoding, fixtures[v]);
  }
  for (unsigned pass = 0; pass < PASSES; pass++) {
    for (unsigned v = 0; v < VARIANTS; v++) {
      uint64_t rows = 0;
      const struct event_sink sink = {.context = &rows, .evaluate = count_batch};
      const uint64_t start_ns = now_ns();
      if (v == 0) bench_keep(workload_read(&work));
      for (unsigned r = 0; v > 0 && r < WORKLOAD_REQUESTS; r++) decode(variants[v].encoding, r, fixtures[v], &sink);
      ns[v][pass] = (double)(now_ns() - start_ns) / WORKLOAD_TOTAL;
      if (v > 0 && rows != WORKLOAD_TOTAL) mismatches++;
    }
  }
  printf("OTLP decode: %u spans, %.0f bytes a span on the wire, %u a request, %u passes\n", WORKLOAD_TOTAL,
         (double)workload_bytes(&work) / WORKLOAD_TOTAL, WORKLOAD_SPANS, PASSES);
  for (unsigned v = 0; v < VARIANTS; v++) qsort(ns[v], PASSES, sizeof *ns[v], compare);
  for (unsigned v = 0; v < VARIANTS; v++)
    printf("%-36s median %7.1f ns a span, p10 %7.1f, p90 %7.1f, %5.1f times the floor\n", variants[v].name, ns[v][PASSES / 2],
           ns[v][PASSES / 10], ns[v][PASSES * 9 / 10], ns[v][PASSES / 2] / ns[0][PASSES / 2]);
  printf("oracle: %llu mismatches\n", (unsigned long long)mismatches);
  for (unsigned v = 0; v < VARIANTS; v++) image_fixture_destroy(fixtures[v]);
  return mismatches != 0;
}
