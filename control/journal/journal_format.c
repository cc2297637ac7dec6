#include "always_assert.h"
#include "journal_format_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <isa-l.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t segment_magic[8] = {'T', 'R', 'I', 'P', 'J', 'R', 'N', 'L'};

uint32_t journal_checksum(uint32_t seed, const void *bytes, size_t length) {
  ALWAYS_ASSERT(length <= JOURNAL_BATCH_BYTES_MOST);
  /* ISA-L only reads; its prototype has no const. */
  return crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)length, seed);
}

uint32_t journal_segment_seed(const struct journal_identity *identity, uint64_t segment) {
  uint8_t bytes[32];
  memcpy(bytes, identity->node_id, 16);
  memcpy(bytes + 16, &identity->salt, 8);
  memcpy(bytes + 24, &segment, 8);
  return journal_checksum(0xffffffffu, bytes, sizeof bytes);
}

bool journal_is_zero(const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  for (size_t done = 0; done < length;) {
    const size_t slice = length - done < JOURNAL_BLOCK_BYTES ? length - done : JOURNAL_BLOCK_BYTES;
    uint64_t any = 0;
    for (size_t i = 0; i < slice; i += 8) {
      uint64_t word;
      memcpy(&word, at + done + i, 8);
      any |= word;
    }
    if (any) return false;
    done += slice;
  }
  return true;
}

static uint32_t segment_header_checksum(const void *block) {
  const uint8_t *bytes = block;
  const size_t at = offsetof(struct segment_header, checksum);
  const uint32_t start = journal_checksum(0xffffffffu, bytes, at);
  return journal_checksum(start, bytes + at + 4, JOURNAL_BLOCK_BYTES - at - 4);
}

void segment_header_seal(void *block) {
  struct segment_header *header = block;
  memcpy(header->magic, segment_magic, sizeof segment_magic);
  if (header->version == 0) header->version = JOURNAL_VERSION;
  header->checksum = segment_header_checksum(block);
}

enum segment_state segment_header_check(const void *block) {
  struct segment_header header;
  memcpy(&header, block, sizeof header);
  if (memcmp(header.magic, segment_magic, sizeof segment_magic) != 0)
    return journal_is_zero(block, JOURNAL_BLOCK_BYTES) ? SEGMENT_ZERO : SEGMENT_INVALID;
  /* Before the checksum: a later version may keep it elsewhere. */
  if (header.version > JOURNAL_VERSION) return SEGMENT_NEWER;
  if (header.version == 0 || header.checksum != segment_header_checksum(block)) return SEGMENT_INVALID;
  const bool sound = header.first_lsn > 0 && header.segment > 0 && header.segment_bytes % JOURNAL_BLOCK_BYTES == 0 &&
                     header.segment_bytes <= JOURNAL_SEGMENT_BYTES_MOST && header.batch_bytes_max % JOURNAL_BLOCK_BYTES == 0 &&
                     header.batch_bytes_max >= JOURNAL_BATCH_BYTES_LEAST && header.batch_bytes_max <= JOURNAL_BATCH_BYTES_MOST &&
                     header.segment_bytes >= header.batch_bytes_max + (uint64_t)JOURNAL_BLOCK_BYTES;
  return sound ? SEGMENT_VALID : SEGMENT_INVALID;
}

static uint32_t header_checksum(const struct batch_header *batch, uint32_t content, uint32_t version) {
  const uint32_t from = offsetof(struct batch_header, batch_bytes);
  return journal_checksum(content, (const uint8_t *)batch + from, batch_header_bytes(version) - from);
}

uint32_t batch_header_checksum(const struct batch_header *batch, uint32_t content) {
  return header_checksum(batch, content, JOURNAL_VERSION);
}

static uint32_t batch_checksum(const struct batch_header *batch, uint32_t segment_seed, uint32_t version) {
  const uint32_t from = batch_header_bytes(version);
  const uint32_t content = journal_checksum(journal_lsn_seed(segment_seed, batch->first_lsn), (const uint8_t *)batch + from,
                                            batch->batch_bytes - from);
  return header_checksum(batch, content, version);
}

void batch_seal(struct batch_header *batch, uint32_t segment_seed, uint32_t version) {
  batch->magic = JOURNAL_BATCH_MAGIC;
  batch->checksum = batch_checksum(batch, segment_seed, version);
}

void journal_chain_next(const void *segment_block, const void *batch, uint32_t batch_bytes, uint8_t chain[JOURNAL_CHAIN_BYTES]) {
  SHA256_CTX context;
  SHA256_Init(&context);
  if (segment_block) SHA256_Update(&context, segment_block, JOURNAL_BLOCK_BYTES);
  SHA256_Update(&context, batch, batch_bytes);
  SHA256_Final(chain, &context);
}

