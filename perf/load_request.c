#include "load_request.h"
#include "bench.h"
#include "otlp_model.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPAN_START_NS 1767225600000000000u
#define SPAN_STEP_NS 1000u
#define SPAN_NS 12000000u        /* within every promise */
#define SPAN_SLOW_NS 3000000000u /* beyond the rules' two seconds */
#define ID_DIGITS 16
static const char github_secret[] = "load-generator-secret";

static struct value text(const char *at) {
  return (struct value){.type = VALUE_STRING, .text = at, .length = (uint32_t)strlen(at)};
}

static void attribute(struct model_span *span, const char *key, struct value value) {
  span->attributes[span->attribute_count++] = (struct model_attribute){.key = {key, (uint32_t)strlen(key)}, .value = value};
}

/* About 200 bytes, as an HTTP server's instrumentation writes them. The trace id is a mark by which its place is found. */
static void make_span(struct model_span *span, uint32_t index) {
  *span =
      (struct model_span){.trace_id_bytes = 16, .span_id_bytes = 8, .name = {"GET /products/{id}", 18}, .kind = SPAN_KIND_SERVER};
  for (uint32_t i = 0; i < 16; i++) span->trace_id[i] = (uint8_t)(0xa0 + i);
  span->trace_id[15] = (uint8_t)index;
  for (uint32_t i = 0; i < 8; i++) span->span_id[i] = (uint8_t)(index * 7 + i + 1);
  span->start_ns = SPAN_START_NS + index * SPAN_STEP_NS;
  span->end_ns = span->start_ns + SPAN_NS;
  attribute(span, "http.request.method", text("GET"));
  attribute(span, "http.response.status_code", (struct value){.type = VALUE_INTEGER, .integer = 200});
  attribute(span, "url.path", text("/products/4711"));
  attribute(span, "server.address", text("shop.example"));
}

static uint32_t offset_of(const struct model_bytes *body, const void *mark, size_t length) {
  const uint8_t *at = memmem(body->at, body->length, mark, length);
  bench_check(at != NULL, "a mark is not in the body");
  return (uint32_t)(at - body->at);
}

static void make_spans(struct load_request *request, struct model_bytes *body) {
  static struct model_span spans[LOAD_SPANS];
  static struct model_resource resource;
  resource = (struct model_resource){.attribute_count = 1, .span_count = LOAD_SPANS, .spans = spans};
  resource.attributes[0] = (struct model_attribute){.key = {"service.name", 12}, .value = text("checkout")};
  for (uint32_t i = 0; i < LOAD_SPANS; i++) make_span(&spans[i], i);
  model_encode_protobuf(&resource, 1, NULL, body);
  for (uint32_t i = 0; i < LOAD_SPANS; i++) {
    request->ids[i] = offset_of(body, spans[i].trace_id, 16);
    request->limits[i] = offset_of(body, &spans[i].end_ns, sizeof spans[i].end_ns);
  }
  request->start_ns = spans[0].start_ns;
}

static void make_order(struct load_request *request, uint32_t bytes, struct model_bytes *body) {
  static const char start[] = "{\"order\":{\"id\":\"0000000000000000\",\"amount\":10025,\"currency\":\"EUR\"},\"note\":\"";
  static const char end[] = "\"}";
  bench_check(bytes >= sizeof start + sizeof end, "a webhook this small has no room for an order");
  model_put(body, start, sizeof start - 1);
  while (body->length < bytes - (sizeof end - 1)) model_put(body, "x", 1);
  model_put(body, end, sizeof end - 1);
  request->ids[0] = offset_of(body, "0000000000000000", ID_DIGITS);
  request->limits[0] = offset_of(body, "10025", 5);
}

/* GitHub's scheme signs the body alone, so one signature serves all: ids and amounts of the body stay what they are. */
static void signature(const struct model_bytes *body, char hex[65]) {
  uint8_t sum[32];
  unsigned length = sizeof sum;
  HMAC(EVP_sha256(), github_secret, sizeof github_secret - 1, body->at, body->length, sum, &length);
  for (unsigned i = 0; i < sizeof sum; i++) snprintf(hex + (size_t)i * 2, 3, "%02x", sum[i]);
}

