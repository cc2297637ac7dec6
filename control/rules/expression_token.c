#include "expression_token_internal.h"
#include <string.h>

static char peek(const struct token_reader *reader, size_t ahead) {
  return reader->at + ahead < reader->length ? reader->text[reader->at + ahead] : '\0';
}

static bool digit(char character) { return character >= '0' && character <= '9'; }

static void skip_blanks(struct token_reader *reader) {
  while (reader->at < reader->length) {
    const char character = reader->text[reader->at];
    if (character == '#' || (character == '/' && peek(reader, 1) == '/')) {
      while (reader->at < reader->length && reader->text[reader->at] != '\n') reader->at++;
    } else if (character == ' ' || character == '\t' || character == '\n' || character == '\r') {
      reader->at++;
    } else {
      return;
    }
  }
}

static struct image_text read_word(struct token_reader *reader) {
  const size_t start = reader->at;
  while (token_word_character(peek(reader, 0))) reader->at++;
  return (struct image_text){.at = reader->text + start, .length = (uint32_t)(reader->at - start)};
}

/* `.key` or `."odd key"`. */
static bool read_member(struct token_reader *reader, const struct token *token, struct reference_segment *segment) {
  reader->at++;
  segment->sort = SEGMENT_MEMBER;
  if (peek(reader, 0) == '"') {
    if (!token_read_string(reader, &segment->key)) return false;
  } else {
    const struct image_text word = read_word(reader);
    segment->key = region_image_text(reader->context->region, word.at, word.length);
  }
  if (segment->key.length) return true;
  expression_error(reader->context, reader->at, "a key must follow `%.*s.`", (int)token->word.length, token->word.at);
  return false;
}

/* `[3]` or `[*]`. */
static bool read_element(struct token_reader *reader, struct reference_segment *segment) {
  const size_t start = reader->at++;
  segment->sort = SEGMENT_EVERY;
  if (peek(reader, 0) == '*') {
    reader->at++;
  } else {
    segment->sort = SEGMENT_ELEMENT;
    for (; digit(peek(reader, 0)); reader->at++) {
      segment->element = segment->element * 10 + (uint32_t)(peek(reader, 0) - '0');
      if (segment->element <= REFERENCE_ELEMENT_MAX) continue;
      expression_error(reader->context, start, "an element is counted from [0] to [%u]", REFERENCE_ELEMENT_MAX);
      return false;
    }
  }
  if (peek(reader, 0) != ']' || reader->at == start + 1) {
    expression_error(reader->context, start, "an element is written [0], [1], ... and all of them [*]");
    return false;
  }
  reader->at++;
  return true;
}

/* The `.a.b[0]."c d"` behind a word. */
static bool read_segments(struct token_reader *reader, struct token *token) {
  struct reference_segment segments[REFERENCE_SEGMENTS_MAX] = {0};
  while (peek(reader, 0) == '.' || peek(reader, 0) == '[') {
    if (token->segment_count == REFERENCE_SEGMENTS_MAX) {
      expression_error(reader->context, token->offset, "a reference has at most %u parts", REFERENCE_SEGMENTS_MAX);
      return false;
    }
    struct reference_segment *segment = &segments[token->segment_count++];
    if (!(peek(reader, 0) == '.' ? read_member(reader, token, segment) : read_element(reader, segment))) return false;
  }
  const char odd = peek(reader, 0);
  if (odd != '\0' && strchr("-/:@$", odd) && !(odd == '/' && peek(reader, 1) == '/')) {
    expression_error(reader->context, reader->at, "a key with `%c` in it is quoted, as in %.*s.\"a%cb\"%s", odd,
                     (int)(token->word.length < 32 ? token->word.length : 32), token->word.at, odd,
                     strchr("-/", odd) ? "; arithmetic has a space before it" : "");
    return false;
  }
  struct reference_segment *copy = region_take(reader->context->region, token->segment_count * sizeof *copy);
  memcpy(copy, segments, token->segment_count * sizeof *copy);
  token->segments = copy;
  return true;
}

static void read_name(struct token_reader *reader, struct token *token) {
  token->word = read_word(reader);
  if (peek(reader, 0) == '.' || (peek(reader, 0) == '[' && reference_is_scope(token->word))) {
    token->kind = read_segments(reader, token) ? TOKEN_REFERENCE : TOKEN_BAD;
    return;
  }
  static const struct {
    const char *word;
    enum token_kind kind;
  } keywords[] = {{"and", TOKEN_AND}, {"or", TOKEN_OR}, {"not", TOKEN_NOT}, {"in", TOKEN_IN}};
  token->kind = TOKEN_WORD;
  for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
    if (image_text_is(token->word, keywords[i].word)) token->kind = keywords[i].kind;
  static const struct {
    const char *word;
    enum predicate_operation operation;
  } comparisons[] = {{"contains", PREDICATE_CONTAINS},
                     {"startsWith", PREDICATE_STARTS_WITH},
                     {"endsWith", PREDICATE_ENDS_WITH},
                     {"matches", PREDICATE_MATCHES}};
  for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++) {
    if (!image_text_is(token->word, comparisons[i].word)) continue;
    token->kind = TOKEN_COMPARISON;
    token->operation = comparisons[i].operation;
  }
  if (image_text_is(token->word, "true") || image_text_is(token->word, "false")) {
    token->kind = TOKEN_LITERAL;
    token->literal.value = (struct value){.type = VALUE_BOOL, .boolean = token->word.length == 4};
  }
}

