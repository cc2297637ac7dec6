#include "betrace_internal.h"
#include <string.h>

/* A condition of .where(...): on one span, its names attributes. */
static bool where_operand(struct betrace_parser *parser) {
  struct betrace_path path;
  if (!betrace_read_path(parser, &path)) return false;
  const struct image_text key = betrace_join(parser, &path, 0, path.count);
  return betrace_comparison(parser, path.offset, betrace_attribute(parser, key), BETRACE_WORDS_TEXT, true);
}

static bool put_wheres(struct betrace_parser *parser) {
  while (betrace_at_symbol(parser, '.')) {
    betrace_put(parser, parser->token.offset, " && (");
    betrace_advance(parser);
    if (!betrace_at_word(parser, "where")) return betrace_expected(parser, "`where(`");
    betrace_advance(parser);
    if (!betrace_take_symbol(parser, '(', "`(` after `where`")) return false;
    if (!betrace_condition(parser, where_operand)) return false;
    betrace_put(parser, parser->token.offset, ")");
    if (!betrace_take_symbol(parser, ')', "`and`, `or` or `)`")) return false;
  }
  return true;
}

static void put_name(struct betrace_parser *parser, size_t offset, struct image_text name) {
  betrace_put(parser, offset, "{name = ");
  betrace_put_string(parser, offset, name);
}

static bool at_comparison(const struct betrace_parser *parser) {
  return parser->token.kind == BETRACE_COMPARISON || betrace_at_word(parser, "in") || betrace_at_word(parser, "matches") ||
         betrace_at_word(parser, "contains") || betrace_at_word(parser, "not");
}

/* `op`, `op.where(...)`, or `op.attribute CMP value`, where the last part of the name is the attribute. */
static bool put_spans(struct betrace_parser *parser, bool compared) {
  struct betrace_path path;
  if (!betrace_read_path(parser, &path)) return false;
  if (!compared || !at_comparison(parser)) {
    put_name(parser, path.offset, betrace_join(parser, &path, 0, path.count));
    if (!put_wheres(parser)) return false;
    betrace_put(parser, parser->token.offset, "}");
    return true;
  }
  if (path.count < 2) {
    expression_error(parser->context, parser->token.offset,
                     "an operation is not compared, an attribute of it is: %.*s.ATTRIBUTE or %.*s.where(ATTRIBUTE ...)",
                     (int)(path.parts[0].length < 40 ? path.parts[0].length : 40), path.parts[0].at,
                     (int)(path.parts[0].length < 40 ? path.parts[0].length : 40), path.parts[0].at);
    return false;
  }
  const char *attribute = betrace_attribute(parser, path.parts[path.count - 1]);
  put_name(parser, path.offset, betrace_join(parser, &path, 0, path.count - 1));
  betrace_put(parser, path.offset, " && ");
  if (!betrace_comparison(parser, path.offset, attribute, BETRACE_WORDS_TEXT, false)) return false;
  betrace_put(parser, parser->token.offset, "}");
  return true;
}

/* At the `(` of count( or trace.count(. */
static bool put_count(struct betrace_parser *parser, size_t offset, bool raw) {
  betrace_put(parser, offset, "count(");
  if (!betrace_at_symbol(parser, '(')) return betrace_expected(parser, "`(` and an operation, as in count(http.retry)");
  betrace_advance(parser);
  if (raw) {
    struct image_text name;
    const size_t at = parser->token.offset;
    if (!betrace_raw_name(parser, &name)) return false;
    put_name(parser, at, name);
  } else {
    if (!put_spans(parser, false)) return false;
    betrace_put(parser, parser->token.offset, ")");
  }
  if (!betrace_take_symbol(parser, ')', "`)`")) return false;
  if (!raw) return true;
  if (!put_wheres(parser)) return false;
  betrace_put(parser, parser->token.offset, "})");
  return true;
}

/* The word behind `trace.`, up to its parenthesis; NULL when it is none of the two. */
static const char *trace_function(const struct betrace_parser *parser) {
  struct betrace_quiet quiet;
  struct betrace_parser ahead = betrace_ahead(parser, &quiet);
  if (!betrace_at_word(&ahead, "trace")) return NULL;
  betrace_advance(&ahead);
  if (!betrace_at_symbol(&ahead, '.')) return NULL;
  betrace_advance(&ahead);
  const char *word = betrace_at_word(&ahead, "has") ? "has" : betrace_at_word(&ahead, "count") ? "count" : NULL;
  betrace_advance(&ahead);
  return betrace_at_symbol(&ahead, '(') ? word : NULL;
}

static bool function_is(const struct betrace_parser *parser, const char *word) {
  const char *function = trace_function(parser);
  return function && strcmp(function, word) == 0;
}

/* `trace`, `.` and the word. */
static void pass_function(struct betrace_parser *parser) {
  for (unsigned i = 0; i < 3; i++) betrace_advance(parser);
}

static bool put_measure(struct betrace_parser *parser) {
  const size_t offset = parser->token.offset;
  if (parser->token.kind == BETRACE_NUMBER) {
    betrace_put_verbatim(parser, offset, parser->token.length);
    betrace_advance(parser);
    return true;
  }
  if (betrace_at_word(parser, "count")) {
    betrace_advance(parser);
    return put_count(parser, offset, false);
  }
  if (function_is(parser, "count")) {
    pass_function(parser);
    return put_count(parser, offset, true);
  }
  return betrace_expected(parser, "a number or count(...)");
}

