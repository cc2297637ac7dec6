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
    return parser_expected(parser, "a list, as in [1, 2]") != NULL;
  struct literal *literals = NULL;
  size_t count = 0, capacity = 0;
  bool good;
  do {
    parser_advance(parser);
    good = parser->token.kind == TOKEN_LITERAL || parser->token.kind == TOKEN_WORD;
    if (!good) {
      parser_expected(parser, "a constant");
      break;
    }
    literals = growing_list_reserve(literals, count, &capacity, sizeof *literals);
    literals[count] = parser->token.literal;
    if (parser->token.kind == TOKEN_WORD) {
      literals[count].word = true;
      literals[count].value =
          (struct value){.type = VALUE_STRING, .text = parser->token.word.at, .length = parser->token.word.length};
    }
    count++;
    parser_advance(parser);
  } while (parser->token.kind == TOKEN_COMMA);
  if (good && parser->token.kind != closing)
    good = parser_expected(parser, closing == TOKEN_CLOSE ? "`,` or `)`" : "`,` or `]`") != NULL;
  if (good) parser_advance(parser);
  struct literal *copy = region_take(parser->context->region, count * sizeof *copy);
  if (count) memcpy(copy, literals, count * sizeof *copy);
  free(literals);
  predicate->literals = copy;
  predicate->literal_count = (uint32_t)count;
  return good;
}

static bool take_constant(struct parser *parser, struct expression *predicate) {
  const struct token *token = &parser->token;
  if (token->kind == TOKEN_REFERENCE || (token->kind == TOKEN_WORD && reference_is_intrinsic(token->word))) {
    expression_error(parser->context, token->offset, "`%.*s` is a reference; the right side of a comparison is a constant",
                     (int)(token->length < 64 ? token->length : 64), parser->reader.text + token->offset);
    return false;
  }
  if (token->kind != TOKEN_LITERAL && token->kind != TOKEN_WORD) return parser_expected(parser, "a constant") != NULL;
  struct literal *literal = region_take(parser->context->region, sizeof *literal);
  *literal = token->literal;
  if (token->kind == TOKEN_WORD) {
    literal->word = true;
    literal->value = (struct value){.type = VALUE_STRING, .text = token->word.at, .length = token->word.length};
  }
  predicate->literals = literal;
  predicate->literal_count = 1;
  parser_advance(parser);
  return true;
}

