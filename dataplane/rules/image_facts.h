#pragma once
/* Facts about the spans of one trace: the operands of trace rules beside selectors. Part of the image. */
#include "event.h"

#define IMAGE_FACTS_MAX 16384u
/* An operand of a trace program that is a fact: this and its index. */
#define PROGRAM_FACT 0x40000000u

/* What the right span is to the left one: `>`, `>>`, `<`, `<<`, `~`. */
enum trace_relation { RELATION_CHILD, RELATION_DESCENDANT, RELATION_PARENT, RELATION_ANCESTOR, RELATION_SIBLING };

enum trace_measure_kind {
  MEASURE_CONSTANT,
  MEASURE_COUNT,
  MEASURE_SUM,
  MEASURE_MINIMUM,
  MEASURE_MAXIMUM,
  MEASURE_AVERAGE,
  MEASURE_DURATION,   /* trace.duration: from the earliest start to the latest end */
  MEASURE_SPAN_COUNT, /* trace.span_count */
};

struct image_measure {
  uint8_t kind;      /* enum trace_measure_kind */
  uint16_t bit;      /* the selector, of what is measured over spans */
  uint16_t column;   /* of EVENT_SPAN: of sum, min, max, avg */
  uint32_t identity; /* of that column */
  struct value constant;
};

enum fact_sort { FACT_COMPARISON, FACT_ORDERED, FACT_RELATED };

struct image_fact {
  uint8_t sort;                 /* enum fact_sort */
  uint8_t operation;            /* FACT_COMPARISON: enum predicate_operation, up to PREDICATE_GREATER_OR_EQUAL */
  uint8_t relation;             /* FACT_RELATED: enum trace_relation */
  uint8_t negated;              /* truth, as the two below: `not followed by`, or the relation */
  uint8_t monotone;             /* once true, no further span changes that */
  uint8_t early;                /* monotone, and part of a rule that is judged at every span */
  uint16_t left_bit, right_bit; /* selectors: FACT_ORDERED, FACT_RELATED */
  struct image_measure left, right;
  uint64_t within_ns;        /* FACT_ORDERED; 0: without */
  uint32_t identity;         /* 1..: of its text, the same in every generation, never that of another */
  uint64_t since_generation; /* spans were kept for it from then on */
};

/* Numbers by selector bit: numbers[first[bit]] up to, without, numbers[first[bit + 1]]. */
struct image_fact_list {
  const uint32_t *first; /* one more than `bits` */
  const uint16_t *numbers;
  uint32_t count; /* of numbers */
};

struct image_story {
  const struct image_fact *facts;
  uint32_t fact_count;
  bool needed;                     /* some rule needs the spans of its trace */
  bool every_span;                 /* also those that met none of its selectors */
  uint32_t bits;                   /* of the lists below; higher bits have no numbers */
  const uint64_t *kept;            /* one bit a selector: those that are noted with a span */
  struct image_fact_list early;    /* facts that a span with this selector may make true at once */
  struct image_fact_list timed;    /* facts with `within` whose left selector this is */
  struct image_fact_list measured; /* columns whose values are kept of a span with it */
  struct image_fact_list within;   /* trace rules with `within` that have it in `when` */
  const uint16_t *early_of_all;    /* facts that any span may make true at once */
  uint32_t early_of_all_count;
  struct image_fact_list rules; /* by fact: the rules judged when it becomes true */
};
