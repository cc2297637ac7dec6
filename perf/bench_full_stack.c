/* The four tests of the fourth seed document at its scale, and its table beside ours. Its event is a token of 64 bytes made in
 * memory, which nothing reads; ours a span that came over TCP and HTTP as OTLP and was judged by ten rules - whoever wants the
 * same size of work finds in test 4 a line of 64 bytes through a ring. Its figures are its own (an ordinary SSD, its machine is
 * not named): what compares is what observability costs each, not the machines. 1  9,500,000 events without observability 2  the
 * same with everything on: a violation of each 1,000th made durable, limits of one address counted, metrics read ten times a
 * second, the flight recorder. Both take turns, 100,000 events each; the time until the last violation is durable counts 3
 * recovery of 1,000 records, and of 1,000,000, each with checksum and hash chain verified 4  tracing an event: 10,000 operations
 * with and without Oracle: all spans judged, violations raised = durable = recovered; what is recovered is what was written;
 * events read back. Usage: bench_full_stack RULES [DIRECTORY [EVENTS]]. */
#include "bench.h"
#include "bench_files.h"
#include "flight_recorder.h"
#include "heap_arena.h"
#include "journal.h"
#include "line_ring.h"
#include "shard_bench.h"
#include "violation.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED_EVENTS 9500000u
#define TURN_REQUESTS 1000u
#define TURNS_MAX 1001u
#define SEED_BASELINE_MS 430.0
#define SEED_FULL_MS 417843.0
#define SEED_RECOVERY_MS 2.107
#define SEED_OPERATION_NS 41.0
#define SEED_TRACED_NS 738.0
#define OPERATIONS 10000u
#define OPERATION_ROUNDS 1001u
#define RECOVERIES 7u
#define RECOVERY_RING_BYTES (1u << 20)

struct stack {
  struct shard_bench *bench;
  double cost[TURNS_MAX], wall[TURNS_MAX]; /* ns an event, of a turn */
  uint64_t shard_ns, wall_ns;
};

static void take_turn(struct stack *stack, uint32_t turn) {
  struct shard_bench_figures figures = {0};
  shard_bench_run(stack->bench, TURN_REQUESTS, &figures);
  figures.wall_ns += shard_bench_settle(stack->bench);
  stack->cost[turn] = (double)figures.shard_ns / TURN_REQUESTS / SHARD_BENCH_SPANS;
  stack->wall[turn] = (double)figures.wall_ns / TURN_REQUESTS / SHARD_BENCH_SPANS;
  stack->shard_ns += figures.shard_ns;
  stack->wall_ns += figures.wall_ns;
}

static void print_stack(const char *name, struct stack *stack, double events, double seed_ms) {
  struct bench_spread cost = bench_spread_of(stack->cost, (uint32_t)(events / TURN_REQUESTS / SHARD_BENCH_SPANS));
  printf("%-34s %12.0f ms %9.1f ns an event   %9.0f ms on the shard's core, %6.1f ns an event [%.1f..%.1f], %.2f M events/s\n",
         name, seed_ms, seed_ms * 1e6 / SEED_EVENTS, (double)stack->shard_ns / 1e6, cost.median, cost.least, cost.most,
         1e3 / cost.median);
}

static void baseline_and_full(const struct shard_bench_options *options, const char *base, uint32_t events) {
  static struct stack bare, full;
  double cost[TURNS_MAX], wall[TURNS_MAX];
  char directory[300];
  struct shard_bench_options with = *options;
  const uint32_t turns = events / TURN_REQUESTS / SHARD_BENCH_SPANS;
  bench_check(turns > 0 && turns <= TURNS_MAX, "events: 100,000 to 100,100,000");
  snprintf(directory, sizeof directory, "%s/full", base);
  with.records = SHARD_BENCH_JOURNAL;
  with.directory = directory;
  with.violation_every = 1000;
  with.recorder_events = 4096;
  with.recorder_sample_every = 100;
  with.limits = true;
  with.snapshot_ns = 100000000;
  bare.bench = shard_bench_create(options);
  full.bench = shard_bench_create(&with);
  struct shard_bench_figures warm = {0};
  shard_bench_run(bare.bench, TURN_REQUESTS, &warm);
  shard_bench_run(full.bench, TURN_REQUESTS, &warm);
  shard_bench_settle(full.bench);
  for (uint32_t turn = 0; turn < turns; turn++) {
    take_turn(turn % 2 ? &full : &bare, turn);
    take_turn(turn % 2 ? &bare : &full, turn);
    cost[turn] = full.cost[turn] / bare.cost[turn];
    wall[turn] = full.wall[turn] / bare.wall[turn];
  }
  print_stack("1 baseline", &bare, turns * TURN_REQUESTS * SHARD_BENCH_SPANS, SEED_BASELINE_MS);
  print_stack("2 everything on", &full, turns * TURN_REQUESTS * SHARD_BENCH_SPANS, SEED_FULL_MS);
  const struct bench_spread a = bench_spread_of(cost, turns), b = bench_spread_of(wall, turns);
  printf("%-34s %12.0f x %34.4f x on the shard's core [quartiles %.4f..%.4f], %.3f x of the time until all is durable "
         "[%.3f..%.3f]\n",
         "  everything on, over the baseline", SEED_FULL_MS / SEED_BASELINE_MS, a.median, a.lower, a.upper, b.median, b.lower,
         b.upper);
  shard_bench_finish(bare.bench);
  const struct shard_bench_totals totals = shard_bench_finish(full.bench);
  printf("# oracle: %llu spans judged, %llu violations raised, %llu durable and recovered, %llu events in the flight recorder\n",
         (unsigned long long)totals.spans, (unsigned long long)totals.violations, (unsigned long long)totals.durable,
         (unsigned long long)totals.recorded);
  bench_check(totals.violations == totals.spans / 1000 && totals.recorded > 0, "everything was on");
  bench_remove_directory(directory);
}

