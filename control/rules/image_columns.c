#include "always_assert.h"
#include "image_builder_internal.h"
#include <stdlib.h>
#include <string.h>

/* What a shard captured of a span must mean the same after the rules were changed. */
static uint32_t identity_of(struct image_builder *builder, enum event_kind kind, struct image_text spelling) {
  const struct image_kind *before = builder->previous ? &builder->previous->image.kinds[kind] : NULL;
  for (uint32_t i = 0; before && i < before->column_count; i++) {
    const struct image_text known = before->columns[i].spelling;
    if (known.length == spelling.length && memcmp(known.at, spelling.at, spelling.length) == 0)
      return before->columns[i].identity;
  }
  return builder->compiled->next_identity++;
}

static bool column_room(struct image_builder *builder, struct kind_builder *into) {
  if (into->column_count < RULE_COLUMNS_MAX) return true;
  if (!into->too_many_columns)
    RULE_COMPLAIN(builder, "rule `%s`: the rules read more than %u different references and calculations of one kind of event",
                  builder->rule->definition.name, RULE_COLUMNS_MAX);
  into->too_many_columns = true;
  return false;
}

static uint16_t add_column(struct image_builder *builder, enum event_kind kind, const struct reference *reference,
                           const struct image_computation *computation, struct image_text text) {
  struct kind_builder *into = &builder->kinds[kind];
  if (!column_room(builder, into)) return 0;
  into->columns = growing_list_reserve(into->columns, into->column_count, &into->column_capacity, sizeof *into->columns);
  struct column_builder *made = &into->columns[into->column_count];
  *made = (struct column_builder){.reference = reference};
  made->column.scope = reference->scope;
  made->column.intrinsic = reference->intrinsic;
  made->column.computation = computation;
  made->column.every = reference->every;
  if (reference_is_calendar(reference)) made->column.zone = image_zone_of(builder, reference->zone);
  made->column.key = region_image_text(builder->region, reference->key.at, reference->key.length);
  made->column.spelling = region_image_text(builder->region, text.at, text.length);
  struct growing_text shown = {0};
  reference_print(reference, &shown);
  made->column.reference = region_image_text(builder->region, shown.at, shown.length);
  growing_text_free(&shown);
  made->column.identity = identity_of(builder, kind, made->column.spelling);
  text_index_add(&into->column_by_spelling, made->column.spelling, (uint32_t)into->column_count);
  return (uint16_t)into->column_count++;
}

static struct image_operand operand_of(struct image_builder *builder, enum event_kind kind, const struct operand *operand) {
  if (operand->reference) return (struct image_operand){.column = image_column_of(builder, kind, operand->reference)};
  return (struct image_operand){.column = IMAGE_NO_COLUMN,
                                .constant = operand->literal ? operand->literal->value : (struct value){.type = VALUE_NULL}};
}

/* A column of each operation, so that values that rules share are computed once; its operands' come before it. Recursion as deep
 * as the operations of one value, which the parser bounds. */
static uint16_t computed_column_of(struct image_builder *builder, enum event_kind kind, const struct reference *reference,
                                   struct image_text text) {
  const struct arithmetic *arithmetic = reference->arithmetic;
  struct image_computation *made = region_take(builder->region, sizeof *made);
  made->computation = arithmetic->computation;
  made->left = operand_of(builder, kind, &arithmetic->left);
  made->right = operand_of(builder, kind, &arithmetic->right);
  return add_column(builder, kind, reference, made, text);
}

uint16_t image_column_of(struct image_builder *builder, enum event_kind kind, const struct reference *reference) {
  struct growing_text text = {0};
  reference_print_zoned(reference, &text);
  const struct image_text view = growing_text_view(&text);
  const uint32_t known = text_index_find(&builder->kinds[kind].column_by_spelling, view);
  uint16_t column = (uint16_t)known;
  if (known == TEXT_INDEX_NONE)
    column = reference->arithmetic ? computed_column_of(builder, kind, reference, view)
                                   : add_column(builder, kind, reference, NULL, view);
  growing_text_free(&text);
  return column;
}

uint32_t image_constant_of(struct image_builder *builder, struct column_builder *column, struct image_text text) {
  const uint32_t known = text_index_find(&column->constant_ids, text);
  if (known != TEXT_INDEX_NONE) return known;
  column->constants =
      growing_list_reserve(column->constants, column->constant_count, &column->constant_capacity, sizeof *column->constants);
  struct image_text *made = &column->constants[column->constant_count++];
  *made = region_image_text(builder->region, text.at, text.length);
  text_index_add(&column->constant_ids, *made, (uint32_t)column->constant_count);
  return (uint32_t)column->constant_count;
}

