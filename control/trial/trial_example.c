/* BeTrace's example_violation: a trace in the rule itself that it must fire on. */
#include "trial_test_internal.h"
#include <string.h>

/* The value of a key, as the reader of rules has already judged the rest. */
static yaml_node_t *member(struct trial_document *document, yaml_node_t *node, const char *key) {
  if (!node || node->type != YAML_MAPPING_NODE) return NULL;
  for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
    const yaml_node_t *name = yaml_document_get_node(&document->yaml, pair->key);
    if (name->type == YAML_SCALAR_NODE && strcmp((const char *)name->data.scalar.value, key) == 0)
      return yaml_document_get_node(&document->yaml, pair->value);
  }
  return NULL;
}

static bool take(struct trial_test_file *file, struct trial_stage *stage, yaml_node_t *span, json_t *failures) {
  struct trial_event event;
  struct trial_answer answer;
  if (!trial_event_of_span(stage, span, &event)) {
    trial_event_free(&event);
    return false;
  }
  trial_host_take(file->host, &event.body, &answer);
  json_t *refusal = trial_test_refusal(span, &answer);
  if (refusal) json_array_append_new(failures, refusal);
  trial_event_free(&event);
  return true;
}

static bool play(struct trial_test_file *file, yaml_node_t *trace, struct trial_names *names, json_t *failures) {
  struct trial_stage stage = {
      .document = &file->document, .names = names, .start_ns = file->start_ns, .now_ns = file->start_ns, .example = true};
  for (size_t i = 0; i < trial_list_count(trace); i++)
    if (!take(file, &stage, trial_list_at(&file->document, trace, i), failures)) return false;
  trial_host_settle(file->host);
  return true;
}

static void run(struct trial_test_file *file, const char *rule, yaml_node_t *example) {
  yaml_node_t *trace = member(&file->document, example, "trace"), *text = member(&file->document, example, "description");
  struct trial_names names = {0};
  char name[400];
  if (!trace || trace->type != YAML_SEQUENCE_NODE) {
    trial_error(&file->document, example, "an example has a trace: a list of spans");
    return;
  }
  const bool described = text && text->type == YAML_SCALAR_NODE;
  snprintf(name, sizeof name, "example of %.128s%s%.200s", rule, described ? ": " : "",
           described ? (const char *)text->data.scalar.value : "");
  if (!trial_test_begin(file, example, TRIAL_START_WALL_NS)) return;
  const struct trial_expectation fires = {.node = example, .fields = json_object(), .rule = rule, .times = 1};
  json_t *failures = json_array();
  if (play(file, trace, &names, failures)) {
    json_t *differences = trial_differences(&file->document, &names, &fires, 1, false, NULL, example, file->violations);
    json_array_extend(failures, differences);
    json_decref(differences);
    trial_test_result(file, example, name, failures);
  } else {
    json_decref(failures);
    json_decref(file->violations);
    file->violations = NULL;
  }
  json_decref(fires.fields);
  trial_names_free(&names);
}

/* The rule that the loader made of this mapping, whichever of its keys gave it the name. */
static const struct rule_definition *definition_of(const struct trial_test_file *file, const yaml_node_t *rule) {
  for (size_t i = 0; i < rule_set_count(file->set); i++) {
    const struct rule_definition *definition = rule_set_at(file->set, i);
    if (definition->line == rule->start_mark.line + 1 && strcmp(definition->file, file->document.path) == 0) return definition;
  }
  return NULL;
}

bool trial_has_examples(struct trial_document *document) {
  yaml_node_t *rules = member(document, trial_document_root(document), "rules");
  for (size_t i = 0; rules && rules->type == YAML_SEQUENCE_NODE && i < trial_list_count(rules); i++)
    if (member(document, trial_list_at(document, rules, i), "example_violation")) return true;
  return false;
}

size_t trial_examples_run(struct trial_test_file *file) {
  struct trial_document *document = &file->document;
  yaml_node_t *rules = member(document, trial_document_root(document), "rules");
  size_t count = 0;
  for (size_t i = 0; rules && rules->type == YAML_SEQUENCE_NODE && i < trial_list_count(rules); i++) {
    yaml_node_t *rule = trial_list_at(document, rules, i), *example = member(document, rule, "example_violation");
    const struct rule_definition *definition = example ? definition_of(file, rule) : NULL;
    if (!definition || !definition->enabled) continue;
    count++;
    if (file->host || trial_test_file_start(file)) run(file, definition->name, example);
  }
  return count;
}
