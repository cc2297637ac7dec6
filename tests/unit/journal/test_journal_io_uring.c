/* Real files under the build directory, by io_uring. */
#include "cmocka_test.h"
#include "journal_format_internal.h"
#include "journal_io_uring_internal.h"
#include "journal_reader_check.h"
#include "journal_rig.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char directory[64];

static struct journal_io *open_disk(void) {
  int error;
  const char *why;
  struct journal_io *io = journal_io_uring_create(directory, &error, &why);
  if (!io) fail_msg("%s: %s", why, strerror(-error));
  return io;
}

static int make_directory(void **state) {
  (void)state;
  strcpy(directory, "journal-test-XXXXXX");
  return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
  (void)state;
  DIR *listing = opendir(directory);
  for (struct dirent *entry; (entry = readdir(listing));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(listing), entry->d_name, 0);
  closedir(listing);
  return rmdir(directory);
}

static void append(struct journal_rig *rig, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    while (!rig_publish(rig, i % rig->config.ring_count, 0))
      assert_true(journal_step(rig->journal, rig->io->operations->now(rig->io), 1, 100000) >= 0);
  }
  assert_int_equal(journal_drain(rig->journal, rig->io->operations->now(rig->io), 1), 0);
}

static void test_records_come_back_after_restarts(void **state) {
  (void)state;
  struct journal_rig rig;
  for (int life = 0; life < 4; life++) {
    struct journal_io *io = open_disk();
    uint32_t published[RIG_RINGS_MAX] = {0};
    if (life > 0) memcpy(published, rig.published, sizeof published);
    rig_init(&rig, io, 3);
    rig.config.segments_ahead = 2;
    assert_int_equal(rig_open(&rig), 0);
    assert_false(rig.recovered_badly);
    assert_memory_equal(rig.recovered, published, sizeof published);
    memcpy(rig.published, published, sizeof published);
    append(&rig, 900);
    assert_int_equal(journal_durable_lsn(rig.journal), 900u * (unsigned)(life + 1));
    assert_true(reader_agrees(io, journal_durable_lsn(rig.journal)));
    rig_free(&rig);
    io->operations->destroy(io);
  }
}

static void test_segments_are_whole_before_use(void **state) {
  (void)state;
  struct journal_io *io = open_disk();
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  assert_int_equal(rig_open(&rig), 0);
  append(&rig, 10);
  char path[128];
  snprintf(path, sizeof path, "%s/journal-%016d.seg", directory, 1);
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_size, RIG_SEGMENT_BYTES);
  assert_true(status.st_blocks * 512 >= (off_t)RIG_SEGMENT_BYTES);
  assert_int_equal(status.st_mode & 0777, 0640);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_operations_on_files(void **state) {
  (void)state;
  struct journal_io *io = open_disk();
  const struct journal_io_operations *operations = io->operations;
  assert_int_equal(operations->open(io, "absent", false), -ENOENT);
  const int file = operations->open(io, "one", true);
  assert_true(file >= 0);
  assert_int_equal(operations->open(io, "one", true), -EEXIST);
  uint8_t *buffer = aligned_alloc(4096, 8192);
  memset(buffer, 0x5a, 8192);
  assert_int_equal(operations->write_sync(io, file, buffer, 8192, 0), 8192);
  assert_int_equal(operations->sync(io, file), 0);
  assert_int_equal(operations->size(io, file), 8192);
  memset(buffer, 0, 8192);
  assert_int_equal(operations->read(io, file, buffer, 8192, 4096), 4096);
  assert_int_equal(buffer[4095], 0x5a);
  assert_int_equal(buffer[4096], 0);
  assert_int_equal(operations->read(io, file, buffer, 4096, 8192), 0);
  assert_int_equal(operations->close(io, file), 0);
  assert_int_equal(operations->remove(io, "one"), 0);
  assert_int_equal(operations->remove(io, "one"), -ENOENT);
  assert_int_equal(operations->open(io, "../outside", false), -ENOENT);
  assert_true(operations->size(io, -1) < 0);
  free(buffer);
  operations->destroy(io);
}

