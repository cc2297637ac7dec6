#include "expression_parser_internal.h"
#include "rule_window_internal.h"
#include <inttypes.h>
#include <string.h>

static const char *const function_words[] = {"count", "rate",     "sum",    "avg",    "min", "max",
                                             "p99",   "distinct", "change", "absent", NULL};

static bool take(struct parser *parser, enum token_kind kind, const char *what) {
  if (parser->token.kind != kind) return parser_expected(parser, what);
  parser_advance(parser);
  return true;
}

/* One value a reference: what a key can be made of. */
static const struct reference *take_reference(struct parser *parser) {
  const struct token *token = &parser->token;
  if (token->kind != TOKEN_REFERENCE && token->kind != TOKEN_WORD) {
    parser_expected(parser, "a reference");
    return NULL;
  }
  const size_t offset = token->offset;
  const struct reference *reference = reference_make(parser->context, offset, token->word, token->segments, token->segment_count);
  parser_advance(parser);
  if (!reference || !reference->every) return reference;
  expression_error(parser->context, offset, "a reference with `[*]` has many values, and is no key");
  return NULL;
}

/* pNN: two digits are a percentage, more go on behind the point. */
static bool quantile_of(struct image_text word, uint32_t *digits, double *quantile) {
  uint32_t number = 0, scale = 1;
  if (word.length < 2 || word.length > 6 || word.at[0] != 'p') return false;
  for (uint32_t i = 1; i < word.length; i++) {
    if (word.at[i] < '0' || word.at[i] > '9') return false;
    number = number * 10 + (uint32_t)(word.at[i] - '0');
    scale *= 10;
  }
  if (word.length == 2) scale = 100;
  *digits = number;
  *quantile = (double)number / (double)scale;
  const bool one_spelling = word.length == 2 || (word.at[1] != '0' && (word.length == 3 || number % 10 != 0));
  return number > 0 && one_spelling;
}

static bool take_value(struct parser *parser, struct rule_window *window, bool numeric) {
  if (!take(parser, TOKEN_OPEN, "`(` and a value")) return false;
  struct operand value;
  if (!parse_value(parser, &value)) return false;
  if (!value.reference) {
    expression_error(parser->context, value.offset, "a window is about what events hold, not about a constant");
    return false;
  }
  char shown[REFERENCE_SHOWN_BYTES];
  reference_show(value.reference, shown);
  if (value.reference->every) {
    expression_error(parser->context, value.offset, "`%s` has many values: a window takes one an event", shown);
    return false;
  }
  if (numeric && value.reference->type != REFERENCE_ANY && !reference_is_numeric(value.reference->type)) {
    expression_error(parser->context, value.offset, "`%s` is %s, no number", shown, reference_type_name(value.reference->type));
    return false;
  }
  window->value = value.reference;
  return take(parser, TOKEN_CLOSE, "`)`");
}

static bool unknown_function(struct parser *parser) {
  const struct token *token = &parser->token;
  if (token->kind != TOKEN_WORD) return parser_expected(parser, "a function, as in count by (service) over 60s > 10");
  const char *meant = suggest(token->word, function_words);
  expression_error(parser->context, token->offset,
                   "`%.*s` is no function of a window%s%s%s (count rate sum avg min max pNN distinct change absent)",
                   (int)(token->word.length < 64 ? token->word.length : 64), token->word.at, meant ? "; did you mean `" : "",
                   meant ? meant : "", meant ? "`?" : "");
  return false;
}

static bool take_function(struct parser *parser, struct rule_window *window, bool inside_change) {
  static const struct {
    const char *word;
    enum window_function function;
    bool value, in_change;
  } functions[] = {{"count", WINDOW_COUNT, false, true},    {"rate", WINDOW_RATE, false, false},
                   {"sum", WINDOW_SUM, true, true},         {"avg", WINDOW_AVERAGE, true, true},
                   {"min", WINDOW_MINIMUM, true, false},    {"max", WINDOW_MAXIMUM, true, false},
                   {"absent", WINDOW_ABSENT, false, false}, {"distinct", WINDOW_DISTINCT, true, false}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    if (!parser_at_word(parser, functions[i].word)) continue;
    if (inside_change && !functions[i].in_change) return parser_expected(parser, "`count`, `sum(...)` or `avg(...)`");
    window->function = functions[i].function;
    parser_advance(parser);
    return !functions[i].value || take_value(parser, window, window->function != WINDOW_DISTINCT);
  }
  if (parser->token.kind == TOKEN_WORD && !inside_change &&
      quantile_of(parser->token.word, &window->quantile_digits, &window->quantile)) {
    window->function = WINDOW_QUANTILE;
    parser_advance(parser);
    return take_value(parser, window, true);
  }
  if (inside_change) return parser_expected(parser, "`count`, `sum(...)` or `avg(...)`");
  if (!parser_at_word(parser, "change")) return unknown_function(parser);
  window->change = true;
  parser_advance(parser);
  return take(parser, TOKEN_OPEN, "`(`, as in change(count)") && take_function(parser, window, true) &&
         take(parser, TOKEN_CLOSE, "`)`");
}

static bool add_key(const struct expression_context *context, size_t offset, struct rule_window *window,
                    const struct reference *reference) {
  if (!reference) return false;
  for (uint32_t i = 0; i < window->by_count; i++) {
    const struct image_text known = window->by[i]->spelling;
    if (known.length != reference->spelling.length || memcmp(known.at, reference->spelling.at, known.length) != 0) continue;
    expression_error(context, offset, "`%.*s` is in this key twice", (int)(known.length < 64 ? known.length : 64), known.at);
    return false;
  }
  if (window->by_count == IMAGE_WINDOW_KEYS_MAX) {
    expression_error(context, offset, "a key has at most %u references", IMAGE_WINDOW_KEYS_MAX);
    return false;
  }
  window->by[window->by_count++] = reference;
  return true;
}

