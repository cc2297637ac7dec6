#include "expression_parser_internal.h"
#include <string.h>

static bool word_is(const struct parser *parser, const char *word) {
  return (parser->token.kind == TOKEN_WORD || parser->token.kind == TOKEN_NOT) && image_text_is(parser->token.word, word);
}

static bool take_word(struct parser *parser, const char *word, const char *what) {
  if (!word_is(parser, word)) return parser_expected(parser, what) != NULL;
  parser_advance(parser);
  return true;
}

static struct expression *parse_selector(struct parser *parser) {
  if (parser->token.kind != TOKEN_OPEN_BRACE) return parser_expected(parser, "a selector in braces, as in {name = \"x\"}");
  if (!parser_deeper(parser)) return NULL;
  parser_advance(parser);
  parser->of_trace = false;
  struct expression *inner = parser_condition(parser);
  parser->of_trace = true;
  parser->depth--;
  if (!inner) return NULL;
  if (parser->token.kind != TOKEN_CLOSE_BRACE) return parser_expected(parser, "`&&`, `||` or `}`");
  parser_advance(parser);
  return trace_selector_make(parser->context, inner);
}

static struct expression *fact_make(struct parser *parser, enum expression_node node, const struct trace_fact *fact) {
  struct expression *made = parser_node(parser, node);
  struct trace_fact *kept = region_take(parser->context->region, sizeof *kept);
  *kept = *fact;
  made->fact = kept;
  return made;
}

static bool parse_within(struct parser *parser, int64_t *within_ns) {
  parser_advance(parser);
  if (parser->token.kind != TOKEN_LITERAL) return parser_expected(parser, "a duration, as in 2s") != NULL;
  if (!trace_within_check(parser->context, &parser->token.literal)) return false;
  *within_ns = parser->token.literal.value.integer;
  parser_advance(parser);
  return true;
}

/* Behind the left selector: `then`, or `not followed by`, which needs its `within`. */
static struct expression *parse_ordered(struct parser *parser, struct expression *left) {
  struct trace_fact fact = {.negated = parser->token.kind == TOKEN_NOT};
  parser_advance(parser);
  if (fact.negated &&
      (!take_word(parser, "followed", "`followed by` after `not`") || !take_word(parser, "by", "`by` after `followed`")))
    return NULL;
  left->next = parse_selector(parser);
  if (!left->next) return NULL;
  if (word_is(parser, "within")) {
    if (!parse_within(parser, &fact.within_ns)) return NULL;
  } else if (fact.negated) {
    return parser_expected(parser, "`within DURATION`: `not followed by` needs it");
  }
  struct expression *made = fact_make(parser, NODE_ORDERED, &fact);
  made->first = left;
  return made;
}

static bool relation_at(const struct parser *parser, struct trace_fact *fact) {
  const struct token *token = &parser->token;
  if (token->kind == TOKEN_RELATION) {
    *fact = (struct trace_fact){.relation = token->relation, .negated = token->negated};
    return true;
  }
  if (token->kind != TOKEN_COMPARISON) return false;
  switch (token->operation) {
  case PREDICATE_GREATER:
    *fact = (struct trace_fact){.relation = RELATION_CHILD};
    return true;
  case PREDICATE_LESS:
    *fact = (struct trace_fact){.relation = RELATION_PARENT};
    return true;
  case PREDICATE_NOT_MATCHES:
    *fact = (struct trace_fact){.relation = RELATION_SIBLING, .negated = true};
    return true;
  default:
    return false;
  }
}

static struct expression *parse_from_selector(struct parser *parser) {
  struct trace_fact fact;
  struct expression *left = parse_selector(parser);
  if (!left) return NULL;
  if (word_is(parser, "then") || word_is(parser, "not")) return parse_ordered(parser, left);
  if (!relation_at(parser, &fact)) return left;
  parser_advance(parser);
  left->next = parse_selector(parser);
  if (!left->next) return NULL;
  if (relation_at(parser, &fact) || word_is(parser, "then"))
    return parser_expected(parser, "`&&`, `||` or the end: a relation has two selectors");
  struct expression *made = fact_make(parser, NODE_RELATED, &fact);
  made->first = left;
  return made;
}

