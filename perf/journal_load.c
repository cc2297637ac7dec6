#include "journal_load.h"
#include "bench.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES_MAX (1u << 22)
#define SAMPLES_LEAST 100u
#define SEGMENTS_WAIT_NS 60000000000u
#define RING_BYTES (16u << 20)
#define BATCH_BYTES_MAX (4u << 20)
#define WAIT_NS 200000u /* as the daemon's journal thread */

static int compare_floats(const void *left, const void *right) {
  const float a = *(const float *)left, b = *(const float *)right;
  return a < b ? -1 : a > b;
}

void journal_load_percentiles(struct journal_load *load, struct journal_figures *figures) {
  bench_check(load->samples > 0, "nothing was durable in a round");
  qsort(load->latencies_us, load->samples, sizeof *load->latencies_us, compare_floats);
  figures->p50_us = load->latencies_us[load->samples / 2];
  figures->p99_us = load->latencies_us[(uint64_t)load->samples * 99 / 100];
}

void journal_load_sample(struct journal_load *load, uint64_t elapsed_ns) {
  if (load->samples < SAMPLES_MAX) load->latencies_us[load->samples++] = (float)elapsed_ns / 1000.0f;
}

struct journal_load *journal_load_create(int producer_core) {
  struct journal_load *load = calloc(1, sizeof *load);
  bench_check(load != NULL && (load->latencies_us = malloc(SAMPLES_MAX * sizeof *load->latencies_us)) != NULL, "no memory");
  load->producer_core = producer_core;
  return load;
}

void journal_load_destroy(struct journal_load *load) {
  free(load->latencies_us);
  free(load);
}

void journal_load_open(struct journal_load *load, const char *directory, uint32_t segments_ahead, bool hash_chain,
                       journal_record_visitor *visit, void *context) {
  const char *why;
  int error;
  struct journal_recovery recovery;
  load->io = journal_io_uring_create(directory, &error, &why);
  if (!load->io) bench_fail(why);
  load->arena = heap_arena_create();
  load->ring = record_ring_create(heap_arena_arena(load->arena), RING_BYTES);
  load->published = 0;
  load->segments_ahead = segments_ahead;
  const struct journal_config config = {.io = load->io,
                                        .salt = 1,
                                        .segment_bytes = JOURNAL_LOAD_SEGMENT_BYTES,
                                        .batch_bytes_max = BATCH_BYTES_MAX,
                                        .segments_ahead = segments_ahead,
                                        .hash_chain = hash_chain,
                                        .chain_thread = hash_chain,
                                        .ring_count = 1,
                                        .rings = {load->ring}};
  load->journal = journal_open(&config, visit, context, &recovery, &error);
  if (!load->journal) bench_fail(recovery.refusal[0] ? recovery.refusal : strerror(-error));
}

void journal_load_close(struct journal_load *load) {
  journal_close(load->journal);
  heap_arena_destroy(load->arena);
  load->io->operations->destroy(load->io);
}

void journal_load_count_record(void *context, uint64_t lsn, const struct record_header *record) {
  uint64_t *count = context;
  bench_check(lsn == *count + 1 && record->wall_ns == *count && record->bytes == JOURNAL_LOAD_RECORD_BYTES,
              "a wrong record was recovered");
  ++*count;
}

uint64_t journal_load_recover(struct journal_load *load, const char *directory, bool hash_chain) {
  uint64_t count = 0;
  journal_load_open(load, directory, 1, hash_chain, journal_load_count_record, &count);
  journal_load_close(load);
  return count;
}

void journal_load_remove_directory(const char *directory) {
  DIR *listing = opendir(directory);
  for (struct dirent *entry; listing && (entry = readdir(listing));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(listing), entry->d_name, 0);
  if (listing) closedir(listing);
  rmdir(directory);
}

static void step(struct journal_load *load, uint64_t now_ns) {
  bench_check(journal_step(load->journal, now_ns, now_ns, WAIT_NS) >= 0, "the journal failed");
}

