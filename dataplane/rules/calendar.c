#include "rules_internal.h"

#define NS_PER_S 1000000000
#define S_PER_DAY 86400

static const char *const weekdays[] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};
#define WEEKDAY_OF_EPOCH 3 /* 1970-01-01 was a Thursday */

/* The last change that is not after `at_s`; spans of a batch are of about one time, so that the one before mostly is it. */
static uint32_t change_at(const struct image_zone *zone, int64_t at_s, uint32_t before) {
  const struct image_zone_change *changes = zone->changes;
  if (changes[before].from_s <= at_s && (before + 1 == zone->change_count || changes[before + 1].from_s > at_s)) return before;
  uint32_t low = 0, high = zone->change_count;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (changes[middle].from_s <= at_s)
      low = middle;
    else
      high = middle;
  }
  return low;
}

void calendar_fill(struct event_batch *batch, int slot) {
  const struct image_column *column = &batch->image->kinds[batch->kind].columns[slot];
  const struct image_zone *zone = &batch->image->zones[column->zone];
  const bool weekday = column->intrinsic == INTRINSIC_WEEKDAY;
  uint32_t change = 0, ids[7] = {0};
  struct value words[7];
  for (unsigned day = 0; day < 7 && weekday; day++) {
    words[day] = (struct value){.text = weekdays[day], .length = (uint32_t)strlen(weekdays[day]), .type = VALUE_STRING};
    ids[day] = event_batch_intern(batch, slot, &words[day]);
  }
  uint64_t present = 0;
  for (uint32_t row = 0; row < batch->count; row++) {
    const uint64_t start_ns = batch->fields[row].start_ns;
    const size_t cell = (size_t)slot * EVENT_BATCH_ROWS + row;
    if (start_ns > INT64_MAX) continue;
    change = change_at(zone, (int64_t)(start_ns / NS_PER_S), change);
    const int64_t local_s = (int64_t)(start_ns / NS_PER_S) + zone->changes[change].offset_s;
    const int64_t since_midnight_s = ((local_s % S_PER_DAY) + S_PER_DAY) % S_PER_DAY;
    const int64_t days = (local_s - since_midnight_s) / S_PER_DAY;
    const unsigned day = (unsigned)(((days + WEEKDAY_OF_EPOCH) % 7 + 7) % 7);
    batch->columns[cell] =
        weekday ? words[day]
                : (struct value){.integer = since_midnight_s * NS_PER_S + (int64_t)(start_ns % NS_PER_S), .type = VALUE_INTEGER};
    batch->interned[cell] = weekday ? ids[day] : 0;
    present |= 1ull << row;
  }
  batch->present[slot] = present;
}
