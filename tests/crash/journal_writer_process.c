/* The process that journal_kill_test.py kills. `write DIR SEED`: numbered records of several rings, in units of a length that
 * follows from their first number, published with every durability, go into the journal in DIR from where the last life ended;
 * how far each ring is durable is written to stdout (8 bytes a ring) whenever that changes, until the process is killed. `check
 * DIR`: recovers and prints how many records there are and the last number of each ring, or says what is wrong. */
#include "heap_arena.h"
#include "journal.h"
#include "test_random.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RINGS 3
#define RING_BYTES (512u * 1024u)
#define BATCH_BYTES (128u * 1024u)

struct numbered_record {
  struct record_header header; /* shard: the ring */
  uint64_t number;
};

struct writer {
  struct journal_io *io;
  struct journal *journal;
  struct record_ring *rings[RINGS];
  struct test_random chance;
  uint64_t last[RINGS];                  /* published, or recovered */
  uint64_t unit_ends[RINGS];             /* the last number of the unit that the last one belongs to */
  uint64_t records, acknowledged[RINGS]; /* recovered; told */
  struct {
    uint64_t position, number;
  } published[RINGS][4096]; /* by number, modulo: what is not durable yet is in the ring, which holds fewer */
  bool wrong;
};

/* Numbers in a unit that begins with this one: mostly few, now and then more than a batch takes in one turn. */
static uint64_t unit_length(uint64_t first) { return first % 41 == 0 ? 60 : 1 + first * 7919 % 9; }

static uint32_t record_bytes(uint64_t number) {
  return (uint32_t)(sizeof(struct numbered_record) + number * 7919 % (number % 50 == 0 ? 9000 : 300));
}

static uint8_t body_byte(uint32_t ring, uint64_t number, uint32_t at) { return (uint8_t)(number + at * (ring + 1)); }

static void visit(void *context, uint64_t lsn, const struct record_header *header) {
  struct writer *writer = context;
  const struct numbered_record *record = (const void *)header;
  const uint8_t *body = (const uint8_t *)(record + 1);
  const uint32_t ring = header->shard;
  if (lsn != ++writer->records || ring >= RINGS || header->bytes < sizeof *record || record->number != writer->last[ring] + 1 ||
      header->bytes != record_bytes(record->number)) {
    writer->wrong = true;
    return;
  }
  for (uint32_t i = 0; i < header->bytes - sizeof *record; i++) writer->wrong |= body[i] != body_byte(ring, record->number, i);
  if (writer->last[ring] == writer->unit_ends[ring]) writer->unit_ends[ring] += unit_length(record->number);
  writer->last[ring] = record->number;
}

static bool reserve(struct writer *writer, uint32_t ring, uint64_t number) {
  const uint32_t bytes = record_bytes(number);
  struct numbered_record *record = record_ring_reserve(writer->rings[ring], bytes);
  if (!record) return false;
  *record = (struct numbered_record){
      .header = {.type = RECORD_WEBHOOK, .shard = (uint16_t)ring, .bytes = bytes, .wall_ns = number}, .number = number};
  uint8_t *body = (uint8_t *)(record + 1);
  for (uint32_t i = 0; i < bytes - sizeof *record; i++) body[i] = body_byte(ring, number, i);
  return true;
}

/* False when the ring is full. */
static bool publish_unit(struct writer *writer, uint32_t ring) {
  const uint64_t first = writer->last[ring] + 1, end = first + unit_length(first);
  for (uint64_t number = first; number < end; number++) {
    if (reserve(writer, ring, number)) continue;
    record_ring_rollback(writer->rings[ring]);
    return false;
  }
  record_ring_set_durability(writer->rings[ring], (enum record_durability)random_below(&writer->chance, DURABILITIES));
  const uint64_t position = record_ring_publish(writer->rings[ring]);
  for (uint64_t number = first; number < end; number++) {
    writer->published[ring][number % 4096].position = position;
    writer->published[ring][number % 4096].number = number;
  }
  writer->last[ring] = end - 1;
  return true;
}

