#pragma once
/* What travels from a shard (or control) to the journal. Every record starts with this header; the journal adds LSN and
 * checksum around it and never looks further. Layout is little-endian and part of the journal format. */
#include <stdint.h>

enum record_type {
  RECORD_VIOLATION = 1,   /* rules/violation.h */
  RECORD_WEBHOOK = 2,     /* ingest/webhook_record.h: an accepted webhook */
  RECORD_RULES_BEGIN = 3, /* control/lifecycle/rule_records.h: a change of the rules is written in chunks and counts from its commit */
  RECORD_RULES_CHUNK = 4,
  RECORD_RULES_COMMIT = 5,
  RECORD_RETENTION = 6,    /* control/journal/journal.h: old segments are removed */
  RECORD_REPLAY_IDS = 7,   /* control/journal/state_records.h: webhook ids that are remembered, in a snapshot of the state */
  RECORD_STATE_COMMIT = 8, /* the snapshot is whole */
  RECORD_CHECKPOINT = 9,   /* control/journal/journal_checkpoint.h: the hash chain up to here, signed */
  RECORD_CURSOR = 10,      /* control/journal/cursor_records.h: a reader's cursor as it is now */
  RECORD_CURSORS = 11,     /* all of them, in a snapshot of the state or where retention overtook some; or one that is deleted */
};

struct record_header {
  uint16_t type;
  uint16_t shard; /* 0xffff: control */
  uint32_t bytes; /* the whole record, this header included */
  uint64_t wall_ns;
};

#define RECORD_SHARD_CONTROL 0xffffu

/* How soon what was published is to be made durable. A flush that one record asks for is shared by all. */
enum record_durability {
  DURABILITY_STRICT,   /* the next flush starts when the one in flight ends */
  DURABILITY_BALANCED, /* at 1,000 records, or after 10 ms */
  DURABILITY_RELAXED,  /* after 100 ms */
  DURABILITIES,
};