static const struct {
  const char *word;
  enum trace_measure_kind kind;
} aggregates[] = {
    {"count", MEASURE_COUNT}, {"sum", MEASURE_SUM}, {"min", MEASURE_MINIMUM}, {"max", MEASURE_MAXIMUM}, {"avg", MEASURE_AVERAGE}};

static bool aggregate_at(const struct parser *parser, enum trace_measure_kind *kind) {
  for (size_t i = 0; i < sizeof aggregates / sizeof aggregates[0]; i++)
    if (parser->token.kind == TOKEN_WORD && image_text_is(parser->token.word, aggregates[i].word)) {
      *kind = aggregates[i].kind;
      return true;
    }
  return false;
}

static bool measured_value(struct parser *parser, struct trace_measure *measure) {
  const struct token *token = &parser->token;
  if (token->kind != TOKEN_COMMA) return parser_expected(parser, "`,` and the value to take, as in sum({...}, span.KEY)") != NULL;
  parser_advance(parser);
  struct operand value;
  if (!parse_value(parser, &value)) return false;
  if (!value.reference) {
    expression_error(parser->context, value.offset, "sum, min, max and avg take a value of the spans, not a constant");
    return false;
  }
  if (value.reference->type != REFERENCE_ANY && !reference_is_numeric(value.reference->type)) {
    char shown[REFERENCE_SHOWN_BYTES];
    reference_show(value.reference, shown);
    expression_error(parser->context, value.offset, "`%s` is no number: sum, min, max and avg take numbers", shown);
    return false;
  }
  measure->value = value.reference;
  return true;
}

static bool parse_aggregate(struct parser *parser, struct trace_measure *measure) {
  parser_advance(parser);
  if (parser->token.kind != TOKEN_OPEN) return parser_expected(parser, "`(` and a selector, as in count({name = \"x\"})") != NULL;
  parser_advance(parser);
  measure->selector = parse_selector(parser);
  if (!measure->selector) return false;
  if (measure->kind == MEASURE_COUNT && parser->token.kind == TOKEN_COMMA)
    return parser_expected(parser, "`)`: count takes a selector alone") != NULL;
  if (measure->kind != MEASURE_COUNT && !measured_value(parser, measure)) return false;
  if (parser->token.kind != TOKEN_CLOSE) return parser_expected(parser, "`)`") != NULL;
  parser_advance(parser);
  return true;
}

static bool trace_intrinsic_at(const struct parser *parser) {
  return parser->token.kind == TOKEN_REFERENCE && image_text_is(parser->token.word, "trace");
}

static bool take_trace_intrinsic(struct parser *parser, struct trace_measure *measure) {
  static const char *const words[] = {"duration", "span_count", "root_name", "root_service", NULL};
  const struct token *token = &parser->token;
  if (token->segment_count == 1 && image_text_is(token->segments[0].key, "duration")) {
    measure->kind = MEASURE_DURATION;
  } else if (token->segment_count == 1 && image_text_is(token->segments[0].key, "span_count")) {
    measure->kind = MEASURE_SPAN_COUNT;
  } else {
    const bool text = token->segment_count == 1 && (image_text_is(token->segments[0].key, "root_name") ||
                                                    image_text_is(token->segments[0].key, "root_service"));
    const char *meant = text || token->segment_count > 1 ? NULL : suggest(token->segments[0].key, words);
    if (text)
      expression_error(parser->context, token->offset, "`trace.%.*s` stands on the left of a comparison with a constant",
                       (int)token->segments[0].key.length, token->segments[0].key.at);
    else
      expression_error(parser->context, token->offset, "of a trace there are duration, span_count, root_name, root_service%s%s%s",
                       meant ? "; did you mean `trace." : "", meant ? meant : "", meant ? "`?" : "");
    return false;
  }
  parser_advance(parser);
  return true;
}

