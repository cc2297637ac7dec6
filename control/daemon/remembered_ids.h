#pragma once
/* Webhook ids that must be remembered, as the journal has them: what brings the shards' replay tables back, and what a snapshot
 * of the state holds, so that the records they came from may be passed by recovery and removed. Threads: any; it locks. */
#include "webhook_record.h"
#include <stdbool.h>
#include <stddef.h>

/* Little-endian, part of the journal's format. */
struct remembered_id {
  uint8_t key[16];
  uint8_t body_sha256[32];
  uint8_t correlation_id[16]; /* of the first answer */
  uint64_t remember_until_ns; /* wall clock */
  uint16_t status;            /* of the first answer */
  uint8_t reserved[6];
};
_Static_assert(sizeof(struct remembered_id) == 80, "format");

#define REMEMBERED_IDS_A_RECORD 400u

/* RECORD_REPLAY_IDS: a part of a snapshot. */
struct remembered_ids_record {
  struct record_header header;
  uint64_t covered_lsn; /* it says what all records up to here said */
  uint32_t count;       /* at most REMEMBERED_IDS_A_RECORD */
  uint32_t reserved;
  struct remembered_id ids[];
};

/* RECORD_STATE_COMMIT: all parts are there, and before them the rule set. */
struct state_commit_record {
  struct record_header header;
  uint64_t covered_lsn;
  uint64_t ids;
};

struct remembered_ids;
struct remembered_ids *remembered_ids_create(void); /* NULL: out of memory */
void remembered_ids_destroy(struct remembered_ids *remembered);
/* Takes in a webhook or a part of a snapshot; other records, and LSNs that were seen before, say nothing. False: out of memory.
 */
bool remembered_ids_see(struct remembered_ids *remembered, uint64_t lsn, const struct record_header *record, uint64_t wall_ns);
/* Recovery is over: each id is there once (a snapshot and the records it covers may both have been seen), and parts of snapshots
 * say nothing new from here on. */
void remembered_ids_recovered(struct remembered_ids *remembered);
/* Those whose time is not over, in a copy (malloc'd; NULL with *count 0, or out of memory: -ENOMEM). */
int remembered_ids_copy(struct remembered_ids *remembered, uint64_t wall_ns, struct remembered_id **ids, size_t *count);
