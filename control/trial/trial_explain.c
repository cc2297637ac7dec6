#include "trial_explain.h"
#include "explain_internal.h"
#include "json_values.h"
#include "trial_document_internal.h"
#include <stdlib.h>
#include <string.h>

static bool named(const struct image_rule *rule, const char *name) {
  return rule->name.length == strlen(name) && memcmp(rule->name.at, name, rule->name.length) == 0;
}

bool explain_find(const struct rule_image *image, const char *name, struct explain_rule *found) {
  for (unsigned event = 0; event < EVENT_KINDS; event++)
    for (uint32_t i = 0; i < image->kinds[event].rule_count; i++)
      if (named(&image->kinds[event].rules[i], name)) {
        *found = (struct explain_rule){.image = image,
                                       .rule = &image->kinds[event].rules[i],
                                       .kind = &image->kinds[event],
                                       .event = (enum event_kind)event,
                                       .index = i};
        return true;
      }
  for (uint32_t i = 0; i < image->trace_rule_count; i++)
    if (named(&image->trace_rules[i], name)) {
      *found = (struct explain_rule){
          .image = image, .rule = &image->trace_rules[i], .kind = &image->kinds[EVENT_SPAN], .event = EVENT_SPAN, .index = i};
      return true;
    }
  return false;
}

const struct image_selector *explain_selector(const struct rule_image *image, uint32_t bit) {
  for (uint32_t i = 0; i < image->selector_count; i++)
    if (image->selectors[i].bit == bit) return &image->selectors[i];
  return NULL;
}

static void each_operand(const struct image_program *program, void *context, void (*use)(void *context, uint32_t predicate)) {
  for (uint32_t i = 0; i < program->count; i++)
    if (program->operations[i] < PROGRAM_AND) use(context, program->operations[i]);
}

void explain_each_predicate(const struct rule_image *image, const struct image_rule *rule, void *context,
                            void (*use)(void *context, uint32_t predicate)) {
  if (rule->on != RULE_ON_TRACE) each_operand(&rule->condition, context, use);
  for (uint32_t i = 0; rule->on == RULE_ON_TRACE && i < rule->selector_count; i++) {
    const struct image_selector *selector = explain_selector(image, rule->selectors[i].bit);
    if (selector) each_operand(&selector->condition, context, use);
  }
}

void explain_each_of_when(const struct rule_image *image, const struct image_rule *rule, void *context,
                          void (*use)(void *context, uint32_t predicate)) {
  for (uint32_t i = 0; i < rule->selector_count; i++) {
    const struct image_selector *selector = explain_selector(image, rule->selectors[i].bit);
    if (!selector || !(rule->selectors[i].in & MENTION_WHEN)) continue;
    each_operand(&selector->condition, context, use);
    return;
  }
}

/* How many rules have a predicate, or read a column. */
struct sharing {
  const struct image_kind *kind;
  uint32_t stamp;
  uint32_t *predicates, *predicate_stamps, *columns, *column_stamps;
};

static void use_column(struct sharing *sharing, uint16_t column) {
  if (column == IMAGE_NO_COLUMN || column >= sharing->kind->column_count || sharing->column_stamps[column] == sharing->stamp)
    return;
  sharing->column_stamps[column] = sharing->stamp;
  sharing->columns[column]++;
}

static void use_predicate(void *context, uint32_t predicate) {
  struct sharing *sharing = context;
  if (sharing->predicate_stamps[predicate] == sharing->stamp) return;
  sharing->predicate_stamps[predicate] = sharing->stamp;
  sharing->predicates[predicate]++;
  const struct image_predicate *used = &sharing->kind->predicates[predicate];
  if (used->operation == PREDICATE_CONSTANT) return;
  use_column(sharing, used->column);
  if (used->between) use_column(sharing, used->other);
}

