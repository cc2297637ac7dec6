/* What it costs to hand 64 bytes from one shard to another, and 128 bytes to the journal. */
#include "bench.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "record_ring.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 11
#define BURST 32u
#define ITEMS (BURST * 20000u)
#define TURNS 20000u
#define RING_LINES 1024u
#define RECORD_BYTES 128u

struct line {
  _Alignas(64) uint64_t words[8];
};

/* The floor across cores: the same lines in a plain array, with one flag a burst that says whose turn it is. */
struct shared_burst {
  _Alignas(64) _Atomic uint64_t filled;
  _Alignas(64) _Atomic uint64_t emptied;
  struct line lines[BURST];
};
#define SHARED_BURSTS (RING_LINES / BURST)

struct rig {
  struct line_ring *ring, *back;
  struct record_ring *records;
  struct shared_burst bursts[SHARED_BURSTS];
  struct line array[RING_LINES];
  _Alignas(64) _Atomic uint64_t ping;
  _Alignas(64) _Atomic uint64_t pong;
  _Alignas(64) _Atomic uint32_t ready;
  /* Of the round that runs. */
  void (*produce)(struct rig *rig);
  uint64_t (*consume)(struct rig *rig);
};

/* What item `number` looks like. The first word is left to the ring's header. */
static inline void fill(uint64_t *words, uint64_t number, unsigned count) {
  for (unsigned i = 1; i < count; i++) words[i] = number + i;
}

static inline uint64_t sum(const uint64_t *words, unsigned count) {
  uint64_t total = 0;
  for (unsigned i = 1; i < count; i++) total += words[i];
  return total;
}

/* The oracle: what must have arrived, from arithmetic alone. */
static uint64_t expected_sum(uint64_t items, unsigned count) {
  return (count - 1) * (items * (items - 1) / 2) + items * ((uint64_t)count * (count - 1) / 2);
}

static inline bool send_burst(struct line_ring *ring, uint64_t first, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    uint64_t *words = line_ring_reserve(ring, 1);
    if (!words) {
      line_ring_rollback(ring);
      return false;
    }
    fill(words, first + i, 8);
  }
  line_ring_publish(ring);
  return true;
}

static double same_core_ring(void *context) {
  struct rig *rig = context;
  uint64_t total = 0;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t item = 0; item < ITEMS; item += BURST) {
    bench_check(send_burst(rig->ring, item, BURST), "an empty ring refuses");
    for (const uint64_t *words; (words = line_ring_peek(rig->ring)); line_ring_consume(rig->ring)) total += sum(words, 8);
  }
  const uint64_t elapsed_ns = bench_now_ns() - start_ns;
  bench_check(total == expected_sum(ITEMS, 8), "the ring's checksum is wrong");
  return (double)elapsed_ns / ITEMS;
}

static double same_core_array(void *context) {
  struct rig *rig = context;
  uint64_t total = 0;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t item = 0; item < ITEMS; item += BURST) {
    struct line *lines = rig->array + item % RING_LINES;
    for (uint32_t i = 0; i < BURST; i++) fill(lines[i].words, item + i, 8);
    bench_keep((uintptr_t)lines);
    for (uint32_t i = 0; i < BURST; i++) total += sum(lines[i].words, 8);
  }
  const uint64_t elapsed_ns = bench_now_ns() - start_ns;
  bench_check(total == expected_sum(ITEMS, 8), "the array's checksum is wrong");
  return (double)elapsed_ns / ITEMS;
}

static void *producer_main(void *context) {
  struct rig *rig = context;
  bench_pin(1);
  atomic_store(&rig->ready, 1);
  while (atomic_load(&rig->ready) != 2) bench_pause();
  rig->produce(rig);
  return NULL;
}

