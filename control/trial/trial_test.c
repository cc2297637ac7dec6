#include "json_values.h"
#include "trial_test_internal.h"
#include <stdlib.h>
#include <string.h>

#define TEST_TRACES_MAX 4096u /* small, so that a test begins in no time */

static void note_violation(void *context, const struct violation *violation) {
  struct trial_test_file *file = context;
  json_t *json = trial_violation_json(violation);
  json_object_set_new(json, "at_ns", json_integer((json_int_t)(violation->wall_ns - file->start_ns)));
  json_array_append_new(file->violations, json);
}

static bool read_start(struct trial_document *document, yaml_node_t *node, uint64_t *start_ns) {
  *start_ns = TRIAL_START_WALL_NS;
  const char *text = node ? trial_text_of(document, node) : NULL;
  if (!text) return !node;
  if (strchr(text, 'T') && parse_time(text, 0, start_ns)) return true;
  trial_error(document, node, "a time is wanted here, as 2026-01-01T00:00:00Z");
  return false;
}

json_t *trial_test_refusal(const yaml_node_t *node, const struct trial_answer *answer) {
  char text[200];
  if (answer->refusal == TRIAL_TAKEN && answer->spans_rejected == 0) return NULL;
  if (answer->refusal == TRIAL_TAKEN)
    snprintf(text, sizeof text, "the span is rejected: its ids or times are not those of a span");
  else
    snprintf(text, sizeof text, "the event is refused (%s): %s, at byte %u", trial_refusal_name(answer->refusal), answer->error,
             answer->error_offset);
  return json_pack("{s:i, s:i, s:s, s:[]}", "line", (int)node->start_mark.line + 1, "column", (int)node->start_mark.column + 1,
                   "message", text, "details");
}

/* False: an event cannot be read; then nothing is said of the test but that. */
static bool play(struct trial_test_file *file, struct trial_names *names, yaml_node_t *events, json_t *failures) {
  struct trial_stage stage = {.document = &file->document, .names = names, .start_ns = file->start_ns};
  for (size_t i = 0; i < trial_list_count(events); i++) {
    struct trial_event event;
    struct trial_answer answer = {0};
    yaml_node_t *node = trial_list_at(&file->document, events, i);
    stage.now_ns = trial_host_wall_ns(file->host);
    const bool good = trial_event_read(&stage, node, &event);
    if (good && event.advances)
      trial_host_advance(file->host, stage.now_ns + (uint64_t)event.advance_ns);
    else if (good)
      trial_host_take(file->host, &event.body, &answer);
    json_t *refusal = trial_test_refusal(node, &answer);
    if (refusal) json_array_append_new(failures, refusal);
    trial_event_free(&event);
    if (!good) return false;
  }
  trial_host_settle(file->host);
  return true;
}

static bool read_rule_name(struct trial_test_file *file, yaml_node_t *node, const char **rule) {
  *rule = trial_text_of(&file->document, node);
  if (!*rule) return false;
  if (rule_set_find(file->set, *rule)) return true;
  trial_error(&file->document, node, "there is no rule \"%.100s\"", *rule);
  return false;
}

static bool set_expected_id(struct trial_names *names, const json_t *wanted, size_t bytes, json_t **id) {
  char text[33];
  if (!json_is_string(wanted) || !trial_names_id(names, json_string_value(wanted), bytes, text)) return false;
  *id = json_string(text);
  return true;
}

/* Traces and spans by name, as in the events. */
static bool add_ids(struct trial_test_file *file, struct trial_names *names, yaml_node_t *trace, yaml_node_t *spans,
                    json_t *fields) {
  json_t *wanted = trace ? trial_json_of(&file->document, trace) : NULL, *id = NULL, *item, *ids = json_array();
  size_t index;
  bool good = !trace || set_expected_id(names, wanted, 16, &id);
  if (!good) trial_error(&file->document, trace, "a trace is named by a text");
  if (id) json_object_set_new(fields, "trace_id", id);
  json_decref(wanted);
  wanted = spans ? trial_json_of(&file->document, spans) : NULL;
  bool listed = !spans || json_is_array(wanted);
  json_array_foreach(wanted, index, item) {
    id = NULL;
    listed = listed && set_expected_id(names, item, 8, &id);
    if (id) json_array_append_new(ids, id);
  }
  if (!listed) trial_error(&file->document, spans, "spans are a list of texts");
  if (spans) json_object_set(fields, "span_ids", ids);
  json_decref(ids);
  json_decref(wanted);
  return good && listed;
}

static bool read_expectation(struct trial_test_file *file, struct trial_names *names, yaml_node_t *node,
                             struct trial_expectation *expectation) {
  enum { RULE, TIMES, AT, TRACE, SPANS, FIELDS };
  static const char *const keys[] = {"rule",   "times",   "at",    "trace",      "spans",        "message", "severity",
                                     "source", "service", "count", "attributes", "rule_version", NULL};
  yaml_node_t *nodes[sizeof keys / sizeof *keys];
  *expectation = (struct trial_expectation){.node = node, .fields = json_object(), .times = 1};
  if (!trial_read_mapping(&file->document, node, "an expectation", keys, nodes)) return false;
  if (!nodes[RULE]) trial_error(&file->document, node, "an expectation names its rule");
  bool good = nodes[RULE] && read_rule_name(file, nodes[RULE], &expectation->rule);
  if (nodes[TIMES]) good = trial_count_of(&file->document, nodes[TIMES], 1000000, &expectation->times) && good;
  expectation->timed = nodes[AT] != NULL;
  if (nodes[AT]) good = trial_duration_of(&file->document, nodes[AT], &expectation->at_ns) && good;
  good = add_ids(file, names, nodes[TRACE], nodes[SPANS], expectation->fields) && good;
  for (int i = FIELDS; keys[i]; i++) {
    json_t *value = nodes[i] ? trial_json_of(&file->document, nodes[i]) : NULL;
    if (value) json_object_set_new(expectation->fields, keys[i], value);
    good = good && (value || !nodes[i]);
  }
  return good;
}

