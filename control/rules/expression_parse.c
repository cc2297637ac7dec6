/* Conditions. */
#include "composed_text_internal.h"
#include "expression_parser_internal.h"
#include "growing_internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void expression_error(const struct expression_context *context, size_t offset, const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  if (context->composed) {
    composed_text_error(context->composed, context->errors, offset, message);
    return;
  }
  rule_errors_add(context->errors, context->source, rule_source_place(context->source, context->scalar, offset), "%s", message);
}

void parser_advance(struct parser *parser) { parser->token = token_next(&parser->reader); }

void *parser_expected(struct parser *parser, const char *what) {
  const struct token *token = &parser->token;
  if (token->kind == TOKEN_END)
    expression_error(parser->context, token->offset, "expected %s, but the expression ends here", what);
  else if (token->kind != TOKEN_BAD)
    expression_error(parser->context, token->offset, "expected %s, found `%.*s`", what,
                     (int)(token->length < 64 ? token->length : 64), parser->reader.text + token->offset);
  return NULL;
}

bool parser_deeper(struct parser *parser) {
  if (parser->depth++ < EXPRESSION_DEPTH_MAX) return true;
  expression_error(parser->context, parser->token.offset, "nested more than %u deep", EXPRESSION_DEPTH_MAX);
  return false;
}

bool parser_deeper_shared(struct parser *parser) {
  if (parser->token.kind == TOKEN_OPEN) parser->shared_level = parser->token.offset;
  return parser_deeper(parser);
}

bool parser_at_word(const struct parser *parser, const char *word) {
  return parser->token.kind == TOKEN_WORD && image_text_is(parser->token.word, word);
}

struct expression *parser_node(struct parser *parser, enum expression_node node) {
  struct expression *made = region_take(parser->context->region, sizeof *made);
  made->node = node;
  made->stack_need = 1;
  return made;
}

/* Appends an operand; one of the same node gives its own operands instead, which keeps trees flat. */
static struct expression **append(struct expression *parent, struct expression **end, struct expression *operand) {
  *end = operand->node == parent->node ? operand->first : operand;
  while (*end) end = &(*end)->next;
  return end;
}

/* The operand that needs most goes first in a program; the others then find one mask more on the stack. */
void parser_set_stack_need(struct expression *parent) {
  uint32_t most = 0, second = 0;
  for (const struct expression *operand = parent->first; operand; operand = operand->next) {
    if (operand->stack_need > most) {
      second = most;
      most = operand->stack_need;
    } else if (operand->stack_need > second) {
      second = operand->stack_need;
    }
  }
  parent->stack_need = most > second ? most : second + 1;
}

static bool take_list(struct parser *parser, struct expression *predicate) {
  const enum token_kind closing = parser->token.kind == TOKEN_OPEN ? TOKEN_CLOSE : TOKEN_CLOSE_BRACKET;
  if (parser->token.kind != TOKEN_OPEN && parser->token.kind != TOKEN_OPEN_BRACKET)
    return parser_expected(parser, "a list, as in [1, 2]");
  struct literal *literals = NULL;
  size_t count = 0, capacity = 0;
  bool good;
  do {
    parser_advance(parser);
    good = parser_at_constant(parser);
    if (!good) {
      parser_expected(parser, "a constant");
      break;
    }
    const struct literal *literal = parser_take_constant(parser);
    good = literal != NULL;
    if (!good) break;
    literals = growing_list_reserve(literals, count, &capacity, sizeof *literals);
    literals[count++] = *literal;
  } while (parser->token.kind == TOKEN_COMMA);
  if (good && parser->token.kind != closing) good = parser_expected(parser, closing == TOKEN_CLOSE ? "`,` or `)`" : "`,` or `]`");
  if (good) parser_advance(parser);
  struct literal *copy = region_take(parser->context->region, count * sizeof *copy);
  if (count) memcpy(copy, literals, count * sizeof *copy);
  free(literals);
  predicate->literals = copy;
  predicate->literal_count = (uint32_t)count;
  return good;
}

static bool mirror(enum predicate_operation *operation) {
  switch (*operation) {
  case PREDICATE_EQUAL:
  case PREDICATE_NOT_EQUAL:
    return true;
  case PREDICATE_LESS:
    *operation = PREDICATE_GREATER;
    return true;
  case PREDICATE_LESS_OR_EQUAL:
    *operation = PREDICATE_GREATER_OR_EQUAL;
    return true;
  case PREDICATE_GREATER:
    *operation = PREDICATE_LESS;
    return true;
  case PREDICATE_GREATER_OR_EQUAL:
    *operation = PREDICATE_LESS_OR_EQUAL;
    return true;
  default:
    return false;
  }
}

struct expression *parser_negate(struct parser *parser, struct expression *operand) {
  if (operand->node == NODE_NOT) return operand->first;
  struct expression *made = parser_node(parser, NODE_NOT);
  made->first = operand;
  made->stack_need = operand->stack_need;
  return made;
}