static bool take_reference(struct parser *parser, struct expression *predicate) {
  const struct token *token = &parser->token;
  if (token->kind != TOKEN_REFERENCE && token->kind != TOKEN_WORD) return parser_expected(parser, "a reference") != NULL;
  predicate->reference = reference_make(parser->context, token->offset, token->word, token->segments, token->segment_count);
  parser_advance(parser);
  return predicate->reference != NULL;
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

/* `500 <= span.x`, or a bare `true`. */
static struct expression *parse_from_constant(struct parser *parser, struct expression *predicate) {
  const size_t start = parser->token.offset;
  const bool boolean = parser->token.literal.value.type == VALUE_BOOL;
  take_constant(parser, predicate);
  const size_t at = parser->token.offset;
  if (parser->token.kind != TOKEN_COMPARISON) {
    if (boolean && parser->token.kind != TOKEN_IN) {
      predicate->operation = PREDICATE_CONSTANT;
      return predicate;
    }
    expression_error(parser->context, start, "a constant alone is no condition: compare it with a reference");
    return NULL;
  }
  predicate->operation = parser->token.operation;
  if (!mirror(&predicate->operation)) {
    expression_error(parser->context, at, "the reference stands on the left of `%.*s`", (int)parser->token.length,
                     parser->reader.text + at);
    return NULL;
  }
  parser_advance(parser);
  if (parser->token.kind == TOKEN_LITERAL) {
    expression_error(parser->context, parser->token.offset, "both sides are constants");
    return NULL;
  }
  if (!take_reference(parser, predicate)) return NULL;
  return predicate_check(parser->context, predicate, at) ? predicate : NULL;
}

struct expression *parser_negate(struct parser *parser, struct expression *operand) {
  if (operand->node == NODE_NOT) return operand->first;
  struct expression *made = parser_node(parser, NODE_NOT);
  made->first = operand;
  made->stack_need = operand->stack_need;
  return made;
}

struct expression *parser_predicate(struct parser *parser) {
  struct expression *predicate = parser_node(parser, NODE_PREDICATE);
  if (parser->token.kind == TOKEN_LITERAL) return parse_from_constant(parser, predicate);
  if (parser->token.kind != TOKEN_REFERENCE && parser->token.kind != TOKEN_WORD)
    return parser_expected(parser, "a comparison, as in span.KEY = 1");
  const size_t start = parser->token.offset;
  if (!take_reference(parser, predicate)) return NULL;
  size_t at = parser->token.offset;
  bool negative = false;
  if (parser->token.kind == TOKEN_NOT && image_text_is(parser->token.word, "not")) {
    negative = true;
    parser_advance(parser);
    if (parser->token.kind != TOKEN_IN) return parser_expected(parser, "`in` after `not`");
    at = parser->token.offset;
  }
  if (parser->token.kind == TOKEN_IN) {
    predicate->operation = PREDICATE_IN;
    parser_advance(parser);
    if (!take_list(parser, predicate)) return NULL;
  } else if (parser->token.kind == TOKEN_COMPARISON) {
    predicate->operation = parser->token.operation;
    parser_advance(parser);
    if (!take_constant(parser, predicate)) return NULL;
  } else {
    predicate->operation = PREDICATE_TRUE;
    at = start;
  }
  if (!predicate_check(parser->context, predicate, at)) return NULL;
  return negative ? parser_negate(parser, predicate) : predicate;
}

static struct expression *parse_group(struct parser *parser) {
  parser_advance(parser);
  struct expression *inner = parser_condition(parser);
  if (!inner) return NULL;
  if (parser->token.kind != TOKEN_CLOSE) return parser_expected(parser, "`&&`, `||` or `)`");
  parser_advance(parser);
  return inner;
}

static struct expression *parse_primary(struct parser *parser, bool level_taken) {
  if (parser->token.kind == TOKEN_OPEN) {
    if (!level_taken && !parser_deeper(parser)) return NULL;
    struct expression *inner = parse_group(parser);
    if (!level_taken) parser->depth--;
    return inner;
  }
  if (parser->of_trace) return trace_parse_operand(parser);
  if (parser->token.kind == TOKEN_OPEN_BRACE)
    return parser_expected(parser, "a comparison (braces go round the whole of `if:`; use parentheses to group)");
  return parser_predicate(parser);
}

/* `!` and the parenthesis right behind it are one level: canonical text writes !(...) where the source may have had none. */
static struct expression *parse_not(struct parser *parser) {
  if (parser->token.kind != TOKEN_NOT) return parse_primary(parser, false);
  bool negative = false;
  while (parser->token.kind == TOKEN_NOT) {
    negative = !negative;
    parser_advance(parser);
  }
  if (!parser_deeper(parser)) return NULL;
  struct expression *operand = parse_primary(parser, true);
  parser->depth--;
  return operand && negative ? parser_negate(parser, operand) : operand;
}

static struct expression *parse_chain(struct parser *parser, enum token_kind between, enum expression_node node,
                                      struct expression *(*parse_operand)(struct parser *)) {
  struct expression *first = parse_operand(parser);
  if (!first || parser->token.kind != between) return first;
  struct expression *parent = parser_node(parser, node);
  struct expression **end = append(parent, &parent->first, first);
  while (parser->token.kind == between) {
    parser_advance(parser);
    struct expression *operand = parse_operand(parser);
    if (!operand) return NULL;
    end = append(parent, end, operand);
  }
  parser_set_stack_need(parent);
  return parent;
}

static struct expression *parse_and(struct parser *parser) { return parse_chain(parser, TOKEN_AND, NODE_AND, parse_not); }
struct expression *parser_condition(struct parser *parser) {
  return parse_chain(parser, TOKEN_OR, NODE_OR, parse_and);
}

static struct expression *parse_whole(struct parser *parser) {
  const bool braced = !parser->of_trace && parser->token.kind == TOKEN_OPEN_BRACE;
  if (braced) parser_advance(parser);
  struct expression *whole = parser_condition(parser);
  if (!whole) return NULL;
  if (braced) {
    if (parser->token.kind != TOKEN_CLOSE_BRACE) return parser_expected(parser, "`&&`, `||` or `}`");
    parser_advance(parser);
  }
  if (parser->token.kind == TOKEN_END) return whole;
  if (braced) return parser_expected(parser, "nothing behind the brace that closes `if:` (use parentheses to group)");
  return parser_expected(parser, "`&&`, `||` or the end");
}

struct expression *expression_parse(const struct expression_context *context, bool of_trace) {
  const struct source_scalar *scalar = context->scalar;
  if (scalar->length > EXPRESSION_BYTES_MAX) {
    expression_error(context, 0, "an expression has at most %u bytes; this has %zu", EXPRESSION_BYTES_MAX, scalar->length);
    return NULL;
  }
  struct parser parser = {
      .context = context,
      .reader = {.context = context, .text = scalar->value, .length = scalar->length},
      .of_trace = of_trace,
  };
  parser_advance(&parser);
  if (parser.token.kind == TOKEN_END) {
    expression_error(context, 0, "the expression is empty");
    return NULL;
  }
  return parse_whole(&parser);
}