struct small_journal {
  const char *directory;
  struct heap_arena *heap;
  struct record_ring *ring;
  struct journal_io *io;
  struct journal *journal;
};

static void visit(void *context, uint64_t lsn, const struct record_header *record) {
  uint64_t *count = context;
  struct violation violation;
  bench_check(lsn == *count + 1 && violation_decode((const void *)record, record->bytes, &violation) &&
                  violation.fixed.first_seen_ns == *count,
              "a wrong record was recovered");
  ++*count;
}

/* Returns how long opening took, or recovering. */
static uint64_t open_small(struct small_journal *small, uint64_t *count) {
  const char *why = "";
  int error = 0;
  struct journal_recovery recovery;
  small->heap = heap_arena_create();
  small->ring = record_ring_create(heap_arena_arena(small->heap), RECOVERY_RING_BYTES);
  small->io = journal_io_uring_create(small->directory, &error, &why);
  if (!small->io) bench_fail(why);
  const struct journal_config config = {.io = small->io,
                                        .salt = 1,
                                        .segment_bytes = 64u << 20,
                                        .batch_bytes_max = 1u << 20,
                                        .segments_ahead = 1,
                                        .hash_chain = true,
                                        .ring_count = 1,
                                        .rings = {small->ring}};
  const uint64_t start_ns = bench_now_ns();
  small->journal = journal_open(&config, visit, count, &recovery, &error);
  if (!small->journal) bench_fail(recovery.refusal[0] ? recovery.refusal : strerror(-error));
  return bench_now_ns() - start_ns;
}

static void close_small(struct small_journal *small) {
  journal_close(small->journal);
  small->io->operations->destroy(small->io);
  heap_arena_destroy(small->heap);
}

static void write_violations(struct small_journal *small, uint32_t count) {
  static const char rule[] = "slow-checkout", message[] = "GET /products/{id} took 3s", service[] = "checkout";
  for (uint32_t i = 0; i < count; i++) {
    const struct violation violation = {
        .wall_ns = 1700000000000000000 + i,
        .rule = {rule, sizeof rule - 1},
        .message = {message, sizeof message - 1},
        .service = {service, sizeof service - 1},
        .fixed = {.severity = SEVERITY_HIGH, .source = RULE_ON_SPAN, .count = 1, .first_seen_ns = i}};
    void *record;
    while (!(record = record_ring_reserve(small->ring, violation_encoded_bytes(&violation))))
      bench_check(journal_step(small->journal, bench_now_ns(), 0, 1000000) >= 0, "the journal failed");
    violation_encode(&violation, record);
    record_ring_publish(small->ring);
  }
  bench_check(journal_drain(small->journal, bench_now_ns(), 0) == 0, "the journal does not drain");
}

static void recovery(const char *base, uint32_t records) {
  char directory[300];
  double ms[RECOVERIES];
  snprintf(directory, sizeof directory, "%s/recovery", base);
  struct small_journal small = {.directory = directory};
  uint64_t count = 0;
  open_small(&small, &count);
  write_violations(&small, records);
  close_small(&small);
  for (uint32_t i = 0; i < RECOVERIES; i++) {
    count = 0;
    ms[i] = (double)open_small(&small, &count) / 1e6;
    close_small(&small);
    bench_check(count == records, "records are missing after recovery");
  }
  const struct bench_spread spread = bench_spread_of(ms, RECOVERIES);
  char name[64];
  snprintf(name, sizeof name, "3 recovery, %u records", records);
  printf("%-34s %12.3f ms %8.0f records/s   %9.3f ms [%.3f..%.3f], %.0f records/s; theirs over ours %.1f\n", name,
         SEED_RECOVERY_MS * records / 1000, 1e6 / SEED_RECOVERY_MS, spread.median, spread.least, spread.most,
         1e3 * records / spread.median, SEED_RECOVERY_MS * records / 1000 / spread.median);
  bench_remove_directory(directory);
}