static void publish(struct journal_load *load, uint64_t now_ns) {
  struct record_header *record = record_ring_reserve(load->ring, JOURNAL_LOAD_RECORD_BYTES);
  bench_check(record != NULL, "the ring is full");
  *record = (struct record_header){.type = RECORD_WEBHOOK, .bytes = JOURNAL_LOAD_RECORD_BYTES, .wall_ns = load->published};
  memset(record + 1, (int)load->published, JOURNAL_LOAD_RECORD_BYTES - sizeof *record);
  load->published_ns[load->published % JOURNAL_LOAD_OUTSTANDING_MAX] = now_ns;
  record_ring_publish(load->ring);
  load->published++;
}

void journal_load_wait_for_segments(struct journal_load *load) {
  const struct journal_counters *counters = journal_counters(load->journal);
  const uint64_t deadline_ns = bench_now_ns() + SEGMENTS_WAIT_NS;
  while (counters->segments_prepared - journal_current_segment(load->journal) < load->segments_ahead) {
    step(load, bench_now_ns());
    bench_check(bench_now_ns() < deadline_ns, "the segments were not prepared within a minute");
  }
}

struct round {
  struct journal_load *load;
  uint32_t outstanding;
  uint64_t duration_ns, elapsed_ns, durable;
  _Atomic bool ended;
};

/* Keeps `outstanding` on their way; with `steps`, runs the journal too. */
static void produce(struct round *round, bool steps) {
  struct journal_load *load = round->load;
  const uint64_t first = load->published, start_ns = bench_now_ns();
  uint64_t durable = first, now_ns = start_ns;
  load->samples = 0;
  if (steps) {
    /* Half goes ahead, so that the other half gathers while it is in flight. */
    while (load->published - first < (round->outstanding + 1) / 2) publish(load, now_ns);
    step(load, now_ns);
  }
  while (now_ns - start_ns < round->duration_ns || load->samples < SAMPLES_LEAST) {
    while (load->published - durable < round->outstanding) publish(load, now_ns);
    if (steps) step(load, now_ns);
    const uint64_t reached = journal_durable_lsn(load->journal);
    now_ns = bench_now_ns();
    for (; durable < reached; durable++)
      journal_load_sample(load, now_ns - load->published_ns[durable % JOURNAL_LOAD_OUTSTANDING_MAX]);
    if (!steps) bench_pause();
  }
  round->elapsed_ns = now_ns - start_ns;
  round->durable = durable - first;
}

static void *producer(void *context) {
  struct round *round = context;
  bench_pin((uint32_t)round->load->producer_core);
  produce(round, false);
  atomic_store(&round->ended, true);
  return NULL;
}

struct journal_figures journal_load_run(struct journal_load *load, uint32_t outstanding, uint64_t duration_ns) {
  bench_check(outstanding <= JOURNAL_LOAD_OUTSTANDING_MAX, "too many outstanding");
  const struct journal_counters *counters = journal_counters(load->journal);
  const uint64_t batches = counters->batches, bytes = counters->batch_bytes, flush_ns = counters->flush_ns_sum;
  struct round round = {.load = load, .outstanding = outstanding, .duration_ns = duration_ns};
  if (load->producer_core < 0) {
    produce(&round, true);
  } else {
    pthread_t thread;
    bench_check(pthread_create(&thread, NULL, producer, &round) == 0, "a thread");
    while (!atomic_load(&round.ended)) step(load, bench_now_ns());
    pthread_join(thread, NULL);
  }
  const double flushes = (double)(counters->batches - batches);
  struct journal_figures figures = {.per_second = (double)round.durable * 1e9 / (double)round.elapsed_ns,
                                    .bytes = (double)(counters->batch_bytes - bytes) / flushes,
                                    .records = (double)round.durable / flushes,
                                    .flush_us = (double)(counters->flush_ns_sum - flush_ns) / flushes / 1e3};
  journal_load_percentiles(load, &figures);
  bench_check(journal_drain(load->journal, bench_now_ns(), bench_now_ns()) == 0, "the journal does not drain");
  return figures;
}
