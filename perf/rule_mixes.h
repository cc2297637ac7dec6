#pragma once
/* Rule sets of any size in several mixes, the spans they are about, and a naive judge: rule by rule, span by span, comparing
 * strings. Threads: one. */
#include "event.h"
#include <stdbool.h>
#include <stdint.h>

#define MIX_ATTRIBUTES 100
#define MIX_SPANS 2048
#define MIX_TESTS_MAX 4

/* A reference: an intrinsic, or attribute `span.aN` for MIX_ATTRIBUTE + N. */
enum mix_reference { MIX_NAME, MIX_SERVICE, MIX_DURATION, MIX_ATTRIBUTE };
enum mix_operation { MIX_EQUAL, MIX_NOT_EQUAL, MIX_ABOVE, MIX_EQUAL_NUMBER, MIX_CONTAINS, MIX_BEGINS };

struct mix_test {
  uint16_t reference;
  uint8_t operation; /* enum mix_operation; MIX_BEGINS is a regular expression */
  bool negated;
  char text[24];
  int64_t number;
};

struct mix_rule {
  struct mix_test tests[MIX_TESTS_MAX]; /* joined by && */
  uint32_t count;
  bool either; /* but the first two by || */
  bool trace;  /* when a span of a trace is so, always one that never is: a violation for each, where each has its own trace */
};

struct mix_value {
  bool is_text, present;
  char text[24];
  uint32_t length;
  int64_t number;
};

struct mix_span {
  struct mix_value values[MIX_ATTRIBUTE + MIX_ATTRIBUTES];
  uint16_t present[16]; /* the attributes it has, from 0 */
  uint32_t present_count;
};

struct mix {
  const char *name;
  void (*make_rule)(struct mix_rule *rule, uint32_t number, uint32_t rules);
  /* `lucky`: one rule is true of the span, where the mix can tell; else none is. */
  void (*make_span)(struct mix_span *span, uint32_t number, uint32_t rules, bool lucky);
};

#define MIXES 8
extern const struct mix mixes[MIXES];

/* Malloc'd. */
char *mix_text(const struct mix_rule *rules, uint32_t count);
uint64_t mix_naive(const struct mix_rule *rules, uint32_t count, const struct mix_span *spans, uint32_t span_count);

/* The slots of the attributes in an image, and 64 spans into an empty batch of it. */
void mix_slots(const struct rule_image *image, int slots[MIX_ATTRIBUTES]);
void mix_fill(struct event_batch *batch, const struct mix_span *from, const int slots[MIX_ATTRIBUTES]);
