/* Hierarchical wheel of live traces by the time they would be complete at. A span moves that time without moving the trace: one
 * that comes up too early is put where it belongs now. So a trace costs a look each idle time, and a span costs nothing. */
#include "always_assert.h"
#include "trace_table_internal.h"

#define EXACT_LOOKS 64u /* at traces of the tick at hand: beyond, they are complete when it is over */
#define SLOT_MASK (WHEEL_SLOTS - 1)

static uint32_t place(uint64_t tick, uint32_t level) { return (uint32_t)(tick >> level * WHEEL_LEVEL_BITS) & SLOT_MASK; }

uint64_t trace_due_ns(const struct trace_table *table, const struct trace *trace) {
  uint64_t due_ns = trace->arrival_ns + table->idle_ns;
  if (trace->flags & TRACE_HELD && table->links[trace_number(table, trace)].hold_ns > due_ns)
    due_ns = table->links[trace_number(table, trace)].hold_ns;
  return due_ns < trace->limit_ns ? due_ns : trace->limit_ns;
}

uint64_t trace_look_ns(const struct trace_table *table, const struct trace *trace) {
  uint64_t look_ns = trace_due_ns(table, trace);
  if (!(trace->flags & TRACE_HELD)) return look_ns;
  if (trace->flags & TRACE_UNSETTLED && trace->arrival_ns + table->idle_ns < look_ns)
    look_ns = trace->arrival_ns + table->idle_ns;
  const uint64_t wake_ns = table->links[trace_number(table, trace)].wake_ns;
  return wake_ns < look_ns ? wake_ns : look_ns;
}

/* The last level is a ring: what is beyond it stands at its end until then. */
static uint32_t slot_for(const struct trace_wheel *wheel, uint64_t due_ns) {
  const uint32_t last = WHEEL_LEVELS - 1;
  uint64_t tick = due_ns >> WHEEL_TICK_BITS;
  if (tick < wheel->tick) tick = wheel->tick;
  for (uint32_t level = 0; level < last; level++)
    if ((tick ^ wheel->tick) >> (level + 1) * WHEEL_LEVEL_BITS == 0) return level * WHEEL_SLOTS + place(tick, level);
  const uint64_t far = (tick >> last * WHEEL_LEVEL_BITS) - (wheel->tick >> last * WHEEL_LEVEL_BITS);
  return last * WHEEL_SLOTS + ((place(wheel->tick, last) + (uint32_t)(far < SLOT_MASK ? far : SLOT_MASK)) & SLOT_MASK);
}

static uint32_t *head_of(struct trace_wheel *wheel, uint32_t slot) { return &wheel->heads[slot / WHEEL_SLOTS][slot & SLOT_MASK]; }

void trace_arm(struct trace_table *table, struct trace *trace) {
  struct trace_wheel *wheel = table->wheel;
  const uint32_t number = trace_number(table, trace), slot = slot_for(wheel, trace_look_ns(table, trace));
  uint32_t *head = head_of(wheel, slot);
  trace->slot = (uint16_t)slot;
  table->links[number].older = TRACE_NONE;
  table->links[number].newer = *head;
  if (*head != TRACE_NONE) table->links[*head].older = number;
  *head = number;
  wheel->occupied[slot / WHEEL_SLOTS][(slot & SLOT_MASK) / 64] |= 1ull << slot % 64;
}

void trace_disarm(struct trace_table *table, struct trace *trace) {
  struct trace_wheel *wheel = table->wheel;
  const struct trace_links *links = &table->links[trace_number(table, trace)];
  uint32_t *head = head_of(wheel, trace->slot);
  if (links->newer != TRACE_NONE) table->links[links->newer].older = links->older;
  if (links->older != TRACE_NONE) {
    table->links[links->older].newer = links->newer;
  } else {
    ALWAYS_ASSERT(*head == trace_number(table, trace));
    *head = links->newer;
  }
  if (*head == TRACE_NONE)
    wheel->occupied[trace->slot / WHEEL_SLOTS][(trace->slot & SLOT_MASK) / 64] &= ~(1ull << trace->slot % 64);
}

/* The first occupied place of a level from `from` on; WHEEL_SLOTS when there is none. */
static uint32_t next_occupied(const struct trace_wheel *wheel, uint32_t level, uint32_t from) {
  while (from < WHEEL_SLOTS) {
    const uint64_t left = wheel->occupied[level][from / 64] >> from % 64;
    if (left) return from + (uint32_t)__builtin_ctzll(left);
    from = (from / 64 + 1) * 64;
  }
  return WHEEL_SLOTS;
}

/* The tick at which the next occupied slot of a level above the first begins; UINT64_MAX when there is none. */
static uint64_t next_slot_begins(const struct trace_wheel *wheel, uint32_t level) {
  const uint32_t bits = level * WHEEL_LEVEL_BITS, here = place(wheel->tick, level);
  const uint64_t turn = (wheel->tick >> bits) - here;
  uint32_t found = next_occupied(wheel, level, here + 1);
  if (found < WHEEL_SLOTS) return (turn + found) << bits;
  found = level == WHEEL_LEVELS - 1 ? next_occupied(wheel, level, 0) : WHEEL_SLOTS;
  return found < here ? (turn + WHEEL_SLOTS + found) << bits : UINT64_MAX;
}

