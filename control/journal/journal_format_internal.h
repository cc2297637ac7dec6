#pragma once
/* The bytes of the journal (docs/journal-format.md): shared by writer, recovery and readers. Little-endian, version 1. */
#include "journal_io.h"
#include "record.h"
#include <stddef.h>

#define JOURNAL_BLOCK_BYTES 4096u
#define JOURNAL_VERSION 1u
#define JOURNAL_SEGMENT_MAGIC 0x4745534c50495254ull /* "TRIPLSEG" */
#define JOURNAL_BATCH_MAGIC 0x48435442u             /* "BTCH" */
#define JOURNAL_BATCH_BYTES_LIMIT (64u << 20)

struct journal_segment_header { /* one block; the rest of it is zero and covered by the checksum */
  uint64_t magic;
  uint32_t checksum; /* CRC32C of the block with this field zero */
  uint32_t version;
  uint8_t node_id[16];
  uint64_t segment_id;
  uint64_t first_lsn;
  uint64_t created_wall_ns;
  uint32_t previous_checksum; /* of the last batch before this segment; 0 at the start of the log */
  uint32_t reserved;
};

struct journal_batch_header {
  uint32_t magic;
  uint32_t checksum;      /* CRC32C of the whole batch after this field, seeded with segment id and first LSN */
  uint32_t batch_bytes;   /* multiple of the block */
  uint32_t payload_bytes; /* header and records, without padding */
  uint64_t segment_id;
  uint64_t first_lsn;
  uint64_t wall_ns;
  uint32_t record_count;
  uint32_t previous_checksum; /* chain */
  uint64_t reserved[2];
};

_Static_assert(sizeof(struct journal_segment_header) == 64, "format");
_Static_assert(sizeof(struct journal_batch_header) == 64, "format");

static inline uint32_t journal_record_stride(uint32_t bytes) { return (bytes + 7) & ~7u; }
static inline uint32_t journal_round_to_block(uint32_t bytes) {
  return (bytes + JOURNAL_BLOCK_BYTES - 1) & ~(JOURNAL_BLOCK_BYTES - 1);
}

void journal_segment_name(uint64_t segment_id, char name[32]);
/* False when the name is not a segment's. */
bool journal_segment_id(const char *name, uint64_t *segment_id);

void journal_seal_header(struct journal_segment_header *header); /* a whole block */
bool journal_header_sound(const struct journal_segment_header *header);
void journal_seal_batch(struct journal_batch_header *batch);
/* The header's fields are plausible for this segment; nothing behind it was read. */
bool journal_batch_plausible(const struct journal_batch_header *batch, uint64_t segment_id, uint32_t bytes_left);
/* Checksum and every record's bounds, of a whole batch in memory. */
bool journal_batch_sound(const struct journal_batch_header *batch);
/* 4096-aligned memory; NULL when there is none. */
void *journal_buffer(size_t bytes);
