/* A file read from one place to another, on the simulated disk and, by several threads, on a real one. */
#include "cmocka_test.h"
#include "journal_fault_io.h"
#include "journal_rig.h"
#include "journal_stream_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK JOURNAL_BLOCK_BYTES
#define NAME "journal-0000000000000001.seg"

static uint64_t word_at(uint64_t offset) { return offset * 0x9e3779b97f4a7c15u + 1; }

static void fill(uint8_t *bytes, uint64_t from, uint64_t length) {
  for (uint64_t i = 0; i < length; i += 8) {
    const uint64_t word = word_at(from + i);
    memcpy(bytes + i, &word, 8);
  }
}

/* Zero behind the end of the file. */
static bool holds(const uint8_t *bytes, uint64_t from, uint64_t length, uint64_t file_bytes) {
  for (uint64_t i = 0; i < length; i += 8) {
    uint64_t word;
    memcpy(&word, bytes + i, 8);
    if (word != (from + i < file_bytes ? word_at(from + i) : 0)) return false;
  }
  return true;
}

/* As recovery does: a look at one block, then at more from there, then on, sometimes by one block only. */
static void walk(struct journal_stream *stream, int file, uint64_t from, uint64_t to, uint64_t file_bytes, uint32_t at_once) {
  unsigned seed = (unsigned)to;
  assert_int_equal(journal_stream_begin(stream, file, from, to, at_once), 0);
  for (uint64_t offset = from; offset < to;) {
    int error = 0;
    uint64_t bytes = (1 + (uint64_t)rand_r(&seed) % (at_once / BLOCK)) * BLOCK;
    if (bytes > to - offset) bytes = to - offset;
    const uint8_t *block = journal_stream_at(stream, offset, BLOCK, &error);
    assert_non_null(block);
    assert_true(holds(block, offset, BLOCK, file_bytes));
    const uint8_t *all = journal_stream_at(stream, offset, (uint32_t)bytes, &error);
    assert_non_null(all);
    assert_true(holds(all, offset, bytes, file_bytes));
    offset += rand_r(&seed) % 3 == 0 ? BLOCK : bytes;
  }
}

static void walks(struct journal_io *io, uint64_t file_bytes) {
  const int file = io->operations->open(io, NAME, false);
  assert_true(file >= 0);
  struct journal_stream *stream = journal_stream_create(io);
  assert_non_null(stream);
  walk(stream, file, BLOCK, file_bytes, file_bytes, 72 * 1024);
  walk(stream, file, 0, file_bytes, file_bytes, 1u << 20);
  walk(stream, file, 3 * BLOCK, 3 * BLOCK, file_bytes, 72 * 1024);
  walk(stream, file, 0, file_bytes + 64 * BLOCK, file_bytes, 8u << 20); /* longer than its file */
  walk(stream, file, file_bytes - BLOCK, file_bytes, file_bytes, 72 * 1024);
  /* Given up anywhere. */
  for (uint32_t looks = 0; looks < 4; looks++) {
    int error;
    assert_int_equal(journal_stream_begin(stream, file, 0, file_bytes, 72 * 1024), 0);
    for (uint32_t i = 0; i < looks; i++) assert_non_null(journal_stream_at(stream, i * (uint64_t)BLOCK, BLOCK, &error));
    if (looks % 2) journal_stream_end(stream);
  }
  journal_stream_destroy(stream);
  io->operations->close(io, file);
}

static void on_the_simulated_disk(void **state) {
  (void)state;
  const uint64_t bytes = 9u << 20;
  uint8_t *content = malloc(bytes);
  struct journal_io *io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1});
  fill(content, 0, bytes);
  assert_int_equal(journal_sim_io_put(io, NAME, content, bytes), 0);
  walks(io, bytes);
  io->operations->destroy(io);
  free(content);
}

