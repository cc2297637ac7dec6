/* Values: constants, references and arithmetic. */
#include "always_assert.h"
#include "expression_parser_internal.h"
#include "growing_internal.h"
#include <math.h>
#include <string.h>

static const char *const computation_names[] = {[COMPUTE_ADD] = "+",    [COMPUTE_SUBTRACT] = "-",  [COMPUTE_MULTIPLY] = "*",
                                                [COMPUTE_DIVIDE] = "/", [COMPUTE_REMAINDER] = "%", [COMPUTE_NEGATE] = "-"};

static bool signed_number(const struct parser *parser) {
  const struct token_reader *reader = &parser->reader;
  return (parser->token.kind == TOKEN_MINUS || parser->token.kind == TOKEN_PLUS) && reader->at < reader->length &&
         reader->text[reader->at] >= '0' && reader->text[reader->at] <= '9';
}

bool parser_at_constant(const struct parser *parser) {
  return parser->token.kind == TOKEN_LITERAL || parser->token.kind == TOKEN_WORD || signed_number(parser);
}

/* The sign is read with the number: the smallest integer has no positive twin. */
static struct literal *take_signed(struct parser *parser) {
  struct literal *literal = region_take(parser->context->region, sizeof *literal);
  parser->reader.at = parser->token.offset;
  const bool good = token_read_number(&parser->reader, literal);
  literal->offset = parser->token.offset;
  parser_advance(parser);
  return good ? literal : NULL;
}

struct literal *parser_take_constant(struct parser *parser) {
  const struct token *token = &parser->token;
  if (signed_number(parser)) return take_signed(parser);
  struct literal *literal = region_take(parser->context->region, sizeof *literal);
  *literal = token->literal;
  if (token->kind == TOKEN_WORD) {
    literal->word = true;
    literal->value = (struct value){.type = VALUE_STRING, .text = token->word.at, .length = token->word.length};
  }
  parser_advance(parser);
  return literal;
}

static bool numeric(const struct literal *literal) {
  return literal->value.type == VALUE_INTEGER || literal->value.type == VALUE_DOUBLE;
}

static bool operand_check(const struct expression_context *context, enum column_computation computation, size_t offset,
                          const struct operand *operand) {
  const char *const name = computation_names[computation];
  if (!operand->reference) {
    const bool whole = operand->literal->value.type == VALUE_INTEGER;
    if (computation == COMPUTE_REMAINDER && numeric(operand->literal) && !whole) {
      expression_error(context, operand->offset, "`%%` takes integers, not %s", literal_name(operand->literal));
      return false;
    }
    if (!numeric(operand->literal))
      expression_error(context, operand->offset, "`%s` takes numbers and durations, not %s", name,
                       literal_name(operand->literal));
    return numeric(operand->literal);
  }
  char shown[REFERENCE_SHOWN_BYTES];
  reference_show(operand->reference, shown);
  if (operand->reference->every) {
    expression_error(context, offset, "`%s` does not apply to `%s`, which has many values", name, shown);
    return false;
  }
  const enum reference_type type = operand->reference->type;
  if (type == REFERENCE_ANY || reference_is_numeric(type)) return true;
  expression_error(context, offset, "`%s` does not apply to `%s`, which is %s", name, shown, reference_type_name(type));
  return false;
}

static bool is_duration(const struct operand *operand) {
  if (!operand->reference) return operand->literal->duration;
  return operand->reference->type == REFERENCE_DURATION || operand->reference->type == REFERENCE_TIME_OF_DAY;
}

static bool makes_duration(enum column_computation computation, const struct operand *left, const struct operand *right) {
  switch (computation) {
  case COMPUTE_ADD:
  case COMPUTE_SUBTRACT:
  case COMPUTE_REMAINDER:
    return is_duration(left) || is_duration(right);
  case COMPUTE_MULTIPLY:
    return is_duration(left) != is_duration(right);
  case COMPUTE_NEGATE:
    return is_duration(right);
  case COMPUTE_DIVIDE:
    break;
  }
  return false;
}

static bool fold(const struct expression_context *context, enum column_computation computation, size_t offset,
                 const struct operand *left, const struct operand *right, struct operand *made) {
  struct literal *literal = region_take(context->region, sizeof *literal);
  literal->value = value_compute(computation, left ? &left->literal->value : NULL, &right->literal->value);
  literal->duration = literal->value.type == VALUE_INTEGER && makes_duration(computation, left, right);
  literal->offset = left ? left->offset : offset;
  *made = (struct operand){.literal = literal, .offset = literal->offset};
  if (literal->value.type == VALUE_INTEGER || (literal->value.type == VALUE_DOUBLE && isfinite(literal->value.real))) return true;
  expression_error(context, offset, "this `%s` has no result: it %s", computation_names[computation],
                   literal->value.type == VALUE_DOUBLE                                 ? "is too large for a number"
                   : computation == COMPUTE_DIVIDE || computation == COMPUTE_REMAINDER ? "divides by zero"
                                                                                       : "does not fit 64 bits");
  return false;
}

static uint32_t operations_in(const struct operand *operand) {
  return operand && operand->reference && operand->reference->arithmetic ? operand->reference->arithmetic->operations : 0;
}

