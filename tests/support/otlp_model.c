#include "otlp_model.h"
#include <stdlib.h>
#include <string.h>

void model_put(struct model_bytes *bytes, const void *at, size_t length) {
  if (bytes->length + length > bytes->room) {
    bytes->room = (bytes->length + length) * 2 + 64;
    bytes->at = realloc(bytes->at, bytes->room);
    if (!bytes->at) abort();
  }
  if (length) memcpy(bytes->at + bytes->length, at, length);
  bytes->length += length;
}

void model_free(struct model_bytes *bytes) {
  free(bytes->at);
  *bytes = (struct model_bytes){0};
}

static bool chance(unsigned *seed, unsigned one_in) { return seed && (unsigned)rand_r(seed) % one_in == 0; }

static void put_padded_varint(struct model_bytes *bytes, uint64_t value, unsigned padding) {
  while (value >= 0x80 || padding > 0) {
    const uint8_t byte = (uint8_t)((value & 0x7f) | 0x80);
    model_put(bytes, &byte, 1);
    if (value < 0x80) padding--;
    value >>= 7;
  }
  const uint8_t last = (uint8_t)value;
  model_put(bytes, &last, 1);
}

void model_put_varint(struct model_bytes *bytes, uint64_t value) { put_padded_varint(bytes, value, 0); }

static void put_tag(struct model_bytes *bytes, uint32_t number, unsigned wire) {
  model_put_varint(bytes, (uint64_t)number << 3 | wire);
}

void model_put_field(struct model_bytes *bytes, uint32_t number, const void *at, size_t length) {
  put_tag(bytes, number, 2);
  model_put_varint(bytes, length);
  model_put(bytes, at, length);
}

/* As above, sometimes with a length longer than it needs to be. */
static void put_field(struct model_bytes *bytes, uint32_t number, const struct model_bytes *content, unsigned *seed) {
  put_tag(bytes, number, 2);
  put_padded_varint(bytes, content->length, chance(seed, 8) ? 1 : 0);
  model_put(bytes, content->at, content->length);
}

static void put_integer(struct model_bytes *bytes, uint32_t number, uint64_t value) {
  put_tag(bytes, number, 0);
  model_put_varint(bytes, value);
}

static void put_fixed64(struct model_bytes *bytes, uint32_t number, uint64_t value) {
  put_tag(bytes, number, 1);
  model_put(bytes, &value, sizeof value);
}

static void put_unknown(struct model_bytes *bytes, unsigned *seed) {
  static const uint8_t junk[40] = {0x0a, 0xff, 0x12};
  if (!chance(seed, 3)) return;
  const uint32_t number = chance(seed, 4) ? (1u << 29) - 1 : 40 + (uint32_t)rand_r(seed) % 3000;
  switch (rand_r(seed) % 5) {
  case 0:
    put_integer(bytes, number, (uint64_t)rand_r(seed) << 33);
    break;
  case 1:
    put_fixed64(bytes, number, 7);
    break;
  case 2:
    put_tag(bytes, number, 5);
    model_put(bytes, junk, 4);
    break;
  case 3:
    model_put_field(bytes, number, junk, (size_t)rand_r(seed) % sizeof junk);
    break;
  default: /* a group with a group in it */
    put_tag(bytes, number, 3);
    put_integer(bytes, 1, 5);
    put_tag(bytes, 2, 3);
    model_put_field(bytes, 1, junk, 3);
    put_tag(bytes, 2, 4);
    put_tag(bytes, number, 4);
  }
}

#define CHUNKS_MAX 24

/* Fields in any order, unknown ones between them; frees the chunks. */
static void put_shuffled(struct model_bytes *bytes, struct model_bytes *chunks, uint32_t count, unsigned *seed,
                         void (*between)(struct model_bytes *bytes, unsigned *seed)) {
  for (uint32_t left = count; seed && left > 1; left--) {
    const uint32_t other = (uint32_t)rand_r(seed) % left;
    const struct model_bytes swapped = chunks[left - 1];
    chunks[left - 1] = chunks[other];
    chunks[other] = swapped;
  }
  for (uint32_t i = 0; i < count; i++) {
    between(bytes, seed);
    model_put(bytes, chunks[i].at, chunks[i].length);
    model_free(&chunks[i]);
  }
  between(bytes, seed);
}

static void put_any_value(struct model_bytes *bytes, const struct value *value, unsigned *seed) {
  static const uint8_t array[] = {0x0a, 0x02, 0x18, 0x05};
  uint64_t bits;
  put_unknown(bytes, seed);
  if (chance(seed, 10)) put_integer(bytes, 3, 4711); /* a oneof: the last one counts */
  switch (value->type) {
  case VALUE_NULL:
    break;
  case VALUE_STRING:
    model_put_field(bytes, 1, value->text, value->length);
    break;
  case VALUE_BOOL:
    put_integer(bytes, 2, value->boolean);
    break;
  case VALUE_INTEGER:
    put_integer(bytes, 3, (uint64_t)value->integer);
    break;
  case VALUE_DOUBLE:
    memcpy(&bits, &value->real, sizeof bits);
    put_fixed64(bytes, 4, bits);
    break;
  case VALUE_OTHER:
    model_put_field(bytes, 5 + (seed ? (uint32_t)rand_r(seed) % 3 : 0), array, sizeof array);
    break;
  }
  put_unknown(bytes, seed);
}

