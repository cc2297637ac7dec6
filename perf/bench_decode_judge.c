/* From OTLP bytes to violations: protobuf to columns, interning and 10 or 1,000 rules, over the spans of otlp_workload.h. The
 * floor is reading every byte once; decoding alone is the decoder with the same image and a sink that drops the batches. All in
 * turns in one run. Oracle: each pass raises as many violations as a naive loop over the plain spans finds. */
#include "bench.h"
#include "engine.h"
#include "heap_arena.h"
#include "otlp_workload.h"
#include "rule_set.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 15, RULES_MOST = 1000, RULE_BYTES = 200 };

static struct otlp_workload work;

/* What rule `number` says, in text and of a span: what the two must agree on stands side by side. */
static int print_condition(unsigned number, char *at) {
  char name[24];
  workload_name(number, name);
  const char *service = workload_services[number % 5];
  switch (number % 10) {
  case 0:
  case 1:
  case 2:
    return sprintf(at, "name = \"%s\" && duration > 2100ms", name);
  case 3:
    return sprintf(at, "service = \"%s\" && span.\"server.address\" = \"orders-%u.production\"", service, number);
  case 4:
    return sprintf(at, "service = \"%s\" && span.\"http.response.status_code\" = %u && name = \"%s\"", service, 500 + number % 3,
                   name);
  case 5:
    return sprintf(at, "span.\"error.type\" = \"java.io.IOException%u\" || span.\"db.system\" = \"db%u\"", number, number);
  case 6:
    return sprintf(at, "duration > %ums && kind = server && !(status = error)", 2140 + number % 100);
  case 7:
    return sprintf(at, "resource.\"host.name\" = \"node-%u\" && name = \"%s\"", number, name);
  case 8:
    return sprintf(at, "span.\"http.request.method\" in [\"PATCH\", \"DELETE\"] && name = \"%s\"", name);
  default:
    return sprintf(at, "span.\"network.protocol.version\" = \"2.%u\" && duration > 1s", number);
  }
}

static const struct value *attribute(const struct model_span *span, const char *key) {
  for (uint32_t i = 0; i < span->attribute_count; i++)
    if (span->attributes[i].key.length == strlen(key) && memcmp(span->attributes[i].key.at, key, strlen(key)) == 0)
      return &span->attributes[i].value;
  return NULL;
}

static bool is_text(const struct value *value, const char *text) {
  return value && value->type == VALUE_STRING && value->length == strlen(text) && memcmp(value->text, text, value->length) == 0;
}

/* Rules that no span meets by how the workload is made are left out. */
static bool condition_holds(unsigned number, const struct model_resource *resource, const struct model_span *span) {
  char name[24];
  workload_name(number, name);
  const bool named = span->name.length == strlen(name) && memcmp(span->name.at, name, span->name.length) == 0;
  const uint64_t duration_ns = span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;
  const struct value *status = attribute(span, "http.response.status_code");
  switch (number % 10) {
  case 0:
  case 1:
  case 2:
    return named && duration_ns > 2100000000;
  case 4:
    return named && is_text(&resource->attributes[0].value, workload_services[number % 5]) && status &&
           status->integer == 500 + number % 3;
  case 6:
    return span->kind == SPAN_KIND_SERVER && span->status != SPAN_STATUS_ERROR &&
           duration_ns > (2140 + number % 100) * 1000000ull;
  case 8:
    return named && is_text(attribute(span, "http.request.method"), "DELETE");
  default:
    return false;
  }
}

static uint64_t naive(unsigned rules) {
  uint64_t found = 0;
  for (unsigned r = 0; r < WORKLOAD_REQUESTS; r++)
    for (unsigned s = 0; s < WORKLOAD_SPANS; s++)
      for (unsigned i = 0; i < rules; i++) found += condition_holds(i, &work.resources[r], &work.spans[r][s]);
  return found;
}

