#pragma once
/* The expression language: text to a checked tree. A tree is immutable, lives in the region of its rule and points to nothing
 * outside it. */
#include "region_internal.h"
#include "rule_source_internal.h"

#define EXPRESSION_BYTES_MAX 65536u
#define EXPRESSION_DEPTH_MAX 64u
#define TRACE_WITHIN_NS_MAX 86400000000000
#define REFERENCE_KEY_BYTES_MAX 256u
#define REFERENCE_SEGMENTS_MAX 32u
#define REFERENCE_ELEMENT_MAX 65535u
#define VALUE_OPERATIONS_MAX 64u /* of arithmetic in one value: it is never deeper than that */

struct shared_names;
struct composed_text;

/* What an expression is about and where its errors go. */
struct expression_context {
  struct region *region;
  enum rule_on on;
  bool on_known; /* false: `on:` itself was wrong, scopes are not judged */
  struct rule_errors *errors;
  struct rule_source *source;
  const struct source_scalar *scalar;
  struct shared_names *shared;          /* macros and lists of the load; NULL: none */
  const struct composed_text *composed; /* what the scalar was put together from; NULL: it is as written */
  struct image_text zone;               /* of the rule; empty: UTC */
  const struct rule_window *window;     /* of a message: that of its rule; NULL: none */
};