static bool put_counts(struct betrace_parser *parser) {
  if (!put_measure(parser)) return false;
  const struct betrace_token token = parser->token;
  if (token.kind != BETRACE_COMPARISON) return betrace_expected(parser, "a comparison (== != < <= > >=): a count is a number");
  betrace_put(parser, token.offset, " ");
  betrace_put_verbatim(parser, token.offset, token.length);
  betrace_put(parser, token.offset, " ");
  betrace_advance(parser);
  return put_measure(parser);
}

static bool put_has(struct betrace_parser *parser) {
  struct image_text name;
  betrace_advance(parser);
  const size_t offset = parser->token.offset;
  if (!betrace_raw_name(parser, &name)) return false;
  put_name(parser, offset, name);
  if (!betrace_take_symbol(parser, ')', "`)`") || !put_wheres(parser)) return false;
  betrace_put(parser, parser->token.offset, "}");
  return true;
}

static bool at_count(const struct betrace_parser *parser) {
  struct betrace_quiet quiet;
  struct betrace_parser ahead = betrace_ahead(parser, &quiet);
  betrace_advance(&ahead);
  return betrace_at_word(parser, "count") && betrace_at_symbol(&ahead, '(');
}

bool betrace_trace_operand(struct betrace_parser *parser) {
  if (function_is(parser, "has")) {
    pass_function(parser);
    return put_has(parser);
  }
  const bool counts = parser->token.kind == BETRACE_NUMBER || at_count(parser) || function_is(parser, "count");
  return counts ? put_counts(parser) : put_spans(parser, true);
}

static bool read_part(struct betrace_parser *parser, struct composed_text *into) {
  parser->out = into;
  betrace_advance(parser);
  if (!betrace_take_symbol(parser, '{', "`{`") || !betrace_condition(parser, betrace_trace_operand)) return false;
  /* So that what is wrong at the end has a place. */
  betrace_put(parser, parser->token.offset, "");
  return betrace_take_symbol(parser, '}', "`and`, `or` or `}`");
}

static bool read_parts(struct betrace_parser *parser, struct betrace_rule *rule) {
  rule->of_trace = true;
  if (!read_part(parser, &rule->when)) return false;
  while (parser->token.kind != BETRACE_END) {
    const bool always = betrace_at_word(parser, "always");
    bool *const has = always ? &rule->has_always : &rule->has_never;
    if (!always && !betrace_at_word(parser, "never")) return betrace_expected(parser, "`always {`, `never {` or the end");
    if (*has) {
      expression_error(parser->context, parser->token.offset, "`%s` is given twice", always ? "always" : "never");
      return false;
    }
    *has = true;
    if (!read_part(parser, always ? &rule->always : &rule->never)) return false;
  }
  if (rule->has_always || rule->has_never) return true;
  return betrace_expected(parser, "`always {` or `never {`: one of them is needed");
}

static bool asks_for_trace(const struct betrace_parser *parser) {
  struct betrace_quiet quiet;
  struct betrace_parser ahead = betrace_ahead(parser, &quiet);
  for (; ahead.token.kind != BETRACE_END && ahead.token.kind != BETRACE_BAD; betrace_advance(&ahead))
    if (trace_function(&ahead)) return true;
  return false;
}

/* Without `when`: a condition on one span, or of trace.has() and trace.count() on a trace, which is violated by meeting it. */
static bool read_bare(struct betrace_parser *parser, struct betrace_rule *rule) {
  rule->of_trace = rule->has_never = asks_for_trace(parser);
  const struct betrace_parser start = *parser;
  for (unsigned pass = 0; pass < 1u + rule->of_trace; pass++) {
    *parser = start;
    parser->out = pass ? &rule->never : &rule->when;
    if (!betrace_condition(parser, rule->of_trace ? betrace_trace_operand : betrace_span_operand)) return false;
    betrace_put(parser, parser->token.offset, "");
    if (parser->token.kind != BETRACE_END) return betrace_expected(parser, "`and`, `or` or the end");
  }
  return true;
}

bool betrace_read(const struct expression_context *context, struct betrace_rule *rule) {
  const struct source_scalar *scalar = context->scalar;
  if (scalar->length > EXPRESSION_BYTES_MAX) {
    expression_error(context, 0, "an expression has at most %u bytes; this has %zu", EXPRESSION_BYTES_MAX, scalar->length);
    return false;
  }
  struct betrace_parser parser = {.context = context,
                                  .reader = {.context = context, .text = scalar->value, .length = scalar->length}};
  betrace_advance(&parser);
  if (parser.token.kind == BETRACE_END) {
    expression_error(context, 0, "the expression is empty");
    return false;
  }
  if (betrace_at_word(&parser, "always") || betrace_at_word(&parser, "never"))
    return betrace_expected(&parser, "`when {` before it");
  return betrace_at_word(&parser, "when") ? read_parts(&parser, rule) : read_bare(&parser, rule);
}

void betrace_rule_free(struct betrace_rule *rule) {
  composed_text_free(&rule->when);
  composed_text_free(&rule->always);
  composed_text_free(&rule->never);
}
