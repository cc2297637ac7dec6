#include "journal_edits.h"
#include "always_assert.h"
#include "journal_format_internal.h"
#include "violation.h"
#include <stdlib.h>
#include <string.h>

#define SEGMENTS 3
#define EDITS_MAX 64

struct journal_io *edits_disk(void) {
  return journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1, .latency_least_ns = 1000, .latency_most_ns = 1000});
}

/* Rules, services and severities by turns. */
static void publish_violation(struct journal_rig *rig, uint32_t n) {
  static const char *const words[] = {"slow-checkout", "pii-leaves-service", "checkout", "x"};
  const struct event_text rule = {words[n % 2], (uint32_t)strlen(words[n % 2])};
  const struct event_text service = {words[2 + n % 2], (uint32_t)strlen(words[2 + n % 2])};
  struct violation violation = {.wall_ns = 1000 + n, .rule = rule, .message = rule, .service = service};
  violation.fixed.severity = (uint8_t)(n % 5);
  violation.fixed.has_trace = n % 3 == 0;
  violation.fixed.id[15] = violation.fixed.trace_id[0] = (uint8_t)n;
  void *record = record_ring_reserve(rig->config.rings[0], violation_encoded_bytes(&violation));
  ALWAYS_ASSERT(record);
  violation_encode(&violation, record);
  record_ring_publish(rig->config.rings[0]);
}

void edits_make(struct disk_image *whole, bool with_violations) {
  struct journal_rig rig;
  struct journal_io *io = edits_disk();
  rig_init(&rig, io, 1);
  ALWAYS_ASSERT(rig_open(&rig) == 0);
  for (uint32_t i = 0; i < 40; i++) {
    if (with_violations) publish_violation(&rig, i);
    rig_append(&rig, 1 + i % 3, i % 9 == 0 ? 9000 : 900);
  }
  for (int i = 0; i < 10; i++) rig_step(&rig, 100000);
  rig_free(&rig);
  disk_image_take(whole, io);
  io->operations->destroy(io);
}

static uint8_t *segment_bytes(struct journal_io *io, uint64_t segment, size_t *length) {
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, segment, NAME_SEGMENT);
  return journal_sim_io_bytes(io, name, length);
}

static void reseal(struct journal_io *io, uint8_t *block, size_t left, uint64_t segment) {
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  struct journal_identity identity = {.salt = rig.config.salt};
  memcpy(identity.node_id, rig.config.node_id, sizeof identity.node_id);
  if (memcmp(block, "TRIP", 4) == 0)
    segment_header_seal(block);
  else if (batch_claimed_bytes(block, left) > 0)
    batch_seal((void *)block, journal_segment_seed(&identity, segment), JOURNAL_VERSION);
}

enum edit { EDIT_BYTES, EDIT_RESEAL, EDIT_COPY_BLOCK, EDIT_ZERO_BLOCK, EDIT_CUT, EDIT_REMOVE, EDIT_MOVE, EDITS };

/* One edit: what, segment, block, then its own operands. */
static enum edit edit_once(struct journal_io *io, struct cursor *input) {
  const enum edit edit = cursor_u8(input) % EDITS;
  const uint64_t segment = 1 + cursor_u8(input) % SEGMENTS;
  char name[SEGMENT_NAME_BYTES], other[SEGMENT_NAME_BYTES];
  segment_name(name, segment, NAME_SEGMENT);
  size_t length = 0;
  uint8_t *bytes = segment_bytes(io, segment, &length);
  if (!bytes || length < JOURNAL_BLOCK_BYTES) return edit;
  uint8_t *block = bytes + (cursor_u8(input) % (length / JOURNAL_BLOCK_BYTES)) * JOURNAL_BLOCK_BYTES;
  const size_t left = length - (size_t)(block - bytes);
  if (edit == EDIT_BYTES) {
    const size_t at = cursor_le16(input) % JOURNAL_BLOCK_BYTES, count = cursor_u8(input) % 32;
    const uint8_t *with = cursor_bytes(input, count);
    if (with && count <= left - at) memcpy(block + at, with, count);
  } else if (edit == EDIT_RESEAL) {
    reseal(io, block, left, segment);
  } else if (edit == EDIT_COPY_BLOCK) {
    memmove(bytes + (cursor_u8(input) % (length / JOURNAL_BLOCK_BYTES)) * JOURNAL_BLOCK_BYTES, block, JOURNAL_BLOCK_BYTES);
  } else if (edit == EDIT_ZERO_BLOCK) {
    memset(block, 0, JOURNAL_BLOCK_BYTES);
  } else if (edit == EDIT_CUT) {
    uint8_t *copy = malloc(length);
    memcpy(copy, bytes, length);
    const size_t kept = (size_t)(block - bytes) + cursor_le16(input) % JOURNAL_BLOCK_BYTES;
    ALWAYS_ASSERT(journal_sim_io_put(io, name, copy, kept) == 0);
    free(copy);
  } else if (edit == EDIT_REMOVE) {
    io->operations->remove(io, name);
  } else {
    uint8_t *copy = malloc(length);
    memcpy(copy, bytes, length);
    segment_name(other, 1 + cursor_u8(input) % (SEGMENTS + 2), NAME_SEGMENT);
    ALWAYS_ASSERT(journal_sim_io_put(io, other, copy, length) == 0);
    free(copy);
  }
  return edit;
}

bool edits_put(struct journal_io *io, const uint8_t *bytes, size_t length) {
  struct cursor input = cursor_over(bytes, length);
  bool resealed = false;
  for (int i = 0; i < EDITS_MAX && cursor_left(&input) > 0 && !input.failed; i++)
    resealed |= edit_once(io, &input) == EDIT_RESEAL;
  return resealed;
}