static bool begins_with(const struct token_reader *reader, const char *symbol) {
  const size_t length = strlen(symbol);
  return length <= reader->length - reader->at && memcmp(reader->text + reader->at, symbol, length) == 0;
}

static void read_symbol(struct token_reader *reader, struct token *token) {
  /* Longest first. */
  static const struct {
    const char *symbol;
    enum trace_relation relation;
    bool negated;
  } relations[] = {
      {"!>>", RELATION_DESCENDANT, true}, {"!<<", RELATION_ANCESTOR, true},   {"!>", RELATION_CHILD, true},
      {"!<", RELATION_PARENT, true},      {">>", RELATION_DESCENDANT, false}, {"<<", RELATION_ANCESTOR, false},
      {"~", RELATION_SIBLING, false},
  };
  static const struct {
    const char *symbol;
    enum token_kind kind;
    enum predicate_operation operation;
  } symbols[] = {
      {"==", TOKEN_COMPARISON, PREDICATE_EQUAL},
      {"=~", TOKEN_COMPARISON, PREDICATE_MATCHES},
      {"!=", TOKEN_COMPARISON, PREDICATE_NOT_EQUAL},
      {"!~", TOKEN_COMPARISON, PREDICATE_NOT_MATCHES},
      {"<=", TOKEN_COMPARISON, PREDICATE_LESS_OR_EQUAL},
      {">=", TOKEN_COMPARISON, PREDICATE_GREATER_OR_EQUAL},
      {"&&", TOKEN_AND, 0},
      {"||", TOKEN_OR, 0},
      {"=", TOKEN_COMPARISON, PREDICATE_EQUAL},
      {"<", TOKEN_COMPARISON, PREDICATE_LESS},
      {">", TOKEN_COMPARISON, PREDICATE_GREATER},
      {"!", TOKEN_NOT, 0},
      {"(", TOKEN_OPEN, 0},
      {")", TOKEN_CLOSE, 0},
      {"{", TOKEN_OPEN_BRACE, 0},
      {"}", TOKEN_CLOSE_BRACE, 0},
      {"[", TOKEN_OPEN_BRACKET, 0},
      {"]", TOKEN_CLOSE_BRACKET, 0},
      {",", TOKEN_COMMA, 0},
      {"+", TOKEN_PLUS, 0},
      {"-", TOKEN_MINUS, 0},
      {"*", TOKEN_STAR, 0},
      {"/", TOKEN_SLASH, 0},
      {"%", TOKEN_PERCENT, 0},
  };
  for (size_t i = 0; i < sizeof relations / sizeof relations[0]; i++) {
    if (!begins_with(reader, relations[i].symbol)) continue;
    token->kind = TOKEN_RELATION;
    token->relation = relations[i].relation;
    token->negated = relations[i].negated;
    reader->at += strlen(relations[i].symbol);
    return;
  }
  for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
    if (!begins_with(reader, symbols[i].symbol)) continue;
    token->kind = symbols[i].kind;
    token->operation = symbols[i].operation;
    reader->at += strlen(symbols[i].symbol);
    return;
  }
  const char odd = peek(reader, 0);
  token->kind = TOKEN_BAD;
  if (odd == '&' || odd == '|')
    expression_error(reader->context, reader->at, "`%c` is no operator: use `%c%c`", odd, odd, odd);
  else if (odd == '\'')
    expression_error(reader->context, reader->at, "strings stand in double quotes: \"...\"");
  else if ((unsigned char)odd > ' ' && (unsigned char)odd < 0x7f)
    expression_error(reader->context, reader->at, "unexpected character `%c`", odd);
  else
    expression_error(reader->context, reader->at, "unexpected character (byte 0x%02x)", (unsigned char)odd);
}

struct token token_next(struct token_reader *reader) {
  skip_blanks(reader);
  struct token token = {.offset = reader->at};
  const char first = peek(reader, 0);
  if (reader->at == reader->length) {
    token.kind = TOKEN_END;
  } else if (first == '"') {
    token.kind = TOKEN_BAD;
    struct image_text string = {0};
    if (token_read_string(reader, &string)) {
      token.kind = TOKEN_LITERAL;
      token.literal.value = (struct value){.type = VALUE_STRING, .text = string.at, .length = string.length};
    }
  } else if (digit(first)) {
    token.kind = token_read_number(reader, &token.literal) ? TOKEN_LITERAL : TOKEN_BAD;
  } else if (token_word_character(first)) {
    read_name(reader, &token);
  } else {
    read_symbol(reader, &token);
  }
  token.length = reader->at - token.offset;
  token.literal.offset = token.offset;
  return token;
}
