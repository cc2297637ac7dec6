#include "otlp_model.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool chance(unsigned *seed, unsigned one_in) { return seed && (unsigned)rand_r(seed) % one_in == 0; }

static void put(struct model_bytes *bytes, const char *text) { model_put(bytes, text, strlen(text)); }

static void put_space(struct model_bytes *bytes, unsigned *seed) {
  static const char *const spaces[] = {" ", "\n", "\t", "\r\n  "};
  if (chance(seed, 6)) put(bytes, spaces[(unsigned)rand_r(seed) % 4]);
}

/* Valid UTF-8 of the basic plane or beyond is passed as it is; now and then a byte below 0x80 is escaped without need. */
static void put_string(struct model_bytes *bytes, const char *text, size_t length, unsigned *seed) {
  put(bytes, "\"");
  for (size_t i = 0; i < length; i++) {
    const uint8_t byte = (uint8_t)text[i];
    char escape[8];
    if (byte < 0x20 || byte == '"' || byte == '\\' || (byte < 0x80 && chance(seed, 20))) {
      snprintf(escape, sizeof escape, chance(seed, 2) ? "\\u%04X" : "\\u%04x", byte);
      put(bytes, escape);
    } else {
      model_put(bytes, &text[i], 1);
    }
  }
  put(bytes, "\"");
}

/* A list of members in any order, with unknown ones between them. */
struct members {
  struct model_bytes chunks[16];
  uint32_t count;
};

static struct model_bytes *member(struct members *members, const char *name, unsigned *seed) {
  struct model_bytes *chunk = &members->chunks[members->count++];
  put_space(chunk, seed);
  put_string(chunk, name, strlen(name), seed);
  put_space(chunk, seed);
  put(chunk, ":");
  put_space(chunk, seed);
  return chunk;
}

static void add_unknown(struct members *members, unsigned *seed) {
  static const char *const unknown[] = {"null", "[[{\"resource\":{}}],1.5e-7,\"\\ud83d\\ude00\"]", "{\"traceId\":7}", "true",
                                        "\"\\n\""};
  if (chance(seed, 3)) put(member(members, chance(seed, 2) ? "unknown" : "trace_id", seed), unknown[(unsigned)rand_r(seed) % 5]);
}

static void put_object(struct model_bytes *bytes, struct members *members, unsigned *seed) {
  for (uint32_t left = members->count; seed && left > 1; left--) {
    const uint32_t other = (uint32_t)rand_r(seed) % left;
    const struct model_bytes swapped = members->chunks[left - 1];
    members->chunks[left - 1] = members->chunks[other];
    members->chunks[other] = swapped;
  }
  put(bytes, "{");
  for (uint32_t i = 0; i < members->count; i++) {
    if (i) put(bytes, ",");
    model_put(bytes, members->chunks[i].at, members->chunks[i].length);
    model_free(&members->chunks[i]);
  }
  put_space(bytes, seed);
  put(bytes, "}");
}

static void put_number(struct model_bytes *bytes, const char *digits, bool text) {
  if (text) put(bytes, "\"");
  put(bytes, digits);
  if (text) put(bytes, "\"");
}

static void put_any_value(struct model_bytes *bytes, const struct value *value, unsigned *seed) {
  static const char *const others[][2] = {{"arrayValue", "{\"values\":[{\"intValue\":\"5\"},{}]}"},
                                          {"kvlistValue", "{\"values\":[{\"key\":\"k\",\"value\":{\"stringValue\":\"v\"}}]}"},
                                          {"bytesValue", "\"AAEC\""}};
  struct members members = {.count = 0};
  char digits[64];
  const unsigned other = seed ? (unsigned)rand_r(seed) % 3 : 0;
  switch (value->type) {
  case VALUE_NULL:
    if (chance(seed, 2)) put(member(&members, "stringValue", seed), "null");
    break;
  case VALUE_STRING:
    put_string(member(&members, "stringValue", seed), value->text, value->length, seed);
    break;
  case VALUE_BOOL:
    put(member(&members, "boolValue", seed), value->boolean ? "true" : "false");
    break;
  case VALUE_INTEGER:
    snprintf(digits, sizeof digits, "%" PRId64, value->integer);
    put_number(member(&members, "intValue", seed), digits, !chance(seed, 2));
    break;
  case VALUE_DOUBLE:
    if (isnan(value->real) || isinf(value->real)) {
      put_number(member(&members, "doubleValue", seed),
                 isnan(value->real) ? "NaN"
                 : value->real > 0  ? "Infinity"
                                    : "-Infinity",
                 true);
    } else {
      snprintf(digits, sizeof digits, "%.17g", value->real);
      put_number(member(&members, "doubleValue", seed), digits, chance(seed, 4));
    }
    break;
  case VALUE_OTHER:
    put(member(&members, others[other][0], seed), others[other][1]);
    break;
  }
  add_unknown(&members, seed);
  put_object(bytes, &members, seed);
}

