/* Producers, the journal thread and a reader at once, for the thread sanitizer. */
#include "cmocka_test.h"
#include "journal_io_uring_internal.h"
#include "journal_rig.h"
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRODUCERS 2
#define RECORDS 3000u

static char directory[64];

struct shared {
  struct journal_rig rig;
  _Atomic unsigned producing;
  atomic_bool stop, failed;
};

struct producer {
  struct shared *shared;
  uint32_t ring;
};

/* As a shard: publishes, never waits but for room, and sees its own durable mark pass. */
static void *produce(void *context) {
  struct producer *producer = context;
  struct shared *shared = producer->shared;
  struct record_ring *ring = shared->rig.config.rings[producer->ring];
  uint64_t last = 0;
  for (uint32_t i = 0; i < RECORDS && !atomic_load(&shared->failed);) {
    if (!rig_publish(&shared->rig, producer->ring, 0)) {
      sched_yield();
      continue;
    }
    last = record_ring_publish(ring);
    i++;
  }
  while (record_ring_durable(ring) < last && !atomic_load(&shared->failed)) sched_yield();
  atomic_fetch_sub(&shared->producing, 1);
  return NULL;
}

static void *journal_run(void *context) {
  struct shared *shared = context;
  while (!atomic_load(&shared->stop)) {
    const uint64_t now_ns = shared->rig.io->operations->now(shared->rig.io);
    if (journal_step(shared->rig.journal, now_ns, now_ns, 50000) < 0) atomic_store(&shared->failed, true);
  }
  if (journal_rest(shared->rig.journal) < 0) atomic_store(&shared->failed, true);
  return NULL;
}

/* As a sink: every record up to the durable mark, once, in order. */
static void *read_along(void *context) {
  struct shared *shared = context;
  int error;
  struct journal_reader *reader = journal_reader_open(shared->rig.io, 1, &error);
  uint64_t expected = 1, lsn;
  uint32_t last[RIG_RINGS_MAX] = {0};
  const struct record_header *record;
  while (expected <= PRODUCERS * RECORDS && !atomic_load(&shared->failed)) {
    const uint64_t durable = journal_durable_lsn(shared->rig.journal);
    enum journal_read read;
    while ((read = journal_reader_next(reader, durable, &lsn, &record)) == JOURNAL_READ_RECORD) {
      uint32_t ring = 0, number = 0;
      if (lsn != expected++ || !rig_record_check(record, &ring, &number) || number != ++last[ring])
        atomic_store(&shared->failed, true);
    }
    if (read != JOURNAL_READ_END) atomic_store(&shared->failed, true);
  }
  journal_reader_close(reader);
  return NULL;
}

static void test_producers_journal_and_reader(void **state) {
  (void)state;
  strcpy(directory, "journal-threads-XXXXXX");
  assert_non_null(mkdtemp(directory));
  int error;
  const char *why;
  struct journal_io *io = journal_io_uring_create(directory, &error, &why);
  assert_non_null(io);
  struct shared shared = {.producing = PRODUCERS};
  rig_init(&shared.rig, io, PRODUCERS);
  shared.rig.config.segment_bytes = 1u << 20;
  assert_int_equal(rig_open(&shared.rig), 0);
  struct producer producers[PRODUCERS];
  pthread_t threads[PRODUCERS + 2];
  assert_int_equal(pthread_create(&threads[0], NULL, journal_run, &shared), 0);
  assert_int_equal(pthread_create(&threads[1], NULL, read_along, &shared), 0);
  for (uint32_t i = 0; i < PRODUCERS; i++) {
    producers[i] = (struct producer){.shared = &shared, .ring = i};
    assert_int_equal(pthread_create(&threads[2 + i], NULL, produce, &producers[i]), 0);
  }
  for (uint32_t i = 1; i < PRODUCERS + 2; i++) pthread_join(threads[i], NULL);
  atomic_store(&shared.stop, true);
  pthread_join(threads[0], NULL);
  assert_false(atomic_load(&shared.failed));
  assert_int_equal(atomic_load(&shared.producing), 0);
  assert_int_equal(journal_durable_lsn(shared.rig.journal), PRODUCERS * RECORDS);
  rig_free(&shared.rig);
  io->operations->destroy(io);
  DIR *listing = opendir(directory);
  for (struct dirent *entry; (entry = readdir(listing));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(listing), entry->d_name, 0);
  closedir(listing);
  rmdir(directory);
}

int main(void) {
  struct io_uring probe;
  const int available = io_uring_queue_init(2, &probe, 0);
  if (available < 0) {
    printf("1..0 # SKIP io_uring is not permitted here: %s\n", strerror(-available));
    return 77;
  }
  io_uring_queue_exit(&probe);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_producers_journal_and_reader)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
