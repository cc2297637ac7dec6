#include "expression_internal.h"
#include "growing_internal.h"

static struct expression *node_make(const struct expression_context *context, enum expression_node node) {
  struct expression *made = region_take(context->region, sizeof *made);
  made->node = node;
  made->stack_need = 1;
  return made;
}

/* Also of a text that only mentions it, which costs a selector and no more. */
static bool reads_calendar(struct image_text text) {
  return memmem(text.at, text.length, "time_of_day", 11) || memmem(text.at, text.length, "weekday", 7);
}

struct expression *trace_selector_make(const struct expression_context *context, struct expression *condition) {
  struct expression *selector = node_make(context, NODE_SELECTOR);
  selector->first = condition;
  struct growing_text text = {0};
  expression_print(condition, &text);
  selector->selector_text = region_image_text(context->region, text.at, text.length);
  selector->selector_identity = selector->selector_text;
  if (context->zone.length && reads_calendar(selector->selector_text)) {
    growing_text_append(&text, "@", 1);
    growing_text_append(&text, context->zone.at, context->zone.length);
    selector->selector_identity = region_image_text(context->region, text.at, text.length);
  }
  growing_text_free(&text);
  return selector;
}

bool trace_within_check(const struct expression_context *context, const struct literal *literal) {
  if (literal->value.type != VALUE_INTEGER || !literal->duration)
    expression_error(context, literal->offset, "`within` takes a duration with a unit, as in 2s");
  else if (literal->value.integer <= 0 || literal->value.integer > TRACE_WITHIN_NS_MAX)
    expression_error(context, literal->offset, "`within` takes a duration above 0 and up to 24h");
  else
    return true;
  return false;
}

/* Of no spans a count and a sum are 0, the other measures null. */
static const struct expression *comparison_key(const struct expression *comparison) {
  const struct trace_measure *left = &comparison->fact->left, *right = &comparison->fact->right;
  const struct value *constant = &right->constant.value;
  if (left->kind >= MEASURE_MINIMUM && left->kind <= MEASURE_AVERAGE) return left->selector;
  if (right->kind >= MEASURE_MINIMUM && right->kind <= MEASURE_AVERAGE) return right->selector;
  if ((left->kind != MEASURE_COUNT && left->kind != MEASURE_SUM) || right->kind != MEASURE_CONSTANT) return NULL;
  const double limit = constant->type == VALUE_INTEGER ? (double)constant->integer : constant->real;
  switch (comparison->operation) {
  case PREDICATE_EQUAL:
    return limit != 0 ? left->selector : NULL;
  case PREDICATE_NOT_EQUAL:
    return limit == 0 ? left->selector : NULL;
  case PREDICATE_LESS:
    return limit <= 0 ? left->selector : NULL;
  case PREDICATE_LESS_OR_EQUAL:
    return limit < 0 ? left->selector : NULL;
  case PREDICATE_GREATER:
    return limit >= 0 ? left->selector : NULL;
  default:
    return limit > 0 ? left->selector : NULL;
  }
}

const struct expression *trace_fact_key(const struct expression *fact) {
  if (fact->node == NODE_AGGREGATE) return comparison_key(fact);
  return fact->node == NODE_ORDERED ? fact->first : fact->first->next;
}

bool trace_has_anchor(const struct expression *when) {
  if (when->node == NODE_NOT) return false;
  bool found = when->node == NODE_SELECTOR;
  for (const struct expression *operand = when->first; operand && !found; operand = operand->next)
    found = trace_has_anchor(operand);
  return found;
}

static bool is_duration(const struct trace_measure *measure) {
  return measure->kind == MEASURE_DURATION ||
         (measure->value && measure->value->type == REFERENCE_DURATION && measure->kind != MEASURE_COUNT);
}

static enum predicate_operation mirrored(enum predicate_operation operation) {
  switch (operation) {
  case PREDICATE_LESS:
    return PREDICATE_GREATER;
  case PREDICATE_LESS_OR_EQUAL:
    return PREDICATE_GREATER_OR_EQUAL;
  case PREDICATE_GREATER:
    return PREDICATE_LESS;
  case PREDICATE_GREATER_OR_EQUAL:
    return PREDICATE_LESS_OR_EQUAL;
  default:
    return operation;
  }
}