struct wanted {
  struct trial_expectation *expectations;
  size_t count;
  bool strict; /* nothing else may fire */
  const yaml_node_t *silent;
};

static bool read_silent(struct trial_test_file *file, yaml_node_t *node, struct wanted *wanted) {
  const char *rule, *text = node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
  if (strcmp(text, "true") == 0) {
    wanted->strict = true;
    return true;
  }
  if (node->type != YAML_SEQUENCE_NODE) {
    trial_error(&file->document, node, "expect_none is true, or a list of rules");
    return false;
  }
  bool good = true;
  for (size_t i = 0; i < trial_list_count(node); i++)
    good = read_rule_name(file, trial_list_at(&file->document, node, i), &rule) && good;
  wanted->silent = node;
  return good;
}

static bool read_wanted(struct trial_test_file *file, struct trial_names *names, yaml_node_t *test, yaml_node_t *expect,
                        yaml_node_t *silent, struct wanted *wanted) {
  bool good = expect || silent;
  if (!good) trial_error(&file->document, test, "a test says what it expects: expect, or expect_none");
  if (silent) good = read_silent(file, silent, wanted) && good;
  if (!expect) return good;
  if (expect->type != YAML_SEQUENCE_NODE) {
    trial_error(&file->document, expect, "expect is a list of violations");
    return false;
  }
  wanted->strict = true;
  wanted->expectations = calloc(trial_list_count(expect) + 1, sizeof *wanted->expectations);
  for (size_t i = 0; wanted->expectations && i < trial_list_count(expect); i++) {
    good = read_expectation(file, names, trial_list_at(&file->document, expect, i), &wanted->expectations[i]) && good;
    wanted->count++;
  }
  return good && wanted->expectations;
}

bool trial_test_begin(struct trial_test_file *file, yaml_node_t *node, uint64_t start_ns) {
  file->start_ns = start_ns;
  file->violations = json_array();
  if (file->violations && trial_host_restart(file->host, start_ns)) return true;
  trial_error(&file->document, node, "no memory for the engine");
  json_decref(file->violations);
  file->violations = NULL;
  return false;
}

void trial_test_result(struct trial_test_file *file, const yaml_node_t *node, const char *name, json_t *failures) {
  json_array_append_new(file->results,
                        json_pack("{s:s, s:i, s:s, s:b, s:o, s:o}", "file", file->document.path, "line",
                                  (int)node->start_mark.line + 1, "name", name, "passed", json_array_size(failures) == 0,
                                  "failures", failures, "violations", file->violations));
  file->violations = NULL;
}

static void judge(struct trial_test_file *file, yaml_node_t *node, const char *name, yaml_node_t *events,
                  struct trial_names *names, const struct wanted *wanted) {
  json_t *failures = json_array();
  if (play(file, names, events, failures)) {
    json_t *differences = trial_differences(&file->document, names, wanted->expectations, wanted->count, wanted->strict,
                                            wanted->silent, node, file->violations);
    json_array_extend(failures, differences);
    json_decref(differences);
    trial_test_result(file, node, name, failures);
    return;
  }
  json_decref(failures);
  json_decref(file->violations);
  file->violations = NULL;
}

void trial_test_run(struct trial_test_file *file, yaml_node_t *node) {
  enum { NAME, START, EVENTS, EXPECT, EXPECT_NONE, KEYS };
  static const char *const keys[] = {"name", "start", "events", "expect", "expect_none", NULL};
  yaml_node_t *nodes[KEYS];
  struct wanted wanted = {0};
  struct trial_names names = {0};
  uint64_t start_ns;
  if (!trial_read_mapping(&file->document, node, "a test", keys, nodes)) return;
  if (!nodes[NAME] || !nodes[EVENTS] || nodes[EVENTS]->type != YAML_SEQUENCE_NODE) {
    trial_error(&file->document, node, "a test has a name and a list of events");
    return;
  }
  const char *name = trial_text_of(&file->document, nodes[NAME]);
  bool good = name && read_start(&file->document, nodes[START], &start_ns);
  good = read_wanted(file, &names, node, nodes[EXPECT], nodes[EXPECT_NONE], &wanted) && good;
  if (good && trial_test_begin(file, node, start_ns)) judge(file, node, name, nodes[EVENTS], &names, &wanted);
  for (size_t i = 0; i < wanted.count; i++) json_decref(wanted.expectations[i].fields);
  free(wanted.expectations);
  trial_names_free(&names);
}

bool trial_test_file_start(struct trial_test_file *file) {
  const struct trial_config config = {.shards = 1,
                                      .start_wall_ns = TRIAL_START_WALL_NS,
                                      .traces_max = TEST_TRACES_MAX,
                                      .captures_max = TEST_TRACES_MAX,
                                      .context = file,
                                      .violation = note_violation};
  file->host = file->set ? trial_host_create(file->set, &config, file->document.errors) : NULL;
  return file->host != NULL;
}

void trial_test_file_end(struct trial_test_file *file) {
  trial_host_free(file->host);
  if (file->set) rule_set_free(file->set);
  trial_document_free(&file->document);
}