/* What aggregates are made of. */
static void use_facts(struct sharing *sharing, const struct rule_image *image, const struct image_program *program) {
  for (uint32_t i = 0; i < program->count; i++) {
    const struct image_fact *fact = explain_fact(image, program->operations[i]);
    if (!fact) continue;
    if (fact->left.kind > MEASURE_COUNT && fact->left.kind < MEASURE_DURATION) use_column(sharing, fact->left.column);
    if (fact->right.kind > MEASURE_COUNT && fact->right.kind < MEASURE_DURATION) use_column(sharing, fact->right.column);
  }
}

static void use_rule(struct sharing *sharing, const struct rule_image *image, const struct image_rule *rule) {
  sharing->stamp++;
  explain_each_predicate(image, rule, sharing, use_predicate);
  for (uint32_t i = 0; i < rule->attribute_count; i++) use_column(sharing, rule->attributes[i]);
  use_facts(sharing, image, &rule->when);
  use_facts(sharing, image, &rule->always);
  use_facts(sharing, image, &rule->never);
  if (!rule->window) return;
  const struct image_window *window = &image->windows[rule->window - 1];
  use_column(sharing, window->value_column);
  for (uint32_t i = 0; i < window->key_count; i++) use_column(sharing, window->key_columns[i]);
}

static bool count_sharing(struct sharing *sharing, const struct explain_rule *rule) {
  const struct image_kind *kind = rule->kind;
  *sharing = (struct sharing){.kind = kind,
                              .predicates = calloc(kind->predicate_count + 1, sizeof(uint32_t)),
                              .predicate_stamps = calloc(kind->predicate_count + 1, sizeof(uint32_t)),
                              .columns = calloc(kind->column_count + 1, sizeof(uint32_t)),
                              .column_stamps = calloc(kind->column_count + 1, sizeof(uint32_t))};
  if (!sharing->predicates || !sharing->predicate_stamps || !sharing->columns || !sharing->column_stamps) return false;
  for (uint32_t i = 0; i < kind->rule_count; i++) use_rule(sharing, rule->image, &kind->rules[i]);
  for (uint32_t i = 0; rule->event == EVENT_SPAN && i < rule->image->trace_rule_count; i++)
    use_rule(sharing, rule->image, &rule->image->trace_rules[i]);
  /* Again, so that its own are those with the last stamp. */
  use_rule(sharing, rule->image, rule->rule);
  for (uint32_t i = 0; i < kind->predicate_count; i++)
    if (sharing->predicate_stamps[i] == sharing->stamp) sharing->predicates[i]--;
  for (uint32_t i = 0; i < kind->column_count; i++)
    if (sharing->column_stamps[i] == sharing->stamp) sharing->columns[i]--;
  return true;
}

static void free_sharing(struct sharing *sharing) {
  free(sharing->predicates);
  free(sharing->predicate_stamps);
  free(sharing->columns);
  free(sharing->column_stamps);
}

static void add_shared(json_t *json, const struct explain_rule *rule, const struct sharing *sharing) {
  json_t *columns = json_array(), *predicates = json_array();
  uint64_t own_bytes = sizeof *rule->rule + rule->rule->attribute_count * sizeof *rule->rule->attributes, pattern_bytes = 0;
  const struct image_program *programs[] = {&rule->rule->condition, &rule->rule->when, &rule->rule->always, &rule->rule->never};
  for (size_t i = 0; i < 4; i++) own_bytes += programs[i]->count * sizeof *programs[i]->operations;
  for (uint32_t i = 0; i < rule->kind->column_count; i++) {
    const struct image_column *column = &rule->kind->columns[i];
    size_t database = 0;
    if (sharing->column_stamps[i] != sharing->stamp) continue;
    if (sharing->columns[i] == 1) own_bytes += sizeof *column + column->key.length + column->reference.length;
    if (column->patterns && hs_database_size(column->patterns, &database) == HS_SUCCESS) pattern_bytes += database;
    if (column->literals && hs_database_size(column->literals, &database) == HS_SUCCESS) pattern_bytes += database;
    json_array_append_new(columns, json_pack("{s:s%, s:i}", "reference", column->reference.at, (size_t)column->reference.length,
                                             "rules", (int)sharing->columns[i]));
  }
  for (uint32_t i = 0; i < rule->kind->predicate_count; i++) {
    if (sharing->predicate_stamps[i] != sharing->stamp) continue;
    if (sharing->predicates[i] == 1) own_bytes += sizeof *rule->kind->predicates;
    char *text = explain_predicate_text(rule->kind, i);
    json_array_append_new(predicates,
                          json_pack("{s:s, s:i}", "predicate", text ? text : "", "rules", (int)sharing->predicates[i]));
    free(text);
  }
  json_object_set_new(json, "columns", columns);
  json_object_set_new(json, "predicates", predicates);
  json_object_set_new(
      json, "memory",
      json_pack("{s:I, s:I}", "image_bytes_own", (json_int_t)own_bytes, "pattern_bytes_shared", (json_int_t)pattern_bytes));
}