static int make_head(const struct load_request *request, const struct model_bytes *body, char *head, size_t room) {
  static const char *const paths[LOAD_KINDS] = {"/v1/traces", "/webhook/quick", "/webhook/signed", "/webhook/durable"};
  const char *type = request->kind == LOAD_OTLP ? "application/x-protobuf" : "application/json";
  char more[256] = "";
  if (request->kind == LOAD_WEBHOOK_SIGNED) {
    char hex[65];
    signature(body, hex);
    snprintf(more, sizeof more, "X-GitHub-Delivery: 0000000000000000\r\nX-Hub-Signature-256: sha256=%s\r\n", hex);
  }
  const int length = snprintf(head, room,
                              "POST %s HTTP/1.1\r\nHost: 10.86.0.2:%u\r\nUser-Agent: tripline-load\r\nContent-Type: %s\r\n"
                              "%sContent-Length: %zu\r\n\r\n",
                              paths[request->kind], request->port, type, more, body->length);
  bench_check(length > 0 && (size_t)length < room, "the head fits");
  return length;
}

void load_request_make(struct load_request *request, enum load_kind kind, uint32_t body_bytes) {
  *request = (struct load_request){
      .kind = kind, .port = kind == LOAD_OTLP ? 4318 : 8080, .status = 200, .violation_every = LOAD_VIOLATION_EVERY};
  if (kind == LOAD_WEBHOOK || kind == LOAD_WEBHOOK_SIGNED) request->status = 202; /* acknowledged as received */
  struct model_bytes body = {0};
  if (kind == LOAD_OTLP) {
    make_spans(request, &body);
  } else {
    make_order(request, body_bytes, &body);
  }
  char head[1024];
  const int head_bytes = make_head(request, &body, head, sizeof head);
  request->head_bytes = (uint32_t)head_bytes;
  request->length = request->head_bytes + (uint32_t)body.length;
  request->bytes = malloc(request->length);
  bench_check(request->bytes != NULL, "memory");
  memcpy(request->bytes, head, request->head_bytes);
  memcpy(request->bytes + request->head_bytes, body.at, body.length);
  for (uint32_t i = 0; i < (kind == LOAD_OTLP ? LOAD_SPANS : 1); i++) {
    request->ids[i] += request->head_bytes;
    request->limits[i] += request->head_bytes;
  }
  if (kind == LOAD_WEBHOOK_SIGNED)
    request->ids[0] = (uint32_t)(strstr(head, "X-GitHub-Delivery: ") - head) + (uint32_t)strlen("X-GitHub-Delivery: ");
  model_free(&body);
}

void load_request_free(struct load_request *request) { free(request->bytes); }

/* SplitMix64: ids as random as a tracer's. */
static uint64_t mixed(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

static bool breaks_a_rule(const struct load_request *request, uint64_t number) {
  return request->violation_every && number % request->violation_every == 0;
}

static void number_spans(const struct load_request *request, uint64_t number, uint8_t *copy) {
  for (uint32_t i = 0; i < LOAD_SPANS; i++) {
    const uint64_t trace = number * (LOAD_SPANS / LOAD_SPANS_A_TRACE) + i / LOAD_SPANS_A_TRACE;
    const uint64_t id[2] = {mixed(trace), mixed(~trace)};
    memcpy(copy + request->ids[i], id, sizeof id);
    const bool slow = breaks_a_rule(request, number * LOAD_SPANS + i);
    const uint64_t end_ns = request->start_ns + i * SPAN_STEP_NS + (slow ? SPAN_SLOW_NS : SPAN_NS);
    memcpy(copy + request->limits[i], &end_ns, sizeof end_ns);
  }
}

void load_request_number(const struct load_request *request, uint64_t number, uint8_t *copy) {
  if (request->kind == LOAD_OTLP) {
    number_spans(request, number, copy);
    return;
  }
  if (request->kind != LOAD_WEBHOOK_SIGNED) copy[request->limits[0]] = breaks_a_rule(request, number) ? '9' : '1';
  char digits[ID_DIGITS];
  for (uint32_t i = ID_DIGITS; i-- > 0; number /= 10) digits[i] = (char)('0' + number % 10);
  memcpy(copy + request->ids[0], digits, sizeof digits);
}

uint32_t load_request_violations(const struct load_request *request, uint64_t number) {
  uint32_t violations = 0;
  if (request->kind == LOAD_WEBHOOK_SIGNED) return 0;
  if (request->kind != LOAD_OTLP) return breaks_a_rule(request, number);
  for (uint32_t i = 0; i < LOAD_SPANS; i++) violations += breaks_a_rule(request, number * LOAD_SPANS + i);
  return violations;
}
