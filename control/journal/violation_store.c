#include "violation_store.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct store_entry {
  uint64_t lsn, wall_ns;
  struct journal_position position;
  uint32_t rule_hash, trace_hash;
  uint8_t severity;
  bool has_trace;
};

/* A ring of the newest `capacity` violations, in LSN order. */
struct violation_store {
  pthread_mutex_t lock; /* all of it */
  struct journal_io *io;
  struct journal_reader *tail, *finder;
  struct store_entry *entries;
  uint32_t capacity;
  uint64_t added; /* ever; entry i is at i % capacity */
  uint64_t caught_up_lsn;
};

/* Only a filter before the record itself is compared. */
static uint32_t hash_bytes(const void *bytes, size_t length) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 16777619u;
  return hash;
}

struct violation_store *violation_store_create(struct journal_io *io, uint32_t capacity) {
  struct violation_store *store = calloc(1, sizeof *store);
  if (!store) return NULL;
  pthread_mutex_init(&store->lock, NULL);
  store->io = io;
  store->capacity = capacity;
  store->entries = malloc(capacity * sizeof *store->entries); /* touched as it fills */
  if (store->entries) return store;
  free(store);
  return NULL;
}

static void add(struct violation_store *store, uint64_t lsn, const struct record_header *record) {
  struct violation violation;
  if (record->type != RECORD_VIOLATION || !violation_decode(record, record->bytes, &violation)) return;
  store->entries[store->added++ % store->capacity] = (struct store_entry){
      .lsn = lsn,
      .wall_ns = violation.wall_ns,
      .position = journal_reader_position(store->tail),
      .rule_hash = hash_bytes(violation.rule.at, violation.rule.length),
      .trace_hash = hash_bytes(violation.fixed.trace_id, sizeof violation.fixed.trace_id),
      .severity = violation.fixed.severity,
      .has_trace = violation.fixed.has_trace,
  };
}

static int catch_up(struct violation_store *store, uint64_t durable_lsn) {
  int error = 0;
  if (durable_lsn <= store->caught_up_lsn) return 0;
  if (!store->tail && !(store->tail = journal_reader_open(store->io, 1, &error))) return error;
  if (!store->finder && !(store->finder = journal_reader_open(store->io, 1, &error))) return error;
  for (;;) {
    uint64_t lsn = 0;
    const struct record_header *record = NULL;
    switch (journal_reader_next(store->tail, durable_lsn, &lsn, &record)) {
    case JOURNAL_READ_RECORD:
      add(store, lsn, record);
      store->caught_up_lsn = lsn;
      break;
    case JOURNAL_READ_END:
      return 0;
    case JOURNAL_READ_DAMAGED:
      return -EBADMSG;
    case JOURNAL_READ_ERROR:
      return -EIO;
    }
  }
}

int violation_store_catch_up(struct violation_store *store, uint64_t durable_lsn) {
  pthread_mutex_lock(&store->lock);
  const int result = catch_up(store, durable_lsn);
  pthread_mutex_unlock(&store->lock);
  return result;
}

static bool may_match(const struct store_entry *entry, const struct violation_filter *filter, uint32_t rule_hash,
                      uint32_t trace_hash) {
  if (filter->rule && entry->rule_hash != rule_hash) return false;
  if (filter->severity >= 0 && entry->severity != filter->severity) return false;
  if (filter->has_trace_id && (!entry->has_trace || entry->trace_hash != trace_hash)) return false;
  if (filter->since_ns && entry->wall_ns < filter->since_ns) return false;
  if (filter->until_ns && entry->wall_ns >= filter->until_ns) return false;
  if (filter->before_lsn && entry->lsn >= filter->before_lsn) return false;
  return entry->lsn > filter->after_lsn;
}

static bool matches(const struct violation *violation, const struct violation_filter *filter) {
  if (filter->rule &&
      (strlen(filter->rule) != violation->rule.length || memcmp(filter->rule, violation->rule.at, violation->rule.length) != 0))
    return false;
  return !filter->has_trace_id || memcmp(filter->trace_id, violation->fixed.trace_id, sizeof filter->trace_id) == 0;
}

/* The number of the first entry above an LSN: tails begin there, not at the oldest. */
static uint64_t first_above(const struct violation_store *store, uint64_t oldest, uint64_t lsn) {
  uint64_t low = oldest, high = store->added;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (store->entries[middle % store->capacity].lsn <= lsn) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static int query(struct violation_store *store, const struct violation_filter *filter,
                 bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *context) {
  const uint64_t oldest =
      first_above(store, store->added > store->capacity ? store->added - store->capacity : 0, filter->after_lsn);
  const uint32_t rule_hash = filter->rule ? hash_bytes(filter->rule, strlen(filter->rule)) : 0;
  const uint32_t trace_hash = hash_bytes(filter->trace_id, sizeof filter->trace_id);
  struct violation *violation = malloc(sizeof *violation);
  int given = 0;
  if (!violation) return -ENOMEM;
  for (uint64_t n = oldest; n < store->added && (uint32_t)given < filter->limit; n++) {
    const uint64_t number = filter->oldest_first ? n : store->added - 1 - (n - oldest);
    const struct store_entry *entry = &store->entries[number % store->capacity];
    if (!may_match(entry, filter, rule_hash, trace_hash)) continue;
    const struct record_header *record = journal_reader_at(store->finder, entry->position, entry->lsn);
    if (!record || !violation_decode(record, record->bytes, violation)) {
      given = -EBADMSG;
      break;
    }
    if (!matches(violation, filter)) continue;
    given++;
    if (!each(context, entry->lsn, violation)) break;
  }
  free(violation);
  return given;
}

int violation_store_query(struct violation_store *store, const struct violation_filter *filter,
                          bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *context) {
  pthread_mutex_lock(&store->lock);
  const int given = store->added ? query(store, filter, each, context) : 0;
  pthread_mutex_unlock(&store->lock);
  return given;
}

uint64_t violation_store_total(struct violation_store *store) {
  pthread_mutex_lock(&store->lock);
  const uint64_t total = store->added;
  pthread_mutex_unlock(&store->lock);
  return total;
}

uint64_t violation_store_count(struct violation_store *store) {
  pthread_mutex_lock(&store->lock);
  const uint64_t count = store->added < store->capacity ? store->added : store->capacity;
  pthread_mutex_unlock(&store->lock);
  return count;
}

uint64_t violation_store_last_lsn(struct violation_store *store) {
  pthread_mutex_lock(&store->lock);
  const uint64_t lsn = store->caught_up_lsn;
  pthread_mutex_unlock(&store->lock);
  return lsn;
}

void violation_store_destroy(struct violation_store *store) {
  if (store->tail) journal_reader_close(store->tail);
  if (store->finder) journal_reader_close(store->finder);
  pthread_mutex_destroy(&store->lock);
  free(store->entries);
  free(store);
}
