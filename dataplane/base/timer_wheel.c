#include "timer_wheel.h"
#include "always_assert.h"

#define TICK_BITS 20
#define SLOT_BITS 6
#define SLOTS (1u << SLOT_BITS)
/* 64 - 20 bits of ticks, and one more for a last deadline rounded up. */
#define LEVELS 8
_Static_assert(LEVELS *SLOT_BITS > 64 - TICK_BITS, "every deadline has its place");

/* How many timers an advance may move down a level for each that it may fire. */
#define MOVES_PER_FIRE 8
#define MOVES_LEAST 64

/* Written as a number in base 64, a timer's tick differs from `tick` first at the digit of its level, and its slot is its own
 * digit there. So every timer in a level is due before any in the level above, and slots at or below the current digit are
 * empty. */
struct timer_wheel {
  uint64_t now_ns; /* of the last advance */
  uint64_t tick;   /* all slots up to here have been emptied */
  struct timer *due;
  struct timer *moving;  /* taken from a slot above level 0 and not yet placed again */
  struct timer *late;    /* armed for the past: for the next advance */
  struct timer *overdue; /* those of the last advance, now due */
  /* A bit may outlive its slot's timers: cancel does not know the wheel. */
  uint64_t occupied[LEVELS];
  struct timer *slots[LEVELS][SLOTS];
};

struct timer_wheel *timer_wheel_create(struct arena *arena, uint64_t now_ns) {
  struct timer_wheel *wheel = ARENA_NEW(arena, struct timer_wheel);
  if (!wheel) return NULL;
  wheel->now_ns = now_ns;
  wheel->tick = now_ns >> TICK_BITS;
  return wheel;
}

static void link_timer(struct timer **head, struct timer *timer) {
  timer->next = *head;
  timer->previous_next = head;
  if (*head) (*head)->previous_next = &timer->next;
  *head = timer;
}

static void unlink_timer(struct timer *timer) {
  *timer->previous_next = timer->next;
  if (timer->next) timer->next->previous_next = timer->previous_next;
  timer->next = NULL;
  timer->previous_next = NULL;
}

/* Moves a whole list into an empty one. */
static void move_list(struct timer **to, struct timer **from) {
  *to = *from;
  *from = NULL;
  if (*to) (*to)->previous_next = to;
}

/* Rounded up: never early. */
static uint64_t tick_of(uint64_t deadline_ns) {
  return (deadline_ns >> TICK_BITS) + ((deadline_ns & ((UINT64_C(1) << TICK_BITS) - 1)) != 0);
}

static void place(struct timer_wheel *wheel, struct timer *timer, struct timer **if_due) {
  const uint64_t tick = tick_of(timer->deadline_ns);
  if (tick <= wheel->tick) {
    link_timer(if_due, timer);
    return;
  }
  const unsigned level = (63 - (unsigned)__builtin_clzll(tick ^ wheel->tick)) / SLOT_BITS;
  const unsigned slot = (unsigned)(tick >> (level * SLOT_BITS)) & (SLOTS - 1);
  link_timer(&wheel->slots[level][slot], timer);
  wheel->occupied[level] |= UINT64_C(1) << slot;
}

void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t deadline_ns) {
  ALWAYS_ASSERT(timer->fire);
  if (timer_armed(timer)) unlink_timer(timer);
  timer->deadline_ns = deadline_ns;
  if (deadline_ns <= wheel->now_ns)
    link_timer(&wheel->late, timer);
  else
    place(wheel, timer, &wheel->late);
}

void timer_cancel(struct timer *timer) {
  if (timer_armed(timer)) unlink_timer(timer);
}

/* Empties the next occupied slot that begins at or before `target`, and moves the wheel there; false, with the wheel at
 * `target`, when there is none. */
static bool turn(struct timer_wheel *wheel, uint64_t target) {
  for (unsigned level = 0; level < LEVELS; level++) {
    while (wheel->occupied[level]) {
      const unsigned slot = (unsigned)__builtin_ctzll(wheel->occupied[level]);
      const uint64_t bit = UINT64_C(1) << slot;
      if (!wheel->slots[level][slot]) {
        wheel->occupied[level] &= ~bit;
        continue;
      }
      const unsigned shift = level * SLOT_BITS;
      const uint64_t begins = ((wheel->tick >> shift & ~(uint64_t)(SLOTS - 1)) | slot) << shift;
      ALWAYS_ASSERT(begins > wheel->tick);
      if (begins > target) {
        wheel->tick = target;
        return false;
      }
      wheel->tick = begins;
      wheel->occupied[level] &= ~bit;
      move_list(level == 0 ? &wheel->due : &wheel->moving, &wheel->slots[level][slot]);
      return true;
    }
  }
  wheel->tick = target;
  return false;
}

static void fire_first(const struct timer_wheel *wheel, struct timer *timer, void *context) {
  unlink_timer(timer);
  timer->fire(timer, context, wheel->now_ns);
}

uint32_t timer_wheel_advance(struct timer_wheel *wheel, void *context, uint64_t now_ns, uint32_t most) {
  if (now_ns > wheel->now_ns) wheel->now_ns = now_ns;
  const uint64_t target = wheel->now_ns >> TICK_BITS;
  uint64_t moves = (uint64_t)most * MOVES_PER_FIRE + MOVES_LEAST;
  uint32_t fired = 0;
  if (!wheel->overdue) move_list(&wheel->overdue, &wheel->late);
  while (fired < most) {
    if (wheel->due) {
      fire_first(wheel, wheel->due, context);
      fired++;
    } else if (wheel->moving) {
      if (moves-- == 0) break;
      struct timer *timer = wheel->moving;
      unlink_timer(timer);
      place(wheel, timer, &wheel->due);
    } else if (wheel->overdue) {
      fire_first(wheel, wheel->overdue, context);
      fired++;
    } else if (wheel->tick >= target || !turn(wheel, target)) {
      break;
    }
  }
  return fired;
}

static uint32_t list_length(const struct timer *timer) {
  uint32_t length = 0;
  for (; timer; timer = timer->next) length++;
  return length;
}

uint32_t timer_wheel_armed_count(const struct timer_wheel *wheel) {
  uint32_t count = list_length(wheel->due) + list_length(wheel->moving) + list_length(wheel->late) + list_length(wheel->overdue);
  for (unsigned level = 0; level < LEVELS; level++)
    for (unsigned slot = 0; slot < SLOTS; slot++) count += list_length(wheel->slots[level][slot]);
  return count;
}
