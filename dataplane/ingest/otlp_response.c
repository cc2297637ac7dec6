#include "always_assert.h"
#include "otlp.h"
#include "utf8.h"
#include <string.h>

/* A bounded writer: what does not fit is not begun. */
struct writer {
  uint8_t *at, *end;
};

static uint32_t room_of(const struct writer *writer) { return (uint32_t)(writer->end - writer->at); }

static bool put_bytes(struct writer *writer, const void *bytes, size_t length) {
  if (length > room_of(writer)) return false;
  memcpy(writer->at, bytes, length);
  writer->at += length;
  return true;
}

static bool put_text(struct writer *writer, const char *text) { return put_bytes(writer, text, strlen(text)); }

static void put_varint(struct writer *writer, uint64_t value) {
  uint8_t bytes[10];
  uint32_t length = 0;
  for (; value >= 0x80; value >>= 7) bytes[length++] = (uint8_t)(value | 0x80);
  bytes[length++] = (uint8_t)value;
  put_bytes(writer, bytes, length);
}

static void put_decimal(struct writer *writer, uint64_t value) {
  char digits[20];
  uint32_t first = sizeof digits;
  do {
    digits[--first] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  put_bytes(writer, digits + first, sizeof digits - first);
}

/* One character of `length` bytes as JSON; false when it does not fit. */
static bool put_character(struct writer *writer, const char *character, size_t length) {
  static const char hex[] = "0123456789abcdef";
  const uint8_t byte = (uint8_t)*character;
  if (byte == '"' || byte == '\\') {
    const char escaped[2] = {'\\', (char)byte};
    return put_bytes(writer, escaped, sizeof escaped);
  }
  if (byte < 0x20) {
    const char escaped[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    return put_bytes(writer, escaped, sizeof escaped);
  }
  return put_bytes(writer, character, length);
}

/* With its quotes, leaving `reserve` bytes for what follows; cut at a whole character. Bytes that are not UTF-8 become '?'. */
static void put_string(struct writer *writer, const char *text, size_t length, uint32_t reserve) {
  put_text(writer, "\"");
  struct writer inside = {.at = writer->at, .end = writer->end - reserve - 1};
  for (size_t i = 0, step; i < length; i += step) {
    step = 1;
    while ((uint8_t)text[i] >= 0x80 && step < 4 && i + step < length && ((uint8_t)text[i + step] & 0xc0) == 0x80) step++;
    const bool valid = utf8_valid(text + i, step);
    if (!valid) step = 1;
    if (!put_character(&inside, valid ? text + i : "?", step)) break;
  }
  writer->at = inside.at;
  put_text(writer, "\"");
}

/* "rejected spans: 3 with an invalid trace_id, 1 with an invalid span_id" */
static uint32_t write_message(const struct span_result *result, char *message, uint32_t room) {
  struct writer writer = {.at = (uint8_t *)message, .end = (uint8_t *)message + room};
  const char *separator = "rejected spans: ";
  for (unsigned reject = 0; reject < SPAN_REJECTS; reject++) {
    if (result->rejected[reject] == 0) continue;
    put_text(&writer, separator);
    put_decimal(&writer, result->rejected[reject]);
    put_text(&writer, " with an invalid ");
    put_text(&writer, span_reject_name((enum span_reject)reject));
    separator = ", ";
  }
  return room - room_of(&writer);
}

uint32_t otlp_encode_response(enum otlp_encoding encoding, const struct span_result *result, uint8_t *out, uint32_t room) {
  ALWAYS_ASSERT(room >= OTLP_ANSWER_BYTES_MIN);
  struct writer writer = {.at = out, .end = out + room};
  const uint64_t rejected = span_result_rejected(result);
  if (encoding == OTLP_JSON) {
    put_text(&writer, rejected ? "{\"partialSuccess\":{\"rejectedSpans\":\"" : "{}");
  }
  if (rejected == 0) return room - room_of(&writer);
  char message[160];
  const uint32_t length = write_message(result, message, sizeof message);
  if (encoding == OTLP_JSON) {
    put_decimal(&writer, rejected);
    put_text(&writer, "\",\"errorMessage\":");
    put_string(&writer, message, length, 2);
    put_text(&writer, "}}");
    return room - room_of(&writer);
  }
  uint8_t partial_bytes[192];
  struct writer partial = {.at = partial_bytes, .end = partial_bytes + sizeof partial_bytes};
  put_text(&partial, "\x08");
  put_varint(&partial, rejected);
  put_text(&partial, "\x12");
  put_varint(&partial, length);
  put_bytes(&partial, message, length);
  const uint32_t partial_length = (uint32_t)sizeof partial_bytes - room_of(&partial);
  put_text(&writer, "\x0a");
  put_varint(&writer, partial_length);
  put_bytes(&writer, partial_bytes, partial_length);
  return room - room_of(&writer);
}

/* google.rpc.Code, as far as an HTTP status tells. */
static uint32_t status_code(uint16_t http_status) {
  switch (http_status) {
  case 401:
    return 16; /* UNAUTHENTICATED */
  case 403:
    return 7; /* PERMISSION_DENIED */
  case 404:
    return 5; /* NOT_FOUND */
  case 405:
  case 501:
    return 12; /* UNIMPLEMENTED */
  case 408:
  case 504:
    return 4; /* DEADLINE_EXCEEDED */
  case 409:
    return 10; /* ABORTED */
  case 413:
  case 429:
  case 431:
    return 8; /* RESOURCE_EXHAUSTED */
  case 500:
    return 13; /* INTERNAL */
  case 502:
  case 503:
    return 14; /* UNAVAILABLE */
  default:
    return http_status >= 400 && http_status < 500 ? 3 /* INVALID_ARGUMENT */ : 2 /* UNKNOWN */;
  }
}

uint32_t otlp_encode_status(enum otlp_encoding encoding, uint16_t http_status, const char *message, uint32_t message_length,
                            uint8_t *out, uint32_t room) {
  ALWAYS_ASSERT(room >= OTLP_ANSWER_BYTES_MIN);
  struct writer writer = {.at = out, .end = out + room};
  const uint32_t code = status_code(http_status);
  if (encoding == OTLP_JSON) {
    put_text(&writer, "{\"code\":");
    put_decimal(&writer, code);
    put_text(&writer, ",\"message\":");
    put_string(&writer, message, message_length, 1);
    put_text(&writer, "}");
    return room - room_of(&writer);
  }
  put_text(&writer, "\x08");
  put_varint(&writer, code);
  put_text(&writer, "\x12");
  const uint32_t fits = room_of(&writer) - 5; /* the longest length of a 32-bit number */
  const uint32_t length = (uint32_t)utf8_truncate(message, message_length, fits);
  put_varint(&writer, length);
  put_bytes(&writer, message, length);
  return room - room_of(&writer);
}