static void put_attributes(struct model_bytes *bytes, const struct model_attribute *attributes, uint32_t count, unsigned *seed) {
  put(bytes, "[");
  for (uint32_t i = 0; i < count; i++) {
    struct members members = {.count = 0};
    if (i) put(bytes, ",");
    put_string(member(&members, "key", seed), attributes[i].key.at, attributes[i].key.length, seed);
    if (attributes[i].value.type != VALUE_NULL || chance(seed, 2))
      put_any_value(member(&members, "value", seed), &attributes[i].value, seed);
    add_unknown(&members, seed);
    put_object(bytes, &members, seed);
  }
  put_space(bytes, seed);
  put(bytes, "]");
}

static void put_id(struct members *members, const char *name, const uint8_t *id, uint32_t length, unsigned *seed) {
  char hex[2 * 20 + 1] = "";
  if (length == 0 && chance(seed, 2)) return;
  for (uint32_t i = 0; i < length; i++) snprintf(hex + 2 * i, 3, chance(seed, 2) ? "%02X" : "%02x", id[i]);
  put_string(member(members, name, seed), hex, strlen(hex), NULL);
}

static void put_time(struct members *members, const char *name, uint64_t time_ns, unsigned *seed) {
  char digits[32];
  snprintf(digits, sizeof digits, "%" PRIu64, time_ns);
  put_number(member(members, name, seed), digits, !chance(seed, 2));
}

static void put_enum(struct members *members, const char *name, int32_t value, unsigned *seed) {
  char digits[16];
  snprintf(digits, sizeof digits, "%d", value);
  if (value || chance(seed, 2)) put(member(members, name, seed), digits);
}

static void put_span(struct model_bytes *bytes, const struct model_span *span, unsigned *seed) {
  struct members members = {.count = 0}, status = {.count = 0};
  put_id(&members, "traceId", span->trace_id, span->trace_id_bytes, seed);
  put_id(&members, "spanId", span->span_id, span->span_id_bytes, seed);
  put_id(&members, "parentSpanId", span->parent_id, span->parent_id_bytes, seed);
  if (span->name.length || chance(seed, 2)) put_string(member(&members, "name", seed), span->name.at, span->name.length, seed);
  put_enum(&members, "kind", span->kind, seed);
  put_time(&members, "startTimeUnixNano", span->start_ns, seed);
  put_time(&members, "endTimeUnixNano", span->end_ns, seed);
  put_attributes(member(&members, "attributes", seed), span->attributes, span->attribute_count, seed);
  if (chance(seed, 3)) put(member(&members, "events", seed), "[{\"name\":\"e\",\"attributes\":[]}]");
  if (chance(seed, 3)) put(member(&members, "flags", seed), "257");
  put_enum(&status, "code", span->status, seed);
  if (chance(seed, 2)) put(member(&status, "message", seed), "\"it went wrong\"");
  put_object(member(&members, "status", seed), &status, seed);
  add_unknown(&members, seed);
  put_object(bytes, &members, seed);
}

static void put_scopes(struct model_bytes *bytes, const struct model_resource *resource, unsigned *seed) {
  put(bytes, "[");
  for (uint32_t i = 0; i < resource->span_count;) {
    struct members members = {.count = 0};
    uint32_t some = resource->span_count - i;
    if (chance(seed, 2)) some = 1 + (uint32_t)rand_r(seed) % some;
    if (i) put(bytes, ",");
    put(member(&members, "scope", seed), "{\"name\":\"lib\"}");
    struct model_bytes *spans = member(&members, "spans", seed);
    put(spans, "[");
    for (uint32_t end = i + some, first = i; i < end; i++) {
      if (i > first) put(spans, ",");
      put_span(spans, &resource->spans[i], seed);
    }
    put(spans, "]");
    add_unknown(&members, seed);
    put_object(bytes, &members, seed);
  }
  put(bytes, "]");
}

void model_encode_json(const struct model_resource *resources, uint32_t count, unsigned *seed, struct model_bytes *out) {
  struct members request = {.count = 0};
  struct model_bytes *list = member(&request, "resourceSpans", seed);
  put(list, "[");
  for (uint32_t r = 0; r < count; r++) {
    struct members all = {.count = 0}, resource = {.count = 0};
    if (r) put(list, ",");
    add_unknown(&all, seed);
    put_attributes(member(&resource, "attributes", seed), resources[r].attributes, resources[r].attribute_count, seed);
    put_object(member(&all, "resource", seed), &resource, seed);
    put_scopes(member(&all, "scopeSpans", seed), &resources[r], seed);
    add_unknown(&all, seed);
    put_object(list, &all, seed);
  }
  put(list, "]");
  add_unknown(&request, seed);
  put_object(out, &request, seed);
}
