#include "request_maker.h"
#include "span_model.h"
#include <libdeflate.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPANS_MAX 256u

#define RULES(of_span, of_trace)                                                                                                 \
  "rules:\n"                                                                                                                     \
  "  - name: " RULE_SPAN "\n"                                                                                                    \
  "    on: span\n"                                                                                                               \
  "    if: name = \"payment\" && (span.amount > 100 || span.amount = \"500\") && span.note =~ \"^note-[0-9]+$\"\n"               \
  "        && service = \"shop\"\n"                                                                                              \
  "    message: \"${span.entry}\"\n" of_span "  - name: " RULE_ORDER "\n"                                                        \
  "    on: webhook\n"                                                                                                            \
  "    if: body.order.amount > 100\n"                                                                                            \
  "    message: \"${body.order.entry}\"\n"                                                                                       \
  "  - name: " RULE_ALERT "\n"                                                                                                   \
  "    on: alert\n"                                                                                                              \
  "    if: status = firing && label.severity = \"critical\"\n"                                                                   \
  "    message: \"${label.entry}\"\n"                                                                                            \
  "  - name: " RULE_ALWAYS "\n"                                                                                                  \
  "    when: '{name = \"charge\" && (span.amount > 100 || span.amount =~ \"^[1-9]..$\")}'\n"                                     \
  "    always: '{name = \"fraud_check\"}'\n"                                                                                     \
  "    message: \"${span.always_entry}\"\n" of_trace "  - name: " RULE_NEVER "\n"                                                \
  "    when: '{name = \"charge\" && (span.amount > 100 || span.amount =~ \"^[1-9]..$\")}'\n"                                     \
  "    never: '{name = \"forbidden\"}'\n"                                                                                        \
  "    message: \"${span.never_entry}\"\n"

const char *const simulation_rules = RULES("", "");
/* Every entry is a key of its own, so that what owners of keys raise is what the rules above find. */
const char *const simulation_window_rules =
    RULES("    suppress: {by: [span.entry], for: 1h}\n", "    suppress: {by: [span.always_entry], for: 1h}\n");

static const uint8_t secret_bytes[24] = "the secret of the source";

static const char *request_path(enum request_kind kind) {
  switch (kind) {
  case REQUEST_PLAIN:
  case REQUEST_MALFORMED:
  case REQUEST_WRONG_METHOD:
  case REQUEST_WRONG_MEDIA_TYPE:
  case REQUEST_TOO_LARGE:
    return "/webhook/plain";
  case REQUEST_PLAIN_RECEIVED:
    return "/webhook/quick";
  case REQUEST_ALERTS:
    return "/webhook/alerts";
  case REQUEST_WRONG_PATH:
    return "/webhook/nobody";
  case REQUEST_SPANS_PROTOBUF:
  case REQUEST_SPANS_JSON:
    return "/v1/traces";
  case REQUEST_SPANS_ZIPKIN:
    return "/api/v2/spans";
  default:
    return "/webhook/signed";
  }
}

void request_maker_sources(struct appliance_options *options) {
  char text[64] = "whsec_";
  EVP_EncodeBlock((unsigned char *)text + 6, secret_bytes, sizeof secret_bytes);
  options->source_count = 4;
  struct webhook_source *sources = options->sources;
  sources[0] =
      (struct webhook_source){.name = "signed", .kind = WEBHOOK_STANDARD, .acknowledge_durable = true, .secret_count = 1};
  sources[1] = (struct webhook_source){.name = "plain", .kind = WEBHOOK_JSON, .acknowledge_durable = true};
  sources[2] = (struct webhook_source){.name = "quick", .kind = WEBHOOK_JSON};
  sources[3] = (struct webhook_source){.name = "alerts", .kind = WEBHOOK_ALERTMANAGER, .acknowledge_durable = true};
  for (uint32_t i = 0; i < 4; i++) {
    sources[i].max_body_bytes = 32768;
    /* Of some all is recorded, of some what is short, of the last nothing. */
    sources[i].recording = (struct webhook_recording){
        .body_bytes = i < 3 ? 4096u >> 4 * i : 0, .header_count = i < 3 ? 2 : 0, .headers = {{12, "content-type"}, {4, "host"}}};
    sources[i].window_ns = 1800000000000; /* so that no id is forgotten within a story */
  }
  if (webhook_secret_prepare(WEBHOOK_STANDARD, text, (uint32_t)strlen(text), &sources[0].secrets[0]) != 0) abort();
}