static struct expression *predicate_make(struct parser *parser, const struct operand *left, enum predicate_operation operation) {
  struct expression *predicate = parser_node(parser, NODE_PREDICATE);
  predicate->reference = left->reference;
  predicate->operation = operation;
  return predicate;
}

/* A value where a condition is wanted: `true`, or a boolean reference. */
static bool make_condition(struct parser *parser, struct term *term) {
  if (term->condition) return true;
  const struct operand *value = &term->value;
  struct expression *predicate = predicate_make(parser, value, PREDICATE_TRUE);
  if (!value->reference) {
    if (value->literal->value.type != VALUE_BOOL) {
      expression_error(parser->context, value->offset, "a constant alone is no condition: compare it with a reference");
      return false;
    }
    predicate->operation = PREDICATE_CONSTANT;
    predicate->literals = value->literal;
    predicate->literal_count = 1;
  } else if (!predicate_check(parser->context, predicate, value->offset)) {
    return false;
  }
  term->condition = predicate;
  return true;
}

static bool at_null(const struct parser *parser) { return parser_at_word(parser, "null") || parser_at_word(parser, "nil"); }

/* `= null` asks whether there is no value, `!= null` whether there is one. */
static bool make_exists(struct parser *parser, const struct operand *value, enum predicate_operation operation, size_t offset,
                        struct term *term) {
  if (operation != PREDICATE_EQUAL && operation != PREDICATE_NOT_EQUAL) {
    expression_error(parser->context, offset, "only `=` and `!=` go with null");
    return false;
  }
  if (!value->reference) {
    expression_error(parser->context, value->offset, "both sides are constants");
    return false;
  }
  struct expression *predicate = predicate_make(parser, value, PREDICATE_EXISTS);
  if (!predicate_check(parser->context, predicate, offset)) return false;
  term->condition = operation == PREDICATE_EQUAL ? parser_negate(parser, predicate) : predicate;
  return true;
}

static bool parse_from_null(struct parser *parser, struct term *term) {
  struct operand value;
  parser_advance(parser);
  const size_t at = parser->token.offset;
  const enum predicate_operation operation = parser->token.operation;
  if (parser->token.kind != TOKEN_COMPARISON) return parser_expected(parser, "`=` or `!=` after null");
  parser_advance(parser);
  return parse_value(parser, &value) && make_exists(parser, &value, operation, at, term);
}

static bool parse_exists(struct parser *parser, struct term *term) {
  parser_advance(parser);
  const struct token *token = &parser->token;
  const size_t at = token->offset;
  if (token->kind != TOKEN_REFERENCE && token->kind != TOKEN_WORD)
    return parser_expected(parser, "a reference after `exists` (of arithmetic ask `!= null`)");
  const struct operand value = {
      .reference = reference_make(parser->context, at, token->word, token->segments, token->segment_count), .offset = at};
  parser_advance(parser);
  return value.reference && make_exists(parser, &value, PREDICATE_NOT_EQUAL, at, term);
}

/* What stands on the right of `=` and the like: a value, or a bare word. */
static bool parse_right(struct parser *parser, struct operand *value) {
  *value = (struct operand){.offset = parser->token.offset};
  if (parser->token.kind != TOKEN_WORD || reference_is_intrinsic(parser->token.word) || reference_is_scope(parser->token.word))
    return parse_value(parser, value);
  value->literal = parser_take_constant(parser);
  return true;
}

static bool parse_compared(struct parser *parser, struct term *term) {
  const size_t at = parser->token.offset, length = parser->token.length;
  enum predicate_operation operation = parser->token.operation;
  struct operand left = term->value, right;
  parser_advance(parser);
  if (at_null(parser)) {
    parser_advance(parser);
    return make_exists(parser, &left, operation, at, term);
  }
  if (!parse_right(parser, &right)) return false;
  if (!left.reference && !right.reference) {
    expression_error(parser->context, right.offset, "both sides are constants");
    return false;
  }
  if (!left.reference) {
    if (!mirror(&operation)) {
      expression_error(parser->context, at, "the reference stands on the left of `%.*s`", (int)length, parser->reader.text + at);
      return false;
    }
    const struct operand constant = left;
    left = right;
    right = constant;
  }
  struct expression *predicate = predicate_make(parser, &left, operation);
  predicate->right = right.reference;
  predicate->literals = right.literal;
  predicate->literal_count = right.literal != NULL;
  term->condition = predicate;
  return predicate_check(parser->context, predicate, at);
}

static bool parse_in(struct parser *parser, struct term *term) {
  const bool negative = parser->token.kind == TOKEN_NOT;
  if (negative) parser_advance(parser);
  const size_t at = parser->token.offset;
  if (parser->token.kind != TOKEN_IN) return parser_expected(parser, "`in` after `not`");
  if (!term->value.reference) {
    expression_error(parser->context, term->value.offset, "a constant alone is no condition: compare it with a reference");
    return false;
  }
  parser_advance(parser);
  const bool networks = parser_at_word(parser, "cidr");
  if (networks) parser_advance(parser);
  struct expression *predicate = predicate_make(parser, &term->value, networks ? PREDICATE_IN_NETWORKS : PREDICATE_IN);
  if (!take_list(parser, predicate) || !predicate_check(parser->context, predicate, at)) return false;
  term->condition = negative ? parser_negate(parser, predicate) : predicate;
  return true;
}