uint32_t batch_claimed_bytes(const void *bytes, uint64_t available) {
  struct batch_header header;
  memcpy(&header, bytes, sizeof header);
  const bool plausible = header.magic == JOURNAL_BATCH_MAGIC && header.batch_bytes >= JOURNAL_BLOCK_BYTES &&
                         header.batch_bytes % JOURNAL_BLOCK_BYTES == 0 && header.batch_bytes <= JOURNAL_BATCH_BYTES_MOST &&
                         header.batch_bytes <= available;
  return plausible ? header.batch_bytes : 0;
}

/* Whether frames and lengths add up. Only a writer's mistake (or a forger's skill) gets here with a good checksum. */
static bool batch_well_formed(const struct batch_header *batch, uint64_t segment, uint32_t version) {
  if (batch->segment != segment || batch->first_lsn == 0 || batch->record_count == 0) return false;
  if (batch->used_bytes > batch->batch_bytes || batch->used_bytes % 8 != 0) return false;
  if (journal_blocks_up(batch->used_bytes) != batch->batch_bytes) return false;
  uint32_t at = batch_header_bytes(version), count = 0;
  while (at < batch->used_bytes) {
    if (batch->used_bytes - at < sizeof(struct record_frame) + sizeof(struct record_header)) return false;
    const struct record_frame *frame = (const void *)((const uint8_t *)batch + at);
    const struct record_header *record = (const void *)(frame + 1);
    if (frame->bytes < sizeof *record || frame->bytes > RECORD_BYTES_MAX || record->bytes != frame->bytes) return false;
    if (record_frame_bytes(frame->bytes) > batch->used_bytes - at) return false;
    at += record_frame_bytes(frame->bytes);
    count++;
  }
  return at == batch->used_bytes && count == batch->record_count;
}

enum batch_state batch_check(const void *bytes, uint64_t available, uint64_t segment, uint32_t segment_seed, uint32_t version) {
  ALWAYS_ASSERT(available >= JOURNAL_BLOCK_BYTES && (uintptr_t)bytes % 8 == 0);
  if (batch_claimed_bytes(bytes, available) == 0) return journal_is_zero(bytes, JOURNAL_BLOCK_BYTES) ? BATCH_ZERO : BATCH_INVALID;
  const struct batch_header *batch = bytes;
  if (batch->checksum != batch_checksum(batch, segment_seed, version)) return BATCH_INVALID;
  return batch_well_formed(batch, segment, version) ? BATCH_VALID : BATCH_MALFORMED;
}

void segment_name(char name[SEGMENT_NAME_BYTES], uint64_t segment, enum journal_name kind) {
  snprintf(name, SEGMENT_NAME_BYTES, "journal-%016" PRIx64 ".%s", segment, kind == NAME_SEGMENT ? "seg" : "tmp");
}

enum journal_name segment_name_parse(const char *name, uint64_t *segment) {
  static const char digits[] = "0123456789abcdef";
  if (strlen(name) != 28 || memcmp(name, "journal-", 8) != 0) return NAME_OTHER;
  uint64_t value = 0;
  for (size_t i = 8; i < 24; i++) {
    const char *digit = strchr(digits, name[i]);
    if (!digit) return NAME_OTHER;
    value = value << 4 | (uint64_t)(digit - digits);
  }
  *segment = value;
  if (strcmp(name + 24, ".seg") == 0) return NAME_SEGMENT;
  return strcmp(name + 24, ".tmp") == 0 ? NAME_TEMPORARY : NAME_OTHER;
}

struct segment_list {
  uint64_t *segments;
  size_t count, room;
  bool out_of_memory;
};

static void segment_list_add(void *context, const char *name) {
  struct segment_list *list = context;
  uint64_t segment;
  if (segment_name_parse(name, &segment) != NAME_SEGMENT) return;
  if (list->count == list->room) {
    const size_t room = list->room ? list->room * 2 : 64;
    uint64_t *grown = realloc(list->segments, room * sizeof *grown);
    if (!grown) {
      list->out_of_memory = true;
      return;
    }
    list->segments = grown;
    list->room = room;
  }
  list->segments[list->count++] = segment;
}

static int compare_segments(const void *left, const void *right) {
  const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

int journal_list_segments(struct journal_io *io, uint64_t **segments, size_t *count) {
  struct segment_list list = {0};
  int result = io->operations->list(io, segment_list_add, &list);
  if (result >= 0 && list.out_of_memory) result = -ENOMEM;
  if (result < 0) {
    free(list.segments);
    return result;
  }
  if (list.count > 1) qsort(list.segments, list.count, sizeof *list.segments, compare_segments);
  *segments = list.segments;
  *count = list.count;
  return 0;
}