static void on_a_real_disk(void **state) {
  (void)state;
  char directory[] = "journal-stream-XXXXXX";
  char path[64];
  const char *why;
  int error;
  const uint64_t bytes = 33u << 20;
  assert_non_null(mkdtemp(directory));
  struct journal_io *io = journal_io_uring_create(directory, &error, &why);
  if (!io) skip();
  assert_true(io->operations->reads_on_any_thread);
  uint8_t *content = malloc(bytes);
  fill(content, 0, bytes);
  snprintf(path, sizeof path, "%s/" NAME, directory);
  FILE *file = fopen(path, "w");
  assert_int_equal(fwrite(content, 1, bytes, file), bytes);
  assert_int_equal(fclose(file), 0);
  walks(io, bytes);
  io->operations->destroy(io);
  unlink(path);
  rmdir(directory);
  free(content);
}

/* A reader that is far behind streams, over segments, and goes on with what becomes durable while it reads. */
static void a_reader_far_behind(void **state) {
  (void)state;
  char directory[] = "journal-stream-XXXXXX";
  const char *why;
  int error;
  assert_non_null(mkdtemp(directory));
  struct journal_io *io = journal_io_uring_create(directory, &error, &why);
  if (!io) skip();
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  rig.config.segment_bytes = 2u << 20;
  rig.ring_bytes = 1u << 20;
  assert_int_equal(rig_open(&rig), 0);
  const uint32_t parts[] = {60000, 300, 70000, 10};
  struct journal_reader *reader = journal_reader_open(io, 1, &error);
  uint64_t read = 0, written = 0;
  for (unsigned part = 0; part < 4; part++) {
    for (uint32_t i = 0; i < parts[part]; i += 1000) rig_append(&rig, parts[part] - i < 1000 ? parts[part] - i : 1000, 40);
    written += parts[part];
    uint64_t lsn;
    const struct record_header *record;
    /* Not to the end of the third at once: a stream that stops in the middle. */
    const uint64_t stop = part == 2 ? written - 7000 : written;
    for (; read < stop; read++) {
      uint32_t ring, number;
      assert_int_equal(journal_reader_next(reader, written, &lsn, &record), JOURNAL_READ_RECORD);
      assert_int_equal(lsn, read + 1);
      assert_true(rig_record_check(record, &ring, &number));
      assert_int_equal(number, read + 1);
    }
  }
  uint64_t lsn;
  const struct record_header *record;
  assert_int_equal(journal_reader_next(reader, written, &lsn, &record), JOURNAL_READ_END);
  journal_reader_close(reader);
  rig_free(&rig);
  io->operations->destroy(io);
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", directory);
  assert_int_equal(system(command), 0);
}

/* The error of a read comes where its bytes would be, and the next stretch is read as if nothing had been. */
static void errors_come_in_their_place(void **state) {
  (void)state;
  const uint64_t bytes = 12u << 20;
  uint8_t *content = malloc(bytes);
  struct journal_io *sim = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1});
  struct journal_io *io = journal_fault_io_create(sim);
  int error = 0;
  fill(content, 0, bytes);
  assert_int_equal(journal_sim_io_put(sim, NAME, content, bytes), 0);
  const int file = io->operations->open(io, NAME, false);
  struct journal_stream *stream = journal_stream_create(io);
  journal_fault_io_arm(io, &(struct journal_fault){.point = FAULT_READ, .nth = 2, .error = -EIO});
  assert_int_equal(journal_stream_begin(stream, file, 0, bytes, 72 * 1024), 0);
  assert_non_null(journal_stream_at(stream, (4u << 20) - BLOCK, BLOCK, &error));
  assert_null(journal_stream_at(stream, (4u << 20) - BLOCK, 2 * BLOCK, &error));
  assert_int_equal(error, -EIO);
  walk(stream, file, 0, bytes, bytes, 72 * 1024);
  journal_stream_destroy(stream);
  io->operations->close(io, file);
  io->operations->destroy(io);
  sim->operations->destroy(sim);
  free(content);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(on_the_simulated_disk), cmocka_unit_test(on_a_real_disk),
                                     cmocka_unit_test(a_reader_far_behind), cmocka_unit_test(errors_come_in_their_place)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
