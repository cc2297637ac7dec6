#include "thrift_compact_internal.h"
#include <string.h>

static const char cut_short[] = "the datagram ends within a value";
static const char no_type[] = "no such type";

/* A container that is being passed over. */
struct level {
  uint8_t type;        /* THRIFT_STRUCT, THRIFT_LIST or THRIFT_MAP */
  uint8_t elements[2]; /* types; of a list both the same */
  uint64_t left;       /* keys and values of a map each count */
};

bool thrift_fail(struct thrift_reader *reader, const char *error) {
  if (!reader->error) reader->error = error;
  return false;
}

static size_t left(const struct thrift_reader *reader) { return (size_t)(reader->end - reader->at); }

bool thrift_read_byte(struct thrift_reader *reader, uint8_t *byte) {
  if (reader->error) return false;
  if (reader->at == reader->end) return thrift_fail(reader, cut_short);
  *byte = *reader->at++;
  return true;
}

bool thrift_read_varint(struct thrift_reader *reader, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t byte;
    if (!thrift_read_byte(reader, &byte)) return false;
    if (shift == 63 && byte > 1) break;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return thrift_fail(reader, "an integer of more than 64 bits");
}

bool thrift_read_integer(struct thrift_reader *reader, int64_t *value) {
  uint64_t zigzag;
  if (!thrift_read_varint(reader, &zigzag)) return false;
  *value = (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
  return true;
}

static bool pass(struct thrift_reader *reader, uint64_t bytes) {
  if (reader->error) return false;
  if (bytes > left(reader)) return thrift_fail(reader, cut_short);
  reader->at += bytes;
  return true;
}

/* Little-endian, as all implementations write it. */
bool thrift_read_double(struct thrift_reader *reader, double *value) {
  const uint8_t *at = reader->at;
  uint64_t bits = 0;
  if (!pass(reader, 8)) return false;
  for (unsigned i = 0; i < 8; i++) bits |= (uint64_t)at[i] << (8 * i);
  memcpy(value, &bits, sizeof *value);
  return true;
}

bool thrift_read_binary(struct thrift_reader *reader, struct event_text *text) {
  uint64_t length;
  if (!thrift_read_varint(reader, &length)) return false;
  text->at = (const char *)reader->at;
  text->length = (uint32_t)length;
  return pass(reader, length);
}

bool thrift_next_field(struct thrift_reader *reader, struct thrift_field *field) {
  uint8_t head;
  if (!thrift_read_byte(reader, &head) || head == THRIFT_STOP) return false;
  int64_t id = field->id + (head >> 4);
  if (head >> 4 == 0 && !thrift_read_integer(reader, &id)) return false;
  if (id < INT16_MIN || id > INT16_MAX) return thrift_fail(reader, "a field id of more than 16 bits");
  field->id = (int16_t)id;
  field->type = head & 15;
  if (field->type == THRIFT_STOP || field->type > THRIFT_UUID) return thrift_fail(reader, no_type);
  return true;
}

/* False when there is none, too. A bool among elements is a byte. */
static bool element_type(struct thrift_reader *reader, uint8_t code, uint8_t *type) {
  if (code == THRIFT_STOP || code > THRIFT_UUID) return thrift_fail(reader, no_type);
  *type = code == THRIFT_TRUE || code == THRIFT_FALSE ? THRIFT_BYTE : code;
  return true;
}

bool thrift_enter_list(struct thrift_reader *reader, struct thrift_list *list) {
  uint8_t head;
  uint64_t count;
  if (!thrift_read_byte(reader, &head)) return false;
  count = head >> 4;
  if (count == 15 && !thrift_read_varint(reader, &count)) return false;
  if (count > left(reader)) return thrift_fail(reader, "a list longer than the datagram");
  list->count = (uint32_t)count;
  return element_type(reader, head & 15, &list->type);
}

static bool enter_map(struct thrift_reader *reader, struct level *level) {
  uint64_t count;
  uint8_t types;
  *level = (struct level){.type = THRIFT_MAP};
  if (!thrift_read_varint(reader, &count)) return false;
  if (count == 0) return true;
  if (count > left(reader)) return thrift_fail(reader, "a map longer than the datagram");
  level->left = 2 * count;
  return thrift_read_byte(reader, &types) && element_type(reader, types >> 4, &level->elements[0]) &&
         element_type(reader, types & 15, &level->elements[1]);
}

/* Past a scalar, or into a container: then `*entered`. */
static bool step(struct thrift_reader *reader, uint8_t type, struct level *level, bool *entered) {
  struct event_text ignored;
  struct thrift_list list;
  uint64_t varint;
  *entered = type == THRIFT_STRUCT || type == THRIFT_LIST || type == THRIFT_SET || type == THRIFT_MAP;
  switch ((enum thrift_type)type) {
  case THRIFT_TRUE:
  case THRIFT_FALSE:
    return !reader->error;
  case THRIFT_BYTE:
    return pass(reader, 1);
  case THRIFT_I16:
  case THRIFT_I32:
  case THRIFT_I64:
    return thrift_read_varint(reader, &varint);
  case THRIFT_DOUBLE:
    return pass(reader, 8);
  case THRIFT_UUID:
    return pass(reader, 16);
  case THRIFT_BINARY:
    return thrift_read_binary(reader, &ignored);
  case THRIFT_LIST:
  case THRIFT_SET:
    if (!thrift_enter_list(reader, &list)) return false;
    *level = (struct level){.type = THRIFT_LIST, .elements = {list.type, list.type}, .left = list.count};
    return true;
  case THRIFT_MAP:
    return enter_map(reader, level);
  case THRIFT_STRUCT:
    *level = (struct level){.type = THRIFT_STRUCT};
    return !reader->error;
  case THRIFT_STOP:
    break;
  }
  return thrift_fail(reader, no_type);
}

/* The type of what comes next in a container; false when it is at its end, or on error. */
static bool next_in(struct thrift_reader *reader, struct level *level, uint8_t *type) {
  if (level->type == THRIFT_STRUCT) {
    struct thrift_field field = {.id = 0};
    if (!thrift_next_field(reader, &field)) return false;
    *type = field.type;
    return true;
  }
  if (level->left == 0) return false;
  *type = level->elements[level->left-- & 1];
  return true;
}

bool thrift_skip(struct thrift_reader *reader, uint8_t type) {
  struct level levels[THRIFT_DEPTH_MAX], level;
  unsigned depth = 0;
  for (;;) {
    bool entered;
    if (!step(reader, type, &level, &entered)) return false;
    if (entered) {
      if (depth == THRIFT_DEPTH_MAX) return thrift_fail(reader, "nested too deeply");
      levels[depth++] = level;
    }
    while (depth > 0 && !next_in(reader, &levels[depth - 1], &type)) {
      if (reader->error) return false;
      depth--;
    }
    if (depth == 0) return !reader->error;
  }
}