static bool parse_comparison(struct parser *parser, struct term *term) {
  *term = (struct term){.value.offset = parser->token.offset};
  if (at_null(parser)) return parse_from_null(parser, term);
  if (parser_at_word(parser, "exists")) return parse_exists(parser, term);
  if (parser->token.kind == TOKEN_OPEN_BRACE)
    return parser_expected(parser, "a comparison (braces go round the whole of `if:`; use parentheses to group)");
  if (!parse_sum(parser, "a comparison, as in span.KEY = 1", term)) return false;
  if (term->condition) return true;
  if (parser->token.kind == TOKEN_COMPARISON) return parse_compared(parser, term);
  if (parser->token.kind == TOKEN_IN || (parser->token.kind == TOKEN_NOT && image_text_is(parser->token.word, "not")))
    return parse_in(parser, term);
  return true;
}

static bool parse_trace_primary(struct parser *parser, struct term *term) {
  if (parser->token.kind == TOKEN_OPEN) return parse_group(parser, term);
  term->condition = trace_parse_operand(parser);
  return term->condition != NULL;
}

static bool parse_not(struct parser *parser, struct term *term) {
  bool negative = false;
  const bool prefixed = parser->token.kind == TOKEN_NOT;
  *term = (struct term){.value.offset = parser->token.offset};
  for (; parser->token.kind == TOKEN_NOT; parser_advance(parser)) negative = !negative;
  if (prefixed && !parser_deeper_shared(parser)) return false;
  if (!(parser->of_trace ? parse_trace_primary(parser, term) : parse_comparison(parser, term))) return false;
  if (!prefixed) return true;
  parser->depth--;
  if (!make_condition(parser, term)) return false;
  if (negative) term->condition = parser_negate(parser, term->condition);
  return true;
}

static bool parse_chain(struct parser *parser, enum token_kind between, enum expression_node node,
                        bool (*parse_operand)(struct parser *, struct term *), struct term *term) {
  if (!parse_operand(parser, term)) return false;
  if (parser->token.kind != between) return true;
  if (!make_condition(parser, term)) return false;
  struct expression *parent = parser_node(parser, node);
  struct expression **end = append(parent, &parent->first, term->condition);
  while (parser->token.kind == between) {
    struct term operand;
    parser_advance(parser);
    if (!parse_operand(parser, &operand) || !make_condition(parser, &operand)) return false;
    end = append(parent, end, operand.condition);
  }
  parser_set_stack_need(parent);
  term->condition = parent;
  return true;
}

static bool parse_and(struct parser *parser, struct term *term) {
  return parse_chain(parser, TOKEN_AND, NODE_AND, parse_not, term);
}
bool parse_or(struct parser *parser, struct term *term) { return parse_chain(parser, TOKEN_OR, NODE_OR, parse_and, term); }

struct expression *parser_condition(struct parser *parser) {
  struct term term;
  return parse_or(parser, &term) && make_condition(parser, &term) ? term.condition : NULL;
}

struct expression *parser_predicate(struct parser *parser) {
  struct term term;
  return parse_comparison(parser, &term) && make_condition(parser, &term) ? term.condition : NULL;
}

static struct expression *parse_whole(struct parser *parser) {
  const bool braced = !parser->of_trace && parser->token.kind == TOKEN_OPEN_BRACE;
  if (braced) parser_advance(parser);
  struct expression *whole = parser_condition(parser);
  if (!whole) return NULL;
  if (braced && parser->token.kind != TOKEN_CLOSE_BRACE) {
    parser_expected(parser, "`&&`, `||` or `}`");
    return NULL;
  }
  if (braced) parser_advance(parser);
  if (parser->token.kind == TOKEN_END) return whole;
  parser_expected(parser,
                  braced ? "nothing behind the brace that closes `if:` (use parentheses to group)" : "`&&`, `||` or the end");
  return NULL;
}

void parser_begin(struct parser *parser, const struct expression_context *context, bool of_trace) {
  *parser = (struct parser){
      .context = context,
      .reader = {.context = context, .text = context->scalar->value, .length = context->scalar->length},
      .of_trace = of_trace,
      .shared_level = SIZE_MAX,
  };
  parser_advance(parser);
}

struct expression *expression_parse(const struct expression_context *context, bool of_trace) {
  const struct source_scalar *scalar = context->scalar;
  if (scalar->length > EXPRESSION_BYTES_MAX) {
    expression_error(context, 0, "an expression has at most %u bytes; this has %zu", EXPRESSION_BYTES_MAX, scalar->length);
    return NULL;
  }
  struct parser parser;
  parser_begin(&parser, context, of_trace);
  if (parser.token.kind == TOKEN_END) {
    expression_error(context, 0, "the expression is empty");
    return NULL;
  }
  return parse_whole(&parser);
}
