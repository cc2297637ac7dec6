#include "webhook_decode_internal.h"
#include <string.h>

static bool is(struct event_text text, const char *literal) {
  return text.length == strlen(literal) && memcmp(text.at, literal, text.length) == 0;
}

/* RFC 3339: shape and ranges; the value is not needed. */
static bool is_timestamp(struct event_text text) {
  static const char shape[] = "dddd-dd-ddTdd:dd:dd";
  if (text.length < sizeof shape) return false;
  for (uint32_t i = 0; i < sizeof shape - 1; i++) {
    const bool digit = text.at[i] >= '0' && text.at[i] <= '9';
    if (shape[i] == 'd' ? !digit : text.at[i] != shape[i]) return false;
  }
  uint32_t at = sizeof shape - 1;
  if (text.at[at] == '.') {
    const uint32_t start = ++at;
    while (at < text.length && text.at[at] >= '0' && text.at[at] <= '9') at++;
    if (at == start) return false;
  }
  if (at + 1 == text.length) return text.at[at] == 'Z';
  return at + 6 == text.length && (text.at[at] == '+' || text.at[at] == '-') && text.at[at + 3] == ':';
}

struct alert_shape {
  bool has_status, has_labels, has_name, has_start;
};

static bool validate_labels(struct webhook_decode *decode, struct alert_shape *shape, bool labels) {
  struct json_reader *reader = &decode->reader;
  struct event_text key, value;
  if (json_peek(reader) != JSON_OBJECT) {
    json_skip(reader);
    return webhook_reject(decode, WEBHOOK_SCHEMA, labels ? "labels must be an object" : "annotations must be an object");
  }
  json_enter_object(reader);
  while (json_next_member(reader, &key)) {
    const bool text = json_peek(reader) == JSON_STRING;
    if (!text) {
      json_skip(reader);
      webhook_reject(decode, WEBHOOK_SCHEMA, "labels and annotations must be strings");
    } else if (json_read_string(reader, &value) && labels) {
      shape->has_labels = true;
      if (is(key, "alertname") && value.length > 0) shape->has_name = true;
    }
  }
  return !reader->error;
}

static bool validate_alert(struct webhook_decode *decode) {
  struct json_reader *reader = &decode->reader;
  struct alert_shape shape = {0};
  struct event_text key, value;
  if (json_peek(reader) != JSON_OBJECT) {
    json_skip(reader);
    return webhook_reject(decode, WEBHOOK_SCHEMA, "an alert must be an object");
  }
  json_enter_object(reader);
  while (json_next_member(reader, &key)) {
    if (is(key, "labels")) {
      validate_labels(decode, &shape, true);
    } else if (is(key, "annotations")) {
      validate_labels(decode, &shape, false);
    } else if (is(key, "status") || is(key, "startsAt")) {
      /* Each time it is given, not only the first: the second pass reads a repeated member again. */
      if (json_peek(reader) != JSON_STRING) {
        json_skip(reader);
        webhook_reject(decode, WEBHOOK_SCHEMA, "status and startsAt must be strings");
        continue;
      }
      if (!json_read_string(reader, &value)) break;
      if (is(key, "status")) {
        shape.has_status = is(value, "firing") || is(value, "resolved");
      } else {
        shape.has_start = is_timestamp(value);
      }
    } else {
      json_skip(reader);
    }
  }
  if (reader->error) return false;
  if (!shape.has_status) return webhook_reject(decode, WEBHOOK_SCHEMA, "an alert needs status, firing or resolved");
  if (!shape.has_labels || !shape.has_name) return webhook_reject(decode, WEBHOOK_SCHEMA, "an alert needs labels with alertname");
  if (!shape.has_start) return webhook_reject(decode, WEBHOOK_SCHEMA, "an alert needs startsAt, an RFC 3339 time");
  return true;
}

