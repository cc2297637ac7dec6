#pragma once
/* BeTrace's notation of rules, read into ours: each part becomes text that the usual parser reads, every piece of which knows
 * where it was written. So the trees are the same, whichever way a rule is written. */
#include "composed_text_internal.h"
#include "expression_token_internal.h"

struct betrace_rule {
  bool of_trace;                            /* else a condition on one span */
  bool has_always, has_never;               /* of a trace */
  struct composed_text when, always, never; /* a condition on one span stands in `when` */
};

/* `context` is that of the key it is written under. False when an error was added. */
bool betrace_read(const struct expression_context *context, struct betrace_rule *rule);
void betrace_rule_free(struct betrace_rule *rule);

enum betrace_token_kind {
  BETRACE_BAD, /* an error was added */
  BETRACE_END,
  BETRACE_WORD,
  BETRACE_STRING, /* word: decoded */
  BETRACE_NUMBER, /* or a duration */
  BETRACE_COMPARISON,
  BETRACE_SYMBOL, /* one of . ( ) { } [ ] , ! */
};

struct betrace_token {
  enum betrace_token_kind kind;
  size_t offset, length;
  struct image_text word;
  char symbol;
};

struct betrace_parser {
  const struct expression_context *context;
  struct token_reader reader;
  struct betrace_token token; /* the one not yet taken */
  struct composed_text *out;
  unsigned depth;
};

/* betrace_token.c */
void betrace_advance(struct betrace_parser *parser);
/* A copy that reads on and says nothing; the room behind it lives as long. */
struct betrace_quiet {
  struct rule_errors errors;
  struct expression_context context;
};
struct betrace_parser betrace_ahead(const struct betrace_parser *parser, struct betrace_quiet *quiet);
/* A name that trace.has() takes unquoted, with the odd characters that it allows. */
bool betrace_raw_name(struct betrace_parser *parser, struct image_text *name);
bool betrace_at_word(const struct betrace_parser *parser, const char *word);
bool betrace_at_symbol(const struct betrace_parser *parser, char symbol);
bool betrace_expected(struct betrace_parser *parser, const char *what);
bool betrace_take_symbol(struct betrace_parser *parser, char symbol, const char *what);
/* Appends what stands for the text at `offset`. */
void betrace_put(struct betrace_parser *parser, size_t offset, const char *text);
void betrace_put_string(struct betrace_parser *parser, size_t offset, struct image_text string);
void betrace_put_verbatim(struct betrace_parser *parser, size_t offset, size_t length);

/* betrace_value.c: what is compared and with what. */
/* A dotted name, its parts joined; it ends before `.where(`. `parts` has room for all. */
#define BETRACE_PARTS_MAX 32u
struct betrace_path {
  size_t offset;
  struct image_text parts[BETRACE_PARTS_MAX];
  uint32_t count;
};
bool betrace_read_path(struct betrace_parser *parser, struct betrace_path *path);
/* The first `count` parts joined by dots. */
struct image_text betrace_join(struct betrace_parser *parser, const struct betrace_path *path, uint32_t from, uint32_t count);
/* The rest of `attribute CMP value`, written with `spelling` for the attribute; a bare one when no comparison follows and `bare`
 * is allowed. `words` is the spelling of values that are bare words: as texts, or in lower case for kinds and statuses. */
enum betrace_words { BETRACE_WORDS_TEXT, BETRACE_WORDS_LOWER };
bool betrace_comparison(struct betrace_parser *parser, size_t offset, const char *spelling, enum betrace_words words, bool bare);
/* How an attribute of a span is spelled; in the region of the context. */
const char *betrace_attribute(struct betrace_parser *parser, struct image_text key);
/* and, or, not and parentheses round what `operand` reads. */
bool betrace_condition(struct betrace_parser *parser, bool (*operand)(struct betrace_parser *parser));
/* One operand of a condition on a trace, and of one on a span. */
bool betrace_trace_operand(struct betrace_parser *parser);
bool betrace_span_operand(struct betrace_parser *parser);
