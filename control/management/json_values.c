#include "json_values.h"
#include "hexadecimal.h"
#include "uuid7.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NANOSECONDS 1000000000ull

const char *severity_word(unsigned severity) {
  static const char *const words[] = {"info", "low", "medium", "high", "critical"};
  return severity < 5 ? words[severity] : "unknown";
}

const char *rule_on_word(unsigned on) {
  static const char *const words[] = {"span", "trace", "webhook", "alert"};
  return on < 4 ? words[on] : "unknown";
}

json_t *json_time(uint64_t wall_ns) {
  char text[64], whole[32];
  const time_t seconds = (time_t)(wall_ns / NANOSECONDS);
  struct tm utc;
  gmtime_r(&seconds, &utc);
  strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text, sizeof text, "%s.%09lluZ", whole, (unsigned long long)(wall_ns % NANOSECONDS));
  return json_string(text);
}

static json_t *text_or_null(struct event_text text) { return text.at ? json_stringn(text.at, text.length) : json_null(); }

static json_t *hex_of(const uint8_t *bytes, size_t length) {
  char text[64];
  hex_encode(bytes, length, text);
  return json_stringn(text, 2 * length);
}

static json_t *value_of(const struct value *value) {
  switch (value->type) {
  case VALUE_BOOL:
    return json_boolean(value->boolean);
  case VALUE_INTEGER:
    return json_integer(value->integer);
  case VALUE_DOUBLE: {
    json_t *real = json_real(value->real); /* NULL for NaN and infinities */
    return real ? real : json_string(value->real != value->real ? "NaN" : value->real > 0 ? "Infinity" : "-Infinity");
  }
  case VALUE_STRING:
    return json_stringn(value->text, value->length);
  case VALUE_OTHER:
    return json_string("(structured)");
  case VALUE_NULL:
    break;
  }
  return json_null();
}

static json_t *attributes_of(const struct violation *violation) {
  json_t *attributes = json_object();
  for (uint32_t i = 0; i < violation->attribute_count; i++) {
    char key[VIOLATION_VALUE_BYTES_MAX + 1];
    snprintf(key, sizeof key, "%.*s", (int)violation->attributes[i].key.length, violation->attributes[i].key.at);
    json_t *value = value_of(&violation->attributes[i].value);
    json_object_set_new(attributes, key, value ? value : json_null());
  }
  return attributes;
}

/* The webhook that raised it. */
static json_t *correlation_of(const struct violation_fixed *fixed) {
  static const uint8_t none[16];
  char text[37];
  if (fixed->has_trace || memcmp(fixed->trace_id, none, sizeof none) == 0) return json_null();
  uuid7_text(fixed->trace_id, text);
  return json_string(text);
}

json_t *json_violation(const struct violation *violation, uint64_t lsn, const char *node) {
  const struct violation_fixed *fixed = &violation->fixed;
  char id[37];
  uuid7_text(fixed->id, id);
  json_t *json = json_object(), *spans = fixed->has_trace ? json_array() : json_null();
  for (unsigned i = 0; fixed->has_trace && i < fixed->span_count; i++)
    json_array_append_new(spans, hex_of(fixed->span_ids[i], 8));
  json_object_set_new(json, "id", json_string(id));
  json_object_set_new(json, "rule", text_or_null(violation->rule));
  json_object_set_new(json, "rule_version", json_integer(fixed->rule_version));
  json_object_set_new(json, "severity", json_string(severity_word(fixed->severity)));
  json_object_set_new(json, "message", text_or_null(violation->message));
  json_object_set_new(json, "source", json_string(rule_on_word(fixed->source)));
  json_object_set_new(json, "trace_id", fixed->has_trace ? hex_of(fixed->trace_id, 16) : json_null());
  json_object_set_new(json, "correlation_id", correlation_of(fixed));
  json_object_set_new(json, "span_ids", spans);
  json_object_set_new(json, "service", text_or_null(violation->service));
  json_object_set_new(json, "attributes", attributes_of(violation));
  json_object_set_new(json, "time", json_time(violation->wall_ns));
  json_object_set_new(json, "first_seen", json_time(fixed->first_seen_ns));
  json_object_set_new(json, "last_seen", json_time(fixed->last_seen_ns));
  json_object_set_new(json, "count", json_integer(fixed->count));
  json_object_set_new(json, "node", json_string(node));
  json_object_set_new(json, "shard", json_integer(violation->shard));
  json_object_set_new(json, "lsn", json_integer((json_int_t)lsn));
  return json;
}

json_t *json_rule_errors(const struct rule_errors *errors) {
  json_t *list = json_array();
  for (size_t i = 0; i < errors->count; i++) {
    const struct rule_error *error = &errors->items[i];
    json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:s, s:s, s:i}", "file", error->file, "line", (int)error->line,
                                          "column", (int)error->column, "message", error->message, "excerpt", error->excerpt,
                                          "excerpt_column", (int)error->excerpt_column));
  }
  return list;
}

static bool parse_rfc3339(const char *text, uint64_t *wall_ns) {
  struct tm utc = {0};
  const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
  uint64_t fraction = 0, unit = NANOSECONDS;
  if (!rest) return false;
  if (*rest == '.')
    for (rest++; *rest >= '0' && *rest <= '9'; rest++)
      if (unit > 1) fraction += (uint64_t)(*rest - '0') * (unit /= 10);
  int hours = 0, minutes = 0, at = 0;
  int64_t offset_s = 0;
  if (strcmp(rest, "Z") != 0) {
    if ((*rest != '+' && *rest != '-') || sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &at) != 2 || rest[1 + at] != '\0')
      return false;
    offset_s = (*rest == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  }
  const int64_t seconds = (int64_t)timegm(&utc) - offset_s;
  if (seconds < 0) return false;
  *wall_ns = (uint64_t)seconds * NANOSECONDS + fraction;
  return true;
}

bool parse_time(const char *text, uint64_t now_wall_ns, uint64_t *wall_ns) {
  static const struct {
    const char *name;
    uint64_t seconds;
  } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  char *end = NULL;
  if (parse_rfc3339(text, wall_ns)) return true;
  if (*text < '0' || *text > '9') return false;
  const unsigned long long number = strtoull(text, &end, 10);
  if (number > UINT64_MAX / NANOSECONDS) return false;
  if (*end == '\0') {
    *wall_ns = number * NANOSECONDS;
    return true;
  }
  for (unsigned i = 0; i < 4; i++)
    if (strcmp(end, units[i].name) == 0) {
      if (number > UINT64_MAX / NANOSECONDS / units[i].seconds) return false;
      const uint64_t ago_ns = number * units[i].seconds * NANOSECONDS;
      *wall_ns = ago_ns < now_wall_ns ? now_wall_ns - ago_ns : 1;
      return true;
    }
  return false;
}
