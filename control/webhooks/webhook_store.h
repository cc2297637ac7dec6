#pragma once
/* The accepted webhooks, for queries: a sparse index over the journal (docs/decisions/0015) that tells which parts of the log to
 * read. Memory: at most 18 MiB, however long the log is. Threads: any; it locks, and the lock is never held while it reads. */
#include "journal.h"
#include "webhook_record.h"

struct webhook_filter {
  const char *source; /* NULL: any */
  uint16_t status;    /* 0: any */
  bool has_correlation_id, has_id_key;
  uint8_t correlation_id[16];
  uint8_t id_key[16];          /* as replay_key_of makes it */
  uint64_t since_ns, until_ns; /* wall time of the record, from and before; 0: open */
  uint64_t before_lsn;         /* cursor, newest first: only LSNs below; 0: none */
  uint32_t limit;              /* at most WEBHOOK_QUERY_LIMIT_MAX */
};

#define WEBHOOK_QUERY_LIMIT_MAX 10001u
#define WEBHOOK_QUERY_PARTS_MAX 256u /* parts of the log that one query reads, of about a megabyte each */

struct webhook_store;
struct webhook_store *webhook_store_create(struct journal_io *io);
void webhook_store_destroy(struct webhook_store *store);
/* With each record of any type once, in LSN order, as it is durable. One thread at a time. */
void webhook_store_see(struct webhook_store *store, uint64_t lsn, const struct record_header *record,
                       struct journal_position position);
/* Before the segments below this LSN are removed: no query reads them any more. */
void webhook_store_forget(struct webhook_store *store, uint64_t before_lsn);
/* Calls `each` for each match, newest first, up to `limit`; `each` returns false to stop. What it is given lives until it
 * returns. Returns how many were given, or -errno. *more_lsn: where to go on as the next query's cursor, 0 when all was looked
 * at: a query that has read WEBHOOK_QUERY_PARTS_MAX parts ends with what it has found. */
int webhook_store_query(struct webhook_store *store, const struct webhook_filter *filter,
                        bool (*each)(void *context, uint64_t lsn, const struct webhook_account *account), void *context,
                        uint64_t *more_lsn);

struct webhook_store_figures {
  uint64_t webhooks;  /* covered */
  uint64_t first_lsn; /* of the oldest of them; 0: none */
  uint32_t entries;
  uint64_t merges; /* how often neighbouring entries became one */
};
struct webhook_store_figures webhook_store_figures(struct webhook_store *store);
