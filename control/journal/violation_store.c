#include "violation_store.h"
#include "always_assert.h"
#include "journal_format_internal.h"
#include "violation_counts.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REMOVALS_MAX 100u /* a reader that retention overtakes again and again */
#define CANDIDATES 256u   /* taken from the index at a time, so that a long query never holds the lock while it reads */

/* What filters need to leave a record unread; text is told apart by checksum and compared when the record is read. */
struct entry {
  uint64_t lsn;
  uint64_t wall_ns;
  uint64_t trace; /* the first half of the trace id; 0: none */
  uint32_t rule;  /* checksum of the name */
  uint32_t offset_in_batch;
  uint32_t segment; /* 2^32 segments outlast the disk */
  uint32_t block;   /* the batch's offset / 4096: segments stay below 16 TiB */
  uint8_t severity;
};

struct violation_store {
  struct journal_io *io;
  uint32_t capacity;
  pthread_mutex_t catching_up; /* guards `reader` */
  struct journal_reader *reader;
  pthread_mutex_t lock;  /* guards the rest; never held while reading */
  struct entry *entries; /* ring in LSN order: the newest `count` of all */
  uint64_t added;        /* ever; entry i (0 = first ever) is at i % capacity */
  uint64_t count;
  uint64_t last_lsn;
  uint64_t forgotten_lsn; /* entries below it are gone, and perhaps their segments */
  uint64_t run_first_lsn, run_total;
  struct violation_counts *by_rule;
  void (*see)(void *context, uint64_t lsn, const struct record_header *record);
  void *see_context;
};

struct violation_store *violation_store_create(struct journal_io *io, uint32_t capacity) {
  ALWAYS_ASSERT(capacity > 0);
  struct violation_store *store = calloc(1, sizeof *store);
  if (!store) return NULL;
  store->io = io;
  store->capacity = capacity;
  store->entries = calloc(capacity, sizeof *store->entries);
  store->by_rule = violation_counts_create();
  if (!store->entries || !store->by_rule) {
    violation_counts_destroy(store->by_rule);
    free(store->entries);
    free(store);
    return NULL;
  }
  pthread_mutex_init(&store->lock, NULL);
  pthread_mutex_init(&store->catching_up, NULL);
  return store;
}

void violation_store_destroy(struct violation_store *store) {
  if (!store) return;
  journal_reader_close(store->reader);
  pthread_mutex_destroy(&store->lock);
  pthread_mutex_destroy(&store->catching_up);
  violation_counts_destroy(store->by_rule);
  free(store->entries);
  free(store);
}

static uint64_t trace_half(const uint8_t trace_id[16]) {
  uint64_t half;
  memcpy(&half, trace_id, sizeof half);
  return half;
}

static uint32_t rule_checksum(const char *rule, size_t length) {
  return journal_checksum(0, rule, length < UINT16_MAX ? length : UINT16_MAX);
}

static void add(struct violation_store *store, uint64_t lsn, const struct record_header *record,
                struct journal_position position) {
  struct violation violation;
  const bool is_violation = record->type == RECORD_VIOLATION && violation_decode(record, record->bytes, &violation);
  pthread_mutex_lock(&store->lock);
  ALWAYS_ASSERT(lsn > store->last_lsn);
  store->last_lsn = lsn;
  if (is_violation) {
    if (lsn >= store->run_first_lsn) store->run_total++;
    const uint32_t rule = rule_checksum(violation.rule.at, violation.rule.length);
    violation_counts_add(store->by_rule, violation.rule, rule);
    store->entries[store->added % store->capacity] = (struct entry){
        .lsn = lsn,
        .wall_ns = violation.wall_ns,
        .trace = violation.fixed.has_trace ? trace_half(violation.fixed.trace_id) : 0,
        .rule = rule,
        .offset_in_batch = position.offset_in_batch,
        .segment = (uint32_t)position.segment,
        .block = (uint32_t)(position.offset / JOURNAL_BLOCK_BYTES),
        .severity = violation.fixed.severity,
    };
    store->added++;
    if (store->count < store->capacity) store->count++;
  }
  pthread_mutex_unlock(&store->lock);
}

void violation_store_observe(struct violation_store *store,
                             void (*see)(void *context, uint64_t lsn, const struct record_header *record), void *context) {
  store->see = see;
  store->see_context = context;
}

void violation_store_begin_run(struct violation_store *store, uint64_t first_lsn) { store->run_first_lsn = first_lsn; }

