#pragma once
/* Window rules, judged with every event kept. Time is cut into steps of a sixtieth of the window (a twelfth for quantiles), the
 * same for all; at any instant a window holds the newest so many of them. */
#include "judge_condition.h"

enum window_measure {
  WINDOWED_COUNT,
  WINDOWED_RATE,
  WINDOWED_SUM,
  WINDOWED_AVERAGE,
  WINDOWED_LEAST,
  WINDOWED_MOST,
  WINDOWED_QUANTILE,
  WINDOWED_DISTINCT,
  WINDOWED_ABSENT,
  WINDOWED_THRESHOLD, /* a count whose violation is the event's */
  WINDOWED_SUPPRESS,  /* each event fires, but not in the silence after one that did */
};
#define WINDOW_KEYS_MAX 3

struct window_shape {
  enum window_measure measure;
  bool change;
  const struct term *value;
  const char *quantile; /* p50 */
  unsigned by[WINDOW_KEYS_MAX], by_count;
  uint64_t over_ns, for_ns, repeat_ns; /* suppress: over is how long */
  enum comparison comparison;
  struct plain limit;
};

struct window_event {
  uint64_t step;
  struct plain value;
};

struct window_key {
  struct window_key *next;
  unsigned rule;
  struct plain by[WINDOW_KEYS_MAX];
  struct window_event *events;
  unsigned event_count, event_capacity;
  bool holds, fired;
  uint64_t since_ns, silent_until_ns, now_ns, arrival_ns;
};

struct window_verdict {
  struct window_verdict *next;
  unsigned rule;
  const struct window_key *key;
  struct plain value;
  unsigned count;
  const struct sample *sample; /* whose violation it is; NULL: the key's */
  bool matched;
};

struct window_judge {
  struct judge judge;
  struct yard *yard;
  const struct shape_rule *const *rules;
  unsigned rule_count;
  const bool *dropped;
  struct window_key *keys;
  struct window_verdict *verdicts;
  uint64_t judged, fired;
};

/* Absence without a key is judged from here on. */
void window_judge_start(struct window_judge *judge, uint64_t now_ns);
/* An event that met the rule's condition reaches the owner of its key. */
void window_judge_event(struct window_judge *judge, unsigned rule, const struct sample *sample, uint64_t arrival_ns);
void window_judge_tick(struct window_judge *judge, uint64_t now_ns);
