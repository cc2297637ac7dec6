#include "judge_silence.h"
#include <string.h>

static bool same_value(const struct plain *a, const struct plain *b) {
  return plain_equal(a, b) || (a->type == PLAIN_NULL && b->type == PLAIN_NULL);
}

struct silence *silence_of(struct silence **all, struct trace_judge *judge, const struct trace_verdict *verdict) {
  const struct window_shape *window = judge->story->rules[verdict->rule].shape->window;
  struct plain by[WINDOW_KEYS_MAX] = {{.type = PLAIN_NULL}};
  for (unsigned i = 0; i < window->by_count && verdict->first; i++)
    by[i] = judge_read(&judge->judge, verdict->first, window->by[i]);
  for (struct silence *silence = *all; silence; silence = silence->next) {
    bool same = silence->rule == verdict->rule;
    for (unsigned i = 0; i < WINDOW_KEYS_MAX && same; i++) same = same_value(&silence->by[i], &by[i]);
    if (same) return silence;
  }
  struct silence *made = YARD_NEW(judge->yard, struct silence);
  *made = (struct silence){.next = *all, .rule = verdict->rule};
  memcpy(made->by, by, sizeof by);
  *all = made;
  return made;
}

bool silence_holds(const struct silence *silence, uint64_t now_ns) { return now_ns < silence->until_ns; }

int64_t silence_break(struct silence *silence, const struct window_shape *window, uint64_t now_ns) {
  const bool known = now_ns < silence->until_ns + window->over_ns;
  const int64_t suppressed = silence->suppressed == 0 ? 0 : known ? (int64_t)silence->suppressed : -1;
  silence->until_ns = now_ns + window->over_ns;
  silence->suppressed = 0;
  return suppressed;
}
