#include "watermark.h"
#include "always_assert.h"

static bool at_or_above(uint64_t used, uint64_t capacity, uint8_t mark) {
  return used && used * WATERMARK_PARTS >= capacity * mark;
}
static bool above(uint64_t used, uint64_t capacity, uint8_t mark) { return used * WATERMARK_PARTS > capacity * mark; }

static enum pressure state_of(const struct watermark *watermark, const struct watermark_marks *marks) {
  const uint64_t used = watermark->used, capacity = watermark->capacity;
  if (capacity == 0) return PRESSURE_NORMAL;
  if (at_or_above(used, capacity, marks->hard)) return PRESSURE_HARD;
  if (watermark->state == PRESSURE_HARD && above(used, capacity, marks->hard_release)) return PRESSURE_HARD;
  if (at_or_above(used, capacity, marks->soft)) return PRESSURE_SOFT;
  if (watermark->state != PRESSURE_NORMAL && above(used, capacity, marks->soft_release)) return PRESSURE_SOFT;
  return PRESSURE_NORMAL;
}

bool watermark_update(struct watermark *watermark, const struct watermark_marks *marks, uint64_t used, uint64_t capacity) {
  ALWAYS_ASSERT(marks->soft_release < marks->soft && marks->soft <= marks->hard && marks->hard <= WATERMARK_PARTS);
  ALWAYS_ASSERT(marks->hard_release < marks->hard && marks->soft_release <= marks->hard_release);
  watermark->used = used;
  watermark->capacity = capacity;
  const enum pressure state = state_of(watermark, marks);
  if (state == watermark->state) return false;
  watermark->state = state;
  watermark->entered[state]++;
  return true;
}

const char *pressure_name(enum pressure state) {
  static const char *const names[PRESSURES] = {"normal", "soft", "hard"};
  ALWAYS_ASSERT(state < PRESSURES);
  return names[state];
}
