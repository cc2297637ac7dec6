#include "betrace_internal.h"
#include <string.h>

static const char *const reserved[] = {"where",    "count", "and",   "or",   "not",   "in",     "matches",
                                       "contains", "true",  "false", "when", "never", "always", NULL};

static bool is_reserved(struct image_text word) {
  for (size_t i = 0; reserved[i]; i++)
    if (image_text_is(word, reserved[i])) return true;
  return false;
}

static bool at_where(const struct betrace_parser *parser) {
  struct betrace_quiet quiet;
  struct betrace_parser ahead = betrace_ahead(parser, &quiet);
  betrace_advance(&ahead);
  if (!betrace_at_word(&ahead, "where")) return false;
  betrace_advance(&ahead);
  return betrace_at_symbol(&ahead, '(');
}

bool betrace_read_path(struct betrace_parser *parser, struct betrace_path *path) {
  *path = (struct betrace_path){.offset = parser->token.offset};
  for (;;) {
    const bool word = parser->token.kind == BETRACE_WORD && (path->count > 0 || !is_reserved(parser->token.word));
    if (!word && parser->token.kind != BETRACE_STRING) return betrace_expected(parser, "a name");
    if (path->count == BETRACE_PARTS_MAX) {
      expression_error(parser->context, path->offset, "a name has at most %u parts", BETRACE_PARTS_MAX);
      return false;
    }
    path->parts[path->count++] = parser->token.word;
    betrace_advance(parser);
    if (!betrace_at_symbol(parser, '.') || at_where(parser)) return true;
    betrace_advance(parser);
  }
}

struct image_text betrace_join(struct betrace_parser *parser, const struct betrace_path *path, uint32_t from, uint32_t count) {
  struct growing_text joined = {0};
  for (uint32_t i = from; i < from + count; i++) {
    if (i > from) growing_text_append(&joined, ".", 1);
    growing_text_append(&joined, path->parts[i].at, path->parts[i].length);
  }
  const struct image_text kept = region_image_text(parser->context->region, joined.at ? joined.at : "", joined.length);
  growing_text_free(&joined);
  return kept;
}

const char *betrace_attribute(struct betrace_parser *parser, struct image_text key) {
  struct growing_text spelling = {0};
  if (image_text_is(key, "service.name")) return "service";
  growing_text_append_string(&spelling, "span.");
  expression_print_string(key, &spelling);
  const char *kept = region_copy(parser->context->region, spelling.at, spelling.length);
  growing_text_free(&spelling);
  return kept;
}

static void put_lower(struct betrace_parser *parser, size_t offset, struct image_text word) {
  char *lower = region_copy(parser->context->region, word.at, word.length);
  for (char *at = lower; *at; at++)
    if (*at >= 'A' && *at <= 'Z') *at = (char)(*at - 'A' + 'a');
  betrace_put_string(parser, offset, (struct image_text){.at = lower, .length = word.length});
}

/* Text, number, true, false, or a bare word, which is a text. */
static bool put_constant(struct betrace_parser *parser, enum betrace_words words) {
  const struct betrace_token token = parser->token;
  if (token.kind == BETRACE_NUMBER || betrace_at_word(parser, "true") || betrace_at_word(parser, "false")) {
    betrace_put_verbatim(parser, token.offset, token.length);
    betrace_advance(parser);
    return true;
  }
  struct betrace_path path;
  if ((token.kind != BETRACE_WORD && token.kind != BETRACE_STRING) || !betrace_read_path(parser, &path))
    return token.kind == BETRACE_WORD || token.kind == BETRACE_STRING ? false : betrace_expected(parser, "a constant");
  const struct image_text text = betrace_join(parser, &path, 0, path.count);
  if (words == BETRACE_WORDS_LOWER)
    put_lower(parser, path.offset, text);
  else
    betrace_put_string(parser, path.offset, text);
  return true;
}

static bool put_list(struct betrace_parser *parser, enum betrace_words words) {
  if (!betrace_at_symbol(parser, '[')) return betrace_expected(parser, "a list, as in [USD, EUR]");
  betrace_put(parser, parser->token.offset, "[");
  do {
    if (parser->token.symbol == ',') betrace_put(parser, parser->token.offset, ", ");
    betrace_advance(parser);
    if (!put_constant(parser, words)) return false;
  } while (betrace_at_symbol(parser, ','));
  betrace_put(parser, parser->token.offset, "]");
  return betrace_take_symbol(parser, ']', "`,` or `]`");
}