static const char *owner_of(const struct explain_rule *rule) {
  if (rule->rule->window)
    return rule->rule->on == RULE_ON_TRACE
               ? "the shard that owns the trace; then the shard that owns the rule's key: a keyed hash of rule and key"
               : "the shard that owns the rule's key: a keyed hash of rule and key; other shards send it a digest of what "
                 "matches";
  if (rule->rule->on == RULE_ON_TRACE)
    return "the shard that owns the trace: a keyed hash of trace_id; other shards send it a digest of each span";
  return "the shard that received the event; no state";
}

static void add_conditions(json_t *json, const struct explain_rule *rule) {
  const struct image_program *programs[] = {&rule->rule->condition, &rule->rule->when, &rule->rule->always, &rule->rule->never};
  static const char *const parts[] = {"if", "when", "always", "never"};
  json_t *conditions = json_array();
  for (size_t i = 0; i < 4; i++) {
    char *text = programs[i]->count ? explain_condition_text(rule, programs[i]) : NULL;
    if (text) json_array_append_new(conditions, json_pack("{s:s, s:s}", "part", parts[i], "compiled", text));
    free(text);
  }
  json_object_set_new(json, "conditions", conditions);
}

static json_t *definition_json(const struct rule_definition *rule, const struct rule_set *alone) {
  size_t length = 0;
  char *text = rule_set_text(alone, &length);
  json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:i, s:s%}", "name", rule->name, "on", rule_on_word(rule->on), "severity",
                           severity_word(rule->severity), "mode", rule->mode == RULE_SHADOW ? "shadow" : "enforce", "enabled",
                           rule->enabled, "version", (int)rule->version, "text", text ? text : "", text ? length : 0);
  free(text);
  return json;
}

static bool explain_compiled(json_t *json, const struct rule_set *set, const char *name, struct rule_errors *errors) {
  struct explain_rule rule;
  struct sharing sharing;
  struct rule_image *image = rule_image_compile(set, 1, NULL, 0, errors);
  if (!image) return false;
  bool good = true;
  if (explain_find(image, name, &rule)) {
    good = count_sharing(&sharing, &rule);
    if (good) add_shared(json, &rule, &sharing);
    free_sharing(&sharing);
    add_conditions(json, &rule);
    json_object_set_new(json, "found_by", explain_lookup(&rule));
    char *betrace = rule_set_find(set, name)->within_ns ? NULL : explain_betrace_text(&rule);
    json_object_set_new(json, "betrace", betrace ? json_string(betrace) : json_null());
    free(betrace);
    json_object_set_new(json, "owner", json_string(owner_of(&rule)));
  }
  rule_image_free(image);
  return good;
}

json_t *trial_explain(const struct rule_set *set, const char *name, uint64_t measure_ns, struct rule_errors *errors) {
  const struct rule_definition *definition = rule_set_find(set, name);
  struct rule_set *alone = definition ? rule_set_select(set, name) : NULL;
  if (!alone) return NULL;
  json_t *json = definition_json(definition, alone);
  bool good = explain_compiled(json, set, name, errors);
  if (good && definition->enabled && measure_ns) {
    json_t *estimate = explain_estimate(alone, name, measure_ns, errors);
    good = estimate != NULL;
    if (estimate) json_object_set_new(json, "estimate", estimate);
  }
  rule_set_free(alone);
  if (good) return json;
  json_decref(json);
  return NULL;
}