/* At the LSN after the last that was read, or, when retention was faster, at the oldest that is left. */
static int open_reader(struct violation_store *store) {
  uint64_t oldest_lsn = 0, from_lsn = violation_store_last_lsn(store) + 1;
  int error = journal_oldest_lsn(store->io, &oldest_lsn);
  if (error < 0) return error;
  journal_reader_close(store->reader);
  store->reader = journal_reader_open(store->io, oldest_lsn > from_lsn ? oldest_lsn : from_lsn, &error);
  return error;
}

static int read_new(struct violation_store *store, uint64_t durable_lsn) {
  if (durable_lsn <= violation_store_last_lsn(store)) return 0;
  if (!store->reader) {
    const int opened = open_reader(store);
    if (opened < 0) return opened;
  }
  for (uint32_t removals = 0;;) {
    uint64_t lsn;
    const struct record_header *record;
    switch (journal_reader_next(store->reader, durable_lsn, &lsn, &record)) {
    case JOURNAL_READ_RECORD:
      if (store->see) store->see(store->see_context, lsn, record);
      add(store, lsn, record, journal_reader_position(store->reader));
      break;
    case JOURNAL_READ_END:
      return 0;
    case JOURNAL_READ_REMOVED: {
      const int opened = open_reader(store);
      if (opened < 0) return opened;
      if (++removals > REMOVALS_MAX) return -EAGAIN;
      break;
    }
    case JOURNAL_READ_DAMAGED:
      return -EBADMSG;
    case JOURNAL_READ_ERROR:
      return -EIO;
    }
  }
}

int violation_store_catch_up(struct violation_store *store, uint64_t durable_lsn) {
  pthread_mutex_lock(&store->catching_up);
  const int result = read_new(store, durable_lsn);
  pthread_mutex_unlock(&store->catching_up);
  return result;
}

int violation_store_catch_up_within(struct violation_store *store, uint64_t durable_lsn, uint64_t wait_ns) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  const uint64_t nanoseconds = (uint64_t)until.tv_nsec + wait_ns;
  until.tv_sec += (time_t)(nanoseconds / 1000000000u);
  until.tv_nsec = (long)(nanoseconds % 1000000000u);
  const int locked = pthread_mutex_timedlock(&store->catching_up, &until);
  if (locked != 0) return -locked;
  const int result = read_new(store, durable_lsn);
  pthread_mutex_unlock(&store->catching_up);
  return result;
}

/* A filter as the index sees it. */
struct query {
  const struct violation_filter *filter;
  size_t rule_bytes;
  uint32_t rule;
  uint64_t trace;
  uint64_t below; /* newest first: only LSNs below */
  uint64_t above; /* oldest first: only LSNs above */
};

static bool may_match(const struct query *query, const struct entry *entry) {
  const struct violation_filter *filter = query->filter;
  return (!filter->rule || entry->rule == query->rule) && (filter->severity < 0 || entry->severity == filter->severity) &&
         (!filter->has_trace_id || entry->trace == query->trace) && (!filter->since_ns || entry->wall_ns >= filter->since_ns) &&
         (!filter->until_ns || entry->wall_ns < filter->until_ns);
}

static bool matches(const struct query *query, const struct violation *violation) {
  const struct violation_filter *filter = query->filter;
  if (filter->rule && (violation->rule.length != query->rule_bytes ||
                       (query->rule_bytes && memcmp(violation->rule.at, filter->rule, query->rule_bytes) != 0)))
    return false;
  return !filter->has_trace_id ||
         (violation->fixed.has_trace && memcmp(violation->fixed.trace_id, filter->trace_id, sizeof filter->trace_id) == 0);
}

