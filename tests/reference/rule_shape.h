#pragma once
/* Rules as plain structures: made by rule_maker, spelled as YAML by rule_spelling, judged by judge_*. The product's own tree and
 * image are made from the YAML alone. */
#include "plain_value.h"
#include <stddef.h>

enum subject { SUBJECT_SPAN, SUBJECT_WEBHOOK, SUBJECT_ALERT, SUBJECTS };

enum reference_group { GROUP_INTRINSIC, GROUP_SPAN, GROUP_RESOURCE, GROUP_LABEL, GROUP_ANNOTATION, GROUP_BODY };
enum reference_sort {
  SORT_ANY,
  SORT_TEXT,
  SORT_HEXADECIMAL,
  SORT_KIND,
  SORT_STATUS,
  SORT_DURATION,
  SORT_BOOLEAN,
  SORT_TIME, /* start, end */
  SORT_TIME_OF_DAY,
  SORT_WEEKDAY,
};
#define PATH_MEMBERS 4

struct reference_fact {
  const char *spelling;
  enum reference_group group;
  enum reference_sort sort;
  unsigned subjects;              /* bits */
  const char *key;                /* attributes */
  const char *path[PATH_MEMBERS]; /* body; "[0]" and "[*]" are elements */
  bool of_elements, every;        /* into an array; with `[*]` somewhere */
};

enum {
  REF_NAME,
  REF_SERVICE,
  REF_KIND,
  REF_STATUS,
  REF_DURATION,
  REF_ROOT,
  REF_TRACE_ID,
  REF_SPAN_ID,
  REF_PARENT_ID,
  REF_START,
  REF_END,
  REF_TIME_OF_DAY,
  REF_WEEKDAY,
  REF_INTRINSICS, /* attributes from here on */
  REFERENCES_MAX = 64
};
extern const struct reference_fact reference_facts[];
/* Those into arrays stand behind all others. */
extern const unsigned reference_count, element_references_from;

enum term_kind { TERM_CONSTANT, TERM_REFERENCE, TERM_MINUS, TERM_OPERATION };

struct term {
  enum term_kind kind;
  char operation; /* + - * / % */
  unsigned reference;
  struct plain constant;
  const struct term *left, *right;
};

enum condition_kind {
  CONDITION_AND,
  CONDITION_OR,
  CONDITION_NOT,
  CONDITION_LITERAL, /* true, false */
  CONDITION_BARE,
  CONDITION_COMPARE,
  CONDITION_IN,
  CONDITION_MATCH,
  CONDITION_EXISTS, /* negative: `= null` */
  CONDITION_IN_CIDR,
  /* Of a trace: */
  CONDITION_SELECTOR,
  CONDITION_MEASURES, /* two measures compared */
  CONDITION_THEN,     /* left then right; negative: not followed by */
  CONDITION_RELATED,
};
enum relation { RELATED_CHILD, RELATED_DESCENDANT, RELATED_PARENT, RELATED_ANCESTOR, RELATED_SIBLING, RELATIONS };
enum measure_kind {
  MEASURED_CONSTANT,
  MEASURED_COUNT,
  MEASURED_SUM,
  MEASURED_LEAST,
  MEASURED_MOST,
  MEASURED_AVERAGE,
  MEASURED_DURATION,
  MEASURED_SPANS
};
enum comparison {
  COMPARE_EQUAL,
  COMPARE_NOT_EQUAL,
  COMPARE_LESS,
  COMPARE_LESS_EQUAL,
  COMPARE_GREATER,
  COMPARE_GREATER_EQUAL,
  COMPARE_CONTAINS,
  COMPARE_STARTS_WITH,
  COMPARE_ENDS_WITH,
  COMPARE_ORDERS = COMPARE_CONTAINS
};

struct condition;
struct measure {
  enum measure_kind kind;
  struct plain constant;
  const struct condition *selector;
  const struct term *value;
};

struct condition {
  enum condition_kind kind;
  const struct condition *left, *right; /* NOT and SELECTOR: left */
  enum comparison comparison;
  const struct term *a, *b; /* b is the right side */
  const struct plain *list;
  unsigned list_count;
  bool negative; /* not in, !~; and the truth of a LITERAL */
  const struct pattern *pattern;
  unsigned selector; /* SELECTOR: its number in the story */
  const struct measure *measures[2];
  enum relation relation;
  uint64_t within_ns; /* THEN; 0: without */
  uint8_t style;      /* picks among spellings that mean the same */
};

struct message_part {
  const char *literal; /* NULL: a reference */
  unsigned reference;
};
#define MESSAGE_PARTS_MAX 8

enum rule_subject { ON_SPAN, ON_WEBHOOK, ON_ALERT, ON_TRACE };

struct window_shape;     /* judge_window.h */
struct exceptions_shape; /* exception_shape.h */

struct shape_rule {
  char name[24];
  enum rule_subject on;
  const char *severity;                          /* NULL: not written */
  const char *timezone;                          /* NULL: UTC */
  const struct condition *condition;             /* one event */
  const struct condition *when, *always, *never; /* a trace */
  uint64_t within_ns;                            /* 0: without */
  const struct window_shape *window;             /* NULL: none */
  const struct exceptions_shape *exceptions;     /* NULL: none; the condition, or `when`, is what they make of it */
  uint8_t betrace; /* not 0: in BeTrace's notation, whose form can say it; its lowest bit picks among spellings */
  bool has_message, disabled, shadow;
  struct message_part message[MESSAGE_PARTS_MAX];
  unsigned message_parts;
};

static inline enum subject rule_subject_of(const struct shape_rule *rule) {
  return rule->on == ON_ALERT ? SUBJECT_ALERT : rule->on == ON_WEBHOOK ? SUBJECT_WEBHOOK : SUBJECT_SPAN;
}
