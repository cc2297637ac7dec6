#pragma once
/* Hierarchical timer wheel with intrusive timers: arm, re-arm and cancel in O(1). Resolution 2^20 ns (about 1 ms), no horizon:
 * any 64-bit deadline has its place. A timer never fires early, and fires at most one tick late if `timer_wheel_advance` is
 * called that often and its bound is not met. Order within a tick is not promised. A timer's memory must stay while it is armed.
 * Threads: one owner. */
#include "arena.h"
#include <stdbool.h>
#include <stdint.h>

struct timer {
  struct timer *next;
  struct timer **previous_next; /* NULL when not armed */
  uint64_t deadline_ns;
  void (*fire)(struct timer *timer, void *context, uint64_t now_ns);
};

struct timer_wheel;

struct timer_wheel *timer_wheel_create(struct arena *arena, uint64_t now_ns);
/* Arms or re-arms; a deadline in the past fires at the next advance. `timer->fire` must be set. */
void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t deadline_ns);
void timer_cancel(struct timer *timer);
static inline bool timer_armed(const struct timer *timer) { return timer->previous_next != NULL; }
/* Fires up to `most` due timers with `context`; returns how many. Timers may be armed and cancelled from within; one armed
 * within for the past waits for the next advance. Moving timers down the wheel is bounded too (a multiple of `most`), so after
 * a jump over many timers the due ones may take more than one advance. */
uint32_t timer_wheel_advance(struct timer_wheel *wheel, void *context, uint64_t now_ns, uint32_t most);
/* Walks every armed timer: for tests and drain. */
uint32_t timer_wheel_armed_count(const struct timer_wheel *wheel);
