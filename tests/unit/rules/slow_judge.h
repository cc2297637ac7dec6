#pragma once
/* The slow judge of trace rules: random rules, as text and as trees, and one trace at a time remembered span by span. */
#include "engine_rig.h"

#define SLOW_NODES_MAX 64
#define SLOW_SPANS_MAX 256

enum slow_kind { SLOW_SELECTOR, SLOW_AND, SLOW_OR, SLOW_NOT };
enum slow_test { SLOW_NAME, SLOW_ERROR, SLOW_AMOUNT_IS, SLOW_AMOUNT_ABOVE, SLOW_TESTS };

struct slow_condition { /* a tree in an array; its root is the last node */
  struct {
    enum slow_kind kind;
    enum slow_test test;
    int64_t constant;
    unsigned left, right;
  } nodes[SLOW_NODES_MAX];
  unsigned count; /* 0: absent */
};

struct slow_rule {
  struct slow_condition when, always, never;
};

struct slow_rules {
  struct slow_rule *rules;
  unsigned count;
};

enum slow_state { SLOW_UNKNOWN, SLOW_LIVE, SLOW_REMEMBERED };

struct slow_trace {
  enum slow_state state;
  struct rig_span spans[SLOW_SPANS_MAX];
  unsigned span_count; /* those sent again too */
  uint64_t opened_ns, arrival_ns, root_ns, completed_ns;
  uint8_t *raised;    /* by rule */
  uint32_t *expected; /* violations so far, by rule */
};

/* `constants`: how many different amounts there are to compare with. */
void slow_rules_make(struct slow_rules *rules, unsigned count, int64_t constants, unsigned *random);
void slow_rules_free(struct slow_rules *rules);
/* YAML items, each name with this letter before its number; appended to `end`, which is returned. */
char *slow_rules_print(const struct slow_rules *rules, char letter, char *end);

void slow_trace_open(struct slow_trace *trace, const struct slow_rules *rules);
void slow_trace_close(struct slow_trace *trace);
/* A span arrives, once those due have been completed. Returns why the trace is complete by it, or TRACE_COMPLETIONS. */
enum trace_completion slow_trace_add(struct slow_trace *trace, const struct slow_rules *rules, const struct rig_span *span,
                                     const struct trace_limits *limits, uint64_t now_ns);
/* What is remembered for long enough is not remembered any more. */
void slow_trace_forget(struct slow_trace *trace, uint64_t now_ns);
/* Time has passed. Returns why the trace is complete, or TRACE_COMPLETIONS. */
enum trace_completion slow_trace_pass(struct slow_trace *trace, const struct slow_rules *rules, const struct trace_limits *limits,
                                      uint64_t idle_ns, uint64_t now_ns);
