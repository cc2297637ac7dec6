#pragma once
/* A worse wire, for tests against real peers: a layer over any driver_queue that loses, doubles, reorders and delays frames in
 * both directions. What happens to a frame follows from the seed, the direction and how many frames went before it; when a late
 * one moves on follows from the clock, looked at in `receive` and `flush`.
 *
 * A frame that waits is a copy in the layer's own store, so that the port's buffers are never held; when the store is full, or
 * the frame longer than it takes, the frame is lost and counted. Threads: as the queue below; impaired_queue_read: any. */
#include "arena.h"
#include "driver.h"

enum impaired_direction { IMPAIRED_RECEIVE, IMPAIRED_SEND, IMPAIRED_DIRECTIONS };

/* Chances are out of a million a frame, alike in both directions. */
struct impaired_config {
  uint32_t loss_ppm, duplicate_ppm, reorder_ppm;
  uint64_t delay_ns;     /* of every frame */
  uint64_t late_ns;      /* a reordered frame, and a second copy, comes 1 to this much later than that */
  uint64_t seed;         /* give each queue its own */
  uint32_t frame_bytes;  /* the longest frame of the port */
  uint32_t store_frames; /* a direction */
  uint64_t (*clock_ns)(void);
};

/* At every moment offered + duplicated = lost + no_room + passed on + waiting. */
struct impaired_counters {
  uint64_t offered, passed_on, lost, duplicated, reordered, no_room, waiting;
};

/* NULL when the arena fails. `inner` is used through the layer alone from here on. */
struct driver_queue *impaired_queue_create(struct arena *arena, struct driver_queue *inner, const struct impaired_config *config);
struct impaired_counters impaired_queue_read(const struct driver_queue *queue, enum impaired_direction direction);
