/* A data directory whose journal holds violations 1 to COUNT (numbered_violation.h), as a daemon's would.
 * Usage: make_violation_journal DATA_DIRECTORY COUNT [SEGMENT_MIB] */
#include "heap_arena.h"
#include "journal.h"
#include "numbered_violation.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_BYTES (8u << 20)

static const uint8_t node_id[16] = {0x01, 0x8f, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 7};

static int fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  return 1;
}

static bool write_node_id(const char *directory) {
  char path[512];
  snprintf(path, sizeof path, "%s/node-id", directory);
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  const bool written = file >= 0 && write(file, node_id, sizeof node_id) == (ssize_t)sizeof node_id;
  if (file >= 0) close(file);
  return written;
}

static int fill(struct journal *journal, struct record_ring *ring, struct journal_io *io, uint64_t count) {
  for (uint64_t n = 1; n <= count;) {
    while (n <= count && numbered_violation_publish(ring, n)) n++;
    const uint64_t now_ns = io->operations->now(io);
    if (journal_step(journal, now_ns, now_ns, 100000) < 0) return fail("journal", strerror(-journal_failed(journal)));
  }
  const int drained = journal_drain(journal, io->operations->now(io), 1);
  return drained == 0 ? 0 : fail("journal", strerror(-drained));
}

int main(int count, char **arguments) {
  char directory[512];
  const char *why;
  int error;
  if (count < 3) return fail("usage", "make_violation_journal DATA_DIRECTORY COUNT [SEGMENT_MIB]");
  mkdir(arguments[1], 0750);
  if (!write_node_id(arguments[1])) return fail(arguments[1], "the node id cannot be written");
  snprintf(directory, sizeof directory, "%s/journal", arguments[1]);
  struct journal_io *io = journal_io_uring_create(directory, &error, &why);
  if (!io) return fail(directory, why);
  struct heap_arena *arena = heap_arena_create();
  struct record_ring *ring = record_ring_create(heap_arena_arena(arena), RING_BYTES);
  struct journal_recovery recovery;
  struct journal_config config = {.io = io,
                                  .salt = 77,
                                  .segment_bytes = strtoull(count > 3 ? arguments[3] : "64", NULL, 10) << 20,
                                  .batch_bytes_max = 1u << 20,
                                  .segments_ahead = 2,
                                  .hash_chain = true,
                                  .ring_count = 1,
                                  .rings = {ring}};
  memcpy(config.node_id, node_id, sizeof node_id);
  struct journal *journal = journal_open(&config, NULL, NULL, &recovery, &error);
  const int result = journal ? fill(journal, ring, io, strtoull(arguments[2], NULL, 10)) : fail("journal", recovery.refusal);
  if (journal) journal_close(journal);
  heap_arena_destroy(arena);
  io->operations->destroy(io);
  return result;
}
