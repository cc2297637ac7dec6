/* What the flight recorder costs a shard: an event that is recorded, one that the sample leaves out, one where there is no
 * recorder; and an urgent event of a flood. Beside the least that keeping 64 bytes can be, a plain store of them into a ring of
 * the same size; and beside what a log line costs, the clock and a formatted text into memory. Oracle: as many events as were
 * recorded are read back, the last ones whole. */
#include "bench.h"
#include "flight_recorder.h"
#include "heap_arena.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EVENTS 4096u
#define OPERATIONS 1000000u
#define ROUNDS 51u

struct rig {
  struct flight_recorder *recorder;
  struct flight_recorder *volatile none;
  uint64_t recorded;
  struct flight_event plain[EVENTS];
  char lines[EVENTS][128];
};

static struct rig rig;

static struct flight_event event_of(uint64_t number) {
  return (struct flight_event){.kind = FLIGHT_REQUEST_ANSWERED,
                               .wall_ns = 1700000000000000000 + number,
                               .code = (uint32_t)number,
                               .values = {number, number + 1, number + 2, number + 3, number + 4}};
}

/* The oracle of a round: all that the ring holds is there and is what was written. */
static void check(const struct rig *bench) {
  const struct flight_range range = flight_range(bench->recorder);
  struct flight_event event;
  uint64_t found = 0;
  bench_check(range.end == bench->recorded, "events were not recorded");
  for (uint64_t sequence = range.first; sequence < range.end; sequence++)
    if (flight_read(bench->recorder, sequence, &event) && event.values[4] == event.values[0] + 4) found++;
  bench_check(found == range.end - range.first, "events cannot be read back");
}

static double record_all(void *context) {
  struct rig *bench = context;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t i = 0; i < OPERATIONS; i++) {
    const struct flight_event event = event_of(i);
    flight_record(bench->recorder, &event);
  }
  const double ns = (double)(bench_now_ns() - start_ns) / OPERATIONS;
  bench->recorded += OPERATIONS;
  check(bench);
  return ns;
}

static double store_plainly(void *context) {
  struct rig *bench = context;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t i = 0; i < OPERATIONS; i++) {
    struct flight_event *event = &bench->plain[i % EVENTS];
    event->sequence = i + 1;
    event->wall_ns = 1700000000000000000 + i;
    event->kind = FLIGHT_REQUEST_ANSWERED;
    event->code = (uint32_t)i;
    for (unsigned word = 0; word < FLIGHT_VALUES; word++) event->values[word] = i + word;
    bench_keep(i);
  }
  return (double)(bench_now_ns() - start_ns) / OPERATIONS;
}

static double write_lines(void *context) {
  struct rig *bench = context;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t i = 0; i < OPERATIONS / 10; i++) {
    struct timespec now;
    const struct flight_event event = event_of(i);
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(bench->lines[i % EVENTS], sizeof bench->lines[0], "%ld.%09ld answered %u %llu %llu %llu", now.tv_sec, now.tv_nsec,
             event.code, (unsigned long long)event.values[0], (unsigned long long)event.values[1],
             (unsigned long long)event.values[2]);
    bench_keep(i);
  }
  return (double)(bench_now_ns() - start_ns) / (OPERATIONS / 10);
}

/* One in a hundred of the requests, as shipped: the mean of all. */
static double sample_requests(void *context) {
  struct rig *bench = context;
  uint64_t taken = 0;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t i = 0; i < OPERATIONS; i++) {
    bench_keep(i);
    if (!flight_samples(bench->recorder)) continue;
    const struct flight_event event = event_of(i);
    flight_record(bench->recorder, &event);
    taken++;
  }
  const double ns = (double)(bench_now_ns() - start_ns) / OPERATIONS;
  bench_check(taken > OPERATIONS / 100 * 9 / 10 && taken < OPERATIONS / 100 * 11 / 10, "the sample is not one in a hundred");
  bench->recorded += taken;
  check(bench);
  return ns;
}

static double no_recorder(void *context) {
  struct rig *bench = context;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t i = 0; i < OPERATIONS; i++) {
    struct flight_recorder *recorder = bench->none;
    if (recorder && flight_samples(recorder)) bench_fail("there is no recorder");
  }
  return (double)(bench_now_ns() - start_ns) / OPERATIONS;
}

static double empty_loop(void *context) {
  (void)context;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t i = 0; i < OPERATIONS; i++) bench_keep(i);
  return (double)(bench_now_ns() - start_ns) / OPERATIONS;
}

/* A million refusals a second: all but 32 of each tick are skipped. */
static double flood(void *context) {
  struct rig *bench = context;
  static uint64_t now_ns = FLIGHT_TICK_NS;
  uint64_t taken = 0;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t i = 0; i < OPERATIONS; i++, now_ns += 1000) {
    if (!flight_admits(bench->recorder, FLIGHT_REQUEST_REFUSED, now_ns)) continue;
    const struct flight_event event = event_of(i);
    flight_record(bench->recorder, &event);
    taken++;
  }
  const double ns = (double)(bench_now_ns() - start_ns) / OPERATIONS;
  const uint64_t wanted = OPERATIONS * 1000ull / FLIGHT_TICK_NS * FLIGHT_KIND_A_TICK;
  bench_check(taken >= wanted && taken <= wanted + FLIGHT_KIND_A_TICK, "a flood is not bounded as it should be");
  bench->recorded += taken;
  check(bench);
  return ns;
}

int main(void) {
  struct heap_arena *heap = heap_arena_create();
  const struct flight_config config = {.events = EVENTS, .sample_every = 100};
  rig.recorder = flight_recorder_create(heap_arena_arena(heap), &config);
  static const struct bench benches[] = {
      {"an event recorded", record_all, store_plainly, "a plain store of 64 bytes", &rig, ROUNDS},
      {"an event recorded, beside a log line", record_all, write_lines, "clock_gettime and snprintf into memory", &rig, ROUNDS},
      {"a request, one in a hundred recorded", sample_requests, empty_loop, "an empty loop", &rig, ROUNDS},
      {"a request, no recorder", no_recorder, empty_loop, "an empty loop", &rig, ROUNDS},
      {"a refusal in a flood of a million a second", flood, empty_loop, "an empty loop", &rig, ROUNDS},
  };
  bench_header();
  for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) bench_run(&benches[i]);
  heap_arena_destroy(heap);
  return 0;
}
