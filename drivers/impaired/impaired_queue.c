#include "impaired_queue.h"
#include "impaired_store_internal.h"
#include <stdatomic.h>
#include <string.h>

#define IMPAIRED_BURST_FRAMES 64

/* One direction's luck and what waits in it. Counters: queue's thread rw, any ro. */
struct lane {
  struct impaired_store store;
  uint64_t random;
  _Atomic uint64_t offered, passed_on, lost, duplicated, reordered, no_room, waiting;
};

struct impaired_queue {
  struct driver_queue face;
  struct driver_queue *inner;
  struct impaired_config config;
  struct lane lanes[IMPAIRED_DIRECTIONS];
  struct driver_queue_counters counters; /* as the shard sees it: received is what it was given */
};

struct fate {
  bool lost, duplicated, reordered;
  uint64_t late_ns, copy_late_ns;
};

static struct impaired_queue *of(struct driver_queue *queue) { return (struct impaired_queue *)queue; }

/* Each counter has one writer: no read-modify-write is needed. */
static void count(_Atomic uint64_t *counter, uint64_t more) {
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

/* SplitMix64 (Steele, Lea and Flood, 2014). */
static uint64_t random_next(struct lane *lane) {
  uint64_t z = lane->random += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

static bool chance(struct lane *lane, uint32_t ppm) { return (random_next(lane) >> 32) * 1000000 >> 32 < ppm; }

static uint64_t lateness(struct lane *lane, uint64_t most_ns) {
  const uint64_t drawn = random_next(lane);
  return most_ns ? 1 + drawn % most_ns : 0;
}

/* As many draws for every frame: one that is lost leaves the fates of the others as they were. */
static struct fate draw(struct impaired_queue *queue, struct lane *lane) {
  const struct impaired_config *config = &queue->config;
  struct fate fate;
  fate.lost = chance(lane, config->loss_ppm);
  fate.duplicated = chance(lane, config->duplicate_ppm);
  fate.reordered = chance(lane, config->reorder_ppm);
  fate.late_ns = lateness(lane, config->late_ns);
  fate.copy_late_ns = lateness(lane, config->late_ns);
  count(&lane->offered, 1);
  if (fate.lost) {
    count(&lane->lost, 1);
    fate.duplicated = fate.reordered = false;
  }
  if (fate.duplicated) count(&lane->duplicated, 1);
  if (fate.reordered) count(&lane->reordered, 1);
  return fate;
}

static void keep(struct impaired_queue *queue, struct lane *lane, const struct driver_frame *frame, uint32_t offload,
                 uint64_t due_ns) {
  struct impaired_frame *kept = frame->length <= queue->config.frame_bytes ? impaired_store_add(&lane->store, due_ns) : NULL;
  if (!kept) {
    count(&lane->no_room, 1);
    return;
  }
  kept->length = frame->length;
  kept->offload = offload;
  kept->checksum_bad = frame->checksum_bad;
  memcpy(kept->bytes, frame->bytes, frame->length);
  atomic_store_explicit(&lane->waiting, lane->store.count, memory_order_relaxed);
}

/* True when the frame goes on at once; else what is to come of it is kept, and the frame itself is to be released. */
static bool meets_its_fate(struct impaired_queue *queue, struct lane *lane, const struct driver_frame *frame, uint32_t offload,
                           uint64_t now_ns) {
  const struct fate fate = draw(queue, lane);
  const uint64_t due_ns = now_ns + queue->config.delay_ns;
  if (fate.lost) return false;
  if (fate.duplicated) keep(queue, lane, frame, offload, due_ns + fate.copy_late_ns);
  if (queue->config.delay_ns == 0 && !fate.reordered) {
    count(&lane->passed_on, 1);
    return true;
  }
  keep(queue, lane, frame, offload, due_ns + (fate.reordered ? fate.late_ns : 0));
  return false;
}

/* The first frame of the lane that is due, in a buffer of the port. False when none is, or when the port has no buffer now. */
static bool take_due(struct impaired_queue *queue, struct lane *lane, uint64_t now_ns, struct driver_frame *frame,
                     uint32_t *offload) {
  const struct impaired_frame *kept = impaired_store_due(&lane->store, now_ns);
  if (!kept || !queue->inner->operations->take(queue->inner, frame)) return false;
  memcpy(frame->bytes, kept->bytes, kept->length);
  frame->length = kept->length;
  frame->checksum_bad = kept->checksum_bad;
  *offload = kept->offload;
  impaired_store_drop_first(&lane->store);
  atomic_store_explicit(&lane->waiting, lane->store.count, memory_order_relaxed);
  count(&lane->passed_on, 1);
  return true;
}

static void send_due(struct impaired_queue *queue, uint64_t now_ns) {
  struct driver_frame frame;
  uint32_t offload;
  for (uint32_t i = 0; i < IMPAIRED_BURST_FRAMES; i++) {
    if (!take_due(queue, &queue->lanes[IMPAIRED_SEND], now_ns, &frame, &offload)) return;
    queue->inner->operations->send(queue->inner, &frame, offload);
  }
}

static void copy_counters(struct impaired_queue *queue) {
  const struct driver_queue_counters *inner = queue->inner->operations->counters(queue->inner);
  queue->counters.sent = inner->sent;
  queue->counters.sent_bytes = inner->sent_bytes;
  queue->counters.send_dropped = inner->send_dropped;
  queue->counters.no_buffer = inner->no_buffer;
}

static uint32_t queue_receive(struct driver_queue *face, struct driver_frame *frames, uint32_t most) {
  struct impaired_queue *queue = of(face);
  struct lane *lane = &queue->lanes[IMPAIRED_RECEIVE];
  const uint64_t now_ns = queue->config.clock_ns();
  struct driver_frame arrived[IMPAIRED_BURST_FRAMES], gone[IMPAIRED_BURST_FRAMES];
  uint32_t total = 0, gone_count = 0, offload;
  while (total < most && take_due(queue, lane, now_ns, &frames[total], &offload)) total++;
  const uint32_t room = most - total < IMPAIRED_BURST_FRAMES ? most - total : IMPAIRED_BURST_FRAMES;
  const uint32_t got = room ? queue->inner->operations->receive(queue->inner, arrived, room) : 0;
  for (uint32_t i = 0; i < got; i++) {
    if (meets_its_fate(queue, lane, &arrived[i], 0, now_ns)) {
      frames[total++] = arrived[i];
    } else {
      gone[gone_count++] = arrived[i];
    }
  }
  if (gone_count) queue->inner->operations->release(queue->inner, gone, gone_count);
  for (uint32_t i = 0; i < total; i++) queue->counters.received_bytes += frames[i].length;
  queue->counters.received += total;
  return total;
}

static void queue_release(struct driver_queue *face, struct driver_frame *frames, uint32_t count_of_frames) {
  struct driver_queue *inner = of(face)->inner;
  inner->operations->release(inner, frames, count_of_frames);
}

static bool queue_take(struct driver_queue *face, struct driver_frame *frame) {
  struct driver_queue *inner = of(face)->inner;
  return inner->operations->take(inner, frame);
}

static void queue_send(struct driver_queue *face, struct driver_frame *frame, uint32_t offload) {
  struct impaired_queue *queue = of(face);
  const uint64_t now_ns = queue->config.clock_ns();
  if (meets_its_fate(queue, &queue->lanes[IMPAIRED_SEND], frame, offload, now_ns)) {
    queue->inner->operations->send(queue->inner, frame, offload);
  } else {
    queue->inner->operations->release(queue->inner, frame, 1);
  }
}

static void queue_flush(struct driver_queue *face) {
  struct impaired_queue *queue = of(face);
  send_due(queue, queue->config.clock_ns());
  queue->inner->operations->flush(queue->inner);
  copy_counters(queue);
}

static const struct driver_queue_counters *queue_counters(const struct driver_queue *face) {
  return &((const struct impaired_queue *)face)->counters;
}

static const struct driver_queue_operations operations = {
    .receive = queue_receive,
    .release = queue_release,
    .take = queue_take,
    .send = queue_send,
    .flush = queue_flush,
    .counters = queue_counters,
};

struct driver_queue *impaired_queue_create(struct arena *arena, struct driver_queue *inner,
                                           const struct impaired_config *config) {
  struct impaired_queue *queue = ARENA_NEW(arena, struct impaired_queue);
  if (!queue) return NULL;
  queue->face.operations = &operations;
  queue->inner = inner;
  queue->config = *config;
  for (unsigned i = 0; i < IMPAIRED_DIRECTIONS; i++) {
    queue->lanes[i].random = config->seed * IMPAIRED_DIRECTIONS + i;
    if (!impaired_store_create(arena, config->store_frames, config->frame_bytes, &queue->lanes[i].store)) return NULL;
  }
  return &queue->face;
}

struct impaired_counters impaired_queue_read(const struct driver_queue *queue, enum impaired_direction direction) {
  const struct lane *lane = &((const struct impaired_queue *)queue)->lanes[direction];
  return (struct impaired_counters){
      .offered = atomic_load_explicit(&lane->offered, memory_order_relaxed),
      .passed_on = atomic_load_explicit(&lane->passed_on, memory_order_relaxed),
      .lost = atomic_load_explicit(&lane->lost, memory_order_relaxed),
      .duplicated = atomic_load_explicit(&lane->duplicated, memory_order_relaxed),
      .reordered = atomic_load_explicit(&lane->reordered, memory_order_relaxed),
      .no_room = atomic_load_explicit(&lane->no_room, memory_order_relaxed),
      .waiting = atomic_load_explicit(&lane->waiting, memory_order_relaxed),
  };
}
