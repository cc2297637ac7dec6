#include "betrace_internal.h"
#include <string.h>

/* What the older notation calls the facts of a span. */
static const struct {
  const char *word, *spelling;
  enum betrace_words words;
} fields[] = {
    {"name", "name", BETRACE_WORDS_TEXT},
    {"operation_name", "name", BETRACE_WORDS_TEXT},
    {"status", "status", BETRACE_WORDS_LOWER},
    {"duration", "duration", BETRACE_WORDS_TEXT},
    {"service_name", "service", BETRACE_WORDS_TEXT},
    {"service", "service", BETRACE_WORDS_TEXT},
    {"kind", "kind", BETRACE_WORDS_LOWER},
    {"trace_id", "trace_id", BETRACE_WORDS_TEXT},
    {"span_id", "span_id", BETRACE_WORDS_TEXT},
    {"parent_span_id", "parent_id", BETRACE_WORDS_TEXT},
};

/* `span.attributes["k"]` or `span.attributes.k.l`: the parser stands behind `attributes`. */
static bool read_key(struct betrace_parser *parser, struct image_text *key) {
  struct betrace_path path;
  if (betrace_at_symbol(parser, '.')) {
    betrace_advance(parser);
    if (!betrace_read_path(parser, &path)) return false;
    *key = betrace_join(parser, &path, 0, path.count);
    return true;
  }
  if (!betrace_take_symbol(parser, '[', "`[\"KEY\"]` after `attributes`")) return false;
  if (parser->token.kind != BETRACE_STRING) return betrace_expected(parser, "a key in quotes");
  *key = parser->token.word;
  betrace_advance(parser);
  return betrace_take_symbol(parser, ']', "`]`");
}

static bool unknown_field(struct betrace_parser *parser) {
  static const char *const words[] = {"name", "status", "duration", "service_name", "kind", "attributes", NULL};
  const struct betrace_token *token = &parser->token;
  const char *meant = token->kind == BETRACE_WORD ? suggest(token->word, words) : NULL;
  if (token->kind != BETRACE_WORD) return betrace_expected(parser, "a field of the span, as in span.status");
  expression_error(parser->context, token->offset,
                   "a span has name, status, duration, service_name, kind and attributes[\"KEY\"], no `%.*s`%s%s%s",
                   (int)(token->word.length < 64 ? token->word.length : 64), token->word.at, meant ? "; did you mean `" : "",
                   meant ? meant : "", meant ? "`?" : "");
  return false;
}

bool betrace_span_operand(struct betrace_parser *parser) {
  const size_t offset = parser->token.offset;
  if (betrace_at_word(parser, "true") || betrace_at_word(parser, "false")) {
    betrace_put_verbatim(parser, offset, parser->token.length);
    betrace_advance(parser);
    return true;
  }
  if (!betrace_at_word(parser, "span"))
    return betrace_expected(parser, "`when {`, or a condition on span.FIELD (conditions in this manual's words go in `if:`)");
  betrace_advance(parser);
  if (!betrace_take_symbol(parser, '.', "`.` after `span`")) return false;
  if (betrace_at_word(parser, "attributes")) {
    struct image_text key;
    betrace_advance(parser);
    if (!read_key(parser, &key)) return false;
    return betrace_comparison(parser, offset, betrace_attribute(parser, key), BETRACE_WORDS_TEXT, true);
  }
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    if (!betrace_at_word(parser, fields[i].word)) continue;
    betrace_advance(parser);
    return betrace_comparison(parser, offset, fields[i].spelling, fields[i].words, false);
  }
  return unknown_field(parser);
}