static bool parse_measure(struct parser *parser, struct trace_measure *measure) {
  *measure = (struct trace_measure){.kind = MEASURE_CONSTANT};
  if (aggregate_at(parser, &measure->kind)) return parse_aggregate(parser, measure);
  if (trace_intrinsic_at(parser)) return take_trace_intrinsic(parser, measure);
  const struct literal *constant =
      parser_at_constant(parser) && parser->token.kind != TOKEN_WORD ? parser_take_constant(parser) : NULL;
  if (!constant) return parser_expected(parser, "a number or an aggregate, as in count({...})") != NULL;
  measure->constant = *constant;
  return true;
}

static struct expression *parse_comparison(struct parser *parser) {
  struct trace_measure left, right;
  if (!parse_measure(parser, &left)) return NULL;
  const size_t at = parser->token.offset;
  const enum predicate_operation operation = parser->token.operation;
  if (parser->token.kind != TOKEN_COMPARISON || operation > PREDICATE_GREATER_OR_EQUAL)
    return parser_expected(parser, "a comparison of numbers (=, !=, <, <=, >, >=)");
  parser_advance(parser);
  if (!parse_measure(parser, &right)) return NULL;
  return trace_comparison_make(parser->context, &left, operation, &right, at);
}

/* `trace.root_name = "x"` is {root && name = "x"}: whatever holds of a text can be asked. */
static struct expression *parse_root_text(struct parser *parser, const char *intrinsic) {
  const struct image_text root = {.at = "root", .length = 4};
  struct expression *both = parser_node(parser, NODE_AND);
  both->first = parser_node(parser, NODE_PREDICATE);
  both->first->operation = PREDICATE_TRUE;
  both->first->reference = reference_make(parser->context, parser->token.offset, root, NULL, 0);
  parser->token.kind = TOKEN_WORD;
  parser->token.segment_count = 0;
  parser->token.word = region_image_text(parser->context->region, intrinsic, strlen(intrinsic));
  parser->of_trace = false;
  struct expression *predicate = both->first->reference ? parser_predicate(parser) : NULL;
  parser->of_trace = true;
  if (!predicate) return NULL;
  const bool negative = predicate->node == NODE_NOT;
  both->first->next = negative ? predicate->first : predicate;
  parser_set_stack_need(both);
  struct expression *selector = trace_selector_make(parser->context, both);
  return negative ? parser_negate(parser, selector) : selector;
}

struct expression *trace_parse_operand(struct parser *parser) {
  enum trace_measure_kind kind;
  if (trace_intrinsic_at(parser) && parser->token.segment_count == 1) {
    if (image_text_is(parser->token.segments[0].key, "root_name")) return parse_root_text(parser, "name");
    if (image_text_is(parser->token.segments[0].key, "root_service")) return parse_root_text(parser, "service");
  }
  const bool measure = (parser_at_constant(parser) && parser->token.kind != TOKEN_WORD) || aggregate_at(parser, &kind) ||
                       trace_intrinsic_at(parser);
  return measure ? parse_comparison(parser) : parse_from_selector(parser);
}

bool trace_within_read(const struct expression_context *context, int64_t *within_ns) {
  struct parser parser = {
      .context = context,
      .reader = {.context = context, .text = context->scalar->value, .length = context->scalar->length},
  };
  parser_advance(&parser);
  if (parser.token.kind != TOKEN_LITERAL) return parser_expected(&parser, "a duration, as in 2s") != NULL;
  if (!trace_within_check(context, &parser.token.literal)) return false;
  *within_ns = parser.token.literal.value.integer;
  parser_advance(&parser);
  return parser.token.kind == TOKEN_END || parser_expected(&parser, "nothing behind the duration") != NULL;
}
