#include "webhook_decode_internal.h"
#include <string.h>

bool webhook_reject(struct webhook_decode *decode, enum webhook_outcome outcome, const char *error) {
  if (decode->result->outcome != WEBHOOK_DECODED) return false;
  decode->result->outcome = outcome;
  decode->result->error = error;
  decode->result->error_offset = decode->reader.error_offset;
  return false;
}

struct body_frame {
  int node;
  bool array;
  uint32_t next_element;
};

/* The node of the next member or element that some rule reads; others are skipped. -1: there is none, the container is left. */
static int next_node(struct webhook_decode *decode, struct body_frame *frame) {
  const struct rule_image *image = decode->webhooks->image;
  struct event_text key;
  while (frame->array ? json_next_element(&decode->reader) : json_next_member(&decode->reader, &key)) {
    const int node = frame->array ? event_path_element(image, EVENT_WEBHOOK, frame->node, frame->next_element++)
                                  : event_path_child(image, EVENT_WEBHOOK, frame->node, key.at, key.length);
    if (node >= 0) return node;
    json_skip(&decode->reader);
  }
  return -1;
}

/* Walks the body beside the automaton of paths that rules read. What no rule reads into is skipped whole, so the stack is as
 * deep as the deepest rule path. */
void webhook_read_body(struct webhook_decode *decode, uint32_t row) {
  const struct rule_image *image = decode->webhooks->image;
  struct json_reader *reader = &decode->reader;
  struct body_frame frames[JSON_DEPTH_MAX + 1] = {{.node = 0}};
  uint32_t depth = 0;
  if (!json_enter_object(reader)) return;
  for (;;) {
    const int node = next_node(decode, &frames[depth]);
    if (node < 0) {
      if (reader->error || depth == 0) return;
      depth--;
      continue;
    }
    struct value value = {.type = VALUE_OTHER};
    const enum json_type type = json_peek(reader);
    const bool array = type == JSON_ARRAY && event_path_has_elements(image, EVENT_WEBHOOK, node);
    if ((array || type == JSON_OBJECT) && depth + 1 < JSON_DEPTH_MAX) {
      event_path_set(decode->webhooks, row, node, &value);
      if (array ? json_enter_array(reader) : json_enter_object(reader))
        frames[++depth] = (struct body_frame){.node = node, .array = array};
    } else if (json_read_value(reader, &value)) {
      event_path_set(decode->webhooks, row, node, &value);
    }
  }
}

/* The whole body is JSON, and an object: known before anything is handed over. */
static bool validate(struct webhook_decode *decode) {
  struct json_reader *reader = &decode->reader;
  if (json_peek(reader) != JSON_OBJECT) {
    json_skip(reader);
    if (reader->error || !json_finish(reader)) return webhook_reject(decode, WEBHOOK_NOT_JSON, "the body is not JSON");
    return webhook_reject(decode, WEBHOOK_SCHEMA, "the body is not a JSON object");
  }
  if (decode->source->kind == WEBHOOK_ALERTMANAGER) return alertmanager_validate(decode);
  if (!json_skip(reader) || !json_finish(reader)) return webhook_reject(decode, WEBHOOK_NOT_JSON, "the body is not JSON");
  return true;
}

static void read_webhook(struct webhook_decode *decode) {
  struct event_batch *batch = decode->webhooks;
  const uint32_t row = event_batch_add(batch);
  struct event_fields *fields = &batch->fields[row];
  fields->name = (struct event_text){decode->source->name, (uint32_t)strlen(decode->source->name)};
  fields->start_ns = fields->end_ns = decode->wall_ns;
  webhook_read_body(decode, row);
}

void webhook_decode(const struct webhook_source *source, const uint8_t *body, uint32_t bytes, char *scratch,
                    uint32_t scratch_bytes, uint64_t wall_ns, struct event_batch *webhooks, struct event_batch *alerts,
                    const struct event_sink *sink, struct webhook_result *result) {
  struct webhook_decode decode = {
      .source = source, .webhooks = webhooks, .alerts = alerts, .sink = sink, .wall_ns = wall_ns, .result = result};
  *result = (struct webhook_result){.outcome = WEBHOOK_DECODED};
  json_begin(&decode.reader, body, bytes, scratch, scratch_bytes);
  if (!validate(&decode)) return;
  json_begin(&decode.reader, body, bytes, scratch, scratch_bytes);
  read_webhook(&decode);
  if (!sink->evaluate(sink->context, webhooks)) {
    webhook_reject(&decode, WEBHOOK_NO_ROOM, "no room for what the body raises");
    return;
  }
  if (source->kind != WEBHOOK_ALERTMANAGER) return;
  json_begin(&decode.reader, body, bytes, scratch, scratch_bytes);
  alertmanager_read(&decode);
}
