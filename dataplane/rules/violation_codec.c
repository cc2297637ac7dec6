#include "cursor.h"
#include "rules_internal.h"
#include "utf8.h"

#define TEXT_NULL 0xffffu
#define TEXT_BYTES_MAX 1024u

struct encoder {
  uint8_t *out; /* NULL: only measures */
  uint32_t length;
};

static void put(struct encoder *encoder, const void *bytes, uint32_t length) {
  if (encoder->out && length) memcpy(encoder->out + encoder->length, bytes, length);
  encoder->length += length;
}

static void put_text(struct encoder *encoder, struct event_text text, uint32_t most) {
  const size_t cut = text.length <= most ? text.length : utf8_truncate(text.at, text.length, most);
  const uint16_t length = text.at ? (uint16_t)cut : TEXT_NULL;
  put(encoder, &length, sizeof length);
  if (text.at) put(encoder, text.at, length);
}

static void put_value(struct encoder *encoder, const struct value *value) {
  const uint8_t type = (uint8_t)value->type;
  put(encoder, &type, sizeof type);
  switch (value->type) {
  case VALUE_BOOL: {
    const uint8_t truth = value->boolean;
    put(encoder, &truth, sizeof truth);
    break;
  }
  case VALUE_INTEGER:
  case VALUE_DOUBLE:
    put(encoder, &value->integer, sizeof value->integer);
    break;
  case VALUE_STRING:
    put_text(encoder, (struct event_text){value->text ? value->text : "", value->length}, VIOLATION_VALUE_BYTES_MAX);
    break;
  case VALUE_NULL:
  case VALUE_OTHER:
    break;
  }
}

#define ATTRIBUTE_BYTES_MAX (2 * (2 + VIOLATION_VALUE_BYTES_MAX) + 1)

static void put_attribute(struct encoder *encoder, const struct violation_attribute *attribute) {
  put_text(encoder, attribute->key, VIOLATION_VALUE_BYTES_MAX);
  put_value(encoder, &attribute->value);
}

static bool attribute_fits(const struct violation_attribute *attribute, uint32_t length) {
  struct encoder measured = {.length = length};
  if (length + ATTRIBUTE_BYTES_MAX <= VIOLATION_BYTES_MAX) return true;
  put_attribute(&measured, attribute);
  return measured.length <= VIOLATION_BYTES_MAX;
}

/* Attributes from the first that would not fit on are left out whole. */
static void put_attributes(struct encoder *encoder, const struct violation *violation) {
  const uint32_t count_at = encoder->length;
  uint16_t count = 0;
  put(encoder, &count, sizeof count);
  while (count < violation->attribute_count && attribute_fits(&violation->attributes[count], encoder->length))
    put_attribute(encoder, &violation->attributes[count++]);
  if (encoder->out) memcpy(encoder->out + count_at, &count, sizeof count);
}

static uint32_t encode(const struct violation *violation, uint8_t *out) {
  struct record_header header = {.type = RECORD_VIOLATION, .shard = violation->shard, .wall_ns = violation->wall_ns};
  struct encoder encoder = {.out = out, .length = sizeof header};
  put(&encoder, &violation->fixed, sizeof violation->fixed);
  put_text(&encoder, violation->rule, VIOLATION_VALUE_BYTES_MAX);
  put_text(&encoder, violation->message, TEXT_BYTES_MAX);
  put_text(&encoder, violation->service, VIOLATION_VALUE_BYTES_MAX);
  put_attributes(&encoder, violation);
  header.bytes = encoder.length;
  if (out) memcpy(out, &header, sizeof header);
  return encoder.length;
}

uint32_t violation_encoded_bytes(const struct violation *violation) { return encode(violation, NULL); }

void violation_encode(const struct violation *violation, void *record) { encode(violation, record); }

static struct event_text get_text(struct cursor *cursor) {
  const uint16_t length = cursor_le16(cursor);
  if (length == TEXT_NULL) return (struct event_text){NULL, 0};
  const uint8_t *bytes = cursor_bytes(cursor, length);
  return (struct event_text){(const char *)bytes, bytes ? length : 0};
}

static struct value get_value(struct cursor *cursor) {
  struct value value = {.type = (enum value_type)cursor_u8(cursor)};
  switch (value.type) {
  case VALUE_BOOL:
    value.boolean = cursor_u8(cursor) != 0;
    break;
  case VALUE_INTEGER:
  case VALUE_DOUBLE:
    value.integer = (int64_t)cursor_le64(cursor);
    break;
  case VALUE_STRING: {
    const struct event_text text = get_text(cursor);
    value.text = text.at ? text.at : "";
    value.length = text.length;
    break;
  }
  case VALUE_NULL:
  case VALUE_OTHER:
    break;
  default:
    cursor->failed = true;
  }
  return value;
}

bool violation_decode(const void *record, size_t bytes, struct violation *violation) {
  struct cursor cursor = cursor_over(record, bytes);
  struct record_header header = {0};
  const uint8_t *start = cursor_bytes(&cursor, sizeof header);
  const uint8_t *fixed = cursor_bytes(&cursor, sizeof violation->fixed);
  if (!start || !fixed) return false;
  memcpy(&header, start, sizeof header);
  memcpy(&violation->fixed, fixed, sizeof violation->fixed);
  if (header.type != RECORD_VIOLATION || header.bytes != bytes || violation->fixed.span_count > VIOLATION_SPAN_IDS_MAX)
    return false;
  violation->wall_ns = header.wall_ns;
  violation->shard = header.shard;
  violation->rule = get_text(&cursor);
  violation->message = get_text(&cursor);
  violation->service = get_text(&cursor);
  violation->attribute_count = cursor_le16(&cursor);
  if (violation->attribute_count > VIOLATION_ATTRIBUTES_MAX || !violation->rule.at || !violation->message.at) return false;
  for (uint32_t i = 0; i < violation->attribute_count; i++) {
    violation->attributes[i].key = get_text(&cursor);
    violation->attributes[i].value = get_value(&cursor);
    if (!violation->attributes[i].key.at) return false;
  }
  return !cursor.failed && cursor_left(&cursor) == 0;
}
