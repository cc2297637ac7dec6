#pragma once
/* How full one bounded resource is, as a state with hysteresis: a state is entered at its mark and left at a lower one, so that
 * what is done about it does not flap. Threads: the owner. */
#include <stdbool.h>
#include <stdint.h>

enum pressure { PRESSURE_NORMAL, PRESSURE_SOFT, PRESSURE_HARD, PRESSURES };

#define WATERMARK_PARTS 16u

/* In sixteenths of the capacity. A state is entered at its mark or above, and left at its release or below. */
struct watermark_marks {
  uint8_t soft, soft_release, hard, hard_release;
};

struct watermark {
  uint64_t used, capacity; /* when last looked at */
  uint64_t entered[PRESSURES];
  enum pressure state;
};

/* Returns whether the state has changed. A resource without capacity is never under pressure. */
bool watermark_update(struct watermark *watermark, const struct watermark_marks *marks, uint64_t used, uint64_t capacity);
const char *pressure_name(enum pressure state);
