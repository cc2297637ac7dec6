/* An entry of `events:` as the bytes that would arrive. */
#include "json_values.h"
#include "trial_input_internal.h"
#include "trial_test_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool dump(struct trial_event *event, enum trial_format format, json_t *json) {
  event->bytes = json ? json_dumps(json, JSON_COMPACT) : NULL;
  json_decref(json);
  if (!event->bytes) return false;
  event->body =
      (struct trial_body){.format = format, .bytes = event->bytes, .length = strlen(event->bytes), .source = event->source};
  return true;
}

/* Files are named from where the test file lies. */
static bool load(struct trial_stage *stage, yaml_node_t *node, struct trial_event *event) {
  const char *name = trial_text_of(stage->document, node);
  const char *slash = strrchr(stage->document->path, '/');
  char path[4096];
  size_t length;
  if (!name) return false;
  const int folder = *name == '/' || !slash ? 0 : (int)(slash + 1 - stage->document->path);
  if (snprintf(path, sizeof path, "%.*s%s", folder, stage->document->path, name) >= (int)sizeof path)
    errno = ENAMETOOLONG;
  else if ((event->bytes = trial_read_file(path, TRIAL_BODY_BYTES_MAX, &length))) {
    event->body = (struct trial_body){.bytes = event->bytes, .length = length, .source = event->source};
    return true;
  }
  trial_error(stage->document, node, "%.100s: %s", path, strerror(errno));
  return false;
}

static bool read_file(struct trial_stage *stage, yaml_node_t *node, struct trial_event *event, const char *format) {
  if (!load(stage, node, event)) return false;
  if (strcmp(format, "otlp") == 0)
    event->body.format = trial_looks_like_json(event->bytes, event->body.length) ? TRIAL_OTLP_JSON : TRIAL_OTLP_PROTOBUF;
  else
    event->body.format = strcmp(format, "zipkin") == 0 ? TRIAL_ZIPKIN : TRIAL_JAEGER;
  return true;
}

static bool set_source(struct trial_stage *stage, yaml_node_t *node, struct trial_event *event) {
  const char *text = node ? trial_text_of(stage->document, node) : "";
  if (!text) return false;
  if (strlen(text) >= sizeof event->source) {
    trial_error(stage->document, node, "a source's name has at most %zu bytes", sizeof event->source - 1);
    return false;
  }
  memcpy(event->source, text, strlen(text) + 1);
  return true;
}

static bool read_webhook(struct trial_stage *stage, yaml_node_t *node, struct trial_event *event) {
  enum { SOURCE, KIND, BODY, BODY_FILE, KEYS };
  static const char *const keys[] = {"source", "kind", "body", "body_file", NULL};
  yaml_node_t *nodes[KEYS];
  if (!trial_read_mapping(stage->document, node, "a webhook", keys, nodes)) return false;
  const char *kind = nodes[KIND] ? trial_text_of(stage->document, nodes[KIND]) : "json";
  if (!kind || !set_source(stage, nodes[SOURCE], event)) return false;
  if (strcmp(kind, "json") != 0 && strcmp(kind, "alertmanager") != 0) {
    trial_error(stage->document, nodes[KIND], "a webhook is of the kind json or alertmanager");
    return false;
  }
  if (!nodes[BODY] == !nodes[BODY_FILE]) {
    trial_error(stage->document, node, "a webhook has a body, or a body_file");
    return false;
  }
  const enum trial_format format = strcmp(kind, "json") == 0 ? TRIAL_WEBHOOK : TRIAL_ALERTMANAGER;
  if (nodes[BODY] && nodes[BODY]->type != YAML_SCALAR_NODE)
    return dump(event, format, trial_json_of(stage->document, nodes[BODY]));
  if (nodes[BODY]) { /* text is the body as it is */
    event->bytes = strndup((const char *)nodes[BODY]->data.scalar.value, nodes[BODY]->data.scalar.length);
    event->body = (struct trial_body){.bytes = event->bytes, .length = nodes[BODY]->data.scalar.length, .source = event->source};
    if (!event->bytes) return false;
  } else if (!load(stage, nodes[BODY_FILE], event)) {
    return false;
  }
  event->body.format = format;
  return true;
}

static bool set_label(struct trial_stage *stage, yaml_node_t *node, json_t *labels, const char *key) {
  const char *text = node ? trial_text_of(stage->document, node) : NULL;
  if (text) json_object_set_new(labels, key, json_string(text));
  return text || !node;
}

