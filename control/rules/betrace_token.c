#include "betrace_internal.h"
#include <string.h>

static char peek(const struct token_reader *reader, size_t ahead) {
  return reader->at + ahead < reader->length ? reader->text[reader->at + ahead] : '\0';
}

static bool digit(char character) { return character >= '0' && character <= '9'; }

static void skip_blanks(struct token_reader *reader) {
  for (;;) {
    const char character = peek(reader, 0);
    if (character == '#' || (character == '/' && peek(reader, 1) == '/')) {
      while (reader->at < reader->length && reader->text[reader->at] != '\n') reader->at++;
    } else if (character != '\0' && strchr(" \t\n\r", character)) {
      reader->at++;
    } else {
      return;
    }
  }
}

/* A hyphen inside a word is part of it: there is no arithmetic. */
static struct image_text read_word(struct token_reader *reader) {
  const size_t start = reader->at;
  while (token_word_character(peek(reader, 0)) || (peek(reader, 0) == '-' && token_word_character(peek(reader, 1)))) reader->at++;
  return (struct image_text){.at = reader->text + start, .length = (uint32_t)(reader->at - start)};
}

static void read_symbol(struct token_reader *reader, struct betrace_token *token) {
  static const struct {
    const char *written, *meant;
  } symbols[] = {{"==", NULL}, {"!=", NULL}, {"<=", NULL}, {">=", NULL}, {"&&", "and"},
                 {"||", "or"}, {"=", NULL},  {"<", NULL},  {">", NULL}};
  for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
    const size_t length = strlen(symbols[i].written);
    if (length > reader->length - reader->at || memcmp(reader->text + reader->at, symbols[i].written, length) != 0) continue;
    token->kind = symbols[i].meant ? BETRACE_WORD : BETRACE_COMPARISON;
    if (symbols[i].meant)
      token->word = (struct image_text){.at = symbols[i].meant, .length = (uint32_t)strlen(symbols[i].meant)};
    else
      token->word = (struct image_text){.at = reader->text + reader->at, .length = (uint32_t)length};
    reader->at += length;
    return;
  }
  const char odd = peek(reader, 0);
  if (odd != '\0' && strchr(".(){}[],!", odd)) {
    token->kind = BETRACE_SYMBOL;
    token->symbol = odd;
    reader->at++;
  } else if (odd == '\'') {
    expression_error(reader->context, reader->at, "texts stand in double quotes: \"...\"");
  } else if (odd == '/' || odd == ':') {
    expression_error(reader->context, reader->at, "a name with `%c` in it is quoted, as in \"GET /users\"", odd);
  } else if ((unsigned char)odd > ' ' && (unsigned char)odd < 0x7f) {
    expression_error(reader->context, reader->at, "unexpected character `%c`", odd);
  } else {
    expression_error(reader->context, reader->at, "unexpected character (byte 0x%02x)", (unsigned char)odd);
  }
}

void betrace_advance(struct betrace_parser *parser) {
  struct token_reader *reader = &parser->reader;
  skip_blanks(reader);
  struct betrace_token token = {.kind = BETRACE_BAD, .offset = reader->at};
  const char first = peek(reader, 0);
  struct literal ignored;
  if (reader->at == reader->length)
    token.kind = BETRACE_END;
  else if (first == '"')
    token.kind = token_read_string(reader, &token.word) ? BETRACE_STRING : BETRACE_BAD;
  else if (digit(first) || ((first == '-' || first == '+') && digit(peek(reader, 1))))
    token.kind = token_read_number(reader, &ignored) ? BETRACE_NUMBER : BETRACE_BAD;
  else if (token_word_character(first)) {
    token.kind = BETRACE_WORD;
    token.word = read_word(reader);
  } else {
    read_symbol(reader, &token);
  }
  token.length = reader->at - token.offset;
  parser->token = token;
}

struct betrace_parser betrace_ahead(const struct betrace_parser *parser, struct betrace_quiet *quiet) {
  struct betrace_parser ahead = *parser;
  quiet->errors = (struct rule_errors){.count = RULE_ERRORS_MAX};
  quiet->context = *parser->context;
  quiet->context.errors = &quiet->errors;
  ahead.context = ahead.reader.context = &quiet->context;
  return ahead;
}

bool betrace_raw_name(struct betrace_parser *parser, struct image_text *name) {
  struct token_reader *reader = &parser->reader;
  const size_t start = parser->token.offset;
  if (parser->token.kind == BETRACE_STRING) {
    *name = parser->token.word;
    betrace_advance(parser);
    return true;
  }
  size_t at = start;
  while (at < reader->length && (token_word_character(reader->text[at]) || strchr(".-/:@#$%*?&=", reader->text[at]))) at++;
  if (at == start) return betrace_expected(parser, "the name of an operation");
  *name = region_image_text(parser->context->region, reader->text + start, at - start);
  reader->at = at;
  betrace_advance(parser);
  return true;
}

bool betrace_at_word(const struct betrace_parser *parser, const char *word) {
  return parser->token.kind == BETRACE_WORD && image_text_is(parser->token.word, word);
}

bool betrace_at_symbol(const struct betrace_parser *parser, char symbol) {
  return parser->token.kind == BETRACE_SYMBOL && parser->token.symbol == symbol;
}

bool betrace_expected(struct betrace_parser *parser, const char *what) {
  const struct betrace_token *token = &parser->token;
  if (token->kind == BETRACE_END)
    expression_error(parser->context, token->offset, "expected %s, but the expression ends here", what);
  else if (token->kind != BETRACE_BAD)
    expression_error(parser->context, token->offset, "expected %s, found `%.*s`", what,
                     (int)(token->length < 64 ? token->length : 64), parser->reader.text + token->offset);
  return false;
}

bool betrace_take_symbol(struct betrace_parser *parser, char symbol, const char *what) {
  if (!betrace_at_symbol(parser, symbol)) return betrace_expected(parser, what);
  betrace_advance(parser);
  return true;
}

static void piece(struct betrace_parser *parser, size_t offset, bool along) {
  const struct text_piece from = {
      .source = parser->context->source, .scalar = parser->context->scalar, .offset = offset, .along = along};
  composed_text_from(parser->out, &from);
}

void betrace_put(struct betrace_parser *parser, size_t offset, const char *text) {
  piece(parser, offset, false);
  growing_text_append_string(&parser->out->text, text);
}

void betrace_put_string(struct betrace_parser *parser, size_t offset, struct image_text string) {
  piece(parser, offset, false);
  expression_print_string(string, &parser->out->text);
}

void betrace_put_verbatim(struct betrace_parser *parser, size_t offset, size_t length) {
  piece(parser, offset, true);
  growing_text_append(&parser->out->text, parser->reader.text + offset, length);
}
