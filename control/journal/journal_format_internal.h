#pragma once
/* The bytes of a segment file, versions 1 and 2 (docs/journal-format.md). Little-endian, as the machine is. */
#include "journal.h"
#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_VERSION 2u /* that is written; those before it are read */
#define JOURNAL_CHAIN_BYTES 32u
#define JOURNAL_BLOCK_BYTES 4096u
#define JOURNAL_BATCH_MAGIC 0x48435442u /* "BTCH" */
#define JOURNAL_SEGMENT_BYTES_MOST (1ull << 40)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is written as structs");

/* The first block of a segment in use; the rest of the block is zero and under the checksum. */
struct segment_header {
  uint8_t magic[8]; /* "TRIPJRNL" */
  uint32_t version;
  uint32_t checksum; /* of the block without this field */
  uint8_t node_id[16];
  uint64_t salt;
  uint64_t segment;
  uint64_t first_lsn;
  uint64_t created_wall_ns;
  uint64_t segment_bytes;
  uint32_t batch_bytes_max;
  uint32_t previous_checksum; /* of the last batch of the segment before; 0 in the first */
  /* From version 2 on; zero in version 1. */
  uint8_t chain[JOURNAL_CHAIN_BYTES]; /* before its first batch */
  uint32_t chain_kind;                /* enum journal_chain */
  uint32_t reserved;
  uint64_t state_lsn;      /* recovery needs no record before it; 0: all */
  uint64_t oldest_segment; /* those before it may have been removed by retention; 0: none */
};
_Static_assert(sizeof(struct segment_header) == 136, "format");

enum journal_chain { JOURNAL_CHAIN_NONE, JOURNAL_CHAIN_SHA256 };

struct batch_header {
  uint32_t magic;
  uint32_t checksum; /* of all that follows the header, padding included, and then of the header from the next field on */
  uint32_t batch_bytes;
  uint32_t record_count;
  uint64_t first_lsn;
  uint64_t segment;
  uint64_t wall_ns;
  uint32_t previous_checksum; /* the chain: of the batch before this one, over segments */
  uint32_t used_bytes;        /* up to the end of the last record, rounded up to 8 */
};
_Static_assert(sizeof(struct batch_header) == 48, "format");

/* Behind it, from version 2 on. */
struct batch_chain {
  uint8_t before[JOURNAL_CHAIN_BYTES]; /* the hash of the batch before this one: see journal_chain_next */
  uint8_t reserved[16];
};
#define JOURNAL_BATCH_HEADER_BYTES 96u
_Static_assert(sizeof(struct batch_header) + sizeof(struct batch_chain) == JOURNAL_BATCH_HEADER_BYTES, "format");

/* Where a batch's records begin. */
static inline uint32_t batch_header_bytes(uint32_t version) {
  return version == 1 ? (uint32_t)sizeof(struct batch_header) : JOURNAL_BATCH_HEADER_BYTES;
}

/* Before each record; the next frame follows the record, rounded up to 8. */
struct record_frame {
  uint32_t bytes;
  uint32_t checksum; /* of the record, so that one can be read without its batch */
};
_Static_assert(sizeof(struct record_frame) == 8 && sizeof(struct record_header) == 16, "format");
_Static_assert(JOURNAL_BATCH_BYTES_LEAST >= JOURNAL_BATCH_HEADER_BYTES + sizeof(struct record_frame) + RECORD_BYTES_MAX,
               "the largest record fits a batch");

/* What every checksum in the journal starts from. */
struct journal_identity {
  uint8_t node_id[16];
  uint64_t salt;
};

static inline uint32_t record_frame_bytes(uint32_t record_bytes) {
  return (uint32_t)sizeof(struct record_frame) + ((record_bytes + 7u) & ~7u);
}

static inline uint32_t journal_blocks_up(uint32_t bytes) {
  return (bytes + JOURNAL_BLOCK_BYTES - 1) & ~(JOURNAL_BLOCK_BYTES - 1);
}

uint32_t journal_checksum(uint32_t seed, const void *bytes, size_t length);
uint32_t journal_segment_seed(const struct journal_identity *identity, uint64_t segment);
/* Two LSNs give one seed only when they are 2^32 apart or more. */
static inline uint32_t journal_lsn_seed(uint32_t segment_seed, uint64_t lsn) {
  return segment_seed ^ (uint32_t)lsn ^ (uint32_t)(lsn >> 32);
}

bool journal_is_zero(const void *bytes, size_t length); /* `length` a multiple of 8 */

/* Completes a segment header in a zeroed block: magic and checksum, and JOURNAL_VERSION unless it has a version. */
void segment_header_seal(void *block);

enum segment_state {
  SEGMENT_ZERO,    /* never used */
  SEGMENT_INVALID, /* torn, or damaged */
  SEGMENT_NEWER,   /* a version that this program does not know */
  SEGMENT_VALID,
};
enum segment_state segment_header_check(const void *block);

/* A batch's checksum from that of its content, which a writer has summed up record by record. Of JOURNAL_VERSION. */
uint32_t batch_header_checksum(const struct batch_header *batch, uint32_t content);
/* Completes a batch whose header and records are in place. */
void batch_seal(struct batch_header *batch, uint32_t segment_seed, uint32_t version);
/* The chain after a batch: SHA-256 of the batch, which holds the chain before it, and for the first batch of a segment of the
 * segment's header block (else NULL) before it. */
void journal_chain_next(const void *segment_block, const void *batch, uint32_t batch_bytes, uint8_t chain[JOURNAL_CHAIN_BYTES]);
static inline const struct batch_chain *batch_chain_of(const struct batch_header *batch) {
  return (const struct batch_chain *)(const void *)(batch + 1);
}

enum batch_state {
  BATCH_ZERO,      /* the block is all zero */
  BATCH_INVALID,   /* torn, or damaged */
  BATCH_MALFORMED, /* the checksum holds and the content is impossible */
  BATCH_VALID,
};
/* The batch at `bytes`, of which `available` can be read (at least one block). */
enum batch_state batch_check(const void *bytes, uint64_t available, uint64_t segment, uint32_t segment_seed, uint32_t version);
/* The length that the batch header at `bytes` claims, when it looks like one and stays within `available`, or 0. */
uint32_t batch_claimed_bytes(const void *bytes, uint64_t available);

#define SEGMENT_NAME_BYTES 32
enum journal_name { NAME_OTHER, NAME_SEGMENT, NAME_TEMPORARY };
void segment_name(char name[SEGMENT_NAME_BYTES], uint64_t segment, enum journal_name kind);
enum journal_name segment_name_parse(const char *name, uint64_t *segment);

/* The ids of all segment files, in order (malloc'd). 0 or -errno. */
int journal_list_segments(struct journal_io *io, uint64_t **segments, size_t *count);
