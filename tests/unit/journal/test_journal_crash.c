/* Thousands of power cuts on the simulated disk: what was durable is there, in order, once. TRIPLINE_SEEDS and TRIPLINE_SEED
 * choose how many and which. */
#include "cmocka_test.h"
#include "journal_reader_check.h"
#include "journal_rig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVES 4

static uint64_t random_state;

static uint64_t random_below(uint64_t bound) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (random_state >> 33) % bound;
}

struct history {
  uint64_t durable_lsn;              /* at the last crash */
  uint32_t durable[RIG_RINGS_MAX];   /* numbers known durable then */
  uint32_t recovered[RIG_RINGS_MAX]; /* numbers that the last recovery gave */
};

/* Which numbers of a ring are durable, by its mark: positions are remembered at publish. */
struct marks {
  uint64_t positions[RIG_RINGS_MAX][4096];
  uint32_t first[RIG_RINGS_MAX], count[RIG_RINGS_MAX];
};

static void note_durable(const struct journal_rig *rig, const struct marks *marks, struct history *history) {
  for (uint32_t ring = 0; ring < rig->config.ring_count; ring++) {
    const uint64_t durable = record_ring_durable(rig->config.rings[ring]);
    for (uint32_t i = 0; i < marks->count[ring]; i++)
      if (marks->positions[ring][i] <= durable) history->durable[ring] = marks->first[ring] + i;
  }
  history->durable_lsn = journal_durable_lsn(rig->journal);
}

static void publish_some(struct journal_rig *rig, struct marks *marks) {
  for (uint64_t n = random_below(12); n > 0; n--) {
    const uint32_t ring = (uint32_t)random_below(rig->config.ring_count);
    if (marks->count[ring] == 4096 || !rig_publish(rig, ring, 0)) continue;
    if (marks->count[ring] == 0) marks->first[ring] = rig->published[ring];
    marks->positions[ring][marks->count[ring]++] = record_ring_publish(rig->config.rings[ring]);
  }
}

static void live(struct journal_rig *rig, struct history *history, uint64_t seed) {
  struct marks *marks = calloc(1, sizeof *marks);
  for (uint64_t steps = random_below(400); steps > 0; steps--) {
    if (random_below(3) == 0) publish_some(rig, marks);
    const int result = rig_step(rig, random_below(150000));
    if (result < 0) fail_msg("seed %llu: step says %d", (unsigned long long)seed, result);
    note_durable(rig, marks, history);
  }
  free(marks);
}

static void check_recovered(const struct journal_rig *rig, const struct history *history, uint64_t seed) {
  const unsigned long long s = seed;
  if (rig->error) fail_msg("seed %llu: refused: %s", s, rig->recovery.refusal);
  if (rig->recovered_badly) fail_msg("seed %llu: not a prefix of what was published", s);
  if (rig->last_lsn < history->durable_lsn)
    fail_msg("seed %llu: LSN %llu was durable", s, (unsigned long long)history->durable_lsn);
  if (journal_durable_lsn(rig->journal) != rig->last_lsn) fail_msg("seed %llu: durable LSN after recovery", s);
  for (uint32_t ring = 0; ring < rig->config.ring_count; ring++) {
    if (rig->recovered[ring] < history->durable[ring]) fail_msg("seed %llu: ring %u lost a durable record", s, ring);
    if (rig->recovered[ring] < history->recovered[ring]) fail_msg("seed %llu: ring %u lost a recovered record", s, ring);
    if (rig->recovered[ring] > rig->published[ring]) fail_msg("seed %llu: ring %u has what was never published", s, ring);
  }
}

static void run_seed(uint64_t seed) {
  random_state = seed * 2862933555777941757u + 3037000493u;
  struct journal_io *io = journal_sim_io_create(
      &(struct journal_sim_io_options){.seed = seed, .latency_least_ns = 20000, .latency_most_ns = 20000 + random_below(400000)});
  struct journal_rig rig;
  struct history history = {0};
  rig_init(&rig, io, 1 + (uint32_t)random_below(RIG_RINGS_MAX));
  rig.config.segments_ahead = 1 + (uint32_t)random_below(3);
  for (int life = 0; life < LIVES; life++) {
    rig_open(&rig);
    check_recovered(&rig, &history, seed);
    memcpy(history.recovered, rig.recovered, sizeof history.recovered);
    memcpy(rig.published, rig.recovered, sizeof rig.published); /* what was not recovered is published again */
    if (!reader_agrees(io, journal_durable_lsn(rig.journal))) fail_msg("seed %llu: the reader", (unsigned long long)seed);
    live(&rig, &history, seed);
    journal_sim_io_crash(io);
    rig_close(&rig);
  }
  rig_open(&rig);
  check_recovered(&rig, &history, seed);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_no_crash_loses_or_doubles_what_was_durable(void **state) {
  (void)state;
  const char *one = getenv("TRIPLINE_SEED"), *many = getenv("TRIPLINE_SEEDS");
  if (one) {
    run_seed(strtoull(one, NULL, 10));
    return;
  }
  const uint64_t seeds = many ? strtoull(many, NULL, 10) : 2000;
  for (uint64_t seed = 1; seed <= seeds; seed++) run_seed(seed);
}

/* One seed gives one history, bit for bit. */
static void test_a_seed_replays_exactly(void **state) {
  (void)state;
  struct disk_image images[2];
  for (int run = 0; run < 2; run++) {
    random_state = 77;
    struct journal_io *io =
        journal_sim_io_create(&(struct journal_sim_io_options){.seed = 77, .latency_least_ns = 1, .latency_most_ns = 500000});
    struct journal_rig rig;
    struct history history = {0};
    rig_init(&rig, io, 3);
    assert_int_equal(rig_open(&rig), 0);
    live(&rig, &history, 77);
    journal_sim_io_crash(io);
    rig_free(&rig);
    disk_image_take(&images[run], io);
    io->operations->destroy(io);
  }
  assert_int_equal(images[0].count, images[1].count);
  assert_true(images[0].count > 0);
  for (uint32_t i = 0; i < images[0].count; i++) {
    assert_string_equal(images[0].files[i].name, images[1].files[i].name);
    assert_int_equal(images[0].files[i].length, images[1].files[i].length);
    assert_memory_equal(images[0].files[i].bytes, images[1].files[i].bytes, images[0].files[i].length);
  }
  disk_image_free(&images[0]);
  disk_image_free(&images[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_seed_replays_exactly),
      cmocka_unit_test(test_no_crash_loses_or_doubles_what_was_durable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
