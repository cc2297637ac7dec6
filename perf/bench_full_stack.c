/* The four tests of the fourth seed document at its scale, and its table beside ours. Its event is a token of 64 bytes made in
 * memory, which nothing reads; ours a span that came over TCP and HTTP as OTLP and was judged by ten rules - whoever wants the
 * same size of work finds in test 4 a line of 64 bytes through a ring. Its figures are its own (an ordinary SSD, its machine is
 * not named): what compares is what observability costs each, not the machines.
 *
 * Test 1: 9,500,000 events without observability. Test 2: with a violation of each 1,000th made durable, the limits of one
 * address counted, metrics read ten times a second, the flight recorder; beside it each of these alone, and the baseline a second
 * time, which shows what the figures are worth. All take turns; the time until the last violation is durable counts.
 *
 * Test 3: 1,000 records read back, and 1,000,000, checksums verified, as its replay did; and the whole of a start: the hash chain
 * as well, the end of the log proven, the next segment made ready. Test 4: 10,000 operations with a traced event each, and
 * without.
 *
 * Oracle: all spans judged, violations raised = durable = recovered; what is recovered is what was written; events read back.
 * Usage: bench_full_stack RULES [DIRECTORY [EVENTS]]. */
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
#define TURNS_A_LIFE 10u
#define SEED_BASELINE_MS 430.0
#define SEED_FULL_MS 417843.0
#define SEED_RECOVERY_MS 2.107
#define SEED_EVENT_NS 697.0
#define OPERATIONS 10000u
#define OPERATION_ROUNDS 1001u
#define RECOVERIES 7u
#define RECOVERY_RING_BYTES (1u << 20)

enum with { WITH_JOURNAL = 1, WITH_LIMITS = 2, WITH_METRICS = 4, WITH_RECORDER = 8, WITH_ALL = 15 };

static struct stack {
  const char *name;
  unsigned with; /* enum with */
  struct shard_bench *bench;
  char directory[300];
  double cost[TURNS_MAX], wall[TURNS_MAX]; /* ns an event, of a turn */
  double shard_ms;
} stacks[] = {{.name = "1 baseline"},
              {.name = "2 everything on", .with = WITH_ALL},
              {.name = "  the baseline again"},
              {.name = "  a violation of each 1,000th", .with = WITH_JOURNAL},
              {.name = "  limits of an address", .with = WITH_LIMITS},
              {.name = "  metrics ten times a second", .with = WITH_METRICS},
              {.name = "  flight recorder, 1 %", .with = WITH_RECORDER}};
#define STACKS (sizeof stacks / sizeof *stacks)

static void create(struct stack *stack, const struct shard_bench_options *common, const char *base) {
  struct shard_bench_options options = *common;
  snprintf(stack->directory, sizeof stack->directory, "%s/%zu", base, (size_t)(stack - stacks));
  options.records = stack->with & WITH_JOURNAL ? SHARD_BENCH_JOURNAL : SHARD_BENCH_NOWHERE;
  options.directory = stack->directory;
  options.violation_every = stack->with & WITH_JOURNAL ? 1000 : 0;
  options.limits = stack->with & WITH_LIMITS;
  options.snapshot_ns = stack->with & WITH_METRICS ? 100000000 : 0;
  options.recorder_events = stack->with & WITH_RECORDER ? 4096 : 0;
  options.recorder_sample_every = 100;
  if (!(stack->with & WITH_JOURNAL)) options.directory = NULL;
  stack->bench = shard_bench_create(&options);
}

static void take_turn(struct stack *stack, uint32_t turn) {
  struct shard_bench_figures figures = {0};
  shard_bench_run(stack->bench, TURN_REQUESTS, &figures);
  figures.wall_ns += shard_bench_settle(stack->bench);
  stack->cost[turn] = (double)figures.shard_ns / TURN_REQUESTS / SHARD_BENCH_SPANS;
  stack->wall[turn] = (double)figures.wall_ns / TURN_REQUESTS / SHARD_BENCH_SPANS;
  stack->shard_ms += (double)figures.shard_ns / 1e6;
}

static void print_stack(const struct stack *stack, uint32_t turns) {
  double cost[TURNS_MAX], more[TURNS_MAX], wall[TURNS_MAX];
  for (uint32_t turn = 0; turn < turns; turn++) {
    cost[turn] = stack->cost[turn];
    more[turn] = 100 * (stack->cost[turn] / stacks[0].cost[turn] - 1);
    wall[turn] = 100 * (stack->wall[turn] / stacks[0].wall[turn] - 1);
  }
  const struct bench_spread a = bench_spread_of(cost, turns), b = bench_spread_of(more, turns), c = bench_spread_of(wall, turns);
  char theirs[64] = "";
  if (stack == &stacks[0])
    snprintf(theirs, sizeof theirs, "%.0f ms, %.1f ns", SEED_BASELINE_MS, SEED_BASELINE_MS * 1e6 / SEED_EVENTS);
  if (stack == &stacks[1])
    snprintf(theirs, sizeof theirs, "%.0f ms, %.0f ns, %.0f x", SEED_FULL_MS, SEED_FULL_MS * 1e6 / SEED_EVENTS,
             SEED_FULL_MS / SEED_BASELINE_MS);
  printf("%-30s %-28s %7.0f ms, %6.1f ns [%.1f..%.1f]", stack->name, theirs, stack->shard_ms, a.median, a.least, a.most);
  if (stack != &stacks[0])
    printf("; over the baseline %+.2f %% [%+.2f..%+.2f], until all is durable %+.1f %% [%+.1f..%+.1f]", b.median, b.lower,
           b.upper, c.median, c.lower, c.upper);
  printf("\n");
}

