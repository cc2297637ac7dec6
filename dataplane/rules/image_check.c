#include "rules_internal.h"

/* What an evaluation relies on without asking again. Pattern databases are Hyperscan's own to check. */

static bool power_of_two(uint32_t number) { return number != 0 && (number & (number - 1)) == 0; }

/* Whether the operands of a program are below `operands`, or facts below `facts`, its stack is kept, and it leaves one value. */
static bool trace_program_is_sound(const struct image_program *program, uint32_t operands, uint32_t facts) {
  uint32_t depth = 0;
  for (uint32_t i = 0; i < program->count; i++) {
    const uint32_t operation = program->operations[i];
    const bool joins = operation == PROGRAM_AND || operation == PROGRAM_OR;
    const bool is_operand = !joins && operation != PROGRAM_NOT;
    const bool is_fact = is_operand && operation >= PROGRAM_FACT && operation - PROGRAM_FACT < facts;
    if (is_operand && ((operation >= operands && !is_fact) || depth == IMAGE_PROGRAM_DEPTH_MAX)) return false;
    if (depth < (is_operand ? 0u : joins ? 2u : 1u)) return false;
    depth = is_operand ? depth + 1 : joins ? depth - 1 : depth;
    if (program->conjunction && depth == 1 && i > 0 && operation != PROGRAM_AND) return false;
  }
  return program->count == 0 || depth == 1;
}

static bool program_is_sound(const struct image_program *program, uint32_t operands) {
  return trace_program_is_sound(program, operands, 0);
}

/* Ids from 1 to as many as there are, and an empty slot at which a search ends. */
static bool dictionary_is_sound(const struct image_column *column) {
  uint32_t used = 0;
  if (column->dictionary_slots == 0) return column->constants == 0;
  if (!power_of_two(column->dictionary_slots)) return false;
  for (uint32_t i = 0; i < column->dictionary_slots; i++) {
    if (column->dictionary[i].id > column->constants) return false;
    used += column->dictionary[i].id != 0;
  }
  return used == column->constants && used < column->dictionary_slots;
}

static bool operand_is_sound(const struct image_column *columns, const struct image_operand *operand, uint32_t column) {
  if (operand->column != IMAGE_NO_COLUMN) return operand->column < column && !columns[operand->column].every;
  return operand->constant.type == VALUE_INTEGER || operand->constant.type == VALUE_DOUBLE;
}

/* Operands stand before what is made of them: there is no circle. */
static bool computation_is_sound(const struct image_column *columns, uint32_t at) {
  const struct image_column *column = &columns[at];
  const struct image_computation *computation = column->computation;
  if (!computation) return column->scope != SCOPE_COMPUTED;
  if (column->scope != SCOPE_COMPUTED || column->patterns || column->literals || column->dictionary_slots) return false;
  if ((unsigned)computation->computation > COMPUTE_NEGATE || !operand_is_sound(columns, &computation->right, at)) return false;
  return computation->computation == COMPUTE_NEGATE || operand_is_sound(columns, &computation->left, at);
}

static bool scope_is_sound(const struct rule_image *image, const struct image_column *column) {
  if ((unsigned)column->scope > SCOPE_COMPUTED) return false;
  if (column->scope != SCOPE_INTRINSIC) return true;
  if ((unsigned)column->intrinsic >= INTRINSICS) return false;
  const bool calendar = column->intrinsic == INTRINSIC_TIME_OF_DAY || column->intrinsic == INTRINSIC_WEEKDAY;
  return !calendar || column->zone < image->zone_count;
}

static bool columns_are_sound(const struct rule_image *image, const struct image_kind *kind) {
  for (uint32_t i = 0; i < kind->column_count; i++)
    if (!dictionary_is_sound(&kind->columns[i]) || !scope_is_sound(image, &kind->columns[i]) ||
        !computation_is_sound(kind->columns, i))
      return false;
  if (kind->lookup_slots == 0) return true;
  uint32_t used = 0;
  if (!power_of_two(kind->lookup_slots)) return false;
  for (uint32_t i = 0; i < kind->lookup_slots; i++) {
    if (kind->lookup[i] == 0xffff) continue;
    if (kind->lookup[i] >= kind->column_count) return false;
    used++;
  }
  return used < kind->lookup_slots;
}

