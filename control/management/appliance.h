#pragma once
/* What the management side (API, metrics) may see and ask of the running appliance. The daemon implements it; the API is its only
 * user, from its own thread: implementations lock. */
#include "cursor_reader.h"
#include "cursor_table.h"
#include "journal.h"
#include "rule_book.h"
#include "shard.h"
#include "violation_store.h"
#include "webhook_store.h"

/* What a port that is impaired on purpose did to the frames of one direction. */
struct appliance_impairment {
  uint64_t lost, duplicated, reordered, no_room, passed_on;
};

struct appliance_port {
  struct driver_port_information information;
  struct driver_port_counters counters;
  const char *kind; /* embedded, af_packet, ... */
  bool link_up;
  uint16_t first_shard;
  bool impaired;
  struct appliance_impairment received, sent; /* when it is */
};

/* The index of violations over the journal. */
struct appliance_index {
  bool complete; /* false: the log of earlier runs is still being read into it */
  double ratio;  /* of that log */
  struct violation_extent extent;
};

/* What recovery reads and has read; after it, what it read and how long it took. */
struct appliance_recovery {
  double ratio;
  uint64_t bytes_read, bytes_to_read, segments_read, segments_to_read, segment, records;
  uint64_t elapsed_ns, rest_ns; /* rest: as it went until now; 0 when nothing is known */
};

struct appliance_journal {
  uint64_t durable_lsn, recovered_records, recovered_truncated_bytes;
  uint64_t records, record_bytes, batches, batch_bytes, segments_prepared;
  uint64_t flush_ns_sum, flush_ns_max, space_refusals;
  int failed;                     /* 0 or -errno */
  struct journal_failure failure; /* when it has */
  uint64_t records_pending;       /* given to the journal, and neither durable nor discarded */
  uint64_t records_discarded, violations_discarded;
  int stalled; /* 0, -ENOSPC while there is no room for another segment, or -ETIMEDOUT while the disk does not answer */
  struct {
    uint64_t segments, bytes, oldest_lsn; /* in use */
    uint64_t held_segments, held_bytes;   /* over the limits of retention, but needed */
    uint64_t held_by_cursors;             /* of these segments */
    uint64_t overtaken_segments;          /* removed although a cursor that holds had not had all of them */
    uint64_t removed_segments, removed_bytes;
    uint64_t age_limit_ns, byte_limit, record_limit, byte_limit_hard; /* 0: none */
  } kept;
  uint64_t state_lsn, snapshots;
  uint64_t checkpoints, signed_lsn; /* of this run; 0: none */
  struct appliance_recovery recovery;
  struct appliance_index index;
};

/* A start: until APPLIANCE_RUNNING only this may be asked. */
enum appliance_phase { APPLIANCE_STARTING, APPLIANCE_RECOVERING, APPLIANCE_RUNNING };
struct appliance_start {
  enum appliance_phase phase;
  char reason[64]; /* "recovering 43 %" */
  const char *version;
  char node[37];
  uint64_t wall_ns, started_wall_ns;
  struct appliance_recovery recovery;
};

/* Whole per cents; 100 only when it is all. */
static inline unsigned appliance_percent(double ratio) { return ratio >= 1 ? 100 : (unsigned)(ratio * 100); }

struct appliance_rules {
  uint64_t generation;
  uint32_t rules, enabled;
  char sha256[65];
  uint64_t last_reload_wall_ns;
  bool last_reload_succeeded;
  uint64_t reloads, reload_failures, last_reload_ns;
  uint64_t in_state[RULE_STATES];
  uint64_t failed; /* rules and files that the last attempt about them did not put in force */
  uint64_t versions, versions_forgotten, history_bytes;
};

struct appliance_check { /* for /readyz and status */
  const char *name;
  bool passed;
  char detail[320];
};

#define APPLIANCE_CHECKS_MAX 8

