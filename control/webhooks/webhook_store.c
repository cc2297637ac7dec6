#include "webhook_store.h"
#include "always_assert.h"
#include "webhook_index_internal.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct webhook_store {
  struct journal_io *io;
  pthread_mutex_t lock; /* guards the rest */
  struct webhook_index index;
  uint64_t forgotten_lsn; /* what is below may be removed */
};

struct webhook_store *webhook_store_create(struct journal_io *io) {
  struct webhook_store *store = calloc(1, sizeof *store);
  if (!store) return NULL;
  store->io = io;
  if (!webhook_index_create(&store->index, WEBHOOK_ENTRIES_MAX)) {
    free(store);
    return NULL;
  }
  pthread_mutex_init(&store->lock, NULL);
  return store;
}

void webhook_store_destroy(struct webhook_store *store) {
  if (!store) return;
  pthread_mutex_destroy(&store->lock);
  webhook_index_destroy(&store->index);
  free(store);
}

void webhook_store_see(struct webhook_store *store, uint64_t lsn, const struct record_header *record,
                       struct journal_position position) {
  if (record->type != RECORD_WEBHOOK || record->bytes < sizeof(struct webhook_record)) return;
  pthread_mutex_lock(&store->lock);
  webhook_index_add(&store->index, lsn, (const struct webhook_record *)record, position);
  pthread_mutex_unlock(&store->lock);
}

void webhook_store_forget(struct webhook_store *store, uint64_t before_lsn) {
  pthread_mutex_lock(&store->lock);
  if (before_lsn > store->forgotten_lsn) {
    store->forgotten_lsn = before_lsn;
    webhook_index_forget(&store->index, before_lsn);
  }
  pthread_mutex_unlock(&store->lock);
}

static bool is_forgotten(struct webhook_store *store, uint64_t lsn) {
  pthread_mutex_lock(&store->lock);
  const bool forgotten = lsn < store->forgotten_lsn;
  pthread_mutex_unlock(&store->lock);
  return forgotten;
}

struct webhook_store_figures webhook_store_figures(struct webhook_store *store) {
  pthread_mutex_lock(&store->lock);
  const struct webhook_index *index = &store->index;
  const struct webhook_store_figures figures = {
      .webhooks = index->webhooks,
      .first_lsn = index->count ? index->entries[index->begin].span.first_lsn : 0,
      .entries = index->count,
      .merges = index->merges,
  };
  pthread_mutex_unlock(&store->lock);
  return figures;
}

struct found {
  uint64_t lsn;
  struct journal_position position;
};

struct query {
  struct webhook_store *store;
  const struct webhook_filter *filter;
  struct webhook_wanted wanted;
  uint64_t below;
  struct found *found; /* of the part at hand: the newest `limit` */
  uint64_t found_count;
  struct journal_reader *by_position;
  struct webhook_account account;
  bool (*each)(void *context, uint64_t lsn, const struct webhook_account *account);
  void *context;
  uint32_t given;
  bool stopped;
};

static struct webhook_wanted wanted_of(const struct webhook_filter *filter) {
  return (struct webhook_wanted){.since_ns = filter->since_ns,
                                 .until_ns = filter->until_ns,
                                 .id_ms = filter->has_correlation_id ? webhook_id_ms(filter->correlation_id) : 0,
                                 .sources = filter->source ? webhook_source_bit(filter->source, strlen(filter->source)) : 0,
                                 .statuses = filter->status ? webhook_status_bit(filter->status) : 0,
                                 .key = filter->has_id_key ? filter->id_key : NULL};
}

static bool matches(const struct webhook_filter *filter, const struct webhook_record *record) {
  if (filter->status && record->status != filter->status) return false;
  if (filter->since_ns && record->header.wall_ns < filter->since_ns) return false;
  if (filter->until_ns && record->header.wall_ns >= filter->until_ns) return false;
  if (filter->has_correlation_id && memcmp(record->correlation_id, filter->correlation_id, 16) != 0) return false;
  if (filter->has_id_key && memcmp(record->id_key, filter->id_key, 16) != 0) return false;
  return !filter->source || (record->source_length == strlen(filter->source) && record->source_length <= sizeof record->source &&
                             memcmp(record->source, filter->source, record->source_length) == 0);
}