static void test_a_failed_write_completes_with_its_error(void **state) {
  (void)state;
  struct journal_io *io = open_disk();
  uint8_t *buffer = aligned_alloc(4096, 4096);
  memset(buffer, 1, 4096);
  const struct journal_io_request request = {
      .kind = JOURNAL_IO_WRITE_DURABLE, .file = -1, .buffer = buffer, .bytes = 4096, .token = 42};
  assert_int_equal(io->operations->submit(io, &request), 0);
  struct journal_io_completion completion = {0};
  assert_int_equal(io->operations->reap(io, &completion, 1, 1000000000), 1);
  assert_int_equal(completion.token, 42);
  assert_int_equal(completion.result, -EBADF);
  free(buffer);
  io->operations->destroy(io);
}

/* The write of a durable write falls short: that is its one completion, and the sync linked to it says nothing. */
static void test_a_short_write_is_one_completion(void **state) {
  (void)state;
  struct journal_io *io = open_disk();
  const int file = io->operations->open(io, "short", true);
  uint8_t *buffer = aligned_alloc(4096, 65536);
  memset(buffer, 7, 65536);
  const struct iovec buffers[] = {{buffer, 65536}};
  io->operations->set_buffers(io, buffers, 1);
  struct rlimit before;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 16384, .rlim_max = before.rlim_max}), 0);
  const struct journal_io_request request = {
      .kind = JOURNAL_IO_WRITE_DURABLE, .file = file, .buffer = buffer, .bytes = 65536, .token = 5};
  assert_int_equal(io->operations->submit(io, &request), 0);
  struct journal_io_completion completions[2] = {{0}};
  assert_int_equal(io->operations->reap(io, completions, 2, 1000000000), 1);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(completions[0].token, 5);
  assert_int_equal(completions[0].result, 16384);
  assert_int_equal(io->operations->reap(io, completions, 2, 5000000), 0);
  assert_int_equal(io->operations->submit(io, &request), 0);
  assert_int_equal(io->operations->reap(io, completions, 2, 1000000000), 1);
  assert_int_equal(completions[0].result, 65536);
  io->operations->set_buffers(io, NULL, 0);
  assert_int_equal(io->operations->close(io, file), 0);
  free(buffer);
  io->operations->destroy(io);
}

static void test_the_queue_has_a_bound(void **state) {
  (void)state;
  struct journal_io *io = open_disk();
  const struct journal_io_request request = {.kind = JOURNAL_IO_SYNC_DIRECTORY, .token = 1};
  for (int i = 0; i < JOURNAL_IO_IN_FLIGHT_MAX; i++) assert_int_equal(io->operations->submit(io, &request), 0);
  assert_int_equal(io->operations->submit(io, &request), -EAGAIN);
  struct journal_io_completion completions[JOURNAL_IO_IN_FLIGHT_MAX];
  for (int done = 0; done < JOURNAL_IO_IN_FLIGHT_MAX;) {
    const int count = io->operations->reap(io, completions, JOURNAL_IO_IN_FLIGHT_MAX, 1000000000);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) assert_int_equal(completions[i].result, 0);
    done += count;
  }
  assert_int_equal(io->operations->submit(io, &request), 0);
  assert_int_equal(io->operations->reap(io, completions, 1, 1000000000), 1);
  io->operations->destroy(io);
}

static void test_reap_waits_as_long_as_it_is_told(void **state) {
  (void)state;
  struct journal_io *io = open_disk();
  struct journal_io_completion completion;
  const uint64_t before = io->operations->now(io);
  assert_int_equal(io->operations->reap(io, &completion, 1, 0), 0);
  assert_int_equal(io->operations->reap(io, &completion, 1, 3000000), 0);
  assert_true(io->operations->now(io) - before >= 3000000);
  io->operations->destroy(io);
}

/* Whoever gets hold of the ring can do with it what the journal does, no more. */
static void test_other_operations_are_refused(void **state) {
  (void)state;
  struct journal_io *io = open_disk();
  struct io_uring *ring = &((struct uring_io *)(void *)io)->ring;
  struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
  io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
  io_uring_submit(ring);
  struct io_uring_cqe *cqe;
  assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
  assert_int_equal(cqe->res, -EACCES);
  io_uring_cqe_seen(ring, cqe);
  assert_true(io_uring_register_eventfd(ring, 0) < 0);
  const int first = 0, none = -1;
  assert_int_equal(journal_io_uring_pin_workers(io, &first, 1), 0);
  assert_int_equal(journal_io_uring_pin_workers(io, &none, 1), -EINVAL);
  io->operations->destroy(io);
}