static bool edges_are_sound(const struct image_kind *kind, uint32_t from, uint32_t first, uint32_t count) {
  if (first > kind->path_edge_count || count > kind->path_edge_count - first) return false;
  for (uint32_t i = first; i < first + count; i++)
    if (kind->path_edges[i].node <= (int64_t)from || (uint32_t)kind->path_edges[i].node >= kind->path_count) return false;
  return true;
}

/* Edges lead forward only: a walk ends. A path with `[*]` is set in a list that only webhooks have. */
static bool paths_are_sound(const struct image_kind *kind, bool elements) {
  for (uint32_t i = 0; i < kind->path_count; i++) {
    const struct image_path_node *node = &kind->paths[i];
    if (!edges_are_sound(kind, i, node->first_member, node->member_count)) return false;
    if (!edges_are_sound(kind, i, node->first_element, node->element_count)) return false;
    if (node->every >= 0 && (node->every <= (int64_t)i || (uint32_t)node->every >= kind->path_count)) return false;
    if (node->first_slot > kind->path_slot_count || node->slot_count > kind->path_slot_count - node->first_slot) return false;
  }
  for (uint32_t i = 0; i < kind->path_slot_count; i++)
    if (kind->path_slots[i] >= kind->column_count) return false;
  for (uint32_t i = 0; i < kind->column_count; i++)
    if (kind->columns[i].every && (!elements || kind->columns[i].scope != SCOPE_BODY || kind->columns[i].literals)) return false;
  return true;
}

static bool constant_is_sound(const struct image_kind *kind, uint16_t column, uint32_t interned, const struct value *constant) {
  return interned == 0 || (constant->type == VALUE_STRING && interned <= kind->columns[column].constants);
}

static bool pair_is_sound(const struct image_kind *kind, const struct image_predicate *predicate) {
  const unsigned operation = predicate->operation;
  const bool compares = operation <= PREDICATE_GREATER_OR_EQUAL || operation == PREDICATE_CONTAINS ||
                        operation == PREDICATE_STARTS_WITH || operation == PREDICATE_ENDS_WITH;
  return compares && !predicate->scanned && predicate->other < kind->column_count && !kind->columns[predicate->other].every;
}

static bool networks_are_sound(const struct image_predicate *predicate) {
  for (uint32_t i = 0; i < predicate->list_count; i++)
    if (predicate->networks[i].prefix_bits > NETWORK_ADDRESS_BYTES * 8) return false;
  return true;
}

static bool predicate_is_sound(const struct image_kind *kind, const struct image_predicate *predicate) {
  if (predicate->operation > PREDICATE_CONSTANT) return false;
  if (predicate->operation == PREDICATE_CONSTANT) return true;
  if (predicate->column >= kind->column_count) return false;
  if (predicate->between) return pair_is_sound(kind, predicate);
  const bool pattern = predicate->operation == PREDICATE_MATCHES || predicate->operation == PREDICATE_NOT_MATCHES;
  if (pattern && !kind->columns[predicate->column].patterns) return false;
  if (predicate->scanned && (predicate->operation != PREDICATE_CONTAINS || !kind->columns[predicate->column].literals))
    return false;
  if (predicate->operation == PREDICATE_IN_NETWORKS) return networks_are_sound(predicate);
  if (predicate->operation == PREDICATE_IN) {
    for (uint32_t i = 0; i < predicate->list_count; i++)
      if (!constant_is_sound(kind, predicate->column, predicate->list_interned[i], &predicate->list[i])) return false;
    return true;
  }
  return constant_is_sound(kind, predicate->column, predicate->interned, &predicate->constant);
}

static bool limits_are_sound(const struct image_limit *limits, uint32_t count, int order, uint32_t programs) {
  struct value identity;
  for (uint32_t i = 0; i < count; i++) {
    if (limits[i].program >= programs || !value_identity(&limits[i].constant, &identity)) return false;
    if (i > 0 && value_compare(&limits[i].constant, &limits[i - 1].constant) == -order) return false;
  }
  return true;
}

