#pragma once
/* The parser of expressions, shared by its files: conditions (expression_parse.c) and values (expression_value.c) are one grammar
 * of precedence, as a parenthesis may begin either; trace_parse.c has the operands of trace conditions. Recursion is as deep as
 * `depth`, which is bounded. */
#include "expression_token_internal.h"

struct parser {
  const struct expression_context *context;
  struct token_reader reader;
  struct token token; /* the one not yet taken */
  bool of_trace;      /* operands are selectors, not comparisons */
  unsigned depth;
  size_t shared_level; /* a parenthesis here is of the level that the `!` or `-` before it took */
};

/* What a parenthesis may hold: a condition, or a value that has yet to become one. */
struct term {
  struct expression *condition; /* NULL: the value */
  struct operand value;
};

void parser_begin(struct parser *parser, const struct expression_context *context, bool of_trace);
void parser_advance(struct parser *parser);
/* Says what was wanted instead of the token at hand; silent when the token itself was already complained about. NULL. */
void *parser_expected(struct parser *parser, const char *what);
/* Takes a level of nesting; false and an error when there is none left. The caller gives it back. */
bool parser_deeper(struct parser *parser);
/* The same for a prefix operator; a parenthesis at the token at hand then takes none: canonical text writes !(...) and -(...)
 * where the source may have had no parenthesis. */
bool parser_deeper_shared(struct parser *parser);
struct expression *parser_node(struct parser *parser, enum expression_node node);
struct expression *parser_negate(struct parser *parser, struct expression *operand);
/* Of an AND or OR whose operands are complete. */
void parser_set_stack_need(struct expression *parent);
bool parser_at_word(const struct parser *parser, const char *word);
/* A literal with its sign, or a bare word. False: something else, and nothing was taken. */
bool parser_at_constant(const struct parser *parser);
/* NULL when an error was added. */
struct literal *parser_take_constant(struct parser *parser);

/* A condition up to what cannot belong to it; of selectors when `of_trace`, else of predicates. NULL when an error was added. */
struct expression *parser_condition(struct parser *parser);
/* One comparison of a single-event condition; NOT of one for `not in`. */
struct expression *parser_predicate(struct parser *parser);
/* trace_parse.c: an operand of a trace condition that is no group. */
struct expression *trace_parse_operand(struct parser *parser);

bool parse_or(struct parser *parser, struct term *term);
/* From an open parenthesis to its closing one. */
bool parse_group(struct parser *parser, struct term *term);
/* `what`: as the error calls what was expected first. */
bool parse_sum(struct parser *parser, const char *what, struct term *term);
/* One value and no condition, up to the first token that cannot go on with it. */
bool parse_value(struct parser *parser, struct operand *value);