static bool take_keys(struct parser *parser, struct rule_window *window) {
  parser_advance(parser);
  const bool single = parser->token.kind != TOKEN_OPEN;
  do {
    if (!single) parser_advance(parser);
    const size_t at = parser->token.offset;
    if (!add_key(parser->context, at, window, take_reference(parser))) return false;
  } while (!single && parser->token.kind == TOKEN_COMMA);
  return single || take(parser, TOKEN_CLOSE, "`,` or `)`");
}

static bool duration_in_range(const struct expression_context *context, const struct literal *literal, uint64_t least_ns,
                              uint64_t *duration_ns) {
  if (!literal->duration) {
    expression_error(context, literal->offset, "expected a duration, as in 60s or 5m");
    return false;
  }
  if (literal->value.integer < (int64_t)least_ns || literal->value.integer > (int64_t)IMAGE_WINDOW_NS_MAX) {
    expression_error(context, literal->offset, "this duration is not from %" PRIu64 "ms to %" PRIu64 "h", least_ns / 1000000,
                     (uint64_t)IMAGE_WINDOW_NS_MAX / 3600000000000u);
    return false;
  }
  *duration_ns = (uint64_t)literal->value.integer;
  return true;
}

static bool take_duration(struct parser *parser, uint64_t *duration_ns) {
  if (parser->token.kind != TOKEN_LITERAL) return parser_expected(parser, "a duration, as in 60s");
  const struct literal *literal = parser_take_constant(parser);
  return duration_in_range(parser->context, literal, WINDOW_OVER_NS_MIN, duration_ns);
}

static bool take_limit(struct parser *parser, struct rule_window *window) {
  if (parser->token.kind != TOKEN_COMPARISON || parser->token.operation > PREDICATE_GREATER_OR_EQUAL)
    return parser_expected(parser, "a comparison with a number, as in > 10");
  window->comparison = parser->token.operation;
  parser_advance(parser);
  const bool constant = parser_at_constant(parser) && parser->token.kind != TOKEN_WORD &&
                        parser->token.literal.value.type != VALUE_STRING && parser->token.literal.value.type != VALUE_BOOL;
  if (!constant) return parser_expected(parser, "a number");
  const struct literal *literal = parser_take_constant(parser);
  if (!literal) return false;
  if (literal->duration && (!window->value || window->function == WINDOW_DISTINCT || window->change)) {
    expression_error(parser->context, literal->offset, "this window gives a plain number, which no duration is compared with");
    return false;
  }
  window->limit = *literal;
  return true;
}

static bool begin(struct parser *parser, const struct expression_context *context) {
  if (context->scalar->length > EXPRESSION_BYTES_MAX) {
    expression_error(context, 0, "a window has at most %u bytes", EXPRESSION_BYTES_MAX);
    return false;
  }
  parser_begin(parser, context, false);
  return parser->token.kind != TOKEN_BAD;
}

bool window_parse(const struct expression_context *context, struct rule_window *window) {
  struct parser parser;
  window->form = WINDOW_FORM_WINDOW;
  if (!begin(&parser, context) || !take_function(&parser, window, false)) return false;
  if (parser_at_word(&parser, "by") && !take_keys(&parser, window)) return false;
  const bool absent = window->function == WINDOW_ABSENT;
  if (!parser_at_word(&parser, absent ? "for" : "over")) {
    static const char *const wanted[2][2] = {{"`by (...)` or `over` and a duration", "`over` and a duration"},
                                             {"`by (...)` or `for` and a duration", "`for` and a duration"}};
    return parser_expected(&parser, wanted[absent][window->by_count != 0]);
  }
  parser_advance(&parser);
  if (!take_duration(&parser, &window->over_ns)) return false;
  if (!absent && !take_limit(&parser, window)) return false;
  return parser.token.kind == TOKEN_END || parser_expected(&parser, "the end of the window");
}

bool window_parse_duration(const struct expression_context *context, uint64_t least_ns, uint64_t *duration_ns) {
  struct parser parser;
  if (!begin(&parser, context)) return false;
  if (parser.token.kind != TOKEN_LITERAL) return parser_expected(&parser, "a duration, as in 60s");
  const struct literal literal = parser.token.literal;
  parser_advance(&parser);
  if (parser.token.kind != TOKEN_END) return parser_expected(&parser, "nothing behind the duration");
  return duration_in_range(context, &literal, least_ns, duration_ns);
}

bool window_parse_count(const struct expression_context *context, int64_t *count) {
  struct parser parser;
  if (!begin(&parser, context)) return false;
  const struct literal literal = parser.token.literal;
  if (parser.token.kind != TOKEN_LITERAL || literal.duration || literal.value.type != VALUE_INTEGER || literal.value.integer < 1)
    return parser_expected(&parser, "a whole number, 1 or more");
  parser_advance(&parser);
  *count = literal.value.integer;
  return parser.token.kind == TOKEN_END || parser_expected(&parser, "nothing behind the number");
}

bool window_parse_key(const struct expression_context *context, struct rule_window *window) {
  struct parser parser;
  if (!begin(&parser, context)) return false;
  const struct reference *reference = take_reference(&parser);
  if (reference && parser.token.kind != TOKEN_END) return parser_expected(&parser, "nothing behind the reference");
  return add_key(context, 0, window, reference);
}
