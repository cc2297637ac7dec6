#include "journal_rig.h"
#include "always_assert.h"
#include <stdlib.h>
#include <string.h>

void rig_init(struct journal_rig *rig, struct journal_io *io, uint32_t rings) {
  memset(rig, 0, sizeof *rig);
  rig->io = io;
  rig->now_ns = io->operations->now(io);
  rig->wall_ns = 1700000000000000000u;
  rig->ring_bytes = 64 * 1024;
  rig->config = (struct journal_config){.io = io,
                                        .node_id = {1, 2, 3},
                                        .salt = 0x1234567890abcdefu,
                                        .segment_bytes = RIG_SEGMENT_BYTES,
                                        .batch_bytes_max = JOURNAL_BATCH_BYTES_LEAST,
                                        .segments_ahead = 1,
                                        .hash_chain = true,
                                        .ring_count = rings};
}

void rig_close(struct journal_rig *rig) {
  journal_close(rig->journal);
  rig->journal = NULL;
  if (rig->arena) heap_arena_destroy(rig->arena);
  rig->arena = NULL;
}

void rig_free(struct journal_rig *rig) { rig_close(rig); }

static uint32_t record_bytes(uint32_t number) {
  const uint32_t spread = number * 2654435761u;
  return (uint32_t)sizeof(struct rig_record) + (spread >> 8) % (number % 5 == 0 ? RIG_RECORD_BYTES_MAX : 200u);
}

static uint8_t body_byte(uint32_t ring, uint32_t number, uint32_t at) {
  return (uint8_t)(ring * 131u + number * 7u + at * 13u + 1u);
}

bool rig_record_check(const struct record_header *header, uint32_t *ring, uint32_t *number) {
  const struct rig_record *record = (const void *)header;
  if (header->bytes < sizeof *record || header->type != RECORD_WEBHOOK) return false;
  *ring = record->ring;
  *number = record->number;
  const uint8_t *body = (const uint8_t *)(record + 1);
  for (uint32_t i = 0; i < header->bytes - sizeof *record; i++)
    if (body[i] != body_byte(*ring, *number, i)) return false;
  return header->wall_ns == *number;
}

static void visit(void *context, uint64_t lsn, const struct record_header *header) {
  struct journal_rig *rig = context;
  uint32_t ring = 0, number = 0;
  const bool whole = rig_record_check(header, &ring, &number);
  if (!whole || ring >= RIG_RINGS_MAX || number != rig->recovered[ring] + 1 || lsn != rig->last_lsn + 1)
    rig->recovered_badly = true;
  if (ring < RIG_RINGS_MAX) rig->recovered[ring] = number;
  rig->last_lsn = lsn;
  rig->recovered_records++;
}

int rig_open(struct journal_rig *rig) {
  ALWAYS_ASSERT(!rig->journal);
  if (rig->arena) heap_arena_destroy(rig->arena);
  rig->arena = heap_arena_create();
  for (uint32_t i = 0; i < rig->config.ring_count; i++)
    rig->config.rings[i] = record_ring_create(heap_arena_arena(rig->arena), rig->ring_bytes);
  memset(rig->recovered, 0, sizeof rig->recovered);
  rig->recovered_records = 0;
  rig->last_lsn = rig->recovered[0] = rig->passed;
  rig->journal = journal_open(&rig->config, visit, rig, &rig->recovery, &rig->error);
  ALWAYS_ASSERT((rig->journal != NULL) == (rig->error == 0));
  rig->now_ns = rig->io->operations->now(rig->io);
  return rig->error;
}

bool rig_record_make(struct record_ring *ring, uint32_t index, uint32_t number, uint32_t bytes) {
  const uint32_t length = bytes ? bytes : record_bytes(number);
  struct rig_record *record = record_ring_reserve(ring, length);
  if (!record) return false;
  *record = (struct rig_record){.header = {.type = RECORD_WEBHOOK, .shard = (uint16_t)index, .bytes = length, .wall_ns = number},
                                .ring = index,
                                .number = number};
  uint8_t *body = (uint8_t *)(record + 1);
  for (uint32_t i = 0; i < length - sizeof *record; i++) body[i] = body_byte(index, number, i);
  return true;
}

bool rig_publish(struct journal_rig *rig, uint32_t ring, uint32_t bytes) {
  const uint32_t number = rig->published[ring] + 1;
  if (!rig_record_make(rig->config.rings[ring], ring, number, bytes)) return false;
  record_ring_publish(rig->config.rings[ring]);
  rig->published[ring] = number;
  return true;
}

int rig_step(struct journal_rig *rig, uint64_t elapsed_ns) {
  rig->now_ns += elapsed_ns;
  rig->wall_ns += elapsed_ns;
  journal_sim_io_set_time(rig->io, rig->now_ns);
  return journal_step(rig->journal, rig->now_ns, rig->wall_ns, 0);
}

void rig_append(struct journal_rig *rig, uint32_t count, uint32_t bytes) {
  for (uint32_t i = 0; i < count; i++) ALWAYS_ASSERT(rig_publish(rig, 0, bytes));
  ALWAYS_ASSERT(journal_drain(rig->journal, rig->now_ns, rig->wall_ns) == 0);
  rig->now_ns = rig->io->operations->now(rig->io);
}

static void take_file(void *context, const char *name) {
  struct disk_image *image = context;
  ALWAYS_ASSERT(image->count < sizeof image->files / sizeof image->files[0]);
  strcpy(image->files[image->count++].name, name);
}

void disk_image_take(struct disk_image *image, struct journal_io *sim) {
  memset(image, 0, sizeof *image);
  sim->operations->list(sim, take_file, image);
  for (uint32_t i = 0; i < image->count; i++) {
    const uint8_t *bytes = journal_sim_io_bytes(sim, image->files[i].name, &image->files[i].length);
    image->files[i].bytes = malloc(image->files[i].length + 1);
    if (image->files[i].length) memcpy(image->files[i].bytes, bytes, image->files[i].length);
  }
}

static void remove_file(void *context, const char *name) {
  struct journal_io *sim = context;
  sim->operations->remove(sim, name);
}

void disk_image_restore(const struct disk_image *image, struct journal_io *sim) {
  sim->operations->list(sim, remove_file, sim);
  for (uint32_t i = 0; i < image->count; i++)
    ALWAYS_ASSERT(journal_sim_io_put(sim, image->files[i].name, image->files[i].bytes, image->files[i].length) == 0);
}

void disk_image_free(struct disk_image *image) {
  for (uint32_t i = 0; i < image->count; i++) free(image->files[i].bytes);
}
