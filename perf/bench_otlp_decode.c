/* OTLP protobuf to columns: 20,000 spans of about 565 bytes (10 attributes), 100 a request, streamed; 0, 4 and 16 attributes
 * referenced. The floor is reading every byte once, in the same run, pass by pass in turn. An oracle compares all rows with what
 * was generated, before and outside the timed passes; each timed pass counts its rows. JSON of the same spans for comparison. */
#include "bench.h"
#include "image_fixture.h"
#include "otlp.h"
#include "otlp_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REQUESTS = 200, SPANS = 100, PASSES = 25, SLACK = 64, VARIANTS = 5 };

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

static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
static const char *const services[] = {"checkout", "cart", "frontend", "payment", "shipping"};

struct workload {
  struct model_span spans[REQUESTS][SPANS];
  struct model_resource resources[REQUESTS];
  char paths[REQUESTS][SPANS][128];
  uint8_t *body[2][REQUESTS]; /* by encoding */
  size_t bytes[2][REQUESTS];
  char *scratch;
};

static struct workload work;

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct value text(const char *at) {
  return (struct value){.text = at, .length = (uint32_t)strlen(at), .type = VALUE_STRING};
}
static struct value integer(int64_t value) { return (struct value){.integer = value, .type = VALUE_INTEGER}; }

static void add(struct model_span *span, const char *key, struct value value) {
  span->attributes[span->attribute_count++] = (struct model_attribute){.key = {key, (uint32_t)strlen(key)}, .value = value};
}

static void generate_span(unsigned request, unsigned number, unsigned *seed) {
  struct model_span *span = &work.spans[request][number];
  char *path = work.paths[request][number];
  for (unsigned i = 0; i < 16; i++) span->trace_id[i] = (uint8_t)rand_r(seed);
  for (unsigned i = 0; i < 8; i++) span->span_id[i] = (uint8_t)rand_r(seed);
  for (unsigned i = 0; i < 8; i++) span->parent_id[i] = (uint8_t)rand_r(seed);
  span->trace_id[0] |= 1;
  span->span_id[0] |= 1;
  span->parent_id[0] |= 1;
  span->trace_id_bytes = 16;
  span->span_id_bytes = 8;
  span->parent_id_bytes = rand_r(seed) % 8 ? 8 : 0;
  span->name = (struct event_text){"HTTP GET /api/orders", 20};
  span->kind = 1 + rand_r(seed) % 5;
  span->status = rand_r(seed) % 40 == 0 ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET;
  span->start_ns = 1700000000000000000u + (uint64_t)rand_r(seed);
  span->end_ns = span->start_ns + (uint64_t)rand_r(seed);
  snprintf(path, sizeof work.paths[request][number], "/api/v1/orders/%d/items/%d?page=%d&page_size=25&sort=created_at",
           rand_r(seed), rand_r(seed), rand_r(seed) % 100);
  const bool database = rand_r(seed) % 3 == 0;
  if (rand_r(seed) % 100) add(span, "http.request.method", text(methods[rand_r(seed) % 4]));
  add(span, database ? "db.system" : "network.protocol.version", text(database ? "postgresql" : "1.1"));
  add(span, "url.path", text(path));
  add(span, "http.response.status_code", integer(span->status ? 500 : 200));
  add(span, "server.address", text("orders.production.svc.cluster.local"));
  add(span, "server.port", integer(8080));
  if (span->status) {
    add(span, "error.type", text("java.net.SocketTimeoutException"));
  } else {
    add(span, "user_agent.original",
        text("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0 Safari/537.36"));
  }
  add(span, "thread.name", text("http-nio-8080-exec-17"));
  add(span, "thread.id", integer(117));
  add(span, "network.peer.address", text("10.42.17.203"));
}

