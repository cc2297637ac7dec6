#include "rules_internal.h"
#include "utf8.h"

struct message_writer {
  char *out;
  uint32_t length, room;
};

/* Whole characters only; each byte that is not UTF-8 becomes U+FFFD, so that a record is always valid text. */
static void put_text(struct message_writer *writer, const char *text, uint32_t length) {
  if (length == 0) return;
  const uint32_t left = writer->room - writer->length;
  if (utf8_valid(text, length)) {
    const uint32_t cut = (uint32_t)utf8_truncate(text, length, left);
    memcpy(writer->out + writer->length, text, cut);
    writer->length += cut;
    return;
  }
  for (uint32_t at = 0; at < length;) {
    uint32_t width = 1;
    while (width < 4 && at + width <= length && !utf8_valid(text + at, width)) width++;
    const bool valid = at + width <= length && utf8_valid(text + at, width);
    const char *part = valid ? text + at : "\xef\xbf\xbd";
    const uint32_t part_length = valid ? width : 3;
    if (writer->length + part_length > writer->room) return;
    memcpy(writer->out + writer->length, part, part_length);
    writer->length += part_length;
    at += valid ? width : 1;
  }
}

static void put_ascii(struct message_writer *writer, const char *text, uint32_t length) {
  const uint32_t left = writer->room - writer->length, cut = length < left ? length : left;
  memcpy(writer->out + writer->length, text, cut);
  writer->length += cut;
}

static void put_unsigned(struct message_writer *writer, uint64_t number) {
  char digits[20];
  uint32_t at = sizeof digits;
  do digits[--at] = (char)('0' + number % 10);
  while (number /= 10);
  put_ascii(writer, digits + at, (uint32_t)sizeof digits - at);
}

static void put_integer(struct message_writer *writer, int64_t number) {
  if (number < 0) put_ascii(writer, "-", 1);
  put_unsigned(writer, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

/* `scaled` in units of 10^-digits, without trailing zeros. */
static void put_decimal(struct message_writer *writer, uint64_t scaled, unsigned digits) {
  uint64_t unit = 1;
  for (unsigned i = 0; i < digits; i++) unit *= 10;
  put_unsigned(writer, scaled / unit);
  uint64_t fraction = scaled % unit;
  if (fraction == 0) return;
  char text[20] = ".";
  uint32_t length = 1;
  while (fraction) {
    unit /= 10;
    text[length++] = (char)('0' + fraction / unit);
    fraction %= unit;
  }
  put_ascii(writer, text, length);
}

/* Six decimals; beyond 2^53 or below a millionth as a power of ten with as many. */
static void put_double(struct message_writer *writer, double real) {
  if (real != real) {
    put_ascii(writer, "NaN", 3);
    return;
  }
  if (real < 0) {
    put_ascii(writer, "-", 1);
    real = -real;
  }
  if (real > 1.7e308) {
    put_ascii(writer, "Infinity", 8);
    return;
  }
  int exponent = 0;
  if (real >= 9e12 || (real > 0 && real < 1e-6)) {
    for (; real >= 10; exponent++) real /= 10;
    for (; real < 1; exponent--) real *= 10;
  }
  put_decimal(writer, (uint64_t)(real * 1e6 + 0.5), 6);
  if (exponent == 0) return;
  put_ascii(writer, "e", 1);
  put_integer(writer, exponent);
}

static void put_duration(struct message_writer *writer, int64_t nanoseconds) {
  static const struct {
    int64_t unit;
    const char *name;
  } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}, {1, "ns"}};
  unsigned i = 0;
  while (i < 3 && nanoseconds < units[i].unit) i++;
  /* Three decimals of the unit are enough to read. */
  put_decimal(writer,
              units[i].unit == 1 ? (uint64_t)nanoseconds * 1000 : (uint64_t)nanoseconds / ((uint64_t)units[i].unit / 1000), 3);
  put_ascii(writer, units[i].name, (uint32_t)strlen(units[i].name));
}

static void put_value(struct message_writer *writer, const struct value *value, bool duration) {
  switch (value->type) {
  case VALUE_NULL:
    break;
  case VALUE_BOOL:
    put_ascii(writer, value->boolean ? "true" : "false", value->boolean ? 4 : 5);
    break;
  case VALUE_INTEGER:
    if (duration) {
      put_duration(writer, value->integer);
    } else {
      put_integer(writer, value->integer);
    }
    break;
  case VALUE_DOUBLE:
    put_double(writer, value->real);
    break;
  case VALUE_STRING:
    put_text(writer, value->text, value->length);
    break;
  case VALUE_OTHER:
    put_ascii(writer, "(structured)", 12);
    break;
  }
}

uint32_t message_value(const struct value *value, bool duration, char *out, uint32_t room) {
  struct message_writer writer = {.out = out, .room = room};
  put_value(&writer, value, duration);
  return writer.length;
}

uint32_t message_render(const struct image_rule *rule, const struct image_column *columns,
                        const struct value *(*value_of)(void *context, uint32_t slot), void *context,
                        char out[IMAGE_MESSAGE_BYTES_MAX]) {
  struct message_writer writer = {.out = out, .room = IMAGE_MESSAGE_BYTES_MAX};
  for (uint32_t i = 0; i < rule->message_parts; i++) {
    const struct image_message_part *part = &rule->message[i];
    if (part->slot == IMAGE_MESSAGE_LITERAL) {
      put_text(&writer, part->literal.at, part->literal.length);
      continue;
    }
    const struct image_column *column = part->slot < 0 ? NULL : &columns[part->slot];
    const bool duration = column && column->scope == SCOPE_INTRINSIC && column->intrinsic == INTRINSIC_DURATION;
    put_value(&writer, value_of(context, (uint32_t)part->slot), duration);
  }
  return writer.length;
}