/* Texts of a body under construction; they live until it is encoded. */
struct span_texts {
  char entry[SPANS_MAX][24], other_entry[SPANS_MAX][24], note[SPANS_MAX][24];
};

static struct event_text text_of(const char *text) { return (struct event_text){text, (uint32_t)strlen(text)}; }

static struct value string_value(const char *text) {
  return (struct value){.type = VALUE_STRING, .text = text, .length = (uint32_t)strlen(text)};
}

static void add_attribute(struct model_span *span, const char *key, struct value value) {
  span->attributes[span->attribute_count++] = (struct model_attribute){text_of(key), value};
}

static void identify(struct model_span *span, uint64_t trace, uint64_t number) {
  span->trace_id_bytes = 16;
  span->span_id_bytes = 8;
  memcpy(span->trace_id, &trace, 8);
  memcpy(span->trace_id + 8, &number, 8);
  memcpy(span->span_id, &number, 8);
  if (trace) memset(span->trace_id + 8, 7, 8);
  span->start_ns = 1700000000000000000ull + number;
  span->end_ns = span->start_ns + 1000000;
}

static uint64_t span_number(uint32_t request, uint32_t index) { return ((uint64_t)request + 1) << 16 | (index + 1); }

static void make_part(const struct plan_part *part, const struct request_entries *entries, struct model_span *span,
                      struct span_texts *texts, uint32_t index) {
  static const char *const names[] = {"charge", "fraud_check", "forbidden", "other"};
  span->name = text_of(names[part->role]);
  memset(span->trace_id, 0, 16);
  span->trace_id[0] = (uint8_t)(part->trace + 1);
  span->trace_id[1] = (uint8_t)((part->trace + 1) >> 8);
  span->trace_id[15] = 9;
  if (part->role != ROLE_CHARGE) return;
  add_attribute(span, "amount", (struct value){.type = VALUE_INTEGER, .integer = 101 + part->trace});
  snprintf(texts->entry[index], 24, "e%u", entries->always[part->trace]);
  snprintf(texts->other_entry[index], 24, "e%u", entries->never[part->trace]);
  add_attribute(span, "always_entry", string_value(texts->entry[index]));
  add_attribute(span, "never_entry", string_value(texts->other_entry[index]));
}

static uint32_t make_spans(const struct traffic_plan *plan, uint32_t number, const struct request_entries *entries,
                           struct model_span *spans, struct span_texts *texts) {
  const struct plan_request *request = &plan->request[number];
  uint32_t count = 0;
  for (uint32_t i = 0; i < request->events; i++, count++) {
    identify(&spans[count], 0x5150000000000000ull + number, span_number(number, count));
    spans[count].name = text_of("payment");
    const bool faulty = request->faulty >> i & 1;
    snprintf(texts->entry[count], 24, "e%u", entries->events[i]);
    snprintf(texts->note[count], 24, faulty || i & 1 ? "note-%u" : "no note %u", i);
    add_attribute(&spans[count], "amount",
                  faulty || !(i & 1) ? (struct value){.type = VALUE_INTEGER, .integer = 500}
                                     : (struct value){.type = VALUE_DOUBLE, .real = 99.5});
    add_attribute(&spans[count], "entry", string_value(texts->entry[count]));
    add_attribute(&spans[count], "note", string_value(texts->note[count]));
  }
  for (uint32_t i = 0; i < plan->parts && count < SPANS_MAX; i++) {
    if (plan->part[i].request != number) continue;
    identify(&spans[count], 1, span_number(number, count));
    make_part(&plan->part[i], entries, &spans[count], texts, count);
    count++;
  }
  for (uint32_t i = 0; i < request->fillers + (uint32_t)request->bad_spans && count < SPANS_MAX; i++, count++) {
    identify(&spans[count], 0x6160000000000000ull + number, span_number(number, count));
    spans[count].name = text_of(i & 1 ? "filler" : "payment");
    spans[count].kind = SPAN_KIND_SERVER;
    if (i < request->bad_spans) memset(spans[count].trace_id, 0, 16);
  }
  return count;
}