bool arithmetic_make(const struct expression_context *context, enum column_computation computation, size_t offset,
                     const struct operand *left, const struct operand *right, struct operand *made) {
  if (left && !operand_check(context, computation, offset, left)) return false;
  if (!operand_check(context, computation, offset, right)) return false;
  if ((!left || !left->reference) && !right->reference) return fold(context, computation, offset, left, right, made);
  const uint32_t operations = operations_in(left) + operations_in(right) + 1;
  if (operations > VALUE_OPERATIONS_MAX) {
    expression_error(context, offset, "a value has at most %u operations", VALUE_OPERATIONS_MAX);
    return false;
  }
  struct arithmetic *arithmetic = region_take(context->region, sizeof *arithmetic);
  *arithmetic = (struct arithmetic){.computation = computation, .right = *right, .operations = operations};
  if (left) arithmetic->left = *left;
  struct reference *reference = region_take(context->region, sizeof *reference);
  reference->scope = SCOPE_COMPUTED;
  reference->type = makes_duration(computation, left, right) ? REFERENCE_DURATION : REFERENCE_NUMBER;
  reference->arithmetic = arithmetic;
  *made = (struct operand){.reference = reference, .offset = left ? left->offset : offset};
  return true;
}

static bool take_reference(struct parser *parser, struct operand *value) {
  const struct token *token = &parser->token;
  value->offset = token->offset;
  value->reference = reference_make(parser->context, token->offset, token->word, token->segments, token->segment_count);
  parser_advance(parser);
  return value->reference != NULL;
}

bool parse_group(struct parser *parser, struct term *term) {
  const bool shared = parser->token.offset == parser->shared_level;
  if (!shared && !parser_deeper(parser)) return false;
  parser_advance(parser);
  if (!parse_or(parser, term)) return false;
  if (!shared) parser->depth--;
  if (parser->token.kind != TOKEN_CLOSE)
    return parser_expected(parser, term->condition ? "`&&`, `||` or `)`" : "an operator or `)`");
  parser_advance(parser);
  return true;
}

static bool parse_atom(struct parser *parser, const char *what, struct term *term) {
  *term = (struct term){.value.offset = parser->token.offset};
  switch (parser->token.kind) {
  case TOKEN_OPEN:
    return parse_group(parser, term);
  case TOKEN_REFERENCE:
  case TOKEN_WORD:
    return take_reference(parser, &term->value);
  case TOKEN_LITERAL:
    term->value.literal = parser_take_constant(parser);
    return true;
  default:
    return parser_expected(parser, what);
  }
}

static bool refuse_condition(struct parser *parser, const struct term *term) {
  if (term->condition) expression_error(parser->context, term->value.offset, "expected a value, found a condition");
  return term->condition == NULL;
}

static bool parse_unary(struct parser *parser, const char *what, struct term *term) {
  const size_t offset = parser->token.offset;
  if (signed_number(parser)) {
    *term = (struct term){.value = {.literal = parser_take_constant(parser), .offset = offset}};
    return term->value.literal != NULL;
  }
  if (parser->token.kind != TOKEN_MINUS) return parse_atom(parser, what, term);
  parser_advance(parser);
  if (!parser_deeper_shared(parser)) return false;
  struct term operand;
  if (!parse_unary(parser, "a value", &operand) || !refuse_condition(parser, &operand)) return false;
  parser->depth--;
  *term = (struct term){0};
  return arithmetic_make(parser->context, COMPUTE_NEGATE, offset, NULL, &operand.value, &term->value);
}

struct level {
  enum token_kind tokens[3];
  enum column_computation computations[3];
  bool (*parse_operand)(struct parser *, const char *, struct term *);
};

/* Operands of one precedence, joined from the left. */
static bool parse_level(struct parser *parser, const struct level *level, const char *what, struct term *term) {
  if (!level->parse_operand(parser, what, term)) return false;
  while (!term->condition) {
    unsigned i = 0;
    while (i < 3 && parser->token.kind != level->tokens[i]) i++;
    if (i == 3) return true;
    const size_t offset = parser->token.offset;
    const struct operand left = term->value;
    struct term right;
    parser_advance(parser);
    if (!level->parse_operand(parser, "a value", &right) || !refuse_condition(parser, &right)) return false;
    if (!arithmetic_make(parser->context, level->computations[i], offset, &left, &right.value, &term->value)) return false;
  }
  return true;
}

static bool parse_product(struct parser *parser, const char *what, struct term *term) {
  static const struct level products = {.tokens = {TOKEN_STAR, TOKEN_SLASH, TOKEN_PERCENT},
                                        .computations = {COMPUTE_MULTIPLY, COMPUTE_DIVIDE, COMPUTE_REMAINDER},
                                        .parse_operand = parse_unary};
  return parse_level(parser, &products, what, term);
}

bool parse_sum(struct parser *parser, const char *what, struct term *term) {
  static const struct level sums = {.tokens = {TOKEN_PLUS, TOKEN_MINUS, TOKEN_MINUS},
                                    .computations = {COMPUTE_ADD, COMPUTE_SUBTRACT, COMPUTE_SUBTRACT},
                                    .parse_operand = parse_product};
  return parse_level(parser, &sums, what, term);
}

bool parse_value(struct parser *parser, struct operand *value) {
  struct term term;
  if (!parse_sum(parser, "a value", &term) || !refuse_condition(parser, &term)) return false;
  *value = term.value;
  return true;
}