static bool numbers_are_sound(const struct image_key *key) {
  uint32_t used = 0;
  if (key->number_slots == 0) return true;
  if (!power_of_two(key->number_slots)) return false;
  for (uint32_t i = 0; i < key->number_slots; i++) {
    const struct image_number *number = &key->numbers[i];
    if (number->constant.type == VALUE_NULL) continue;
    if (number->first > number->end || number->end > key->program_count) return false;
    used++;
  }
  return used < key->number_slots;
}

static bool is_equality(const struct image_kind *kind, const struct image_key *key, uint32_t id) {
  const uint32_t index = key->equals[id - 1];
  if (index == PREDICATE_NONE) return true;
  if (index >= kind->predicate_count) return false;
  const struct image_predicate *predicate = &kind->predicates[index];
  return predicate->operation == PREDICATE_EQUAL && predicate->column == key->column && predicate->interned == id;
}

static bool key_is_sound(const struct image_kind *kind, const struct image_key *key, uint32_t programs) {
  if (key->column >= kind->column_count || kind->columns[key->column].computation || kind->columns[key->column].every)
    return false;
  const struct image_column *column = &kind->columns[key->column];
  if ((key->patterns && !column->patterns) || (key->literals && !column->literals)) return false;
  if (key->constants) {
    if (key->constants != column->constants) return false;
    for (uint32_t id = 1; id <= key->constants; id++)
      if (key->first[id] < key->first[id - 1]) return false;
    if (key->first[key->constants] > key->program_count) return false;
    for (uint32_t id = 1; id <= key->constants; id++)
      if (!is_equality(kind, key, id)) return false;
  }
  for (uint32_t i = 0; i < key->program_count; i++)
    if (key->programs[i] >= programs) return false;
  for (uint32_t i = 0; i < key->present_count; i++)
    if (key->present[i] >= programs) return false;
  return numbers_are_sound(key) && limits_are_sound(key->above, key->above_count, 1, programs) &&
         limits_are_sound(key->below, key->below_count, -1, programs);
}

static bool matches_are_sound(const struct image_kind *kind, const struct image_candidates *candidates, uint32_t programs) {
  if (!candidates->first_of_match) return true;
  for (uint32_t i = 0; i < kind->predicate_count; i++)
    if (candidates->first_of_match[i + 1] < candidates->first_of_match[i]) return false;
  for (uint32_t i = 0; i < candidates->match_program_count; i++)
    if (candidates->programs_of_matches[i] >= programs) return false;
  return candidates->first_of_match[kind->predicate_count] <= candidates->match_program_count;
}

static bool candidates_are_sound(const struct image_kind *kind, const struct image_candidates *candidates, uint32_t programs) {
  if (!candidates->always) return candidates->key_count == 0;
  for (uint32_t i = 0; i < candidates->key_count; i++) {
    if (!key_is_sound(kind, &candidates->keys[i], programs)) return false;
    if (i > 0 && candidates->keys[i].column <= candidates->keys[i - 1].column) return false;
  }
  return matches_are_sound(kind, candidates, programs);
}

static bool rule_is_sound(const struct image_kind *kind, const struct image_rule *rule) {
  if (rule->match_slot >= IMAGE_MATCH_SLOTS) return false;
  for (uint32_t i = 0; i < rule->message_parts; i++)
    if (rule->message[i].slot >= 0 && (uint32_t)rule->message[i].slot >= kind->column_count) return false;
  for (uint32_t i = 0; i < rule->attribute_count; i++)
    if (rule->attributes[i] >= kind->column_count) return false;
  return program_is_sound(&rule->condition, kind->predicate_count);
}

static bool kind_is_sound(const struct rule_image *image, const struct image_kind *kind) {
  if (!columns_are_sound(image, kind) || !paths_are_sound(kind, kind == &image->kinds[EVENT_WEBHOOK])) return false;
  for (uint32_t i = 0; i < kind->predicate_count; i++)
    if (!predicate_is_sound(kind, &kind->predicates[i])) return false;
  for (uint32_t i = 0; i < kind->rule_count; i++)
    if (!rule_is_sound(kind, &kind->rules[i])) return false;
  return candidates_are_sound(kind, &kind->candidates, kind->rule_count);
}

