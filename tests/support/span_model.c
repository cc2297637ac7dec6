#include "span_model.h"
#include "thrift_writer.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_US 1000u

static void put(struct model_bytes *out, const char *text) { model_put(out, text, strlen(text)); }

static void put_quoted(struct model_bytes *out, const char *text, size_t length) {
  put(out, "\"");
  model_put(out, text, length);
  put(out, "\"");
}

static void put_id(struct model_bytes *out, const char *name, const uint8_t *id, uint32_t length) {
  char hex[3];
  put(out, name);
  put(out, "\"");
  for (uint32_t i = 0; i < length; i++) {
    snprintf(hex, sizeof hex, "%02x", id[i]);
    put(out, hex);
  }
  put(out, "\"");
}

/* A number now and then without its quotes, as careless senders write it. */
static void put_tag(struct model_bytes *out, const struct model_attribute *attribute, unsigned *seed) {
  const struct value *value = &attribute->value;
  const bool bare = seed && rand_r(seed) % 2;
  char text[64];
  put_quoted(out, attribute->key.at, attribute->key.length);
  put(out, ":");
  if (value->type == VALUE_STRING) {
    put_quoted(out, value->text, value->length);
    return;
  }
  if (value->type == VALUE_INTEGER) snprintf(text, sizeof text, "%" PRId64, value->integer);
  if (value->type == VALUE_DOUBLE) snprintf(text, sizeof text, "%.17g", value->real);
  if (bare) {
    put(out, text);
  } else {
    put_quoted(out, text, strlen(text));
  }
}

static void put_zipkin_span(struct model_bytes *out, const struct model_span *span, const struct event_text *service,
                            unsigned *seed) {
  static const char *const kinds[] = {"", "", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"};
  char text[160];
  const bool tags_first = seed && rand_r(seed) % 2;
  put(out, "{");
  for (unsigned part = 0; part < 2; part++) {
    if (part) put(out, ",");
    if ((part == 0) == tags_first) {
      put(out, "\"tags\":{");
      for (uint32_t i = 0; i < span->attribute_count; i++) {
        if (i) put(out, ",");
        put_tag(out, &span->attributes[i], seed);
      }
      put(out, "}");
      continue;
    }
    put_id(out, "\"traceId\":", span->trace_id, span->trace_id_bytes);
    put_id(out, ",\"id\":", span->span_id, span->span_id_bytes);
    put(out, ",\"name\":");
    put_quoted(out, span->name.at, span->name.length);
    if (*kinds[span->kind]) {
      snprintf(text, sizeof text, ",\"kind\":\"%s\"", kinds[span->kind]);
      put(out, text);
    }
    snprintf(text, sizeof text, ",\"timestamp\":%" PRIu64 ",\"duration\":%" PRIu64 ",\"localEndpoint\":{\"serviceName\":",
             span->start_ns / NS_PER_US, (span->end_ns - span->start_ns) / NS_PER_US);
    put(out, text);
    put_quoted(out, service->at, service->length);
    put(out, "}");
  }
  put(out, "}");
}

void model_encode_zipkin(const struct model_resource *resource, unsigned *seed, struct model_bytes *out) {
  const struct value *service = &resource->attributes[0].value;
  const struct event_text name = {.at = service->text, .length = service->length};
  put(out, "[");
  for (uint32_t i = 0; i < resource->span_count; i++) {
    if (i) put(out, seed && rand_r(seed) % 2 ? " ,\n" : ",");
    put_zipkin_span(out, &resource->spans[i], &name, seed);
  }
  put(out, "]");
}

static int64_t big_endian(const uint8_t *bytes) {
  uint64_t value = 0;
  for (unsigned i = 0; i < 8; i++) value = value << 8 | bytes[i];
  return (int64_t)value;
}

static void put_jaeger_tag(struct thrift_writer *writer, const struct model_attribute *attribute) {
  char text[200];
  put_struct(writer);
  snprintf(text, sizeof text, "%.*s", (int)attribute->key.length, attribute->key.at);
  put_string(writer, 1, text);
  if (attribute->value.type == VALUE_STRING) {
    snprintf(text, sizeof text, "%.*s", (int)attribute->value.length, attribute->value.text);
    put_i32(writer, 2, 0);
    put_string(writer, 3, text);
  } else if (attribute->value.type == VALUE_DOUBLE) {
    uint8_t bytes[8];
    memcpy(bytes, &attribute->value.real, sizeof bytes);
    put_i32(writer, 2, 1);
    put_field(writer, 4, 7);
    for (unsigned i = 0; i < sizeof bytes; i++) put_byte(writer, bytes[i]);
  } else {
    put_i32(writer, 2, 3);
    put_i64(writer, 6, attribute->value.integer);
  }
  put_stop(writer);
}

void model_encode_jaeger(const struct model_resource *resource, struct model_bytes *out) {
  struct thrift_writer *writer = malloc(sizeof *writer);
  char service[100];
  if (!writer) abort();
  snprintf(service, sizeof service, "%.*s", (int)resource->attributes[0].value.length, resource->attributes[0].value.text);
  put_batch(writer);
  put_process(writer, service);
  put_field(writer, 2, 9);
  put_list(writer, 12, resource->span_count);
  for (uint32_t i = 0; i < resource->span_count; i++) {
    const struct model_span *span = &resource->spans[i];
    char name[100];
    snprintf(name, sizeof name, "%.*s", (int)span->name.length, span->name.at);
    put_struct(writer);
    put_i64(writer, 1, big_endian(span->trace_id + 8));
    put_i64(writer, 2, big_endian(span->trace_id));
    put_i64(writer, 3, big_endian(span->span_id));
    put_i64(writer, 4, 0);
    put_string(writer, 5, name);
    put_i32(writer, 7, 1);
    put_i64(writer, 8, (int64_t)(span->start_ns / NS_PER_US));
    put_i64(writer, 9, (int64_t)((span->end_ns - span->start_ns) / NS_PER_US));
    put_field(writer, 10, 9);
    put_list(writer, 12, span->attribute_count);
    for (uint32_t a = 0; a < span->attribute_count; a++) put_jaeger_tag(writer, &span->attributes[a]);
    put_stop(writer);
  }
  put_stop(writer);
  put_stop(writer);
  model_put(out, writer->bytes, writer->length);
  free(writer);
}
