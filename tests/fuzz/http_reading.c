#include "http_reading.h"
#include <http_parser.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES_MAX 65536u
#define BODY_BYTES_MAX 32768u

struct text {
  uint32_t length;
  char at[TEXT_BYTES_MAX];
};

/* The other parser's reading, in the fixture's words. */
struct reading {
  struct text target, name, value, fields, lines;
  uint8_t body[BODY_BYTES_MAX];
  uint32_t body_bytes, content_bytes;
  bool in_value, headers_over, chunked;
  bool vague; /* or more than there is room for */
};

static void append(struct reading *reading, struct text *text, const char *at, size_t length) {
  if (length > TEXT_BYTES_MAX - text->length) {
    reading->vague = true;
    return;
  }
  memcpy(text->at + text->length, at, length);
  text->length += (uint32_t)length;
}

static struct reading *of(http_parser *parser) { return parser->data; }

static int on_begin(http_parser *parser) {
  struct reading *reading = of(parser);
  reading->target.length = reading->name.length = reading->value.length = reading->fields.length = 0;
  reading->body_bytes = 0;
  reading->in_value = reading->headers_over = false;
  return 0;
}

static int on_url(http_parser *parser, const char *at, size_t length) {
  append(of(parser), &of(parser)->target, at, length);
  return 0;
}

/* Without white space at the end, which RFC 9112 section 5.1 takes off and the other leaves to its user. */
static void end_field(struct reading *reading) {
  struct text *value = &reading->value;
  while (value->length && (value->at[value->length - 1] == ' ' || value->at[value->length - 1] == '\t')) value->length--;
  for (uint32_t i = 0; i < reading->name.length; i++)
    if (reading->name.at[i] >= 'A' && reading->name.at[i] <= 'Z') reading->name.at[i] |= 0x20;
  append(reading, &reading->fields, reading->name.at, reading->name.length);
  append(reading, &reading->fields, "|", 1);
  append(reading, &reading->fields, value->at, value->length);
  append(reading, &reading->fields, "|", 1);
  reading->name.length = value->length = 0;
  reading->in_value = false;
}

static int on_name(http_parser *parser, const char *at, size_t length) {
  struct reading *reading = of(parser);
  if (reading->headers_over) return 0; /* a trailer */
  if (reading->in_value) end_field(reading);
  append(reading, &reading->name, at, length);
  return 0;
}

static int on_value(http_parser *parser, const char *at, size_t length) {
  struct reading *reading = of(parser);
  if (reading->headers_over) return 0;
  reading->in_value = true;
  append(reading, &reading->value, at, length);
  return 0;
}

static int on_headers(http_parser *parser) {
  struct reading *reading = of(parser);
  if (reading->in_value || reading->name.length) end_field(reading);
  reading->headers_over = true;
  reading->chunked = parser->flags & F_CHUNKED;
  reading->content_bytes = parser->flags & F_CONTENTLENGTH ? (uint32_t)parser->content_length : 0;
  return 0;
}

static int on_body(http_parser *parser, const char *at, size_t length) {
  struct reading *reading = of(parser);
  if (length > BODY_BYTES_MAX - reading->body_bytes) {
    reading->vague = true;
    return 0;
  }
  memcpy(reading->body + reading->body_bytes, at, length);
  reading->body_bytes += (uint32_t)length;
  return 0;
}

/* As our enum http_method counts them; the names are taken by the other parser's. */
static int method_of(const http_parser *parser) {
  switch (parser->method) {
  case HTTP_GET:
    return 0;
  case HTTP_HEAD:
    return 1;
  case HTTP_POST:
    return 2;
  case HTTP_PUT:
    return 3;
  case HTTP_DELETE:
    return 4;
  case HTTP_OPTIONS:
    return 5;
  default:
    return 6;
  }
}

static void append_target(struct reading *reading) {
  const struct text *target = &reading->target;
  struct http_parser_url url;
  http_parser_url_init(&url);
  if (target->length == 1 && target->at[0] == '*') {
    append(reading, &reading->lines, "*||", 3);
    return;
  }
  if (http_parser_parse_url(target->at, target->length, 0, &url) != 0) {
    reading->vague = true; /* an authority that is none, in an absolute form: nobody uses it */
    return;
  }
  if (url.field_set & 1u << UF_PATH)
    append(reading, &reading->lines, target->at + url.field_data[UF_PATH].off, url.field_data[UF_PATH].len);
  else
    append(reading, &reading->lines, "/", 1);
  append(reading, &reading->lines, "|", 1);
  if (url.field_set & 1u << UF_QUERY)
    append(reading, &reading->lines, target->at + url.field_data[UF_QUERY].off, url.field_data[UF_QUERY].len);
  append(reading, &reading->lines, "|", 1);
}

static int on_complete(http_parser *parser) {
  struct reading *reading = of(parser);
  char line[96];
  uint32_t sum = 2166136261u;
  for (uint32_t i = 0; i < reading->body_bytes; i++) sum = (sum ^ reading->body[i]) * 16777619u;
  const unsigned long long content_bytes = reading->chunked ? UINT64_MAX : reading->content_bytes;
  const int length = snprintf(line, sizeof line, "%d:8080:%x:%llx:%u:%08x|", method_of(parser), HTTP_READING_PEER_IPV4,
                              content_bytes, reading->body_bytes, sum);
  append(reading, &reading->lines, line, (size_t)length);
  append_target(reading);
  append(reading, &reading->lines, reading->fields.at, reading->fields.length);
  append(reading, &reading->lines, "\n", 1);
  parser->upgrade = 0; /* to what, is its user's to decide: ours goes on with HTTP/1.1 */
  return 0;
}

bool http_read(const uint8_t *bytes, size_t length, const char **lines, uint32_t *lines_bytes) {
  static struct reading reading;
  static const http_parser_settings settings = {.on_message_begin = on_begin,
                                                .on_url = on_url,
                                                .on_header_field = on_name,
                                                .on_header_value = on_value,
                                                .on_headers_complete = on_headers,
                                                .on_body = on_body,
                                                .on_message_complete = on_complete};
  http_parser parser;
  http_parser_init(&parser, HTTP_REQUEST);
  memset(&reading, 0, sizeof reading);
  parser.data = &reading;
  http_parser_execute(&parser, &settings, (const char *)bytes, length);
  *lines = reading.lines.at;
  *lines_bytes = reading.lines.length;
  return !reading.vague && HTTP_PARSER_ERRNO(&parser) != HPE_INVALID_METHOD;
}
