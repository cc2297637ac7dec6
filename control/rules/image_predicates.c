#include "always_assert.h"
#include "image_builder_internal.h"
#include <stdlib.h>
#include <string.h>

static void key_value(struct growing_text *key, const struct value *value) {
  const char type = (char)value->type;
  growing_text_append(key, &type, 1);
  switch (value->type) {
  case VALUE_BOOL:
    growing_text_append(key, value->boolean ? "t" : "f", 1);
    break;
  case VALUE_STRING:
    growing_text_append(key, (const char *)&value->length, sizeof value->length);
    growing_text_append(key, value->text, value->length);
    break;
  default:
    growing_text_append(key, (const char *)&value->integer, sizeof value->integer);
    break;
  }
}

static struct value own_value(struct image_builder *builder, const struct value *value) {
  struct value own = *value;
  if (value->type == VALUE_STRING) own.text = region_copy(builder->region, value->text, value->length);
  return own;
}

static void set_list(struct image_builder *builder, struct column_builder *column, struct image_predicate *made,
                     const struct expression *predicate) {
  struct value *list = region_take(builder->region, predicate->literal_count * sizeof *list);
  uint32_t *interned = region_take(builder->region, predicate->literal_count * sizeof *interned);
  for (uint32_t i = 0; i < predicate->literal_count; i++) {
    const struct value *value = &predicate->literals[i].value;
    list[i] = own_value(builder, value);
    if (value->type == VALUE_STRING)
      interned[i] = image_constant_of(builder, column, (struct image_text){.at = value->text, .length = value->length});
  }
  made->list = list;
  made->list_interned = interned;
  made->list_count = predicate->literal_count;
}

static void set_networks(struct image_builder *builder, struct image_predicate *made, const struct expression *predicate) {
  struct image_network *networks = region_take(builder->region, predicate->literal_count * sizeof *networks);
  for (uint32_t i = 0; i < predicate->literal_count; i++) {
    const struct value *value = &predicate->literals[i].value;
    ALWAYS_ASSERT(!network_read((struct image_text){.at = value->text, .length = value->length}, &networks[i]));
  }
  made->networks = networks;
  made->list_count = predicate->literal_count;
}

static struct image_predicate make(struct image_builder *builder, enum event_kind kind, const struct expression *predicate,
                                   uint16_t column_at, uint16_t other) {
  struct image_predicate made = {
      .column = column_at, .operation = (uint8_t)predicate->operation, .between = predicate->right != NULL, .other = other};
  if (predicate->operation == PREDICATE_TRUE || predicate->operation == PREDICATE_EXISTS || predicate->right) return made;
  if (predicate->operation == PREDICATE_IN_NETWORKS) {
    set_networks(builder, &made, predicate);
    return made;
  }
  if (predicate->operation == PREDICATE_CONSTANT) {
    made.constant = predicate->literals[0].value;
    return made;
  }
  struct column_builder *column = &builder->kinds[kind].columns[column_at];
  if (predicate->operation == PREDICATE_IN) {
    set_list(builder, column, &made, predicate);
    return made;
  }
  const struct value *value = &predicate->literals[0].value;
  made.constant = own_value(builder, value);
  const bool equality = predicate->operation == PREDICATE_EQUAL || predicate->operation == PREDICATE_NOT_EQUAL;
  if (equality && value->type == VALUE_STRING)
    made.interned = image_constant_of(builder, column, (struct image_text){.at = value->text, .length = value->length});
  return made;
}

uint32_t image_predicate_of(struct image_builder *builder, enum event_kind kind, const struct expression *predicate) {
  struct kind_builder *into = &builder->kinds[kind];
  const uint16_t column = predicate->reference ? image_column_of(builder, kind, predicate->reference) : 0;
  const uint16_t other = predicate->right ? image_column_of(builder, kind, predicate->right) : IMAGE_NO_COLUMN;
  if (into->too_many_columns) return 0;
  struct growing_text key = {0};
  const char operation = (char)predicate->operation;
  growing_text_append(&key, &operation, 1);
  growing_text_append(&key, (const char *)&other, sizeof other);
  growing_text_append(&key, (const char *)&column, sizeof column);
  for (uint32_t i = 0; i < predicate->literal_count; i++) key_value(&key, &predicate->literals[i].value);
  uint32_t index = text_index_find(&into->predicate_by_key, growing_text_view(&key));
  if (index == TEXT_INDEX_NONE && into->predicate_count == RULE_PREDICATES_MAX) {
    if (!into->too_many_predicates)
      RULE_COMPLAIN(builder, "rule `%s`: the rules make more than %u different comparisons on one kind of event",
                    builder->rule->definition.name, RULE_PREDICATES_MAX);
    into->too_many_predicates = true;
    index = 0;
  }
  if (index == TEXT_INDEX_NONE) {
    into->predicates =
        growing_list_reserve(into->predicates, into->predicate_count, &into->predicate_capacity, sizeof *into->predicates);
    into->predicate_rules = growing_list_reserve(into->predicate_rules, into->predicate_count, &into->predicate_rule_capacity,
                                                 sizeof(struct rule_entry *));
    index = (uint32_t)into->predicate_count++;
    into->predicates[index] = make(builder, kind, predicate, column, other);
    into->predicate_rules[index] = builder->rule;
    text_index_add(&into->predicate_by_key, region_image_text(builder->region, key.at, key.length), index);
  }
  growing_text_free(&key);
  return index;
}