void expression_error(const struct expression_context *context, size_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum reference_type {
  REFERENCE_ANY, /* an attribute: its type is known only when it arrives */
  REFERENCE_TEXT,
  REFERENCE_HEXADECIMAL,
  REFERENCE_KIND,
  REFERENCE_STATUS,
  REFERENCE_DURATION,
  REFERENCE_BOOLEAN,
  REFERENCE_NUMBER, /* arithmetic; start and end */
  REFERENCE_TIME_OF_DAY,
  REFERENCE_WEEKDAY,
};

/* A part of a reference: `.key`, and of a body path `[3]` or `[*]`. */
struct reference_segment {
  enum { SEGMENT_MEMBER, SEGMENT_ELEMENT, SEGMENT_EVERY } sort;
  uint32_t element;
  struct image_text key;
};

struct literal {
  struct value value;  /* a bare word has type VALUE_STRING and `word` */
  bool word, duration; /* `duration`: written with a unit, or as a time of day */
  size_t offset;
};

/* One value of an expression: arithmetic, a bare reference or a constant. What is no constant becomes a column. */
struct operand {
  const struct reference *reference; /* NULL: a constant */
  struct literal *literal;           /* of this expression alone */
  size_t offset;
};

struct arithmetic {
  enum column_computation computation;
  struct operand left, right; /* not both constants: those are folded; COMPUTE_NEGATE has only the right */
  uint32_t operations;        /* in it and below */
};

struct reference {
  enum column_scope scope;
  enum intrinsic intrinsic; /* SCOPE_INTRINSIC */
  enum reference_type type;
  struct image_text zone;              /* of time_of_day and weekday; empty: UTC */
  bool every;                          /* a body path with `[*]`: it has as many values as there are elements */
  const struct arithmetic *arithmetic; /* SCOPE_COMPUTED; all below is empty then */
  struct image_text key;               /* SCOPE_BODY: the path joined by dots; as spelled when it has elements */
  const struct reference_segment *segments;
  uint32_t segment_count;
  struct image_text spelling; /* canonical; see reference_print */
};

enum expression_node {
  NODE_AND,
  NODE_OR,
  NODE_NOT,
  NODE_PREDICATE,
  NODE_SELECTOR,
  /* Facts about a trace: their operands are the selectors in them, from left to right. */
  NODE_AGGREGATE, /* count({A}) > 3 */
  NODE_ORDERED,   /* {A} then {B} within 2s */
  NODE_RELATED,   /* {A} >> {B} */
};

struct trace_measure {
  enum trace_measure_kind kind;
  const struct expression *selector; /* of an aggregate; also an operand of the node */
  const struct reference *value;     /* of sum, min, max, avg */
  struct literal constant;           /* MEASURE_CONSTANT */
};

struct trace_fact {
  struct trace_measure left, right; /* NODE_AGGREGATE; a constant is on the right */
  int64_t within_ns;                /* NODE_ORDERED; 0: without */
  enum trace_relation relation;     /* NODE_RELATED */
  bool negated;                     /* `not followed by`, or the relation */
};

/* AND and OR have two or more operands (none of them of the same node), NOT and SELECTOR one: so a tree is never deeper than the
 * nesting of its text, however long that is. */
struct expression {
  enum expression_node node;
  struct expression *first, *next;
  uint32_t stack_need;                /* operands a program of it has on the stack at most */
  enum predicate_operation operation; /* NODE_PREDICATE, and below */
  const struct reference *reference;  /* left side; NULL for PREDICATE_CONSTANT */
  const struct reference *right;      /* right side when that is no constant; there are no literals then */
  const struct literal *literals;     /* one; for PREDICATE_IN and PREDICATE_IN_NETWORKS the list */
  uint32_t literal_count;
  struct image_text selector_text;     /* NODE_SELECTOR: canonical, without the braces */
  struct image_text selector_identity; /* and with the rule's time zone when it depends on that: equal = same selector */
  const struct trace_fact *fact;       /* NODE_AGGREGATE (with `operation`), NODE_ORDERED, NODE_RELATED */
};

static inline bool expression_is_fact(const struct expression *expression) { return expression->node >= NODE_AGGREGATE; }

/* `if:` when not `of_trace`: predicates, braces round the whole allowed. Else a condition over selectors. NULL when an error was
 * added. */
struct expression *expression_parse(const struct expression_context *context, bool of_trace);
/* The same with macros and lists in their places, and of a text that has been put together already. */
struct expression *expression_parse_expanded(const struct expression_context *context, bool of_trace);
struct expression *expression_parse_composed(const struct expression_context *context, const struct composed_text *composed,
                                             bool of_trace);
/* True when the predicate makes sense; else an error was added. Normalises literals (case of ids, kind words to text). */
bool predicate_check(const struct expression_context *context, struct expression *predicate, size_t operation_offset);
/* The arithmetic of two operands (COMPUTE_NEGATE: of the right), folded when both are constants. False when an error was added.
 */
bool arithmetic_make(const struct expression_context *context, enum column_computation computation, size_t offset,
                     const struct operand *left, const struct operand *right, struct operand *made);
/* An address, or one and the bits of its prefix. NULL, or why it is none. */
const char *network_read(struct image_text text, struct image_network *network);
/* Any regular expression Hyperscan takes and that is not a bomb. */
bool pattern_check(const struct expression_context *context, const struct literal *literal);
/* How far bounded repeats blow a pattern up; the cost of compiling it follows from that. */
uint32_t pattern_expansion(struct image_text pattern);

/* A comparison of two measures, the constant brought to the right, with `operation_offset` for errors. Takes over the selectors.
 * NULL when an error was added. For every front end that counts spans. */
struct expression *trace_comparison_make(const struct expression_context *context, const struct trace_measure *left,
                                         enum predicate_operation operation, const struct trace_measure *right,
                                         size_t operation_offset);
/* A selector of a condition on one span. */
struct expression *trace_selector_make(const struct expression_context *context, struct expression *condition);
/* A positive duration, as behind `within`. False when an error was added. */
bool trace_within_check(const struct expression_context *context, const struct literal *literal);
/* A selector of the fact that some span meets whenever the fact holds; NULL: none does. */
const struct expression *trace_fact_key(const struct expression *fact);
/* Whether a span can meet it: it has a selector that is not negated. */
bool trace_has_anchor(const struct expression *when);
/* The same as the whole text of the rule's key. */
bool trace_within_read(const struct expression_context *context, int64_t *within_ns);

struct growing_text;
/* Of NODE_AGGREGATE, NODE_ORDERED, NODE_RELATED. */
void trace_fact_print(const struct expression *expression, struct growing_text *out);
void trace_within_print(int64_t within_ns, struct growing_text *out);
/* Canonical text: parses back to an equal tree, and is never nested deeper than the text it came from. */
void expression_print(const struct expression *expression, struct growing_text *out);
/* Of arithmetic too, in as few parentheses as it needs. */
void reference_print(const struct reference *reference, struct growing_text *out);
/* The same with the time zone behind what depends on it: within one rule set, equal text = same column. */
void reference_print_zoned(const struct reference *reference, struct growing_text *out);
void operand_print(const struct operand *operand, struct growing_text *out);
void expression_print_string(struct image_text text, struct growing_text *out);
/* Value and type alone: equal for `2s` and `2000ms`. */
void literal_print(const struct literal *literal, const struct reference *reference, struct growing_text *out);

/* From the parts of a reference as written: scope word (empty for an intrinsic) and segments. NULL when an error was added. */
const struct reference *reference_make(const struct expression_context *context, size_t offset, struct image_text head,
                                       const struct reference_segment *segments, uint32_t segment_count);
/* The start of a reference's text, for an error. */
#define REFERENCE_SHOWN_BYTES 68u
void reference_show(const struct reference *reference, char shown[REFERENCE_SHOWN_BYTES]);
static inline bool reference_is_calendar(const struct reference *reference) {
  return reference->type == REFERENCE_TIME_OF_DAY || reference->type == REFERENCE_WEEKDAY;
}
const char *reference_type_name(enum reference_type type);
bool reference_is_numeric(enum reference_type type);
const char *literal_name(const struct literal *literal);
bool reference_is_intrinsic(struct image_text word);
bool reference_is_scope(struct image_text word);

/* The member of `words` (NULL-terminated) that `word` is most likely a slip of, or NULL. */
const char *suggest(struct image_text word, const char *const *words);

struct message_part {
  struct image_text literal;         /* when `reference` is NULL and there is no `of_window` */
  const struct reference *reference; /* else */
  int32_t of_window;                 /* IMAGE_MESSAGE_VALUE or IMAGE_MESSAGE_COUNT; 0: neither */
};

/* Parts of a message template. False when an error was added. */
bool message_parse(const struct expression_context *context, const struct message_part **parts, uint32_t *part_count);

static inline bool image_text_is(struct image_text text, const char *string) {
  return __builtin_strlen(string) == text.length && __builtin_memcmp(text.at, string, text.length) == 0;
}