/* Labels and annotations are text whatever they look like. */
static json_t *texts_of(struct trial_stage *stage, yaml_node_t *node) {
  json_t *texts = json_object();
  if (!node) return texts;
  bool good = node->type == YAML_MAPPING_NODE;
  if (!good) trial_error(stage->document, node, "labels and annotations are mappings of names to texts");
  for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; good && pair < node->data.mapping.pairs.top; pair++) {
    const char *key = trial_text_of(stage->document, yaml_document_get_node(&stage->document->yaml, pair->key));
    good = key && set_label(stage, yaml_document_get_node(&stage->document->yaml, pair->value), texts, key);
  }
  if (good) return texts;
  json_decref(texts);
  return NULL;
}

/* Alertmanager's webhook (version 4) with this one alert in it. */
static bool read_alert(struct trial_stage *stage, yaml_node_t *node, struct trial_event *event) {
  enum { SOURCE, NAME, SERVICE, STATUS, LABELS, ANNOTATIONS, KEYS };
  static const char *const keys[] = {"source", "name", "service", "status", "labels", "annotations", NULL};
  yaml_node_t *nodes[KEYS];
  if (!trial_read_mapping(stage->document, node, "an alert", keys, nodes)) return false;
  const char *status = nodes[STATUS] ? trial_text_of(stage->document, nodes[STATUS]) : "firing";
  if (!status || !set_source(stage, nodes[SOURCE], event)) return false;
  if (strcmp(status, "firing") != 0 && strcmp(status, "resolved") != 0) {
    trial_error(stage->document, nodes[STATUS], "an alert is firing or resolved");
    return false;
  }
  if (!event->source[0]) memcpy(event->source, "alertmanager", sizeof "alertmanager");
  json_t *labels = texts_of(stage, nodes[LABELS]), *annotations = texts_of(stage, nodes[ANNOTATIONS]), *body = NULL;
  if (labels && annotations && set_label(stage, nodes[NAME], labels, "alertname") &&
      set_label(stage, nodes[SERVICE], labels, "service")) {
    json_t *time = json_time(stage->now_ns);
    const bool resolved = strcmp(status, "resolved") == 0;
    body = json_pack("{s:s, s:s, s:s, s:i, s:s, s:{}, s:{}, s:{}, s:s, s:[{s:s, s:O, s:O, s:O, s:o, s:s, s:s}]}", "version", "4",
                     "receiver", "tripline", "groupKey", "{}:{}", "truncatedAlerts", 0, "status", status, "groupLabels",
                     "commonLabels", "commonAnnotations", "externalURL", "", "alerts", "status", status, "labels", labels,
                     "annotations", annotations, "startsAt", time, "endsAt",
                     resolved ? json_incref(time) : json_string("0001-01-01T00:00:00Z"), "generatorURL", "", "fingerprint", "");
    json_decref(time);
  }
  json_decref(labels);
  json_decref(annotations);
  return body && dump(event, TRIAL_ALERTMANAGER, body);
}

bool trial_event_of_span(struct trial_stage *stage, yaml_node_t *node, struct trial_event *event) {
  *event = (struct trial_event){0};
  return dump(event, TRIAL_OTLP_JSON, trial_span_json(stage, node));
}

bool trial_event_read(struct trial_stage *stage, yaml_node_t *node, struct trial_event *event) {
  enum { SPAN, WEBHOOK, ALERT, ADVANCE, OTLP, ZIPKIN, JAEGER, KEYS };
  static const char *const keys[] = {"span", "webhook", "alert", "advance", "otlp", "zipkin", "jaeger", NULL};
  yaml_node_t *nodes[KEYS];
  int given = 0;
  *event = (struct trial_event){0};
  if (!trial_read_mapping(stage->document, node, "an event", keys, nodes)) return false;
  for (int i = 0; i < KEYS; i++) given += nodes[i] != NULL;
  if (given != 1) {
    trial_error(stage->document, node, "an event is one of span, webhook, alert, advance, otlp, zipkin, jaeger");
    return false;
  }
  if (nodes[SPAN]) return trial_event_of_span(stage, nodes[SPAN], event);
  if (nodes[WEBHOOK]) return read_webhook(stage, nodes[WEBHOOK], event);
  if (nodes[ALERT]) return read_alert(stage, nodes[ALERT], event);
  for (int i = OTLP; i < KEYS; i++)
    if (nodes[i]) return read_file(stage, nodes[i], event, keys[i]);
  event->advances = true;
  if (!trial_duration_of(stage->document, nodes[ADVANCE], &event->advance_ns)) return false;
  if (event->advance_ns >= 0) return true;
  trial_error(stage->document, nodes[ADVANCE], "time does not go back");
  return false;
}

void trial_event_free(struct trial_event *event) {
  free(event->bytes);
  event->bytes = NULL;
}