static void emit(struct image_builder *builder, uint32_t operation) {
  builder->program =
      growing_list_reserve(builder->program, builder->program_count, &builder->program_capacity, sizeof *builder->program);
  builder->program[builder->program_count++] = operation;
}

/* Recursion as deep as the tree, which the parser bounds. */
static void emit_expression(struct image_builder *builder, enum event_kind kind, const struct expression *expression) {
  switch (expression->node) {
  case NODE_PREDICATE:
    emit(builder, image_predicate_of(builder, kind, expression));
    return;
  case NODE_SELECTOR:
    emit(builder, image_selector_of(builder, expression)->bit);
    return;
  case NODE_AGGREGATE:
  case NODE_ORDERED:
  case NODE_RELATED:
    emit(builder, image_fact_of(builder, expression));
    return;
  case NODE_NOT:
    emit_expression(builder, kind, expression->first);
    emit(builder, PROGRAM_NOT);
    return;
  case NODE_AND:
  case NODE_OR:
    break;
  }
  const struct expression *most = expression->first;
  for (const struct expression *operand = most->next; operand; operand = operand->next)
    if (operand->stack_need > most->stack_need) most = operand;
  emit_expression(builder, kind, most);
  for (const struct expression *operand = expression->first; operand; operand = operand->next) {
    if (operand == most) continue;
    emit_expression(builder, kind, operand);
    emit(builder, expression->node == NODE_AND ? PROGRAM_AND : PROGRAM_OR);
  }
}

/* What to ask first: what most often is false of all rows, then what costs least. */
static unsigned rank_of(const struct expression *operand) {
  if (operand->node != NODE_PREDICATE) return operand->node == NODE_SELECTOR ? 0 : 4;
  if (operand->right || (operand->reference && operand->reference->arithmetic)) return 2;
  switch (operand->operation) {
  case PREDICATE_EQUAL:
  case PREDICATE_IN:
  case PREDICATE_CONSTANT:
    return 0;
  case PREDICATE_CONTAINS:
  case PREDICATE_STARTS_WITH:
  case PREDICATE_ENDS_WITH:
  case PREDICATE_IN_NETWORKS:
    return 2;
  case PREDICATE_MATCHES:
  case PREDICATE_NOT_MATCHES:
    return 3;
  default:
    return 1;
  }
}
#define RANKS 5u

/* An AND at the root, its operands by rank: a program may end at the first that leaves no row. One operand waits on the stack
 * while the others are made, so the need is one more at most. */
static bool emit_conjunction(struct image_builder *builder, enum event_kind kind, const struct expression *expression) {
  bool first = true, begins_with_predicate = false;
  for (unsigned rank = 0; rank < RANKS; rank++)
    for (const struct expression *operand = expression->first; operand; operand = operand->next) {
      if (rank_of(operand) != rank) continue;
      if (first) begins_with_predicate = operand->node == NODE_PREDICATE;
      emit_expression(builder, kind, operand);
      if (!first) emit(builder, PROGRAM_AND);
      first = false;
    }
  return begins_with_predicate;
}

struct image_program image_program_of(struct image_builder *builder, enum event_kind kind, const struct expression *expression) {
  if (!expression) return (struct image_program){0};
  /* The need grows with the logarithm of the operands, and the text of an expression is bounded. */
  ALWAYS_ASSERT(expression->stack_need < IMAGE_PROGRAM_DEPTH_MAX);
  builder->program_count = 0;
  bool conjunction = false;
  if (expression->node == NODE_AND) {
    conjunction = emit_conjunction(builder, kind, expression);
  } else {
    emit_expression(builder, kind, expression);
  }
  uint32_t *operations = region_take(builder->region, builder->program_count * sizeof *operations);
  memcpy(operations, builder->program, builder->program_count * sizeof *operations);
  return (struct image_program){.operations = operations, .count = (uint32_t)builder->program_count, .conjunction = conjunction};
}
