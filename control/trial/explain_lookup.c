/* What brings the engine to a rule: a value that must be there, or nothing, and then it is always run. */
#include "explain_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(json_t *keys, char *text) {
  if (text) json_array_append_new(keys, json_string(text));
  free(text);
}

static bool holds(const uint32_t *programs, uint32_t from, uint32_t end, uint32_t program) {
  for (uint32_t i = from; i < end; i++)
    if (programs[i] == program) return true;
  return false;
}

static const struct image_constant *constant_of(const struct image_column *column, uint32_t id) {
  for (uint32_t i = 0; i < column->dictionary_slots; i++)
    if (column->dictionary[i].id == id) return &column->dictionary[i];
  return NULL;
}

static void say_number(json_t *keys, const struct image_column *column, const char *operator, const struct value * constant) {
  char *text = NULL;
  const int length = (int)column->reference.length;
  const int made = constant->type == VALUE_INTEGER
                       ? asprintf(&text, "%.*s %s %lld", length, column->reference.at, operator,(long long) constant->integer)
                       : asprintf(&text, "%.*s %s %.17g", length, column->reference.at, operator, constant->real);
  say(keys, made < 0 ? NULL : text);
}

static void keys_of_column(json_t *keys, const struct image_kind *kind, const struct image_key *key, uint32_t program) {
  const struct image_column *column = &kind->columns[key->column];
  for (uint32_t id = 1; id <= key->constants; id++) {
    const struct image_constant *constant =
        holds(key->programs, key->first[id - 1], key->first[id], program) ? constant_of(column, id) : NULL;
    char *text = NULL;
    if (constant && asprintf(&text, "%.*s = \"%.*s\"", (int)column->reference.length, column->reference.at,
                             (int)constant->text.length, constant->text.at) >= 0)
      say(keys, text);
  }
  for (uint32_t i = 0; i < key->number_slots; i++)
    if (key->numbers[i].constant.type != VALUE_NULL && holds(key->programs, key->numbers[i].first, key->numbers[i].end, program))
      say_number(keys, column, "=", &key->numbers[i].constant);
  for (uint32_t i = 0; i < key->above_count; i++)
    if (key->above[i].program == program) say_number(keys, column, "above", &key->above[i].constant);
  for (uint32_t i = 0; i < key->below_count; i++)
    if (key->below[i].program == program) say_number(keys, column, "below", &key->below[i].constant);
}

/* True: it is run for every batch. */
static bool keys_of_program(json_t *keys, const struct image_kind *kind, const struct image_candidates *candidates,
                            uint32_t program) {
  if (!candidates->always || (candidates->always[program / 64] >> (program % 64) & 1)) return true;
  for (uint32_t i = 0; i < candidates->key_count; i++) keys_of_column(keys, kind, &candidates->keys[i], program);
  for (uint32_t predicate = 0; candidates->first_of_match && predicate < kind->predicate_count; predicate++)
    if (holds(candidates->programs_of_matches, candidates->first_of_match[predicate], candidates->first_of_match[predicate + 1],
              program))
      say(keys, explain_predicate_text(kind, predicate));
  return false;
}

static json_t *lookup_json(bool always, json_t *keys, const char *how) {
  return json_pack("{s:b, s:s, s:o}", "always_run", always, "how", how, "keys", keys);
}

static bool lists_rule(const struct image_bit_list *list, uint32_t bit, uint32_t rule) {
  for (uint32_t i = list->first ? list->first[bit] : 0; list->first && i < list->first[bit + 1]; i++)
    if (list->numbers[i] == rule) return true;
  return false;
}

/* Of a trace rule: the selectors that bring it up when a trace is complete, and what finds these. */
static json_t *lookup_of_trace(const struct explain_rule *rule) {
  const struct image_trace_index *index = &rule->image->traces;
  json_t *keys = json_array(), *selectors = json_array();
  for (uint32_t i = 0; i < rule->rule->selector_count; i++) {
    const uint32_t bit = rule->rule->selectors[i].bit;
    const struct image_selector *selector = explain_selector(rule->image, bit);
    const uint32_t operations[] = {bit};
    const struct image_program program = {.operations = operations, .count = 1};
    char *text = selector ? explain_condition_text(rule, &program) : NULL;
    json_t *found = json_array();
    if (!text) {
      json_decref(found);
      continue;
    }
    const bool always =
        keys_of_program(found, rule->kind, &rule->image->selector_candidates, (uint32_t)(selector - rule->image->selectors));
    json_array_append_new(selectors, json_pack("{s:s, s:b, s:o}", "selector", text, "always_run", always, "keys", found));
    if (lists_rule(&index->complete, bit, rule->index) || lists_rule(&index->never, bit, rule->index))
      json_array_append_new(keys, json_string(text));
    free(text);
  }
  const bool always = json_array_size(keys) == 0;
  json_t *json =
      lookup_json(always, keys, always ? "judged for every complete trace" : "judged for traces that met one of the keys");
  json_object_set_new(json, "selectors", selectors);
  return json;
}

json_t *explain_lookup(const struct explain_rule *rule) {
  if (rule->rule->on == RULE_ON_TRACE) return lookup_of_trace(rule);
  json_t *keys = json_array();
  const bool always = keys_of_program(keys, rule->kind, &rule->kind->candidates, rule->index);
  const char *how = "run for batches that hold one of the keys";
  if (always)
    how = rule->kind->candidates.always ? "nothing that holds of every event it is true of, or nothing that enough rules are "
                                          "looked up by: run for every batch"
                                        : "too few rules for an index to pay: run for every batch";
  return lookup_json(always, keys, how);
}
