#pragma once
/* The durable violations, for queries: an index over the journal (rebuilt at start, extended as the durable mark moves) that
 * finds records without reading the log. Bound: `capacity` newest violations. Threads: any; it locks. */
#include "journal.h"
#include "violation.h"

struct violation_filter {
  const char *rule;    /* NULL: any */
  const char *service; /* NULL: any */
  int severity;        /* enum severity, -1: any */
  int source;          /* enum rule_on, -1: any */
  bool has_id;
  uint8_t id[16];
  bool has_trace_id;
  uint8_t trace_id[16];
  uint64_t since_ns, until_ns; /* wall time of the verdict, from and before; 0: open */
  uint64_t before_lsn;         /* cursor, newest first: only LSNs below; 0: none */
  uint64_t after_lsn;          /* tail, oldest first: only LSNs above */
  bool oldest_first;
  uint32_t limit;
};

struct violation_store;
struct violation_store *violation_store_create(struct journal_io *io, uint32_t capacity);
/* `see` is called once with each record of any type, in LSN order, as it is read. Before the first catch-up. */
void violation_store_observe(struct violation_store *store,
                             void (*see)(void *context, uint64_t lsn, const struct record_header *record,
                                         struct journal_position position),
                             void *context);
/* Violations from this LSN on are of this run. Before the first catch-up. */
void violation_store_begin_run(struct violation_store *store, uint64_t first_lsn);
/* Reads what has become durable since the last call (the whole log at first). 0 or -errno. */
int violation_store_catch_up(struct violation_store *store, uint64_t durable_lsn);
/* The same, but for `wait_ns` at most, waiting for another thread that is at it or reading: then -ETIMEDOUT, and what is there is
 * there. */
int violation_store_catch_up_within(struct violation_store *store, uint64_t durable_lsn, uint64_t wait_ns);
/* Before the segments below this LSN are removed: no query reads them any more. */
void violation_store_forget(struct violation_store *store, uint64_t before_lsn);
/* Calls `each` for each match in order, up to `limit`; `each` returns false to stop. Returns how many were given, or -errno. The
 * lock is not held while it reads and calls; text of a violation lives until `each` returns. */
int violation_store_query(struct violation_store *store, const struct violation_filter *filter,
                          bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *context);
/* Counts of what the index holds, by one property, from the index alone: texts and ids are told apart by 32-bit checksums. */
enum violation_group { VIOLATIONS_BY_RULE, VIOLATIONS_BY_SEVERITY, VIOLATIONS_BY_TIME };
#define VIOLATION_GROUPS_MAX 10000u
struct violation_count {
  const char *rule;  /* by rule; NULL for all rules beyond the first thousand together. As long as the store lives */
  unsigned severity; /* by severity */
  uint64_t from_ns;  /* by time: the start of the bucket */
  uint64_t count;
};
/* Groups that have any: most first (rule), worst first (severity), or in time. `filter` without order, cursors and limit.
 * malloc'd *counts; 0, -ENOMEM, or -E2BIG: more than VIOLATION_GROUPS_MAX buckets. */
int violation_store_count_groups(struct violation_store *store, const struct violation_filter *filter, enum violation_group group,
                                 uint64_t bucket_ns, struct violation_count **counts, size_t *count, uint64_t *total);
/* Violations read so far, those that the index has let go included. */
uint64_t violation_store_total(struct violation_store *store);
uint64_t violation_store_count(struct violation_store *store);
uint64_t violation_store_run_total(struct violation_store *store); /* of those read so far, those of this run */
/* What the index holds. Violations before `first_lsn` have left it, when `let_go`: for newer ones, or with their segments. */
struct violation_extent {
  uint64_t count, capacity, bytes; /* bytes: of memory, when it is full */
  uint64_t let_go;
  uint64_t first_lsn, first_wall_ns; /* the oldest held; 0: none */
  uint64_t last_lsn;                 /* of any type of record, that was read */
};
struct violation_extent violation_store_extent(struct violation_store *store);
/* The last LSN, of any type of record, that was read. */
uint64_t violation_store_last_lsn(struct violation_store *store);
/* Of all violations read so far: by rule, "" for all rules beyond the first thousand together. The lock is held meanwhile. */
void violation_store_count_by_rule(struct violation_store *store, void (*each)(void *context, const char *rule, uint64_t count),
                                   void *context);
void violation_store_destroy(struct violation_store *store);