static void finish(struct stack *stack, struct shard_bench_totals *sum) {
  const struct shard_bench_totals totals = shard_bench_finish(stack->bench);
  if (stack->with & WITH_JOURNAL) bench_check(totals.durable == totals.spans / 1000, "a violation of each 1,000th, durable");
  if (stack->with & WITH_RECORDER) bench_check(totals.recorded > 0, "the flight recorder was on");
  if (stack->with & WITH_JOURNAL) bench_remove_directory(stack->directory);
  if (stack->with != WITH_ALL) return;
  sum->spans += totals.spans;
  sum->violations += totals.violations;
  sum->durable += totals.durable;
  sum->recorded += totals.recorded;
}

/* All are made anew now and then: two shards differ by a few percent for where their memory lies. */
static void take_turns(const struct shard_bench_options *options, const char *base, uint32_t first, uint32_t end,
                       struct shard_bench_totals *sum) {
  for (size_t i = 0; i < STACKS; i++) {
    struct shard_bench_figures warm = {0};
    create(&stacks[i], options, base);
    shard_bench_run(stacks[i].bench, TURN_REQUESTS, &warm);
    shard_bench_settle(stacks[i].bench);
  }
  for (uint32_t turn = first; turn < end; turn++)
    for (size_t i = 0; i < STACKS; i++) take_turn(&stacks[(i + turn) % STACKS], turn);
  for (size_t i = 0; i < STACKS; i++) finish(&stacks[i], sum);
}

static void baseline_and_full(const struct shard_bench_options *options, const char *base, uint32_t events) {
  const uint32_t turns = events / TURN_REQUESTS / SHARD_BENCH_SPANS;
  struct shard_bench_totals sum = {0};
  bench_check(turns > 0 && turns <= TURNS_MAX, "events: 100,000 to 100,100,000");
  for (uint32_t turn = 0; turn < turns; turn += TURNS_A_LIFE)
    take_turns(options, base, turn, turn + TURNS_A_LIFE < turns ? turn + TURNS_A_LIFE : turns, &sum);
  for (size_t i = 0; i < STACKS; i++) print_stack(&stacks[i], turns);
  printf(
      "# oracle, of everything on, warming up included: %llu spans judged, %llu violations raised, %llu durable and recovered, "
      "%llu events recorded\n",
      (unsigned long long)sum.spans, (unsigned long long)sum.violations, (unsigned long long)sum.durable,
      (unsigned long long)sum.recorded);
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

/* By a reader, as tools and sinks read. Returns how long it took. */
static uint64_t replay(struct small_journal *small, uint32_t records) {
  int error = 0;
  uint64_t lsn, count = 0;
  const struct record_header *record;
  const uint64_t start_ns = bench_now_ns();
  struct journal_reader *reader = journal_reader_open(small->io, 1, &error);
  bench_check(reader != NULL, "a reader");
  while (count < records && journal_reader_next(reader, records, &lsn, &record) == JOURNAL_READ_RECORD)
    visit(&count, lsn, record);
  const uint64_t took_ns = bench_now_ns() - start_ns;
  journal_reader_close(reader);
  bench_check(count == records, "records are missing in the replay");
  return took_ns;
}

static void print_recovery(const char *what, uint32_t records, double ms[RECOVERIES]) {
  const struct bench_spread spread = bench_spread_of(ms, RECOVERIES);
  char name[64], theirs[64];
  snprintf(name, sizeof name, "3 %s, %u records", what, records);
  snprintf(theirs, sizeof theirs, "%.3f ms, %.0f /s", SEED_RECOVERY_MS * records / 1000, 1e6 / SEED_RECOVERY_MS);
  printf("%-30s %-28s %11.3f ms [%.3f..%.3f], %.0f /s; theirs over ours %.2f\n", name, theirs, spread.median, spread.least,
         spread.most, 1e3 * records / spread.median, SEED_RECOVERY_MS * records / 1000 / spread.median);
}

static void recovery(const char *base, uint32_t records) {
  char directory[300];
  double started[RECOVERIES], replayed[RECOVERIES];
  snprintf(directory, sizeof directory, "%s/recovery", base);
  struct small_journal small = {.directory = directory};
  uint64_t count = 0;
  open_small(&small, &count);
  write_violations(&small, records);
  close_small(&small);
  for (uint32_t i = 0; i < RECOVERIES; i++) {
    count = 0;
    started[i] = (double)open_small(&small, &count) / 1e6;
    replayed[i] = (double)replay(&small, records) / 1e6;
    close_small(&small);
    bench_check(count == records, "records are missing after recovery");
  }
  print_recovery("replay", records, replayed);
  print_recovery("start", records, started);
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
  printf("%-30s %-28s %7.1f ns [%.1f..%.1f]\n", "4 an operation", "41 ns", a.median, a.least, a.most);
  printf("%-30s %-28s %7.1f ns [%.1f..%.1f]; one in a hundred traced %.1f ns\n", "  traced", "738 ns", b.median, b.least, b.most,
         c.median);
  printf("%-30s %-28s %7.1f ns [quartiles %.1f..%.1f]; theirs over ours %.0f; asked for: 20 ns\n", "  a traced event costs",
         "697 ns", d.median, d.lower, d.upper, SEED_EVENT_NS / d.median);
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
  bench_pin(bench_calm_core()); /* journals are on the first core */
  printf("%-30s %-28s %s\n", "", "theirs",
         "ours, on the shard's core: median [least..most]; quartiles of what is over the baseline");
  baseline_and_full(&options, base, count > 3 ? (uint32_t)strtoul(arguments[3], NULL, 10) : SEED_EVENTS);
  recovery(base, 1000);
  recovery(base, 1000000);
  tracing();
  bench_remove_directory(base);
  free(rules);
  return 0;
}