uint32_t image_slots_for(size_t items) {
  uint32_t slots = 2;
  while (slots < items * 2) slots *= 2;
  return slots;
}

static void finish_dictionary(struct image_builder *builder, struct column_builder *column) {
  if (column->constant_count == 0) return;
  const uint32_t slots = image_slots_for(column->constant_count);
  struct image_constant *dictionary = region_take(builder->region, slots * sizeof *dictionary);
  uint64_t *marks = region_take(builder->region, (slots * DICTIONARY_MARKS + 63) / 64 * sizeof *marks);
  column->column.dictionary = dictionary;
  column->column.dictionary_slots = slots;
  column->column.marks = marks;
  for (size_t i = 0; i < column->constant_count; i++) {
    const struct image_text text = column->constants[i];
    const struct text_print print = text_print_of(text.at, text.length);
    const uint32_t mark = dictionary_mark(&column->column, print.hash);
    uint32_t at = print.hash & (slots - 1);
    while (dictionary[at].id) at = (at + 1) & (slots - 1);
    dictionary[at] = (struct image_constant){.text = text, .print = print, .id = (uint32_t)i + 1};
    marks[mark / 64] |= 1ull << mark % 64;
  }
  column->column.constants = (uint32_t)column->constant_count;
}

static bool attribute(const struct column_builder *column) {
  return column->column.scope != SCOPE_INTRINSIC && column->column.scope != SCOPE_COMPUTED && !column->column.every;
}

static void finish_lookup(struct image_builder *builder, struct kind_builder *from, struct image_kind *into) {
  size_t attributes = 0;
  for (size_t i = 0; i < from->column_count; i++) attributes += attribute(&from->columns[i]);
  if (attributes == 0) return;
  const uint32_t slots = image_slots_for(attributes);
  uint16_t *lookup = region_take(builder->region, slots * sizeof *lookup);
  memset(lookup, 0xff, slots * sizeof *lookup);
  for (size_t i = 0; i < from->column_count; i++) {
    const struct image_column *column = &from->columns[i].column;
    if (!attribute(&from->columns[i])) continue;
    uint32_t at = image_key_hash(column->scope, column->key.at, column->key.length) & (slots - 1);
    while (lookup[at] != 0xffff) at = (at + 1) & (slots - 1);
    lookup[at] = (uint16_t)i;
  }
  into->lookup = lookup;
  into->lookup_slots = slots;
}

static void finish_candidates(struct image_builder *builder, struct image_kind *kind) {
  const struct image_program **programs = calloc((size_t)kind->rule_count + 1, sizeof *programs);
  ALWAYS_ASSERT(programs);
  for (uint32_t i = 0; i < kind->rule_count; i++) programs[i] = &kind->rules[i].condition;
  kind->candidates = image_candidates_of(builder, kind, programs, kind->rule_count);
  free(programs);
}

void image_kind_finish(struct image_builder *builder, enum event_kind kind) {
  struct kind_builder *from = &builder->kinds[kind];
  struct image_kind *into = &builder->compiled->image.kinds[kind];
  struct image_column *columns = region_take(builder->region, from->column_count * sizeof *columns);
  for (size_t i = 0; i < from->column_count; i++) {
    finish_dictionary(builder, &from->columns[i]);
    columns[i] = from->columns[i].column;
  }
  image_literals_choose(from);
  struct image_predicate *predicates = region_take(builder->region, from->predicate_count * sizeof *predicates);
  if (from->predicate_count) memcpy(predicates, from->predicates, from->predicate_count * sizeof *predicates);
  struct image_rule *rules = region_take(builder->region, from->rule_count * sizeof *rules);
  if (from->rule_count) memcpy(rules, from->rules, from->rule_count * sizeof *rules);
  *into = (struct image_kind){
      .columns = columns,
      .column_count = (uint32_t)from->column_count,
      .predicates = predicates,
      .predicate_count = (uint32_t)from->predicate_count,
      .rules = rules,
      .rule_count = (uint32_t)from->rule_count,
  };
  finish_lookup(builder, from, into);
  image_paths_finish(builder, from, into);
  finish_candidates(builder, into);
}