static bool next_part(struct query *query, struct webhook_span *part) {
  pthread_mutex_lock(&query->store->lock);
  const struct webhook_entry *entry = webhook_index_find(&query->store->index, query->below, &query->wanted);
  if (entry) *part = entry->span;
  pthread_mutex_unlock(&query->store->lock);
  return entry != NULL;
}

/* Where the part's matches are; retention may take them away meanwhile. */
static int read_part(struct query *query, const struct webhook_span *part) {
  const uint64_t last_lsn = query->below <= part->last_lsn ? query->below - 1 : part->last_lsn;
  int error = 0;
  struct journal_reader *reader = part->at.segment ? journal_reader_open_at(query->store->io, part->at, part->first_lsn, &error)
                                                   : journal_reader_open(query->store->io, part->first_lsn, &error);
  if (!reader) return error;
  enum journal_read read;
  uint64_t lsn;
  const struct record_header *record;
  query->found_count = 0;
  while ((read = journal_reader_next(reader, last_lsn, &lsn, &record)) == JOURNAL_READ_RECORD) {
    if (record->type != RECORD_WEBHOOK || record->bytes < sizeof(struct webhook_record) ||
        !matches(query->filter, (const struct webhook_record *)record))
      continue;
    query->found[query->found_count++ % query->filter->limit] =
        (struct found){.lsn = lsn, .position = journal_reader_position(reader)};
  }
  journal_reader_close(reader);
  if (read == JOURNAL_READ_END || is_forgotten(query->store, last_lsn)) return 0;
  if (read == JOURNAL_READ_REMOVED) return -EAGAIN;
  return read == JOURNAL_READ_DAMAGED ? -EBADMSG : -EIO;
}

static int give_found(struct query *query) {
  const uint32_t limit = query->filter->limit;
  const uint64_t kept = query->found_count < limit ? query->found_count : limit;
  for (uint64_t i = 0; i < kept && query->given < limit && !query->stopped; i++) {
    const struct found *found = &query->found[(query->found_count - 1 - i) % limit];
    const struct record_header *record = journal_reader_at(query->by_position, found->position, found->lsn);
    if (!record && is_forgotten(query->store, found->lsn)) continue;
    if (!record || !webhook_account_read(record, record->bytes, &query->account)) return -EBADMSG;
    query->given++;
    query->below = found->lsn;
    query->stopped = !query->each(query->context, found->lsn, &query->account);
  }
  return 0;
}

static int run(struct query *query, uint64_t *more_lsn) {
  struct webhook_span part;
  *more_lsn = 0;
  for (uint32_t parts = 0; next_part(query, &part); parts++) {
    if (parts == WEBHOOK_QUERY_PARTS_MAX) {
      *more_lsn = query->below;
      return 0;
    }
    int result = read_part(query, &part);
    if (result == -EAGAIN) continue; /* retention was there first: what is left of the part is found again */
    if (result == 0) result = give_found(query);
    if (result < 0) return result;
    if (query->stopped || query->given == query->filter->limit) {
      *more_lsn = query->below;
      return 0;
    }
    query->below = part.first_lsn;
  }
  return 0;
}

int webhook_store_query(struct webhook_store *store, const struct webhook_filter *filter,
                        bool (*each)(void *context, uint64_t lsn, const struct webhook_account *account), void *context,
                        uint64_t *more_lsn) {
  ALWAYS_ASSERT(filter->limit > 0 && filter->limit <= WEBHOOK_QUERY_LIMIT_MAX);
  int result = -ENOMEM;
  struct query *query = calloc(1, sizeof *query);
  if (!query) return result;
  *query = (struct query){.store = store,
                          .filter = filter,
                          .wanted = wanted_of(filter),
                          .below = filter->before_lsn ? filter->before_lsn : UINT64_MAX,
                          .found = calloc(filter->limit, sizeof *query->found),
                          .each = each,
                          .context = context};
  query->by_position = query->found ? journal_reader_open(store->io, 1, &result) : NULL;
  if (query->by_position) result = run(query, more_lsn);
  if (result == 0) result = (int)query->given;
  journal_reader_close(query->by_position);
  free(query->found);
  free(query);
  return result;
}