static void generate(void) {
  unsigned seed = 42;
  size_t largest = 0;
  for (unsigned r = 0; r < REQUESTS; r++) {
    struct model_resource *resource = &work.resources[r];
    const char *service = services[(unsigned)rand_r(&seed) % 5];
    resource->attributes[0] = (struct model_attribute){{"service.name", 12}, text(service)};
    resource->attributes[1] = (struct model_attribute){{"deployment.environment.name", 27}, text("production")};
    resource->attributes[2] = (struct model_attribute){{"host.name", 9}, text("node-17.eu-west-1")};
    resource->attributes[3] = (struct model_attribute){{"telemetry.sdk.language", 22}, text("java")};
    resource->attribute_count = 4;
    resource->span_count = SPANS;
    resource->spans = work.spans[r];
    for (unsigned i = 0; i < SPANS; i++) generate_span(r, i, &seed);
    for (int encoding = OTLP_PROTOBUF; encoding <= OTLP_JSON; encoding++) {
      struct model_bytes body = {0};
      if (encoding == OTLP_JSON) {
        model_encode_json(resource, 1, NULL, &body);
      } else {
        model_encode_protobuf(resource, 1, NULL, &body);
      }
      if (body.length > largest) largest = body.length;
      work.bytes[encoding][r] = body.length;
      static const uint8_t slack[SLACK];
      model_put(&body, slack, SLACK);
      work.body[encoding][r] = body.at;
    }
  }
  work.scratch = malloc(largest);
  if (!work.scratch) abort();
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
      same = same && same_value(&batch->columns[slot * EVENT_BATCH_ROWS + row],
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
  for (unsigned r = 0; r < REQUESTS; r++) {
    struct oracle oracle = {.resource = &work.resources[r]};
    const struct event_sink sink = {.context = &oracle, .evaluate = check_batch};
    decode(encoding, r, fixture, &sink);
    mismatches += oracle.mismatches + (oracle.row != SPANS);
  }
  return mismatches;
}

static uint64_t read_bytes(void) {
  uint64_t sum = 0, word;
  for (unsigned r = 0; r < REQUESTS; r++)
    for (size_t at = 0; at < work.bytes[OTLP_PROTOBUF][r]; at += sizeof word) {
      memcpy(&word, work.body[OTLP_PROTOBUF][r] + at, sizeof word);
      sum += word;
    }
  return sum;
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
  uint64_t total = 0, mismatches = 0;
  generate();
  for (unsigned r = 0; r < REQUESTS; r++) total += work.bytes[OTLP_PROTOBUF][r];
  for (unsigned v = 0; v < VARIANTS; v++) {
    fixtures[v] = image_fixture_create(EVENT_SPAN, columns, variants[v].columns);
    if (v > 0) mismatches += check(variants[v].encoding, fixtures[v]);
  }
  for (unsigned pass = 0; pass < PASSES; pass++) {
    for (unsigned v = 0; v < VARIANTS; v++) {
      uint64_t rows = 0;
      const struct event_sink sink = {.context = &rows, .evaluate = count_batch};
      const uint64_t start_ns = now_ns();
      if (v == 0) bench_keep(read_bytes());
      for (unsigned r = 0; v > 0 && r < REQUESTS; r++) decode(variants[v].encoding, r, fixtures[v], &sink);
      ns[v][pass] = (double)(now_ns() - start_ns) / (REQUESTS * SPANS);
      if (v > 0 && rows != REQUESTS * SPANS) mismatches++;
    }
  }
  printf("OTLP decode: %u spans, %.0f bytes a span on the wire, %u a request, %u passes\n", REQUESTS * SPANS,
         (double)total / (REQUESTS * SPANS), SPANS, PASSES);
  for (unsigned v = 0; v < VARIANTS; v++) qsort(ns[v], PASSES, sizeof *ns[v], compare);
  for (unsigned v = 0; v < VARIANTS; v++)
    printf("%-36s median %7.1f ns a span, p10 %7.1f, p90 %7.1f, %5.1f times the floor\n", variants[v].name, ns[v][PASSES / 2],
           ns[v][PASSES / 10], ns[v][PASSES * 9 / 10], ns[v][PASSES / 2] / ns[0][PASSES / 2]);
  printf("oracle: %llu mismatches\n", (unsigned long long)mismatches);
  for (unsigned v = 0; v < VARIANTS; v++) image_fixture_destroy(fixtures[v]);
  return mismatches != 0;
}
