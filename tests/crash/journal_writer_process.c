/* The process that journal_kill_test.py kills. `write DIR`: numbered records go into the journal in DIR from where the last life
 * ended; each number is written to stdout (8 bytes) once it is durable, until the process is killed. `check DIR`: recovers and
 * prints the records and the last number, or says what is wrong. */
#include "heap_arena.h"
#include "journal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_BYTES (256u * 1024u)

struct numbered_record {
  struct record_header header;
  uint64_t number;
};

struct seen {
  uint64_t last;
  bool wrong;
};

static void visit(void *context, uint64_t lsn, const struct record_header *header) {
  struct seen *seen = context;
  const struct numbered_record *record = (const void *)header;
  const uint8_t *body = (const uint8_t *)(record + 1);
  if (header->bytes < sizeof *record || record->number != seen->last + 1 || lsn != record->number) {
    seen->wrong = true;
    return;
  }
  for (uint32_t i = 0; i < header->bytes - sizeof *record; i++) seen->wrong |= body[i] != (uint8_t)(record->number + i);
  seen->last = record->number;
}

static bool publish(struct record_ring *ring, uint64_t number) {
  const uint32_t bytes = (uint32_t)(sizeof(struct numbered_record) + number * 7919 % (number % 50 == 0 ? 9000 : 300));
  struct numbered_record *record = record_ring_reserve(ring, bytes);
  if (!record) return false;
  *record = (struct numbered_record){.header = {.type = RECORD_WEBHOOK, .bytes = bytes, .wall_ns = number}, .number = number};
  uint8_t *body = (uint8_t *)(record + 1);
  for (uint32_t i = 0; i < bytes - sizeof *record; i++) body[i] = (uint8_t)(number + i);
  record_ring_publish(ring);
  return true;
}

static int write_until_killed(struct journal *journal, struct record_ring *ring, struct journal_io *io, uint64_t last) {
  uint64_t acknowledged = journal_durable_lsn(journal);
  for (uint32_t round = 0;; round++) {
    /* Bursts of one record and of many, so that batches of every size are cut. */
    for (uint32_t burst = round % 7 ? 1 : 200; burst > 0 && publish(ring, last + 1); burst--) last++;
    const uint64_t now_ns = io->operations->now(io);
    const int result = journal_step(journal, now_ns, now_ns, 100000);
    if (result < 0) {
      fprintf(stderr, "journal: %s\n", strerror(-result));
      return 1;
    }
    const uint64_t durable = journal_durable_lsn(journal);
    if (durable == acknowledged) continue;
    acknowledged = durable;
    if (write(STDOUT_FILENO, &durable, sizeof durable) != sizeof durable) return 1;
  }
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: %s write|check DIRECTORY\n", arguments[0]);
    return 2;
  }
  int error;
  const char *why;
  struct journal_io *io = journal_io_uring_create(arguments[2], &error, &why);
  if (!io) {
    fprintf(stderr, "%s: %s: %s\n", arguments[2], why, strerror(-error));
    return 77;
  }
  struct heap_arena *arena = heap_arena_create();
  struct record_ring *ring = record_ring_create(heap_arena_arena(arena), RING_BYTES);
  struct seen seen = {0};
  struct journal_recovery recovery;
  const struct journal_config config = {.io = io,
                                        .node_id = {7},
                                        .salt = 77,
                                        .segment_bytes = 2u << 20,
                                        .batch_bytes_max = 256u * 1024u,
                                        .segments_ahead = 2,
                                        .ring_count = 1,
                                        .rings = {ring}};
  struct journal *journal = journal_open(&config, visit, &seen, &recovery, &error);
  int result = 1;
  if (!journal || seen.wrong || recovery.next_lsn != seen.last + 1)
    fprintf(stderr, "recovery: %s\n", journal ? "a wrong record" : recovery.refusal);
  else if (strcmp(arguments[1], "write") == 0)
    result = write_until_killed(journal, ring, io, seen.last);
  else
    result = printf("%llu %llu\n", (unsigned long long)recovery.records, (unsigned long long)seen.last) < 0;
  journal_close(journal);
  heap_arena_destroy(arena);
  io->operations->destroy(io);
  return result;
}