struct other_thread {
  struct journal_io *io;
  const struct journal_io_request *request;
  int submitted, reaped, result;
};

static void *write_from_another_thread(void *context) {
  struct other_thread *other = context;
  struct journal_io_completion completion = {0};
  other->submitted = other->io->operations->submit(other->io, other->request);
  other->reaped = other->io->operations->reap(other->io, &completion, 1, 1000000000);
  other->result = completion.result;
  return NULL;
}

static void run_in_another_thread(struct other_thread *other) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, write_from_another_thread, other), 0);
  pthread_join(thread, NULL);
}

/* The kernel lets one thread submit and reap. At rest another may follow, with buffers and files known again. */
static void test_another_thread_takes_over_at_rest(void **state) {
  (void)state;
  struct journal_io *io = open_disk();
  const int file = io->operations->open(io, "taken-over", true);
  uint8_t *buffer = aligned_alloc(4096, 4096);
  memset(buffer, 9, 4096);
  io->operations->set_buffers(io, &(struct iovec){buffer, 4096}, 1);
  const struct journal_io_request request = {.kind = JOURNAL_IO_WRITE_DURABLE, .file = file, .buffer = buffer, .bytes = 4096};
  assert_int_equal(io->operations->submit(io, &request), 0);
  struct other_thread other = {.io = io, .request = &request};
  run_in_another_thread(&other);
  assert_int_equal(other.submitted, -EXDEV);
  assert_int_equal(other.reaped, -EXDEV);
  struct journal_io_completion completion;
  assert_int_equal(io->operations->reap(io, &completion, 1, 1000000000), 1);
  assert_int_equal(completion.result, 4096);
  run_in_another_thread(&other);
  assert_int_equal(other.submitted, 0);
  assert_int_equal(other.reaped, 1);
  assert_int_equal(other.result, 4096);
  const struct uring_io *uring = (const struct uring_io *)(const void *)io;
  assert_true(uring->has_buffers);
  /* Back again, and a file that this thread closes is forgotten. */
  assert_int_equal(io->operations->submit(io, &request), 0);
  assert_int_equal(io->operations->reap(io, &completion, 1, 1000000000), 1);
  assert_int_equal(io->operations->close(io, file), 0);
  for (unsigned i = 0; i < URING_FILES_MAX; i++) assert_int_equal(uring->files[i], -1);
  io->operations->set_buffers(io, NULL, 0);
  free(buffer);
  io->operations->destroy(io);
}

static void *destroy_later(void *context) {
  struct journal_io *io = context;
  nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
  io->operations->destroy(io);
  return NULL;
}

/* The directory has one owner; a dying one is waited for. */
static void test_a_second_journal_waits_for_the_lock(void **state) {
  (void)state;
  struct journal_io *first = open_disk();
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, destroy_later, first), 0);
  struct journal_io *second = open_disk();
  pthread_join(thread, NULL);
  int error;
  const char *why;
  assert_null(journal_io_uring_create(directory, &error, &why));
  assert_int_equal(error, -EBUSY);
  assert_non_null(strstr(why, "another process"));
  second->operations->destroy(second);
}

static void test_a_directory_that_cannot_be(void **state) {
  (void)state;
  int error;
  const char *why;
  assert_null(journal_io_uring_create("/proc/none/journal", &error, &why));
  assert_int_equal(error, -ENOENT);
  assert_non_null(why);
}

int main(void) {
  struct io_uring probe;
  const int available = io_uring_queue_init(2, &probe, 0);
  if (available < 0) {
    printf("1..0 # SKIP io_uring is not permitted here: %s\n", strerror(-available));
    return 77;
  }
  io_uring_queue_exit(&probe);
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
  const struct CMUnitTest tests[] = {
      TEST(test_records_come_back_after_restarts),
      TEST(test_segments_are_whole_before_use),
      TEST(test_operations_on_files),
      TEST(test_a_failed_write_completes_with_its_error),
      TEST(test_a_short_write_is_one_completion),
      TEST(test_the_queue_has_a_bound),
      TEST(test_reap_waits_as_long_as_it_is_told),
      TEST(test_other_operations_are_refused),
      TEST(test_another_thread_takes_over_at_rest),
      TEST(test_a_second_journal_waits_for_the_lock),
      TEST(test_a_directory_that_cannot_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