/* Both threads pinned and running before the clock starts. */
static uint64_t timed_pair(struct rig *rig, void (*produce)(struct rig *), uint64_t (*consume)(struct rig *), uint64_t *total) {
  rig->produce = produce;
  rig->consume = consume;
  atomic_store(&rig->ready, 0);
  pthread_t producer;
  bench_check(pthread_create(&producer, NULL, producer_main, rig) == 0, "pthread_create");
  while (atomic_load(&rig->ready) != 1) bench_pause();
  const uint64_t start_ns = bench_now_ns();
  atomic_store(&rig->ready, 2);
  *total = rig->consume(rig);
  const uint64_t elapsed_ns = bench_now_ns() - start_ns;
  pthread_join(producer, NULL);
  return elapsed_ns;
}

static void produce_lines(struct rig *rig) {
  for (uint64_t item = 0; item < ITEMS; item += BURST)
    while (!send_burst(rig->ring, item, BURST)) bench_pause();
}

static uint64_t consume_lines(struct rig *rig) {
  uint64_t total = 0;
  for (uint32_t item = 0; item < ITEMS;) {
    const uint64_t *words = line_ring_peek(rig->ring);
    if (!words) {
      bench_pause();
      continue;
    }
    total += sum(words, 8);
    line_ring_consume(rig->ring);
    item++;
  }
  return total;
}

static double cross_core_ring(void *context) {
  uint64_t total;
  const uint64_t elapsed_ns = timed_pair(context, produce_lines, consume_lines, &total);
  bench_check(total == expected_sum(ITEMS, 8), "the ring's checksum is wrong");
  return (double)elapsed_ns / ITEMS;
}

static void produce_bare(struct rig *rig) {
  for (uint64_t burst = 0; burst < ITEMS / BURST; burst++) {
    struct shared_burst *shared = &rig->bursts[burst % SHARED_BURSTS];
    const uint64_t lap = burst / SHARED_BURSTS;
    while (atomic_load_explicit(&shared->emptied, memory_order_acquire) != lap) bench_pause();
    for (uint32_t i = 0; i < BURST; i++) fill(shared->lines[i].words, burst * BURST + i, 8);
    atomic_store_explicit(&shared->filled, lap + 1, memory_order_release);
  }
}

static uint64_t consume_bare(struct rig *rig) {
  uint64_t total = 0;
  for (uint64_t burst = 0; burst < ITEMS / BURST; burst++) {
    struct shared_burst *shared = &rig->bursts[burst % SHARED_BURSTS];
    const uint64_t lap = burst / SHARED_BURSTS;
    while (atomic_load_explicit(&shared->filled, memory_order_acquire) != lap + 1) bench_pause();
    for (uint32_t i = 0; i < BURST; i++) total += sum(shared->lines[i].words, 8);
    atomic_store_explicit(&shared->emptied, lap + 1, memory_order_release);
  }
  return total;
}

static double cross_core_bare(void *context) {
  struct rig *rig = context;
  for (unsigned i = 0; i < SHARED_BURSTS; i++) {
    atomic_store(&rig->bursts[i].filled, 0);
    atomic_store(&rig->bursts[i].emptied, 0);
  }
  uint64_t total;
  const uint64_t elapsed_ns = timed_pair(rig, produce_bare, consume_bare, &total);
  bench_check(total == expected_sum(ITEMS, 8), "the bare lines' checksum is wrong");
  return (double)elapsed_ns / ITEMS;
}

/* One line there, one back. */
static void echo_lines(struct rig *rig) {
  for (uint64_t turn = 0; turn < TURNS; turn++) {
    const uint64_t *words;
    while (!(words = line_ring_peek(rig->ring))) bench_pause();
    bench_check(send_burst(rig->back, words[1] - 1, 1), "an empty ring refuses");
    line_ring_consume(rig->ring);
  }
}

static uint64_t ask_lines(struct rig *rig) {
  uint64_t total = 0;
  for (uint64_t turn = 0; turn < TURNS; turn++) {
    const uint64_t *words;
    bench_check(send_burst(rig->ring, turn, 1), "an empty ring refuses");
    while (!(words = line_ring_peek(rig->back))) bench_pause();
    total += sum(words, 8);
    line_ring_consume(rig->back);
  }
  return total;
}