/* How many of the entries held (from the oldest) have an LSN below `lsn`. */
static uint64_t entries_below(const struct violation_store *store, uint64_t lsn) {
  const uint64_t oldest = store->added - store->count;
  uint64_t low = 0, high = store->count;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (store->entries[(oldest + middle) % store->capacity].lsn < lsn)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void violation_store_forget(struct violation_store *store, uint64_t before_lsn) {
  pthread_mutex_lock(&store->lock);
  if (before_lsn > store->forgotten_lsn) {
    store->forgotten_lsn = before_lsn;
    store->count -= entries_below(store, before_lsn);
  }
  pthread_mutex_unlock(&store->lock);
}

static bool is_forgotten(struct violation_store *store, uint64_t lsn) {
  pthread_mutex_lock(&store->lock);
  const bool forgotten = lsn < store->forgotten_lsn;
  pthread_mutex_unlock(&store->lock);
  return forgotten;
}

/* The next candidates in the query's order; moves its cursor past all that was looked at. */
static uint32_t take_candidates(struct violation_store *store, struct query *query, struct entry *candidates, uint32_t most) {
  uint32_t taken = 0;
  pthread_mutex_lock(&store->lock);
  const uint64_t oldest = store->added - store->count;
  uint64_t at = entries_below(store, query->above == UINT64_MAX ? UINT64_MAX : query->above + 1);
  uint64_t end = entries_below(store, query->below);
  while (at < end && taken < most) {
    const uint64_t index = query->filter->oldest_first ? at++ : --end;
    const struct entry *entry = &store->entries[(oldest + index) % store->capacity];
    if (query->filter->oldest_first)
      query->above = entry->lsn;
    else
      query->below = entry->lsn;
    if (may_match(query, entry)) candidates[taken++] = *entry;
  }
  pthread_mutex_unlock(&store->lock);
  return taken;
}

/* 1: given, 0: no match, -ECANCELED: the caller stops, or another -errno. */
static int give(struct violation_store *store, struct journal_reader *reader, const struct query *query,
                const struct entry *entry, bool (*each)(void *context, uint64_t lsn, const struct violation *violation),
                void *context) {
  const struct journal_position position = {.segment = entry->segment,
                                            .offset = (uint64_t)entry->block * JOURNAL_BLOCK_BYTES,
                                            .offset_in_batch = entry->offset_in_batch};
  const struct record_header *record = journal_reader_at(reader, position, entry->lsn);
  struct violation violation;
  if (!record && is_forgotten(store, entry->lsn)) return 0;
  if (!record || !violation_decode(record, record->bytes, &violation)) return -EBADMSG;
  if (!matches(query, &violation)) return 0;
  return each(context, entry->lsn, &violation) ? 1 : -ECANCELED;
}

int violation_store_query(struct violation_store *store, const struct violation_filter *filter,
                          bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *context) {
  struct query query = {.filter = filter,
                        .below = filter->before_lsn ? filter->before_lsn : UINT64_MAX,
                        .above = filter->after_lsn,
                        .trace = filter->has_trace_id ? trace_half(filter->trace_id) : 0};
  if (filter->rule) {
    query.rule_bytes = strlen(filter->rule);
    query.rule = rule_checksum(filter->rule, query.rule_bytes);
  }
  int result;
  struct journal_reader *reader = journal_reader_open(store->io, 1, &result);
  if (!reader) return result;
  uint32_t given = 0;
  struct entry candidates[CANDIDATES];
  while (result >= 0 && given < filter->limit) {
    const uint32_t left = filter->limit - given;
    const uint32_t count = take_candidates(store, &query, candidates, left < CANDIDATES ? left : CANDIDATES);
    if (count == 0) break;
    for (uint32_t i = 0; i < count && result >= 0; i++) {
      result = give(store, reader, &query, &candidates[i], each, context);
      if (result == 1 || result == -ECANCELED) given++;
    }
  }
  journal_reader_close(reader);
  return result < 0 && result != -ECANCELED ? result : (int)given;
}

uint64_t violation_store_total(struct violation_store *store) {
  pthread_mutex_lock(&store->lock);
  const uint64_t total = store->added;
  pthread_mutex_unlock(&store->lock);
  return total;
}

uint64_t violation_store_count(struct violation_store *store) {
  pthread_mutex_lock(&store->lock);
  const uint64_t count = store->count;
  pthread_mutex_unlock(&store->lock);
  return count;
}

uint64_t violation_store_run_total(struct violation_store *store) {
  pthread_mutex_lock(&store->lock);
  const uint64_t total = store->run_total;
  pthread_mutex_unlock(&store->lock);
  return total;
}

uint64_t violation_store_last_lsn(struct violation_store *store) {
  pthread_mutex_lock(&store->lock);
  const uint64_t last_lsn = store->last_lsn;
  pthread_mutex_unlock(&store->lock);
  return last_lsn;
}

void violation_store_count_by_rule(struct violation_store *store, void (*each)(void *context, const char *rule, uint64_t count),
                                   void *context) {
  pthread_mutex_lock(&store->lock);
  violation_counts_each(store->by_rule, each, context);
  pthread_mutex_unlock(&store->lock);
}
