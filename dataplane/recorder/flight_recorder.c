#include "flight_recorder.h"
#include "always_assert.h"
#include <string.h>

#define EVENT_WORDS 8
_Static_assert(sizeof(struct flight_event) == EVENT_WORDS * sizeof(uint64_t), "a slot holds an event");
_Static_assert(sizeof(struct flight_slot) == CACHE_LINE_BYTES, "no event shares a line");

struct flight_recorder *flight_recorder_create(struct arena *arena, const struct flight_config *config) {
  ALWAYS_ASSERT(config->events >= FLIGHT_EVENTS_MIN && config->events <= FLIGHT_EVENTS_MAX);
  ALWAYS_ASSERT((config->events & (config->events - 1)) == 0);
  struct flight_recorder *recorder = ARENA_NEW(arena, struct flight_recorder);
  if (!recorder) return NULL;
  recorder->slots = ARENA_ARRAY(arena, struct flight_slot, config->events);
  if (!recorder->slots) return NULL;
  recorder->mask = config->events - 1;
  recorder->sample_every = config->sample_every;
  recorder->shard = config->shard;
  recorder->random = 0x9e3779b97f4a7c15u * (config->shard + 1u);
  recorder->period = 1;
  flight_next_period(recorder);
  return recorder;
}

/* Periods vary around what is asked for, so that traffic with a period of its own is not always met at the same place. */
void flight_next_period(struct flight_recorder *recorder) {
  recorder->sampled_out += recorder->period - 1;
  recorder->random ^= recorder->random << 13;
  recorder->random ^= recorder->random >> 7;
  recorder->random ^= recorder->random << 17;
  recorder->period = recorder->sample_every ? 1 + recorder->random % (2ull * recorder->sample_every - 1) : UINT64_MAX;
  recorder->until_sample = recorder->period;
}

bool flight_admits(struct flight_recorder *recorder, enum flight_kind kind, uint64_t now_ns) {
  if (now_ns - recorder->tick_started_ns >= FLIGHT_TICK_NS) {
    recorder->tick_started_ns = now_ns;
    memset(recorder->spent, 0, sizeof recorder->spent);
  }
  if (recorder->spent[kind] >= FLIGHT_KIND_A_TICK) {
    recorder->skipped[kind]++;
    return false;
  }
  recorder->spent[kind]++;
  return true;
}

void flight_record(struct flight_recorder *recorder, const struct flight_event *event) {
  const uint64_t sequence = atomic_load_explicit(&recorder->written, memory_order_relaxed);
  struct flight_slot *slot = &recorder->slots[sequence & recorder->mask];
  const uint64_t about = (uint64_t)event->kind | (uint64_t)recorder->shard << 16 | (uint64_t)event->code << 32;
  atomic_store_explicit(&slot->words[0], 0, memory_order_relaxed);
  atomic_store_explicit(&slot->words[1], event->wall_ns, memory_order_release);
  atomic_store_explicit(&slot->words[2], about, memory_order_release);
  for (unsigned i = 0; i < FLIGHT_VALUES; i++) atomic_store_explicit(&slot->words[3 + i], event->values[i], memory_order_release);
  atomic_store_explicit(&slot->words[0], sequence + 1, memory_order_release);
  atomic_store_explicit(&recorder->written, sequence + 1, memory_order_release);
  recorder->recorded[event->kind]++;
}

void flight_read_counters(const struct flight_recorder *recorder, struct flight_counters *counters) {
  const struct flight_range range = flight_range(recorder);
  memcpy(counters->recorded, recorder->recorded, sizeof counters->recorded);
  memcpy(counters->skipped, recorder->skipped, sizeof counters->skipped);
  counters->sampled_out = recorder->sampled_out + recorder->period - recorder->until_sample;
  counters->overwritten = range.first;
  counters->capacity = recorder->mask + 1;
}

struct flight_range flight_range(const struct flight_recorder *recorder) {
  const uint64_t end = atomic_load_explicit(&recorder->written, memory_order_acquire);
  const uint64_t capacity = (uint64_t)recorder->mask + 1;
  return (struct flight_range){.first = end > capacity ? end - capacity : 0, .end = end};
}

bool flight_read(const struct flight_recorder *recorder, uint64_t sequence, struct flight_event *event) {
  const struct flight_slot *slot = &recorder->slots[sequence & recorder->mask];
  if (atomic_load_explicit(&slot->words[0], memory_order_acquire) != sequence + 1) return false;
  event->sequence = sequence;
  event->wall_ns = atomic_load_explicit(&slot->words[1], memory_order_acquire);
  const uint64_t about = atomic_load_explicit(&slot->words[2], memory_order_acquire);
  event->kind = (uint16_t)about;
  event->shard = (uint16_t)(about >> 16);
  event->code = (uint32_t)(about >> 32);
  for (unsigned i = 0; i < FLIGHT_VALUES; i++) event->values[i] = atomic_load_explicit(&slot->words[3 + i], memory_order_acquire);
  /* A word of a later event would have brought the loss of its number with it. */
  return atomic_load_explicit(&slot->words[0], memory_order_relaxed) == sequence + 1;
}
