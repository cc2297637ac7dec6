#pragma once
/* A window rule judged the slow way: every event is kept, and at every step's beginning and every event the window is counted
 * anew. Exact, but for time, which is cut into the same steps. */
#include "image.h"
#include <stdbool.h>
#include <stdint.h>

#define MODEL_EVENTS_MAX 4096
#define MODEL_FIRINGS_MAX 1024
#define MODEL_KEYS 4

struct model_event {
  uint64_t arrival_ns;
  uint32_t key;
  bool has_value;
  double value;
};

struct model_firing {
  uint64_t at_ns;
  uint32_t key;
  uint64_t events;
  double value;
};

struct model {
  const struct image_window *window; /* of the image under test: its numbers, not its code */
  struct model_event events[MODEL_EVENTS_MAX];
  uint32_t event_count;
  struct model_firing firings[MODEL_FIRINGS_MAX];
  uint32_t firing_count;
  double nearest; /* how near, relatively, a value came to the limit: what is inexact may judge it otherwise */
};

/* From the events, which are in order, the firings up to `end_ns`, in order. */
void model_run(struct model *model, uint64_t end_ns);