uint32_t request_spans(const struct traffic_plan *plan, uint32_t number) {
  const struct plan_request *request = &plan->request[number];
  uint32_t count = (uint32_t)request->events + request->fillers + request->bad_spans;
  for (uint32_t i = 0; i < plan->parts; i++) count += plan->part[i].request == number;
  return count < SPANS_MAX ? count : SPANS_MAX;
}

static void make_span_body(const struct traffic_plan *plan, uint32_t number, const struct request_entries *entries,
                           struct test_random *random, struct model_bytes *body) {
  struct model_span *spans = calloc(SPANS_MAX, sizeof *spans);
  struct span_texts *texts = malloc(sizeof *texts);
  if (!spans || !texts) abort();
  struct model_resource resource = {
      .attribute_count = 1,
      .attributes = {{text_of("service.name"), string_value("shop")}},
      .span_count = make_spans(plan, number, entries, spans, texts),
      .spans = spans,
  };
  unsigned seed = (unsigned)random_next(random);
  unsigned *varied = random_below(random, 3) ? NULL : &seed;
  switch (plan->request[number].kind) {
  case REQUEST_SPANS_JSON:
    model_encode_json(&resource, 1, varied, body);
    break;
  case REQUEST_SPANS_ZIPKIN:
    model_encode_zipkin(&resource, varied, body);
    break;
  case REQUEST_DATAGRAM_JAEGER:
    model_encode_jaeger(&resource, body);
    break;
  default:
    model_encode_protobuf(&resource, 1, varied, body);
  }
  free(texts);
  free(spans);
}

static void put_text(struct model_bytes *out, const char *text) { model_put(out, text, strlen(text)); }

static void make_alerts(const struct plan_request *request, const uint32_t *entries, struct model_bytes *body) {
  put_text(body, "{\"version\":\"4\",\"receiver\":\"tripline\",\"status\":\"firing\",\"groupKey\":\"g\",\"alerts\":[");
  for (uint32_t i = 0; i < request->events; i++) {
    char alert[300];
    snprintf(alert, sizeof alert,
             "%s{\"status\":\"%s\",\"labels\":{\"alertname\":\"A%u\",\"severity\":\"%s\",\"entry\":\"e%u\"},"
             "\"annotations\":{},\"startsAt\":\"2026-01-02T03:04:05Z\"}",
             i ? "," : "", request->faulty >> i & 1 || i & 1 ? "firing" : "resolved", i,
             request->faulty >> i & 1 || !(i & 1) ? "critical" : "warning", entries[i]);
    put_text(body, alert);
  }
  put_text(body, "]}");
}

void request_make_body(const struct traffic_plan *plan, uint32_t number, const struct request_entries *entries,
                       struct test_random *random, struct model_bytes *body) {
  const struct plan_request *request = &plan->request[number];
  char text[200];
  switch (request->kind) {
  case REQUEST_SPANS_PROTOBUF:
  case REQUEST_SPANS_JSON:
  case REQUEST_SPANS_ZIPKIN:
  case REQUEST_DATAGRAM:
  case REQUEST_DATAGRAM_JAEGER:
    make_span_body(plan, number, entries, random, body);
    return;
  case REQUEST_ALERTS:
    make_alerts(request, entries->events, body);
    return;
  case REQUEST_MALFORMED:
    put_text(body, "{\"order\": {\"amount\": 500, \"entry\": \"none\"}");
    return;
  case REQUEST_TOO_LARGE:
    for (uint32_t i = 0; i < 4000; i++) put_text(body, "0123456789");
    return;
  default:
    snprintf(text, sizeof text, "{\"order\": {\"amount\": %d, \"entry\": \"e%u\", \"kind\": %d}}", request->faulty & 1 ? 500 : 5,
             request->events ? entries->events[0] : 0, (int)request->kind);
    put_text(body, text);
  }
}