/* Whether any ring's mark moved. */
static bool see_durable(struct writer *writer) {
  bool moved = false;
  for (uint32_t r = 0; r < RINGS; r++) {
    const uint64_t durable = record_ring_durable(writer->rings[r]);
    while (writer->acknowledged[r] < writer->last[r]) {
      const uint64_t next = writer->acknowledged[r] + 1;
      if (writer->published[r][next % 4096].number != next || writer->published[r][next % 4096].position > durable) break;
      writer->acknowledged[r] = next;
      moved = true;
    }
  }
  return moved;
}

static int write_until_killed(struct writer *writer) {
  memcpy(writer->acknowledged, writer->last, sizeof writer->last);
  for (uint32_t round = 0;; round++) {
    /* Single units and bursts, so that batches of every size are cut. */
    for (uint32_t burst = round % 7 ? 1 : 1 + random_below(&writer->chance, 200); burst > 0; burst--)
      if (!publish_unit(writer, random_below(&writer->chance, RINGS))) break;
    const uint64_t now_ns = writer->io->operations->now(writer->io);
    const int result = journal_step(writer->journal, now_ns, now_ns, 100000);
    if (result < 0) {
      fprintf(stderr, "journal: %s\n", strerror(-result));
      return 1;
    }
    if (see_durable(writer) &&
        write(STDOUT_FILENO, writer->acknowledged, sizeof writer->acknowledged) != sizeof writer->acknowledged)
      return 1;
  }
}

static int say_what_is_there(const struct writer *writer) {
  for (uint32_t r = 0; r < RINGS; r++) {
    if (writer->last[r] == writer->unit_ends[r]) continue;
    fprintf(stderr, "recovery: ring %u ends at %llu, within what was published together\n", r,
            (unsigned long long)writer->last[r]);
    return 1;
  }
  printf("%llu", (unsigned long long)writer->records);
  for (uint32_t r = 0; r < RINGS; r++) printf(" %llu", (unsigned long long)writer->last[r]);
  return putchar('\n') == EOF;
}

int main(int count, char **arguments) {
  static struct writer writer; /* too large for a stack */
  if (count < 3) {
    fprintf(stderr, "usage: %s write|check DIRECTORY [SEED]\n", arguments[0]);
    return 2;
  }
  int error;
  const char *why;
  writer.io = journal_io_uring_create(arguments[2], &error, &why);
  if (!writer.io) {
    fprintf(stderr, "%s: %s: %s\n", arguments[2], why, strerror(-error));
    return 77;
  }
  writer.chance.state = count > 3 ? strtoull(arguments[3], NULL, 10) : 1;
  struct heap_arena *arena = heap_arena_create();
  struct journal_config config = {.io = writer.io,
                                  .node_id = {7},
                                  .salt = 77,
                                  .segment_bytes = 2u << 20,
                                  .batch_bytes_max = BATCH_BYTES,
                                  .segments_ahead = 2,
                                  .hash_chain = true,
                                  .ring_count = RINGS};
  for (uint32_t r = 0; r < RINGS; r++)
    config.rings[r] = writer.rings[r] = record_ring_create(heap_arena_arena(arena), RING_BYTES);
  struct journal_recovery recovery;
  writer.journal = journal_open(&config, visit, &writer, &recovery, &error);
  int result = 1;
  if (!writer.journal || writer.wrong || recovery.next_lsn != writer.records + 1)
    fprintf(stderr, "recovery: %s\n", writer.journal ? "a wrong record" : recovery.refusal);
  else
    result = strcmp(arguments[1], "write") == 0 ? write_until_killed(&writer) : say_what_is_there(&writer);
  journal_close(writer.journal);
  heap_arena_destroy(arena);
  writer.io->operations->destroy(writer.io);
  return result;
}
