#include "rules_internal.h"
#include "utf8.h"

struct one_match {
  uint32_t index;
  bool found;
};

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context) {
  struct one_match *match = context;
  (void)from, (void)to, (void)flags;
  match->found |= id == match->index;
  return 0;
}

/* Values of one event are scanned one by one: which of them matched matters to a negation. */
static bool pattern_holds(struct evaluation *evaluation, uint32_t index, const struct value *value) {
  const struct image_predicate *predicate = &evaluation->kind->predicates[index];
  struct one_match match = {.index = index};
  if (value->type != VALUE_STRING || !utf8_valid(value->text, value->length)) return false;
  if (hs_scan(evaluation->kind->columns[predicate->column].patterns, value->text ? value->text : "", value->length, 0,
              evaluation->scratch, on_match, &match) != HS_SUCCESS)
    return false;
  return match.found == (predicate->operation == PREDICATE_MATCHES);
}

static bool element_holds(struct evaluation *evaluation, uint32_t index, const struct event_element *element) {
  const struct image_predicate *predicate = &evaluation->kind->predicates[index];
  if (predicate->operation == PREDICATE_MATCHES || predicate->operation == PREDICATE_NOT_MATCHES)
    return pattern_holds(evaluation, index, &element->value);
  if (!predicate->between) return predicate_holds(predicate, &element->value, element->interned);
  const struct value *right = event_batch_value(evaluation->batch, element->row, predicate->other);
  return right->type != VALUE_NULL && pair_holds((enum predicate_operation)predicate->operation, &element->value, right);
}

uint64_t column_elements_hold(struct evaluation *evaluation, uint32_t index) {
  const struct event_batch *batch = evaluation->batch;
  const struct image_predicate *predicate = &evaluation->kind->predicates[index];
  uint64_t mask = 0;
  if (batch->present[predicate->column] == 0) return 0;
  if (predicate->between) column_facts_of(evaluation, predicate->other);
  for (uint32_t at = batch->last_element[predicate->column]; at < BATCH_ELEMENTS_MAX; at = batch->elements[at].before) {
    const struct event_element *element = &batch->elements[at];
    evaluation->steps +=
        predicate->list_count + 1ull + (element->value.type == VALUE_STRING ? element->value.length / STEP_BYTES : 0);
    if (!(mask >> element->row & 1)) mask |= (uint64_t)element_holds(evaluation, index, element) << element->row;
  }
  return mask;
}