static void sign(const char *id, uint64_t wall_ns, const struct model_bytes *body, bool genuine, struct model_bytes *out) {
  uint8_t mac[32];
  char signature[64], headers[300];
  unsigned mac_bytes = sizeof mac;
  struct model_bytes content = {0};
  const unsigned long long seconds = wall_ns / 1000000000;
  snprintf(headers, sizeof headers, "%s.%llu.", id, seconds);
  put_text(&content, headers);
  model_put(&content, body->at, body->length);
  HMAC(EVP_sha256(), secret_bytes, genuine ? sizeof secret_bytes : 5, content.at, content.length, mac, &mac_bytes);
  model_free(&content);
  EVP_EncodeBlock((unsigned char *)signature, mac, sizeof mac);
  snprintf(headers, sizeof headers, "webhook-id: %s\r\nwebhook-timestamp: %llu\r\nwebhook-signature: v1,%s\r\n", id, seconds,
           signature);
  put_text(out, headers);
}

/* A forged request uses the id of its client's next genuine one, which must not be burned by it. */
static uint32_t id_of(const struct traffic_plan *plan, uint32_t number) {
  const struct plan_request *request = &plan->request[number];
  if (request->kind == REQUEST_REPEAT || request->kind == REQUEST_OTHER_BODY) return request->of;
  for (uint32_t i = number; request->kind == REQUEST_FORGED && i < plan->requests; i++)
    if (plan->request[i].kind == REQUEST_SIGNED && plan->request[i].client == request->client) return i;
  return number;
}

static void put_headers(const struct traffic_plan *plan, uint32_t number, const struct model_bytes *body, uint64_t wall_ns,
                        struct model_bytes *out) {
  const enum request_kind kind = plan->request[number].kind;
  char id[32], line[200];
  const char *type = kind == REQUEST_SPANS_PROTOBUF ? "application/x-protobuf" : "application/json";
  snprintf(line, sizeof line, "%s %s HTTP/1.1\r\nHost: tripline\r\nContent-Type: %s\r\n",
           kind == REQUEST_WRONG_METHOD ? "PUT" : "POST", request_path(kind),
           kind == REQUEST_WRONG_MEDIA_TYPE ? "text/plain" : type);
  put_text(out, line);
  snprintf(id, sizeof id, "webhook-%u", id_of(plan, number));
  if (kind == REQUEST_SIGNED || kind == REQUEST_REPEAT || kind == REQUEST_OTHER_BODY || kind == REQUEST_FORGED)
    sign(id, wall_ns, body, kind != REQUEST_FORGED, out);
}

static void put_chunked(const struct model_bytes *body, struct test_random *random, struct model_bytes *out) {
  char size[24];
  put_text(out, "Transfer-Encoding: chunked\r\n\r\n");
  for (size_t at = 0; at < body->length;) {
    size_t bytes = 1 + random_below(random, 4000);
    if (bytes > body->length - at) bytes = body->length - at;
    snprintf(size, sizeof size, "%zx\r\n", bytes);
    put_text(out, size);
    model_put(out, body->at + at, bytes);
    put_text(out, "\r\n");
    at += bytes;
  }
  put_text(out, "0\r\n\r\n");
}

static void compress(const struct model_bytes *body, struct model_bytes *out) {
  struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
  const size_t room = libdeflate_gzip_compress_bound(compressor, body->length);
  uint8_t *bytes = malloc(room);
  if (!bytes) abort();
  const size_t length = libdeflate_gzip_compress(compressor, body->at, body->length, bytes, room);
  model_put(out, bytes, length);
  free(bytes);
  libdeflate_free_compressor(compressor);
}

void request_make(const struct traffic_plan *plan, uint32_t number, const struct model_bytes *body, uint64_t wall_ns,
                  struct test_random *random, struct model_bytes *out) {
  struct model_bytes compressed = {0};
  const struct model_bytes *content = body;
  char line[64];
  put_headers(plan, number, body, wall_ns, out);
  if (random_below(random, 4) == 0) {
    compress(body, &compressed);
    content = &compressed;
    put_text(out, "Content-Encoding: gzip\r\n");
  }
  if (random_below(random, 8) == 0) put_text(out, "Expect: 100-continue\r\n");
  if (random_below(random, 4) == 0) {
    put_chunked(content, random, out);
  } else {
    snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", content->length);
    put_text(out, line);
    model_put(out, content->at, content->length);
  }
  model_free(&compressed);
}