struct appliance_certificate { /* of a listener with TLS */
  const char *listener;
  int64_t not_after_s; /* Unix time */
  bool asks_clients;   /* for certificates */
  char sha256[65];
};

struct appliance_snapshot {
  uint64_t wall_ns, started_wall_ns;
  const char *version;
  char node[37];
  char config_sha256[65];
  uint32_t shard_count;
  uint16_t shard_core[SHARDS_MAX];
  uint64_t shard_allocated_bytes[SHARDS_MAX], shard_allocated_at_start_bytes[SHARDS_MAX]; /* heap, by the allocator's own count */
  struct shard_snapshot shards[SHARDS_MAX];
  bool shard_answered[SHARDS_MAX]; /* false: not in time, and `shards` has what it said last */
  uint32_t port_count;
  struct appliance_port ports[8];
  struct appliance_journal journal;
  uint64_t violations_durable; /* of this run: raised since start and past fsync */
  struct appliance_rules rules;
  uint32_t certificate_count;
  struct appliance_certificate certificates[SHARD_LISTENERS];
  uint64_t certificate_reloads, certificate_reload_failures;
  bool last_certificate_reload_succeeded;
  uint32_t check_count;
  struct appliance_check checks[APPLIANCE_CHECKS_MAX];
  bool live, ready;
  uint64_t logs_suppressed;
};

struct appliance {
  void *context;
  char node[37];
  /* False: it runs, and all below may be asked. True, and `start`: not yet. */
  bool (*starting)(void *context, struct appliance_start *start);
  /* Counters of everything, one consistent snapshot a shard. 0 or -ETIMEDOUT when a shard did not answer in time (its last one is
   * given). The caller provides the (large) memory. */
  int (*snapshot)(void *context, struct appliance_snapshot *snapshot);
  /* The rules in force, for reading until rules_release. */
  void (*rules_read)(void *context, struct rule_view *view);
  void (*rules_release)(void *context);
  /* Between the two: matches of a rule of the set since this process has it, and whether metrics show it by itself; false when it
   * is not judged. And those of rules that are gone and had no series of their own. */
  bool (*rule_matches)(void *context, const struct rule_definition *rule, uint64_t *matches, bool *own_series);
  void (*rule_matches_gone)(void *context, uint64_t gone[RULE_MODES]);
  /* As rule_book_change says: returns when it is durable and every shard has adopted it. RULE_ACTION_RELOAD reads rules.files. */
  int (*rules_change)(void *context, const struct rule_request *request, struct rule_result *result);
  /* Waits until all that was published before the call is durable. 0, -ETIMEDOUT, or -errno once the journal has failed. */
  int (*journal_flush)(void *context, uint64_t *durable_lsn);
  /* Reads the certificates of all listeners again. 0, or -EINVAL with `error`: those before stay in force. */
  int (*certificates_reload)(void *context, char *error, size_t room);
  uint32_t (*shard_count)(void *context);
  /* Copies what the shard's flight recorder still holds, oldest first, into `events`, and returns how many; with no `events` how
   * much room is enough, 0 when nothing is recorded. */
  uint32_t (*blackbox)(void *context, uint32_t shard, struct flight_event *events, uint32_t room);
  struct cursor_table *(*cursors)(void *context);
  uint64_t cursor_stale_ns; /* one that holds and has not moved for so long is told of; 0: never */
  /* Violations after an LSN, oldest first, until `each` returns false; waits for the first one at most `wait_ns`. 0 or -errno. */
  int (*cursor_read)(void *context, uint64_t after_lsn, uint32_t limit, uint64_t wait_ns,
                     bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *each_context,
                     struct cursor_reading *reading);
  /* Caught up to the durable mark, as far as that goes within three seconds; or as it is. */
  struct violation_store *(*violations)(void *context);
  struct violation_store *(*violations_as_they_are)(void *context);
  void (*index)(void *context, struct appliance_index *index);
  struct webhook_store *(*webhooks)(void *context); /* caught up likewise */
};
