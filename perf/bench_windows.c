/* Window rules: what a span costs from its batch to the window of its key, by measure and number of keys. The floor is the least
 * that could do it: one addition in an open table of the same keys. Oracle: every span is in a window, every key has one, and
 * every key fires once where the measure says so. */
#include "bench.h"
#include "engine.h"
#include "heap_arena.h"
#include "rule_set.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPANS (1u << 17) /* a round */
#define ROUNDS 21u
#define KEYS_MOST 100000u
#define SLOTS (1u << 18)
#define FIRES_AT 20u /* every key has more in a run */
#define NAME_BYTES 16u
#define STRIDE 7919u /* a prime: neighbours are other keys */

struct judge {
  struct heap_arena *heap;
  struct rule_image *image;
  struct engine *engine;
  struct line_ring *digests;
  struct record_ring *records;
  uint32_t keys;
  uint64_t spans, violations;
};

static char services[KEYS_MOST][NAME_BYTES];
static uint32_t service_bytes[KEYS_MOST];
static struct {
  char service[NAME_BYTES];
  uint64_t count;
} table[SLOTS];

static void judge_create(struct judge *judge, const char *window, uint32_t keys) {
  struct rule_errors errors = {0};
  char text[256];
  const int length =
      snprintf(text, sizeof text, "rules:\n  - {name: busy, on: span, if: 'name = \"pay\"', window: '%s'}\n", window);
  struct rule_set *set = rule_set_parse("bench", text, (size_t)length, &errors);
  bench_check(set != NULL, "the rule does not parse");
  *judge = (struct judge){.keys = keys, .heap = heap_arena_create(), .image = rule_image_compile(set, 1, NULL, 1, &errors)};
  rule_set_free(set);
  struct arena *arena = heap_arena_arena(judge->heap);
  judge->digests = line_ring_create(arena, 1024);
  judge->records = record_ring_create(arena, 1u << 26);
  struct engine_config config = {.shards = 1,
                                 .column_capacity = 64,
                                 .traces_max = 16,
                                 .captures_max = 16,
                                 .window_keys_max = 1u << 17,
                                 .window_blocks_max = 12u << 17,
                                 .idle_ns = 1,
                                 .records = judge->records};
  config.digests_to[0] = judge->digests;
  judge->engine = engine_create(arena, &config, 0);
  bench_check(judge->image && judge->engine, "no engine");
  engine_adopt(judge->engine, judge->image);
}

static double round_windows(void *context) {
  struct judge *judge = context;
  const uint64_t now_ns = 1000000000, start_ns = bench_now_ns(), last = judge->spans + SPANS;
  uint32_t bytes;
  while (judge->spans < last) {
    struct event_batch *batch = engine_batch(judge->engine, EVENT_SPAN);
    for (uint32_t i = 0; i < EVENT_BATCH_ROWS; i++, judge->spans++) {
      struct event_fields *fields = &batch->fields[event_batch_add(batch)];
      const uint32_t key = (uint32_t)(judge->spans * STRIDE % judge->keys);
      fields->name = (struct event_text){"pay", 3};
      fields->service = (struct event_text){services[key], service_bytes[key]};
      fields->start_ns = now_ns;
      fields->end_ns = now_ns + 1000 * (judge->spans % 4096);
    }
    bench_check(engine_evaluate(judge->engine, batch, now_ns, now_ns), "no room for the digests");
    engine_commit(judge->engine);
    for (const void *digest; (digest = line_ring_peek(judge->digests)); line_ring_consume(judge->digests))
      engine_apply_window(judge->engine, digest, now_ns, now_ns);
  }
  const double ns = (double)(bench_now_ns() - start_ns) / SPANS;
  for (; record_ring_peek(judge->records, &bytes); judge->violations++) record_ring_advance(judge->records);
  return ns;
}

static double round_table(void *context) {
  const struct judge *judge = context;
  const uint64_t start_ns = bench_now_ns();
  for (uint64_t span = 0; span < SPANS; span++) {
    const uint32_t key = (uint32_t)(span * STRIDE % judge->keys);
    uint64_t words[2];
    memcpy(words, services[key], sizeof words);
    uint64_t slot = (words[0] ^ words[1]) * 0x9e3779b97f4a7c15u >> 46;
    while (table[slot].count && memcmp(table[slot].service, services[key], NAME_BYTES) != 0) slot = (slot + 1) % SLOTS;
    memcpy(table[slot].service, services[key], NAME_BYTES);
    table[slot].count++;
  }
  return (double)(bench_now_ns() - start_ns) / SPANS;
}

static void measure(const char *window, uint32_t keys, bool fires) {
  struct judge judge;
  char name[64];
  memset(table, 0, sizeof table);
  judge_create(&judge, window, keys);
  snprintf(name, sizeof name, "%.*s, %u keys", (int)strcspn(window, "b"), window, keys);
  const struct bench bench = {name, round_windows, round_table, "an addition in a table", &judge, ROUNDS};
  bench_run(&bench);
  const struct engine_counters *counters = engine_counters(judge.engine);
  bench_check(counters->window_events == judge.spans && counters->window_events_unplaced == 0, "not every span is in a window");
  bench_check(counters->window_keys_opened == keys && counters->window_keys_live == keys, "not every key has its window");
  bench_check(judge.violations == (fires ? keys : 0), "not every key fired once");
  rule_image_free(judge.image);
  heap_arena_destroy(judge.heap);
}

int main(void) {
  static const uint32_t keys[] = {100, 10000, KEYS_MOST};
  char window[96];
  bench_pin(bench_core_count() - 1);
  bench_header();
  for (uint32_t i = 0; i < KEYS_MOST; i++) service_bytes[i] = (uint32_t)snprintf(services[i], NAME_BYTES, "service-%u", i);
  for (unsigned k = 0; k < 3; k++) {
    snprintf(window, sizeof window, "count by (service) over 60s >= %u", FIRES_AT);
    measure(window, keys[k], true);
    measure("p99(duration) by (service) over 60s > 1h", keys[k], false);
    measure("distinct(duration) by (service) over 60s > 1000000000", keys[k], false);
  }
  return 0;
}