static bool constant_check(const struct expression_context *context, const struct trace_measure *beside,
                           struct trace_measure *constant, size_t operation_offset) {
  struct literal *literal = &constant->constant;
  if (beside->kind == MEASURE_CONSTANT) {
    expression_error(context, operation_offset, "both sides are constants");
    return false;
  }
  if (literal->value.type != VALUE_INTEGER && literal->value.type != VALUE_DOUBLE) {
    expression_error(context, literal->offset, "counts, sums and durations are compared with numbers");
    return false;
  }
  if (literal->duration && (beside->kind == MEASURE_COUNT || beside->kind == MEASURE_SPAN_COUNT)) {
    expression_error(context, literal->offset, "a count is compared with a number, not with a duration");
    return false;
  }
  literal->duration = literal->value.type == VALUE_INTEGER && (literal->duration || is_duration(beside));
  return true;
}

struct expression *trace_comparison_make(const struct expression_context *context, const struct trace_measure *left,
                                         enum predicate_operation operation, const struct trace_measure *right,
                                         size_t operation_offset) {
  struct trace_fact *fact = region_take(context->region, sizeof *fact);
  const bool swapped = left->kind == MEASURE_CONSTANT && right->kind != MEASURE_CONSTANT;
  fact->left = swapped ? *right : *left;
  fact->right = swapped ? *left : *right;
  if (fact->right.kind == MEASURE_CONSTANT && !constant_check(context, &fact->left, &fact->right, operation_offset)) return NULL;
  struct expression *made = node_make(context, NODE_AGGREGATE);
  made->operation = swapped ? mirrored(operation) : operation;
  made->fact = fact;
  /* Made for this comparison alone. */
  struct expression *first = (struct expression *)(uintptr_t)fact->left.selector,
                    *second = (struct expression *)(uintptr_t)fact->right.selector;
  made->first = first ? first : second;
  if (first) first->next = second;
  return made;
}

static void print_measure(const struct trace_measure *measure, struct growing_text *out) {
  static const char *const words[] = {
      [MEASURE_COUNT] = "count(",
      [MEASURE_SUM] = "sum(",
      [MEASURE_MINIMUM] = "min(",
      [MEASURE_MAXIMUM] = "max(",
      [MEASURE_AVERAGE] = "avg(",
      [MEASURE_DURATION] = "trace.duration",
      [MEASURE_SPAN_COUNT] = "trace.span_count",
  };
  if (measure->kind == MEASURE_CONSTANT) {
    literal_print(&measure->constant, NULL, out);
    return;
  }
  growing_text_append_string(out, words[measure->kind]);
  if (!measure->selector) return;
  expression_print(measure->selector, out);
  if (measure->value) {
    growing_text_append_string(out, ", ");
    reference_print(measure->value, out);
  }
  growing_text_append_string(out, ")");
}

void trace_within_print(int64_t within_ns, struct growing_text *out) {
  const struct literal within = {.value = {.type = VALUE_INTEGER, .integer = within_ns}, .duration = true};
  literal_print(&within, NULL, out);
}

static void print_ordered(const struct expression *expression, struct growing_text *out) {
  const struct trace_fact *fact = expression->fact;
  expression_print(expression->first, out);
  growing_text_append_string(out, fact->negated ? " not followed by " : " then ");
  expression_print(expression->first->next, out);
  if (fact->within_ns == 0) return;
  growing_text_append_string(out, " within ");
  trace_within_print(fact->within_ns, out);
}

void trace_fact_print(const struct expression *expression, struct growing_text *out) {
  static const char *const comparisons[] = {
      [PREDICATE_EQUAL] = " = ",          [PREDICATE_NOT_EQUAL] = " != ", [PREDICATE_LESS] = " < ",
      [PREDICATE_LESS_OR_EQUAL] = " <= ", [PREDICATE_GREATER] = " > ",    [PREDICATE_GREATER_OR_EQUAL] = " >= ",
  };
  static const char *const relations[] = {
      [RELATION_CHILD] = ">",     [RELATION_DESCENDANT] = ">>", [RELATION_PARENT] = "<",
      [RELATION_ANCESTOR] = "<<", [RELATION_SIBLING] = "~",
  };
  const struct trace_fact *fact = expression->fact;
  if (expression->node == NODE_ORDERED) {
    print_ordered(expression, out);
  } else if (expression->node == NODE_RELATED) {
    expression_print(expression->first, out);
    growing_text_format(out, " %s%s ", fact->negated ? "!" : "", relations[fact->relation]);
    expression_print(expression->first->next, out);
  } else {
    print_measure(&fact->left, out);
    growing_text_append_string(out, comparisons[expression->operation]);
    print_measure(&fact->right, out);
  }
}
