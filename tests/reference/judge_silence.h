#pragma once
/* `suppress` of rules on traces: a key that fired is silent for a time. */
#include "judge_trace.h"
#include "judge_window.h"

struct silence {
  struct silence *next;
  unsigned rule;
  struct plain by[WINDOW_KEYS_MAX];
  uint64_t until_ns;   /* 0: it has not fired yet */
  uint64_t suppressed; /* since it fired */
};

/* Of the key that a verdict has, from the first span that met `when`. */
struct silence *silence_of(struct silence **all, struct trace_judge *judge, const struct trace_verdict *verdict);
bool silence_holds(const struct silence *silence, uint64_t now_ns);
/* The key fires. How many were kept silent before, as far as that is still known: -1 when it may be forgotten. */
int64_t silence_break(struct silence *silence, const struct window_shape *window, uint64_t now_ns);