static double one_way_ring(void *context) {
  uint64_t total;
  const uint64_t elapsed_ns = timed_pair(context, echo_lines, ask_lines, &total);
  bench_check(total == expected_sum(TURNS, 8), "the echo's checksum is wrong");
  return (double)elapsed_ns / (2 * TURNS);
}

static void echo_word(struct rig *rig) {
  for (uint64_t turn = 1; turn <= TURNS; turn++) {
    while (atomic_load_explicit(&rig->ping, memory_order_acquire) != turn) bench_pause();
    atomic_store_explicit(&rig->pong, turn, memory_order_release);
  }
}

static uint64_t ask_word(struct rig *rig) {
  for (uint64_t turn = 1; turn <= TURNS; turn++) {
    atomic_store_explicit(&rig->ping, turn, memory_order_release);
    while (atomic_load_explicit(&rig->pong, memory_order_acquire) != turn) bench_pause();
  }
  return atomic_load(&rig->pong);
}

static double one_way_word(void *context) {
  struct rig *rig = context;
  atomic_store(&rig->ping, 0);
  atomic_store(&rig->pong, 0);
  uint64_t total;
  const uint64_t elapsed_ns = timed_pair(rig, echo_word, ask_word, &total);
  bench_check(total == TURNS, "the ping-pong lost a turn");
  return (double)elapsed_ns / (2 * TURNS);
}

static void produce_records(struct rig *rig) {
  for (uint64_t item = 0; item < ITEMS; item++) {
    uint64_t *words;
    while (!(words = record_ring_reserve(rig->records, RECORD_BYTES))) {
      /* What is reserved must be let go before the reader can make room. */
      record_ring_publish(rig->records);
      bench_pause();
    }
    fill(words, item, RECORD_BYTES / 8);
    if (item % BURST == BURST - 1) record_ring_publish(rig->records);
  }
}

static uint64_t consume_records(struct rig *rig) {
  uint64_t total = 0;
  for (uint32_t item = 0; item < ITEMS;) {
    uint32_t bytes;
    const uint64_t *words = record_ring_peek(rig->records, &bytes);
    if (!words) {
      bench_pause();
      continue;
    }
    total += sum(words, bytes / 8);
    record_ring_advance(rig->records);
    item++;
  }
  return total;
}

static double cross_core_records(void *context) {
  uint64_t total;
  const uint64_t elapsed_ns = timed_pair(context, produce_records, consume_records, &total);
  bench_check(total == expected_sum(ITEMS, RECORD_BYTES / 8), "the records' checksum is wrong");
  return (double)elapsed_ns / ITEMS;
}

int main(void) {
  struct heap_arena *heap = heap_arena_create();
  bench_check(heap != NULL, "no memory");
  struct arena *arena = heap_arena_arena(heap);
  struct rig *rig = ARENA_NEW(arena, struct rig);
  bench_check(rig != NULL, "no memory");
  rig->ring = line_ring_create(arena, RING_LINES);
  rig->back = line_ring_create(arena, RING_LINES);
  rig->records = record_ring_create(arena, 1u << 20);
  bench_check(rig->ring && rig->back && rig->records, "no memory");
  bench_header();
  const bool cross_core = bench_core_count() > 1;
  bench_pin(0);
  const struct bench benches[] = {
      {"64 B line, same core", same_core_ring, same_core_array, "the same stores and loads, a plain array", rig, ROUNDS},
      {"64 B line, cross core, bursts of 32", cross_core_ring, cross_core_bare, "the bare lines, a flag a burst", rig, ROUNDS},
      {"64 B line, cross core, one way", one_way_ring, one_way_word, "one word there and back, halved", rig, ROUNDS},
      {"128 B record, cross core, bursts of 32", cross_core_records, NULL, NULL, rig, ROUNDS},
  };
  for (unsigned i = 0; i < (cross_core ? sizeof benches / sizeof *benches : 1); i++) bench_run(&benches[i]);
  if (!cross_core) printf("# SKIPPED: cross core, this process has one core\n");
  heap_arena_destroy(heap);
  return 0;
}