/* A line through the ring between two shards, with an event for each, for one in a hundred, or for none. */
static double operations(struct line_ring *ring, struct flight_recorder *recorder) {
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t i = 0; i < OPERATIONS; i++) {
    uint64_t *line = line_ring_reserve(ring, 1);
    for (unsigned word = 1; word < LINE_BYTES / sizeof *line; word++) line[word] = i + word;
    line_ring_publish(ring);
    const uint64_t *read = line_ring_peek(ring);
    bench_check(read && read[7] == i + 7, "the line is not there");
    line_ring_consume(ring);
    if (!recorder || !flight_samples(recorder)) continue;
    const struct flight_event event = {
        .kind = FLIGHT_REQUEST_ANSWERED, .wall_ns = start_ns, .values = {i, i + 1, i + 2, i + 3, i}};
    flight_record(recorder, &event);
  }
  return (double)(bench_now_ns() - start_ns) / OPERATIONS;
}

static void tracing(void) {
  struct heap_arena *heap = heap_arena_create();
  struct arena *arena = heap_arena_arena(heap);
  struct line_ring *ring = line_ring_create(arena, 1024);
  struct flight_recorder *all = flight_recorder_create(arena, &(struct flight_config){.events = 4096, .sample_every = 1});
  struct flight_recorder *some = flight_recorder_create(arena, &(struct flight_config){.events = 4096, .sample_every = 100});
  static double bare[OPERATION_ROUNDS], traced[OPERATION_ROUNDS], sampled[OPERATION_ROUNDS], cost[OPERATION_ROUNDS];
  for (uint32_t round = 0; round < OPERATION_ROUNDS; round++) {
    bare[round] = operations(ring, NULL);
    traced[round] = operations(ring, all);
    sampled[round] = operations(ring, some);
    cost[round] = traced[round] - bare[round];
  }
  const struct flight_range range = flight_range(all);
  struct flight_event last;
  bench_check(range.end == (uint64_t)OPERATION_ROUNDS * OPERATIONS, "not every operation was traced");
  bench_check(flight_read(all, range.end - 1, &last) && last.values[4] == OPERATIONS - 1, "the last event cannot be read back");
  const struct bench_spread a = bench_spread_of(bare, OPERATION_ROUNDS), b = bench_spread_of(traced, OPERATION_ROUNDS),
                            c = bench_spread_of(sampled, OPERATION_ROUNDS), d = bench_spread_of(cost, OPERATION_ROUNDS);
  printf("%-34s %12.0f ns %30.1f ns [%.1f..%.1f]\n", "4 an operation", SEED_OPERATION_NS, a.median, a.least, a.most);
  printf("%-34s %12.0f ns %30.1f ns [%.1f..%.1f]; 1 %% sampled %.1f ns\n", "  traced", SEED_TRACED_NS, b.median, b.least, b.most,
         c.median);
  printf("%-34s %12.0f ns %30.1f ns [quartiles %.1f..%.1f], theirs over ours %.0f; asked for: 20 ns\n", "  a traced event costs",
         SEED_TRACED_NS - SEED_OPERATION_NS, d.median, d.lower, d.upper, (SEED_TRACED_NS - SEED_OPERATION_NS) / d.median);
  heap_arena_destroy(heap);
}

int main(int count, char **arguments) {
  if (count < 2) {
    fprintf(stderr, "usage: bench_full_stack RULES [DIRECTORY [EVENTS]]\n");
    return 2;
  }
  char base[256];
  struct shard_bench_options options = {.records = SHARD_BENCH_NOWHERE};
  char *rules = bench_read_file(arguments[1], &options.rules_bytes);
  options.rules = rules;
  bench_make_directory(count > 2 ? arguments[2] : ".", base, sizeof base);
  bench_header();
  bench_pin(bench_core_count() - 1); /* journals are on the first core */
  printf("%-34s %15s %17s   %s\n", "", "theirs", "", "ours");
  baseline_and_full(&options, base, count > 3 ? (uint32_t)strtoul(arguments[3], NULL, 10) : SEED_EVENTS);
  recovery(base, 1000);
  recovery(base, 1000000);
  tracing();
  bench_remove_directory(base);
  free(rules);
  return 0;
}