static void validate_member(struct webhook_decode *decode, struct event_text key, bool *has_alerts, bool *has_receiver) {
  struct json_reader *reader = &decode->reader;
  struct event_text value;
  if (is(key, "alerts")) {
    if (json_peek(reader) != JSON_ARRAY) {
      json_skip(reader);
      webhook_reject(decode, WEBHOOK_SCHEMA, "alerts must be a list of at least one");
      return;
    }
    json_enter_array(reader);
    while (json_next_element(reader)) {
      validate_alert(decode);
      decode->result->alerts++;
    }
    *has_alerts = decode->result->alerts > 0;
  } else if (is(key, "version")) {
    const bool text = json_peek(reader) == JSON_STRING;
    if (!text) json_skip(reader);
    if (!text || (json_read_string(reader, &value) && !is(value, "4")))
      webhook_reject(decode, WEBHOOK_SCHEMA, "only version \\\"4\\\" is known");
  } else if (is(key, "receiver")) {
    *has_receiver = json_peek(reader) == JSON_STRING;
    json_skip(reader);
  } else {
    json_skip(reader);
  }
}

bool alertmanager_validate(struct webhook_decode *decode) {
  struct json_reader *reader = &decode->reader;
  bool has_alerts = false, has_receiver = false;
  struct event_text key;
  json_enter_object(reader);
  while (json_next_member(reader, &key)) validate_member(decode, key, &has_alerts, &has_receiver);
  if (reader->error || !json_finish(reader)) {
    decode->result->outcome = WEBHOOK_DECODED; /* what is not JSON is that first, whatever else it is */
    return webhook_reject(decode, WEBHOOK_NOT_JSON, "the body is not JSON");
  }
  if (!has_alerts) webhook_reject(decode, WEBHOOK_SCHEMA, "alerts must be a list of at least one");
  if (!has_receiver) webhook_reject(decode, WEBHOOK_SCHEMA, "receiver is missing");
  return decode->result->outcome == WEBHOOK_DECODED;
}

static void read_pairs(struct webhook_decode *decode, uint32_t row, enum column_scope scope) {
  struct json_reader *reader = &decode->reader;
  struct event_fields *fields = &decode->alerts->fields[row];
  struct event_text key;
  json_enter_object(reader);
  while (json_next_member(reader, &key)) {
    struct value value;
    if (!json_read_value(reader, &value)) return;
    const int slot =
        decode->alerts->image ? event_column_find(decode->alerts->image, EVENT_ALERT, scope, key.at, key.length) : -1;
    if (slot >= 0) event_batch_set(decode->alerts, row, slot, &value);
    if (scope != SCOPE_LABEL) continue;
    if (is(key, "alertname")) fields->name = (struct event_text){value.text, value.length};
    if (is(key, "service")) fields->service = (struct event_text){value.text, value.length};
  }
}

static void read_alert(struct webhook_decode *decode) {
  struct json_reader *reader = &decode->reader;
  const uint32_t row = event_batch_add(decode->alerts);
  struct event_text key, value;
  decode->alerts->fields[row].start_ns = decode->alerts->fields[row].end_ns = decode->wall_ns;
  json_enter_object(reader);
  while (json_next_member(reader, &key)) {
    if (is(key, "labels")) {
      read_pairs(decode, row, SCOPE_LABEL);
    } else if (is(key, "annotations")) {
      read_pairs(decode, row, SCOPE_ANNOTATION);
    } else if (is(key, "status")) {
      json_read_string(reader, &value);
      decode->alerts->fields[row].firing = is(value, "firing");
    } else {
      json_skip(reader);
    }
  }
}

static bool hand_over(struct webhook_decode *decode) {
  if (decode->sink->evaluate(decode->sink->context, decode->alerts)) return true;
  return webhook_reject(decode, WEBHOOK_NO_ROOM, "no room for what the body raises");
}

void alertmanager_read(struct webhook_decode *decode) {
  struct json_reader *reader = &decode->reader;
  struct event_text key;
  json_enter_object(reader);
  while (json_next_member(reader, &key)) {
    if (!is(key, "alerts")) {
      json_skip(reader);
      continue;
    }
    json_enter_array(reader);
    while (json_next_element(reader)) {
      if (event_batch_full(decode->alerts) && !hand_over(decode)) return;
      read_alert(decode);
    }
  }
  if (decode->alerts->count > 0) hand_over(decode);
}
