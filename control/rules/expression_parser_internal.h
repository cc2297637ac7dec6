#pragma once
/* The parser at work. expression_parse.c has conditions on one event and the operators between operands, trace_parse.c the
 * operands of trace conditions. */
#include "expression_token_internal.h"

struct parser {
  const struct expression_context *context;
  struct token_reader reader;
  struct token token; /* the one not yet taken */
  bool of_trace;
  unsigned depth;
};

void parser_advance(struct parser *parser);
/* Says what was wanted instead of the token at hand; silent when the token itself was already complained about. NULL. */
void *parser_expected(struct parser *parser, const char *what);
/* False, and an error, when the nesting is at its bound; else the caller gives the level back. */
bool parser_deeper(struct parser *parser);
struct expression *parser_node(struct parser *parser, enum expression_node node);
struct expression *parser_negate(struct parser *parser, struct expression *operand);
/* Of an AND or OR whose operands are complete. */
void parser_set_stack_need(struct expression *parent);
/* A condition up to what cannot belong to it; of selectors when `of_trace`, else of predicates. */
struct expression *parser_condition(struct parser *parser);
/* One comparison of a single-event condition; NOT of one for `not in`. */
struct expression *parser_predicate(struct parser *parser);

/* trace_parse.c: an operand of a trace condition that is no group. */
struct expression *trace_parse_operand(struct parser *parser);
