#include "image_cells.h"
#include <stdlib.h>
#include <string.h>

static void add(struct image_cells *cells, const void *at, size_t bytes, bool boolean) {
  if (cells->count == cells->capacity) {
    cells->capacity = 2 * cells->capacity + 256;
    cells->items = realloc(cells->items, cells->capacity * sizeof *cells->items);
    if (!cells->items) abort();
  }
  cells->items[cells->count++] = (struct image_cell){.at = (void *)(uintptr_t)at, .bytes = (uint8_t)bytes, .boolean = boolean};
}

#define NUMBER(field) add(cells, &(field), sizeof(field), false)
#define BOOLEAN(field) add(cells, &(field), sizeof(field), true)
#define ARRAY(list, length)                                                                                                      \
  do {                                                                                                                           \
    for (size_t cell_ = 0; (list) && cell_ < (length); cell_++) NUMBER((list)[cell_]);                                           \
  } while (0)

/* A type that makes a text of what is none would be a pointer. */
static void add_value(struct image_cells *cells, const struct value *value) {
  if (value->type == VALUE_INTEGER || value->type == VALUE_DOUBLE) NUMBER(value->integer);
}

static void add_program(struct image_cells *cells, const struct image_program *program) {
  ARRAY(program->operations, program->count);
  BOOLEAN(program->conjunction);
}

static void add_column(struct image_cells *cells, const struct image_column *column) {
  NUMBER(column->scope);
  NUMBER(column->intrinsic);
  NUMBER(column->zone);
  NUMBER(column->identity);
  BOOLEAN(column->every);
  for (uint32_t i = 0; i < column->dictionary_slots; i++) NUMBER(column->dictionary[i].id);
  if (!column->computation) return;
  NUMBER(column->computation->computation);
  NUMBER(column->computation->left.column);
  NUMBER(column->computation->right.column);
  add_value(cells, &column->computation->left.constant);
  add_value(cells, &column->computation->right.constant);
}

static void add_predicate(struct image_cells *cells, const struct image_predicate *predicate) {
  NUMBER(predicate->column);
  NUMBER(predicate->interned);
  NUMBER(predicate->other);
  BOOLEAN(predicate->scanned);
  add_value(cells, &predicate->constant);
  /* What an operation finds behind its pointers goes with the operation: lists and networks stay what they are. */
  if (predicate->operation != PREDICATE_IN && predicate->operation != PREDICATE_IN_NETWORKS && predicate->between)
    NUMBER(predicate->operation);
  if (predicate->operation == PREDICATE_IN) ARRAY(predicate->list_interned, predicate->list_count);
}

static void add_rule(struct image_cells *cells, const struct image_rule *rule) {
  add_program(cells, &rule->condition);
  add_program(cells, &rule->when);
  add_program(cells, &rule->always);
  add_program(cells, &rule->never);
  ARRAY(rule->attributes, rule->attribute_count);
  ARRAY(rule->anchors, rule->anchor_count);
  for (uint32_t i = 0; i < rule->message_parts; i++)
    if (rule->message[i].slot != IMAGE_MESSAGE_LITERAL) NUMBER(rule->message[i].slot);
  for (uint32_t i = 0; i < rule->selector_count; i++) {
    NUMBER(rule->selectors[i].bit);
    NUMBER(rule->selectors[i].in);
  }
  BOOLEAN(rule->shadow);
  BOOLEAN(rule->monotone_never);
  BOOLEAN(rule->needs_story);
  BOOLEAN(rule->matures);
  NUMBER(rule->match_slot);
  NUMBER(rule->since_generation);
  NUMBER(rule->trace_rule);
  NUMBER(rule->identity);
  NUMBER(rule->window);
  NUMBER(rule->within_ns);
}

static void add_key(struct image_cells *cells, const struct image_key *key) {
  NUMBER(key->column);
  BOOLEAN(key->patterns);
  BOOLEAN(key->literals);
  if (key->constants) ARRAY(key->first, key->constants + 1u);
  if (key->constants) ARRAY(key->equals, key->constants);
  ARRAY(key->programs, key->program_count);
  ARRAY(key->present, key->present_count);
  for (uint32_t i = 0; i < key->number_slots; i++) {
    NUMBER(key->numbers[i].first);
    NUMBER(key->numbers[i].end);
    add_value(cells, &key->numbers[i].constant);
  }
  for (uint32_t i = 0; i < key->above_count; i++) {
    NUMBER(key->above[i].program);
    add_value(cells, &key->above[i].constant);
  }
  for (uint32_t i = 0; i < key->below_count; i++) {
    NUMBER(key->below[i].program);
    add_value(cells, &key->below[i].constant);
  }
}

static void add_candidates(struct image_cells *cells, const struct image_candidates *candidates, uint32_t predicates) {
  for (uint32_t i = 0; i < candidates->key_count; i++) add_key(cells, &candidates->keys[i]);
  ARRAY(candidates->first_of_match, predicates + 1u);
  ARRAY(candidates->programs_of_matches, candidates->match_program_count);
}

