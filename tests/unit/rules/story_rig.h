#pragma once
/* The story of one trace, told span by span to the real thing. A span meets the selectors of its letters: {name = "a"} to
 * {name = "h"}. Written as `ab3<1@40=7`: letters, id, and if they are there its parent, start and `span.v`. */
#include "cmocka_test.h"
#include "heap_arena.h"
#include "rule_set.h"
#include "rules_internal.h"
#include "trace_story_internal.h"

#define TALE_LETTERS 8u
#define TALE_SPANS_MAX 64u
#define TALE_TRACE 3u

struct tale_span {
  uint8_t letters; /* one bit each */
  bool has_value;
  uint64_t id, parent; /* 0: none */
  uint64_t start_ns, end_ns;
  struct value value;
};

struct tale {
  struct heap_arena *heap;
  struct trace_story *story;
  struct story_counters counters;
  struct rule_image *image;
  uint16_t bits[TALE_LETTERS];
  uint32_t value_identity;
  uint8_t met; /* letters */
  uint64_t now_ns;
};

/* `rules`: YAML of rules named r0, r1, ...; as a trace rule each may use the letters. */
void tale_open(struct tale *tale, const char *rules, uint64_t tolerance_ns, uint32_t lines, uint32_t steps);
void tale_close(struct tale *tale);
/* Forgets what was told. */
void tale_restart(struct tale *tale);
/* How many were read. */
uint32_t tale_read(const char *text, struct tale_span spans[TALE_SPANS_MAX]);
/* Of the trace at hand, arriving now. False: it was told before. */
bool tale_tell(struct tale *tale, const struct tale_span *span);
bool tale_tell_of(struct tale *tale, uint32_t trace, const struct tale_span *span);
const struct image_rule *tale_rule(const struct tale *tale, uint32_t number);
bool tale_breaks(struct tale *tale, enum story_moment moment, uint32_t number);
/* Rules broken by the time that has passed: one bit each. */
uint32_t tale_mature(struct tale *tale);
