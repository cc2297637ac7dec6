#include "cmocka_test.h"
#include "journal_rig.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *block_of(uint8_t value, size_t blocks) {
  uint8_t *block = aligned_alloc(4096, 4096 * blocks);
  memset(block, value, 4096 * blocks);
  return block;
}

static struct journal_io *disk(uint64_t seed) {
  return journal_sim_io_create(&(struct journal_sim_io_options){.seed = seed, .latency_least_ns = 100, .latency_most_ns = 100});
}

static int finish(struct journal_io *io, const struct journal_io_request *request) {
  assert_int_equal(io->operations->submit(io, request), 0);
  struct journal_io_completion completion;
  assert_int_equal(io->operations->reap(io, &completion, 1, 1000), 1);
  return completion.result;
}

static void test_time_is_virtual(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_io_completion completion;
  assert_true(journal_sim_io_next_due_ns(io) == UINT64_MAX);
  const struct journal_io_request request = {.kind = JOURNAL_IO_SYNC_DIRECTORY, .token = 9};
  assert_int_equal(io->operations->submit(io, &request), 0);
  assert_int_equal(journal_sim_io_next_due_ns(io), 100);
  assert_int_equal(io->operations->reap(io, &completion, 1, 99), 0);
  assert_int_equal(io->operations->now(io), 99);
  journal_sim_io_set_time(io, 100);
  assert_int_equal(io->operations->reap(io, &completion, 1, 0), 1);
  assert_int_equal(completion.token, 9);
  assert_int_equal(io->operations->reap(io, &completion, 1, 5000), 0);
  assert_int_equal(io->operations->now(io), 5100);
  io->operations->destroy(io);
}

/* Over many seeds, each fate is met, and nothing that was durable is ever lost. */
static void test_crashes_take_only_what_was_not_durable(void **state) {
  (void)state;
  uint8_t *ones = block_of(1, 1), *twos = block_of(2, 2), *read = block_of(0, 3);
  unsigned lost = 0, kept = 0, torn_sectors = 0, torn_blocks = 0, names_lost = 0, names_kept = 0, lengths_lost = 0;
  for (uint64_t seed = 1; seed <= 400; seed++) {
    struct journal_io *io = disk(seed);
    int file = io->operations->open(io, "a", true);
    assert_int_equal(finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_ALLOCATE, .file = file, .bytes = 3 * 4096}), 0);
    assert_int_equal(io->operations->write_sync(io, file, ones, 4096, 0), 4096);
    assert_int_equal(io->operations->sync(io, file), 0);
    assert_int_equal(finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_SYNC_DIRECTORY}), 0);
    assert_true(io->operations->open(io, "b", true) >= 0);
    const struct journal_io_request write = {
        .kind = JOURNAL_IO_WRITE_DURABLE, .file = file, .buffer = twos, .bytes = 8192, .offset = 4096, .token = 5};
    assert_int_equal(io->operations->submit(io, &write), 0);
    journal_sim_io_crash(io);
    struct journal_io_completion completion;
    assert_int_equal(io->operations->reap(io, &completion, 1, 1000), 1);
    assert_int_equal(completion.result, -ECANCELED);
    assert_int_equal(io->operations->close(io, file), -EBADF);
    const int other = io->operations->open(io, "b", false);
    names_lost += other == -ENOENT;
    names_kept += other >= 0;
    lengths_lost += other >= 0 && io->operations->size(io, other) == 0;
    file = io->operations->open(io, "a", false);
    assert_true(file >= 0);
    assert_int_equal(io->operations->read(io, file, read, 3 * 4096, 0), 3 * 4096);
    assert_memory_equal(read, ones, 4096);
    unsigned twos_found = 0;
    for (unsigned at = 4096; at < 3 * 4096; at += 512) {
      assert_true(read[at] == 0 || read[at] == 2);
      twos_found += read[at] == 2;
    }
    lost += twos_found == 0;
    kept += twos_found == 16;
    torn_blocks += twos_found == 8 && (read[4096] == read[4096 + 3584]);
    torn_sectors += twos_found % 8 != 0;
    io->operations->destroy(io);
  }
  assert_true(lost > 20 && kept > 10 && torn_sectors > 20 && torn_blocks > 5 && names_lost > 20 && names_kept > 20);
  assert_true(lengths_lost > 0);
  free(ones);
  free(twos);
  free(read);
}

static void test_plain_writes_need_a_sync(void **state) {
  (void)state;
  uint8_t *ones = block_of(1, 1);
  unsigned lost = 0;
  for (uint64_t seed = 1; seed <= 100; seed++) {
    for (int synced = 0; synced < 2; synced++) {
      struct journal_io *io = disk(seed);
      const int file = io->operations->open(io, "a", true);
      assert_int_equal(finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_ALLOCATE, .file = file, .bytes = 4096}), 0);
      assert_int_equal(io->operations->sync(io, file), 0);
      assert_int_equal(finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_SYNC_DIRECTORY}), 0);
      assert_int_equal(
          finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_WRITE, .file = file, .buffer = ones, .bytes = 4096}), 4096);
      if (synced) assert_int_equal(finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_SYNC, .file = file}), 0);
      journal_sim_io_crash(io);
      size_t length;
      const uint8_t *bytes = journal_sim_io_bytes(io, "a", &length);
      const bool there = length == 4096 && memcmp(bytes, ones, 4096) == 0;
      if (synced)
        assert_true(there);
      else
        lost += !there;
      io->operations->destroy(io);
    }
  }
  assert_true(lost > 20);
  free(ones);
}

static void test_renames_keep_their_order(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 100; seed++) {
    struct journal_io *io = disk(seed);
    assert_true(io->operations->open(io, "a", true) >= 0);
    assert_int_equal(finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_RENAME, .from = "a", .to = "b"}), 0);
    assert_int_equal(io->operations->remove(io, "b"), 0);
    assert_true(io->operations->open(io, "c", true) >= 0);
    journal_sim_io_crash(io);
    const bool a = io->operations->open(io, "a", false) >= 0, b = io->operations->open(io, "b", false) >= 0;
    const bool c = io->operations->open(io, "c", false) >= 0;
    assert_true(a + b + c <= 1);
    io->operations->destroy(io);
  }
}

static void test_capacity(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  journal_sim_io_set_capacity(io, 8192);
  const int file = io->operations->open(io, "a", true);
  assert_int_equal(finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_ALLOCATE, .file = file, .bytes = 12288}), -ENOSPC);
  assert_int_equal(finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_ALLOCATE, .file = file, .bytes = 8192}), 0);
  assert_int_equal(io->operations->remove(io, "a"), 0);
  const int other = io->operations->open(io, "b", true);
  assert_int_equal(finish(io, &(struct journal_io_request){.kind = JOURNAL_IO_ALLOCATE, .file = other, .bytes = 8192}), 0);
  io->operations->destroy(io);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_time_is_virtual),
      cmocka_unit_test(test_crashes_take_only_what_was_not_durable),
      cmocka_unit_test(test_plain_writes_need_a_sync),
      cmocka_unit_test(test_renames_keep_their_order),
      cmocka_unit_test(test_capacity),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
