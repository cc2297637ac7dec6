#include "always_assert.h"
#include "trace_table_internal.h"
#include <string.h>

static struct trace *at(struct trace_table *table, uint32_t number) { return &table->traces[number]; }

static bool create_pools(struct trace_table *table, struct arena *arena, const struct trace_table_sizes *sizes) {
  table->spills = ARENA_ARRAY(arena, struct trace_spill, sizes->spills);
  table->captures = ARENA_ARRAY(arena, struct trace_capture, sizes->captures);
  table->free_spills = table->free_captures = TRACE_NONE;
  if (!table->spills || !table->captures) return false;
  for (uint32_t i = sizes->spills; i-- > 0;) {
    table->spills[i].next = table->free_spills;
    table->free_spills = i;
  }
  for (uint32_t i = sizes->captures; i-- > 0;) {
    table->captures[i].next = table->free_captures;
    table->free_captures = i;
  }
  return true;
}

bool trace_table_create(struct trace_table *table, struct arena *arena, const struct trace_table_sizes *sizes, uint64_t now_ns) {
  uint32_t slots = 32;
  while (slots < 2 * sizes->traces) slots *= 2;
  *table = (struct trace_table){.slot_mask = slots - 1,
                                .capacity = sizes->traces,
                                .idle_ns = sizes->idle_ns,
                                .free_traces = TRACE_NONE,
                                .retry = TRACE_NONE};
  table->traces = ARENA_ARRAY(arena, struct trace, sizes->traces);
  table->findings = ARENA_ARRAY(arena, struct trace_findings, sizes->traces);
  table->links = ARENA_ARRAY(arena, struct trace_links, sizes->traces);
  table->slots = ARENA_ARRAY(arena, struct trace_slot, slots);
  table->wheel = ARENA_NEW(arena, struct trace_wheel);
  if (!table->traces || !table->findings || !table->links || !table->slots || !table->wheel) return false;
  memset(table->slots, 0xff, (size_t)slots * sizeof *table->slots);
  memset(table->wheel->heads, 0xff, sizeof table->wheel->heads);
  table->wheel->tick = now_ns >> WHEEL_TICK_BITS;
  for (uint32_t i = sizes->traces; i-- > 0;) {
    table->links[i].newer = table->free_traces;
    table->free_traces = i;
  }
  table->remembered.oldest = table->remembered.newest = TRACE_NONE;
  return create_pools(table, arena, sizes);
}

void trace_table_expect_slot(const struct trace_table *table, const struct span_digest *digest) {
  __builtin_prefetch(&table->slots[digest->header.reserved & table->slot_mask]);
}

/* Slots of other traces before it in its run are few, and mostly in the same line. */
void trace_table_expect_trace(const struct trace_table *table, const struct span_digest *digest) {
  const uint32_t hash = digest->header.reserved;
  for (uint32_t slot = hash & table->slot_mask; table->slots[slot].number != TRACE_NONE; slot = (slot + 1) & table->slot_mask) {
    if (table->slots[slot].hash != hash) continue;
    __builtin_prefetch(&table->traces[table->slots[slot].number], 1);
    if (digest->selector_count) __builtin_prefetch(&table->findings[table->slots[slot].number], 1);
    return;
  }
}

struct trace *trace_find(struct trace_table *table, const uint8_t trace_id[16], uint32_t hash) {
  for (uint32_t slot = hash & table->slot_mask; table->slots[slot].number != TRACE_NONE; slot = (slot + 1) & table->slot_mask) {
    if (table->slots[slot].hash != hash) continue;
    struct trace *trace = at(table, table->slots[slot].number);
    if (memcmp(trace->trace_id, trace_id, sizeof trace->trace_id) == 0) return trace;
  }
  return NULL;
}

struct trace *trace_open(struct trace_table *table, const uint8_t trace_id[16], uint32_t hash, uint64_t now_ns) {
  if (table->free_traces == TRACE_NONE) return NULL;
  const uint32_t number = table->free_traces;
  struct trace *trace = at(table, number);
  table->free_traces = table->links[number].newer;
  table->links[number] = (struct trace_links){.older = TRACE_NONE, .newer = TRACE_NONE};
  *trace =
      (struct trace){.arrival_ns = now_ns, .first_ns = UINT64_MAX, .limit_ns = UINT64_MAX, .hash = hash, .state = TRACE_LIVE};
  memcpy(trace->trace_id, trace_id, sizeof trace->trace_id);
  uint32_t slot = hash & table->slot_mask;
  while (table->slots[slot].number != TRACE_NONE) slot = (slot + 1) & table->slot_mask;
  table->slots[slot] = (struct trace_slot){.hash = hash, .number = number};
  return trace;
}

void trace_remember(struct trace_table *table, struct trace *trace, uint64_t now_ns) {
  const uint32_t number = trace_number(table, trace);
  trace->state = TRACE_REMEMBERED;
  trace->arrival_ns = now_ns;
  table->links[number].newer = TRACE_NONE;
  if (table->remembered.newest == TRACE_NONE) {
    table->remembered.oldest = number;
  } else {
    table->links[table->remembered.newest].newer = number;
  }
  table->remembered.newest = number;
}

struct trace *trace_oldest_remembered(struct trace_table *table) {
  return table->remembered.oldest == TRACE_NONE ? NULL : at(table, table->remembered.oldest);
}

/* Each time one step of each: the links and the line of the one after the next, then the slot that the next one's line tells. */
void trace_table_expect_oldest(const struct trace_table *table) {
  const uint32_t oldest = table->remembered.oldest;
  if (oldest == TRACE_NONE) return;
  __builtin_prefetch(&table->slots[table->traces[oldest].hash & table->slot_mask], 1);
  const uint32_t next = table->links[oldest].newer;
  if (next == TRACE_NONE) return;
  __builtin_prefetch(&table->traces[next], 1);
  if (table->links[next].newer != TRACE_NONE) __builtin_prefetch(&table->links[table->links[next].newer]);
}

void trace_take_remembered(struct trace_table *table) {
  ALWAYS_ASSERT(table->remembered.oldest != TRACE_NONE);
  table->remembered.oldest = table->links[table->remembered.oldest].newer;
  if (table->remembered.oldest == TRACE_NONE) table->remembered.newest = TRACE_NONE;
}

/* The run is closed up: each later slot that may stand in the gap is moved into it. */
static void remove_slot(struct trace_table *table, uint32_t gap) {
  for (uint32_t slot = (gap + 1) & table->slot_mask; table->slots[slot].number != TRACE_NONE;
       slot = (slot + 1) & table->slot_mask) {
    const uint32_t home = table->slots[slot].hash & table->slot_mask;
    if (((slot - home) & table->slot_mask) < ((slot - gap) & table->slot_mask)) continue;
    table->slots[gap] = table->slots[slot];
    gap = slot;
  }
  table->slots[gap].number = TRACE_NONE;
}

void trace_forget(struct trace_table *table, struct trace *trace) {
  const uint32_t number = trace_number(table, trace);
  ALWAYS_ASSERT(!(trace->flags & TRACE_ON_RETRY) && trace->state != TRACE_FREE);
  uint32_t slot = trace->hash & table->slot_mask;
  while (table->slots[slot].number != number) {
    ALWAYS_ASSERT(table->slots[slot].number != TRACE_NONE);
    slot = (slot + 1) & table->slot_mask;
  }
  remove_slot(table, slot);
  if (trace->flags & TRACE_MET) trace_findings_release(table, trace);
  trace->state = TRACE_FREE;
  table->links[number].newer = table->free_traces;
  table->free_traces = number;
}