static void put_attributes(struct model_bytes *bytes, uint32_t number, const struct model_attribute *attributes, uint32_t count,
                           unsigned *seed) {
  for (uint32_t i = 0; i < count; i++) {
    struct model_bytes chunks[2] = {{0}, {0}}, value = {0}, pair = {0};
    model_put_field(&chunks[0], 1, attributes[i].key.at, attributes[i].key.length);
    /* Without a value at all, or with an empty one. */
    if (attributes[i].value.type != VALUE_NULL) {
      put_any_value(&value, &attributes[i].value, seed);
      put_field(&chunks[1], 2, &value, seed);
    } else if (chance(seed, 2)) {
      put_field(&chunks[1], 2, &value, seed);
    }
    put_shuffled(&pair, chunks, 2, seed, put_unknown);
    put_field(bytes, number, &pair, seed);
    model_free(&value);
    model_free(&pair);
  }
}

static void put_span(struct model_bytes *bytes, const struct model_span *span, unsigned *seed) {
  struct model_bytes chunks[CHUNKS_MAX] = {{0}}, status = {0};
  uint32_t count = 0;
  if (span->trace_id_bytes || !chance(seed, 2)) model_put_field(&chunks[count++], 1, span->trace_id, span->trace_id_bytes);
  if (span->span_id_bytes || !chance(seed, 2)) model_put_field(&chunks[count++], 2, span->span_id, span->span_id_bytes);
  if (span->parent_id_bytes || chance(seed, 2)) model_put_field(&chunks[count++], 4, span->parent_id, span->parent_id_bytes);
  if (span->name.length || chance(seed, 2)) model_put_field(&chunks[count++], 5, span->name.at, span->name.length);
  if (span->kind || chance(seed, 2)) put_integer(&chunks[count++], 6, (uint64_t)(int64_t)span->kind);
  put_fixed64(&chunks[count++], 7, span->start_ns);
  put_fixed64(&chunks[count++], 8, span->end_ns);
  put_attributes(&chunks[count++], 9, span->attributes, span->attribute_count, seed);
  if (chance(seed, 3)) model_put_field(&chunks[count++], 3, "vendor=state", 12);
  if (chance(seed, 3)) put_integer(&chunks[count++], 10, 3);
  if (chance(seed, 3)) model_put_field(&chunks[count++], 11, "\x09garbage of an event", 20);
  if (chance(seed, 3)) model_put_field(&chunks[count++], 13, "", 0);
  if (span->status || chance(seed, 2)) {
    model_put_field(&status, 2, "it went wrong", 13);
    put_unknown(&status, seed);
    put_integer(&status, 3, (uint64_t)(int64_t)span->status);
    put_field(&chunks[count++], 15, &status, seed);
  }
  put_shuffled(bytes, chunks, count, seed, put_unknown);
  model_free(&status);
}

static void put_scope(struct model_bytes *bytes, const struct model_span *spans, uint32_t count, unsigned *seed) {
  struct model_bytes scope = {0}, span = {0};
  model_put_field(&scope, 1, "\x0a\x03lib", 5);
  for (uint32_t i = 0; i < count; i++) {
    put_span(&span, &spans[i], seed);
    put_unknown(&scope, seed);
    put_field(&scope, 2, &span, seed);
    model_free(&span);
  }
  put_unknown(&scope, seed);
  put_field(bytes, 2, &scope, seed);
  model_free(&scope);
}

void model_encode_protobuf(const struct model_resource *resources, uint32_t count, unsigned *seed, struct model_bytes *out) {
  for (uint32_t r = 0; r < count; r++) {
    const struct model_resource *resource = &resources[r];
    struct model_bytes chunks[2] = {{0}, {0}}, attributes = {0}, all = {0};
    put_unknown(&attributes, seed);
    put_attributes(&attributes, 1, resource->attributes, resource->attribute_count, seed);
    put_field(&chunks[0], 1, &attributes, seed);
    for (uint32_t i = 0; i < resource->span_count;) {
      uint32_t some = resource->span_count - i;
      if (chance(seed, 2)) some = 1 + (uint32_t)rand_r(seed) % some;
      put_scope(&chunks[1], resource->spans + i, some, seed);
      i += some;
    }
    put_shuffled(&all, chunks, 2, seed, put_unknown);
    put_unknown(out, seed);
    put_field(out, 1, &all, seed);
    model_free(&attributes);
    model_free(&all);
  }
  put_unknown(out, seed);
}