/* Moves on to the next slot that is not empty, as far as `now` allows. False: there is none by then. */
static bool advance(struct trace_wheel *wheel, uint64_t now) {
  const uint32_t found = next_occupied(wheel, 0, place(wheel->tick, 0));
  uint64_t next = found < WHEEL_SLOTS ? (wheel->tick & ~(uint64_t)SLOT_MASK) + found : UINT64_MAX;
  for (uint32_t level = 1; level < WHEEL_LEVELS && next == UINT64_MAX; level++) next = next_slot_begins(wheel, level);
  if (next <= now) {
    wheel->tick = next;
    return true;
  }
  if (now > wheel->tick) wheel->tick = now;
  return false;
}

/* A slot of a higher level that has begun holds traces for the levels below it. */
static uint32_t begun_above(struct trace_wheel *wheel) {
  for (uint32_t level = WHEEL_LEVELS - 1; level > 0; level--)
    if (wheel->heads[level][place(wheel->tick, level)] != TRACE_NONE) return wheel->heads[level][place(wheel->tick, level)];
  return TRACE_NONE;
}

static struct trace *due_in_this_tick(struct trace_table *table, uint64_t now_ns) {
  uint32_t number = table->wheel->heads[0][place(table->wheel->tick, 0)];
  for (uint32_t looks = 0; number != TRACE_NONE && looks < EXACT_LOOKS; looks++, number = table->links[number].newer)
    if (trace_look_ns(table, &table->traces[number]) <= now_ns) return &table->traces[number];
  return NULL;
}

struct trace *trace_take_due(struct trace_table *table, uint64_t now_ns, uint32_t *looks) {
  struct trace_wheel *wheel = table->wheel;
  const uint64_t now = now_ns >> WHEEL_TICK_BITS;
  while (*looks > 0) {
    const uint32_t above = begun_above(wheel);
    if (above == TRACE_NONE && wheel->heads[0][place(wheel->tick, 0)] == TRACE_NONE) {
      if (!advance(wheel, now)) return NULL;
      continue;
    }
    struct trace *trace = &table->traces[above != TRACE_NONE ? above : wheel->heads[0][place(wheel->tick, 0)]];
    if (above == TRACE_NONE && wheel->tick >= now) {
      trace = due_in_this_tick(table, now_ns);
      if (!trace) return NULL;
    }
    --*looks;
    trace_disarm(table, trace);
    if (trace_look_ns(table, trace) <= now_ns) return trace;
    trace_arm(table, trace);
  }
  return NULL;
}

static uint32_t first_slot(const struct trace_wheel *wheel) {
  const uint32_t last = WHEEL_LEVELS - 1;
  for (uint32_t level = WHEEL_LEVELS - 1; level > 0; level--)
    if (wheel->heads[level][place(wheel->tick, level)] != TRACE_NONE) return level * WHEEL_SLOTS + place(wheel->tick, level);
  for (uint32_t level = 0; level <= last; level++) {
    uint32_t found = next_occupied(wheel, level, place(wheel->tick, level));
    if (found == WHEEL_SLOTS && level == last) found = next_occupied(wheel, level, 0);
    if (found < WHEEL_SLOTS) return level * WHEEL_SLOTS + found;
  }
  return TRACE_NONE;
}

struct trace *trace_any_live(struct trace_table *table) {
  const uint32_t slot = first_slot(table->wheel);
  return slot == TRACE_NONE ? NULL : &table->traces[*head_of(table->wheel, slot)];
}

struct trace *trace_next_due(struct trace_table *table, uint32_t looks) {
  struct trace *next = NULL;
  uint64_t next_due_ns = UINT64_MAX;
  uint32_t slot = first_slot(table->wheel);
  if (slot == TRACE_NONE) return NULL;
  for (uint32_t number = *head_of(table->wheel, slot); looks > 0 && number != TRACE_NONE; looks--) {
    struct trace *trace = &table->traces[number];
    const uint32_t newer = table->links[number].newer;
    const uint64_t due_ns = trace_look_ns(table, trace);
    if (slot_for(table->wheel, due_ns) != slot) {
      trace_disarm(table, trace);
      trace_arm(table, trace);
    }
    if (!(trace->flags & TRACE_ON_RETRY) && (!next || due_ns < next_due_ns)) {
      next = trace;
      next_due_ns = due_ns;
    }
    number = newer;
    if (number == TRACE_NONE) {
      const uint32_t following = first_slot(table->wheel);
      if (following == slot || following == TRACE_NONE) break;
      slot = following;
      number = *head_of(table->wheel, slot);
    }
  }
  return next;
}