static void add_kind(struct image_cells *cells, const struct image_kind *kind) {
  for (uint32_t i = 0; i < kind->column_count; i++) add_column(cells, &kind->columns[i]);
  for (uint32_t i = 0; i < kind->predicate_count; i++) add_predicate(cells, &kind->predicates[i]);
  for (uint32_t i = 0; i < kind->rule_count; i++) add_rule(cells, &kind->rules[i]);
  for (uint32_t i = 0; i < kind->path_count; i++) {
    NUMBER(kind->paths[i].first_member);
    NUMBER(kind->paths[i].member_count);
    NUMBER(kind->paths[i].first_element);
    NUMBER(kind->paths[i].element_count);
    NUMBER(kind->paths[i].every);
    NUMBER(kind->paths[i].first_slot);
    NUMBER(kind->paths[i].slot_count);
  }
  for (uint32_t i = 0; i < kind->path_edge_count; i++) NUMBER(kind->path_edges[i].node);
  ARRAY(kind->path_slots, kind->path_slot_count);
  ARRAY(kind->lookup, kind->lookup_slots);
  add_candidates(cells, &kind->candidates, kind->predicate_count);
}

static void add_bit_list(struct image_cells *cells, const struct image_bit_list *list, uint32_t bits) {
  ARRAY(list->first, bits + 1u);
  ARRAY(list->numbers, list->count);
}

static void add_traces(struct image_cells *cells, const struct rule_image *image) {
  const struct image_trace_index *index = &image->traces;
  NUMBER(index->bits);
  ARRAY(index->since, index->bits);
  ARRAY(index->in, index->bits);
  add_bit_list(cells, &index->mentions, index->bits);
  add_bit_list(cells, &index->columns, index->bits);
  add_bit_list(cells, &index->complete, index->bits);
  add_bit_list(cells, &index->never, index->bits);
  ARRAY(index->complete_always.rules, index->complete_always.count);
  ARRAY(index->never_always.rules, index->never_always.count);
  ARRAY(index->by_identity, image->trace_rule_count);
}

static void add_measure(struct image_cells *cells, const struct image_measure *measure) {
  NUMBER(measure->kind);
  NUMBER(measure->bit);
  NUMBER(measure->column);
  NUMBER(measure->identity);
  add_value(cells, &measure->constant);
}

static void add_fact_list(struct image_cells *cells, const struct image_fact_list *list, uint32_t bits) {
  if (!list->first) return;
  const uint32_t count = list->first[bits];
  ARRAY(list->first, bits + 1u);
  ARRAY(list->numbers, count);
}

static void add_story(struct image_cells *cells, const struct image_story *story) {
  for (uint32_t i = 0; i < story->fact_count; i++) {
    const struct image_fact *fact = &story->facts[i];
    NUMBER(fact->sort);
    NUMBER(fact->operation);
    NUMBER(fact->relation);
    BOOLEAN(fact->negated);
    BOOLEAN(fact->monotone);
    BOOLEAN(fact->early);
    NUMBER(fact->left_bit);
    NUMBER(fact->right_bit);
    add_measure(cells, &fact->left);
    add_measure(cells, &fact->right);
    NUMBER(fact->within_ns);
    NUMBER(fact->identity);
    NUMBER(fact->since_generation);
  }
  BOOLEAN(story->needed);
  BOOLEAN(story->every_span);
  NUMBER(story->bits);
  add_fact_list(cells, &story->early, story->bits);
  add_fact_list(cells, &story->timed, story->bits);
  add_fact_list(cells, &story->measured, story->bits);
  add_fact_list(cells, &story->within, story->bits);
  ARRAY(story->early_of_all, story->early_of_all_count);
  if (!story->rules_first) return;
  const uint32_t rules = story->rules_first[story->fact_count];
  ARRAY(story->rules_first, story->fact_count + 1u);
  ARRAY(story->rules_of_facts, rules);
}

static void add_window(struct image_cells *cells, const struct image_window *window) {
  NUMBER(window->identity);
  NUMBER(window->rule);
  NUMBER(window->kind);
  BOOLEAN(window->of_trace);
  NUMBER(window->function);
  BOOLEAN(window->change);
  BOOLEAN(window->carries_event);
  NUMBER(window->comparison);
  add_value(cells, &window->limit);
  NUMBER(window->quantile);
  NUMBER(window->value_column);
  ARRAY(window->key_columns, IMAGE_WINDOW_KEYS_MAX);
  NUMBER(window->key_count);
  NUMBER(window->over_ns);
  NUMBER(window->steps);
  NUMBER(window->step_ns);
  NUMBER(window->for_ns);
  NUMBER(window->repeat_after_ns);
}

void image_cells_collect(struct image_cells *cells, const struct rule_image *image) {
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) add_kind(cells, &image->kinds[kind]);
  for (uint32_t i = 0; i < image->selector_count; i++) {
    add_program(cells, &image->selectors[i].condition);
    NUMBER(image->selectors[i].bit);
    NUMBER(image->selectors[i].since_generation);
  }
  add_candidates(cells, &image->selector_candidates, image->kinds[EVENT_SPAN].predicate_count);
  for (uint32_t i = 0; i < image->trace_rule_count; i++) add_rule(cells, &image->trace_rules[i]);
  add_traces(cells, image);
  add_story(cells, &image->story);
  for (uint32_t i = 0; i < image->window_count; i++) add_window(cells, &image->windows[i]);
  for (uint32_t i = 0; i < image->zone_count; i++)
    for (uint32_t change = 0; change < image->zones[i].change_count; change++) {
      NUMBER(image->zones[i].changes[change].from_s);
      NUMBER(image->zones[i].changes[change].offset_s);
    }
}

void image_cells_free(struct image_cells *cells) {
  free(cells->items);
  *cells = (struct image_cells){0};
}

uint64_t image_cell_read(const struct image_cell *cell) {
  uint64_t value = 0;
  memcpy(&value, cell->at, cell->bytes); /* little-endian */
  return value;
}

void image_cell_write(const struct image_cell *cell, uint64_t value) {
  if (cell->boolean) value &= 1;
  memcpy(cell->at, &value, cell->bytes);
}