static bool trace_rule_is_sound(const struct image_kind *spans, const struct image_trace_index *index,
                                const struct image_rule *rule, uint32_t all_facts) {
  const uint32_t facts = rule->needs_story ? all_facts : 0;
  for (uint32_t i = 0; i < rule->selector_count; i++)
    if (rule->selectors[i].bit >= index->bits) return false;
  return rule->identity > 0 && rule->identity <= IMAGE_RULE_IDENTITIES_MAX && rule_is_sound(spans, rule) &&
         trace_program_is_sound(&rule->when, IMAGE_SELECTORS_MAX, facts) &&
         trace_program_is_sound(&rule->always, IMAGE_SELECTORS_MAX, facts) &&
         trace_program_is_sound(&rule->never, IMAGE_SELECTORS_MAX, facts);
}

static bool numbers_are_below(const uint16_t *numbers, uint32_t count, uint32_t limit) {
  for (uint32_t i = 0; i < count; i++)
    if (numbers[i] >= limit) return false;
  return true;
}

static bool bit_list_is_sound(const struct image_bit_list *list, uint32_t bits, uint32_t limit) {
  if (!list->first) return bits == 0;
  for (uint32_t bit = 0; bit < bits; bit++)
    if (list->first[bit + 1] < list->first[bit]) return false;
  return list->first[bits] <= list->count && numbers_are_below(list->numbers, list->count, limit);
}

static bool trace_index_is_sound(const struct rule_image *image) {
  const struct image_trace_index *index = &image->traces;
  const uint32_t rules = image->trace_rule_count;
  if (index->bits > IMAGE_SELECTORS_MAX || index->complete_always.count > rules || index->never_always.count > rules)
    return false;
  for (uint32_t i = 0; i < rules; i++)
    if (index->by_identity[i] >= rules ||
        (i > 0 && image->trace_rules[index->by_identity[i]].identity <= image->trace_rules[index->by_identity[i - 1]].identity))
      return false;
  return bit_list_is_sound(&index->mentions, index->bits, rules) &&
         bit_list_is_sound(&index->columns, index->bits, image->kinds[EVENT_SPAN].column_count) &&
         bit_list_is_sound(&index->complete, index->bits, rules) && bit_list_is_sound(&index->never, index->bits, rules) &&
         numbers_are_below(index->complete_always.rules, index->complete_always.count, rules) &&
         numbers_are_below(index->never_always.rules, index->never_always.count, rules);
}

static bool traces_are_sound(const struct rule_image *image) {
  const struct image_kind *spans = &image->kinds[EVENT_SPAN];
  if (image->generation > UINT32_MAX || image->selector_count > IMAGE_SELECTORS_MAX ||
      image->trace_rule_count > IMAGE_TRACE_RULES_MAX)
    return false;
  for (uint32_t i = 0; i < image->selector_count; i++)
    if (image->selectors[i].bit >= image->traces.bits ||
        !program_is_sound(&image->selectors[i].condition, spans->predicate_count))
      return false;
  for (uint32_t i = 0; i < image->trace_rule_count; i++)
    if (image->trace_rules[i].trace_rule != i ||
        !trace_rule_is_sound(spans, &image->traces, &image->trace_rules[i], image->story.fact_count))
      return false;
  return trace_index_is_sound(image) && image_story_is_sound(image) &&
         candidates_are_sound(spans, &image->selector_candidates, image->selector_count);
}

static bool zones_are_sound(const struct rule_image *image) {
  if (image->zone_count > IMAGE_ZONES_MAX) return false;
  for (uint32_t i = 0; i < image->zone_count; i++) {
    const struct image_zone *zone = &image->zones[i];
    if (zone->change_count == 0 || zone->change_count > IMAGE_ZONE_CHANGES_MAX || zone->changes[0].from_s != INT64_MIN)
      return false;
    for (uint32_t c = 0; c < zone->change_count; c++) {
      const struct image_zone_change *change = &zone->changes[c];
      if (change->offset_s < -ZONE_OFFSET_MAX_S || change->offset_s > ZONE_OFFSET_MAX_S) return false;
      if (c > 0 && change->from_s <= zone->changes[c - 1].from_s) return false;
    }
  }
  return true;
}

bool image_is_sound(const struct rule_image *image) {
  if (!zones_are_sound(image)) return false;
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++)
    if (!kind_is_sound(image, &image->kinds[kind])) return false;
  return traces_are_sound(image) && windows_are_sound(image);
}