static struct rule_image *compile(unsigned rules) {
  static char text[RULES_MOST * RULE_BYTES];
  struct rule_errors errors = {0};
  size_t length = (size_t)sprintf(text, "rules:\n");
  for (unsigned i = 0; i < rules; i++) {
    length += (size_t)sprintf(text + length, "  - {name: r%u, on: span, if: '", i);
    length += (size_t)print_condition(i, text + length);
    length += (size_t)sprintf(text + length, "'}\n");
    bench_check(length < sizeof text - RULE_BYTES, "the rules fit");
  }
  struct rule_set *set = rule_set_parse("bench", text, length, &errors);
  struct rule_image *image = set ? rule_image_compile(set, 1, NULL, 1, &errors) : NULL;
  if (!image) rule_errors_print(&errors, stderr);
  bench_check(image != NULL, "the rules compile");
  rule_set_free(set);
  return image;
}

struct run {
  struct record_ring *records;
  struct engine *engine;
};

static bool judge_batch(void *context, struct event_batch *batch) {
  const struct run *run = context;
  return engine_evaluate(run->engine, batch, 0, 0);
}

static bool drop_batch(void *context, struct event_batch *batch) {
  (void)context;
  bench_keep(batch->count);
  batch->count = 0;
  return true;
}

/* Nanoseconds a span. */
static double pass(struct run *run, bool judge, uint64_t *found) {
  const struct event_sink sink = {.context = run, .evaluate = judge ? judge_batch : drop_batch};
  const uint64_t start_ns = bench_now_ns();
  for (unsigned r = 0; r < WORKLOAD_REQUESTS; r++) {
    struct span_result result;
    otlp_decode_protobuf(work.body[OTLP_PROTOBUF][r], (uint32_t)work.bytes[OTLP_PROTOBUF][r],
                         engine_batch(run->engine, EVENT_SPAN), &sink, &result);
    bench_check(result.outcome == SPANS_DECODED && result.spans == WORKLOAD_SPANS, "the request is decoded");
    engine_commit(run->engine);
    uint32_t bytes;
    for (; record_ring_peek(run->records, &bytes); ++*found) record_ring_advance(run->records);
  }
  return (double)(bench_now_ns() - start_ns) / WORKLOAD_TOTAL;
}

static int compare(const void *a, const void *b) {
  return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void measure(unsigned rules) {
  struct heap_arena *heap = heap_arena_create();
  struct arena *arena = heap_arena_arena(heap);
  struct rule_image *image = compile(rules);
  struct engine_config config = {
      .shards = 1, .column_capacity = RULE_COLUMNS_MAX, .traces_max = 16, .captures_max = 16, .idle_ns = 1};
  config.records = record_ring_create(arena, 1u << 22);
  config.digests_to[0] = line_ring_create(arena, 1024);
  struct run run = {.records = config.records, .engine = engine_create(arena, &config, 0)};
  engine_adopt(run.engine, image);
  double ns[3][PASSES];
  const uint64_t wanted = naive(rules);
  uint64_t none = 0;
  for (unsigned p = 0; p < PASSES; p++) {
    uint64_t found = 0;
    const uint64_t start_ns = bench_now_ns();
    bench_keep(workload_read(&work));
    ns[0][p] = (double)(bench_now_ns() - start_ns) / WORKLOAD_TOTAL;
    ns[1][p] = pass(&run, false, &none);
    ns[2][p] = pass(&run, true, &found);
    bench_check(found == wanted && none == 0, "as many violations as the naive loop finds");
  }
  for (unsigned i = 0; i < 3; i++) qsort(ns[i], PASSES, sizeof *ns[i], compare);
  printf("%4u rules on %u columns, %.4f matches a span: decode and judge %6.1f ns a span [%.1f..%.1f], decode alone %6.1f "
         "[%.1f..%.1f], read the bytes %5.1f, %.1f times the floor\n",
         rules, image->kinds[EVENT_SPAN].column_count, (double)wanted / WORKLOAD_TOTAL, ns[2][PASSES / 2], ns[2][0],
         ns[2][PASSES - 1], ns[1][PASSES / 2], ns[1][0], ns[1][PASSES - 1], ns[0][PASSES / 2],
         ns[2][PASSES / 2] / ns[0][PASSES / 2]);
  rule_image_free(image);
  heap_arena_destroy(heap);
}

int main(void) {
  workload_generate(&work);
  printf("%u spans, %.0f bytes a span on the wire, %u a request\n", WORKLOAD_TOTAL,
         (double)workload_bytes(&work) / WORKLOAD_TOTAL, WORKLOAD_SPANS);
  for (unsigned rules = 10; rules <= RULES_MOST; rules *= 10) measure(rules);
  return 0;
}