static bool is_order(struct image_text comparison) { return comparison.at[0] == '<' || comparison.at[0] == '>'; }

static bool put_compared(struct betrace_parser *parser, enum betrace_words words) {
  const struct betrace_token token = parser->token;
  betrace_put(parser, token.offset, " ");
  betrace_put_verbatim(parser, token.offset, token.length);
  betrace_put(parser, token.offset, " ");
  betrace_advance(parser);
  const bool name = parser->token.kind == BETRACE_WORD && !is_reserved(parser->token.word);
  if (!name || !is_order(token.word)) return put_constant(parser, words);
  /* Texts have no order: a bare word here is another attribute of the span. */
  struct betrace_path path;
  if (!betrace_read_path(parser, &path)) return false;
  betrace_put(parser, path.offset, betrace_attribute(parser, betrace_join(parser, &path, 0, path.count)));
  return true;
}

static bool put_word_comparison(struct betrace_parser *parser, const char *meant, enum betrace_words words) {
  betrace_put(parser, parser->token.offset, meant);
  betrace_advance(parser);
  return put_constant(parser, words);
}

bool betrace_comparison(struct betrace_parser *parser, size_t offset, const char *spelling, enum betrace_words words, bool bare) {
  betrace_put(parser, offset, spelling);
  if (parser->token.kind == BETRACE_COMPARISON) return put_compared(parser, words);
  if (betrace_at_word(parser, "matches")) return put_word_comparison(parser, " =~ ", words);
  if (betrace_at_word(parser, "contains")) return put_word_comparison(parser, " contains ", words);
  const bool negated = betrace_at_word(parser, "not");
  if (negated) {
    betrace_put(parser, parser->token.offset, " not");
    betrace_advance(parser);
  }
  if (betrace_at_word(parser, "in")) {
    betrace_put(parser, parser->token.offset, " in ");
    betrace_advance(parser);
    return put_list(parser, words);
  }
  if (negated) return betrace_expected(parser, "`in` after `not`");
  return bare || betrace_expected(parser, "a comparison (== != < <= > >= in matches contains)");
}

static bool deeper(struct betrace_parser *parser) {
  if (parser->depth++ < EXPRESSION_DEPTH_MAX) return true;
  expression_error(parser->context, parser->token.offset, "nested more than %u deep", EXPRESSION_DEPTH_MAX);
  return false;
}

static bool group(struct betrace_parser *parser, bool (*operand)(struct betrace_parser *parser)) {
  betrace_put(parser, parser->token.offset, "(");
  betrace_advance(parser);
  if (!deeper(parser) || !betrace_condition(parser, operand)) return false;
  parser->depth--;
  betrace_put(parser, parser->token.offset, ")");
  return betrace_take_symbol(parser, ')', "`and`, `or` or `)`");
}

static bool negation(struct betrace_parser *parser, bool (*operand)(struct betrace_parser *parser)) {
  bool negative = false;
  while (betrace_at_word(parser, "not") || betrace_at_symbol(parser, '!')) {
    betrace_put(parser, parser->token.offset, "!");
    negative = true;
    betrace_advance(parser);
  }
  /* The native `!` takes an operand as a whole only in parentheses when that is a comparison with a sign of its own. */
  if (betrace_at_symbol(parser, '(')) return group(parser, operand);
  if (negative) betrace_put(parser, parser->token.offset, "(");
  if (!operand(parser)) return false;
  if (negative) betrace_put(parser, parser->token.offset, ")");
  return true;
}

bool betrace_condition(struct betrace_parser *parser, bool (*operand)(struct betrace_parser *parser)) {
  for (;;) {
    if (!negation(parser, operand)) return false;
    const bool both = betrace_at_word(parser, "and");
    if (!both && !betrace_at_word(parser, "or")) return true;
    betrace_put(parser, parser->token.offset, both ? " && " : " || ");
    betrace_advance(parser);
  }
}
