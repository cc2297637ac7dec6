#include "always_assert.h"
#include "journal_format_internal.h"
#include "violation_store_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REMOVALS_MAX 100u      /* a reader that retention overtakes again and again */
#define DEADLINE_RECORDS 4096u /* between two looks at the clock */
#define CANDIDATES 256u        /* taken from the index at a time, so that a long query never holds the lock while it reads */

struct violation_store *violation_store_create(struct journal_io *io, uint32_t capacity) {
  ALWAYS_ASSERT(capacity > 0);
  struct violation_store *store = calloc(1, sizeof *store);
  if (!store) return NULL;
  store->io = io;
  store->by_rule = violation_counts_create();
  if (!violation_index_create(&store->index, capacity) || !store->by_rule) {
    violation_counts_destroy(store->by_rule);
    violation_index_destroy(&store->index);
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
  violation_index_destroy(&store->index);
  free(store);
}

static uint64_t trace_half(const uint8_t trace_id[16]) {
  uint64_t half;
  memcpy(&half, trace_id, sizeof half);
  return half;
}

static uint32_t checksum_of(const void *bytes, size_t length) {
  return length ? journal_checksum(0, bytes, length < UINT16_MAX ? length : UINT16_MAX) : 0;
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
    const uint32_t rule = checksum_of(violation.rule.at, violation.rule.length);
    violation_counts_add(store->by_rule, violation.rule, rule);
    violation_index_add(&store->index, &(struct index_entry){
                                           .lsn = lsn,
                                           .wall_ns = violation.wall_ns,
                                           .trace = violation.fixed.has_trace ? trace_half(violation.fixed.trace_id) : 0,
                                           .id = checksum_of(violation.fixed.id, sizeof violation.fixed.id),
                                           .rule = rule,
                                           .service = checksum_of(violation.service.at, violation.service.length),
                                           .offset_in_batch = position.offset_in_batch,
                                           .segment = (uint32_t)position.segment,
                                           .block = (uint32_t)(position.offset / JOURNAL_BLOCK_BYTES),
                                           .severity = violation.fixed.severity,
                                           .source = violation.fixed.source,
                                       });
  }
  pthread_mutex_unlock(&store->lock);
}

void violation_store_observe(struct violation_store *store,
                             void (*see)(void *context, uint64_t lsn, const struct record_header *record,
                                         struct journal_position position),
                             void *context) {
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

/* Up to `durable_lsn`, or until `deadline_ns`, on the journal's clock: then -ETIMEDOUT. */
static int read_new(struct violation_store *store, uint64_t durable_lsn, uint64_t deadline_ns) {
  if (durable_lsn <= violation_store_last_lsn(store)) return 0;
  if (!store->reader) {
    const int opened = open_reader(store);
    if (opened < 0) return opened;
  }
  uint64_t lsn;
  const struct record_header *record;
  for (uint32_t removals = 0, read = 1;; read++) {
    if (read % DEADLINE_RECORDS == 0 && store->io->operations->now(store->io) >= deadline_ns) return -ETIMEDOUT;
    switch (journal_reader_next(store->reader, durable_lsn, &lsn, &record)) {
    case JOURNAL_READ_RECORD:
      if (store->see) store->see(store->see_context, lsn, record, journal_reader_position(store->reader));
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
  const int result = read_new(store, durable_lsn, UINT64_MAX);
  pthread_mutex_unlock(&store->catching_up);
  return result;
}

int violation_store_catch_up_within(struct violation_store *store, uint64_t durable_lsn, uint64_t wait_ns) {
  const uint64_t deadline_ns = store->io->operations->now(store->io) + wait_ns;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  const uint64_t nanoseconds = (uint64_t)until.tv_nsec + wait_ns;
  until.tv_sec += (time_t)(nanoseconds / 1000000000u);
  until.tv_nsec = (long)(nanoseconds % 1000000000u);
  const int locked = pthread_mutex_timedlock(&store->catching_up, &until);
  if (locked != 0) return -locked;
  const int result = read_new(store, durable_lsn, deadline_ns);
  pthread_mutex_unlock(&store->catching_up);
  return result;
}

/* A filter as the index sees it, and how far it has come. */
struct query {
  const struct violation_filter *filter;
  struct index_query index;
  uint64_t below; /* newest first: only LSNs below */
  uint64_t above; /* oldest first: only LSNs above */
  bool done;      /* all was looked at */
};

struct index_query violation_store_index_query(const struct violation_filter *filter) {
  struct index_query query = {.has_rule = filter->rule,
                              .has_service = filter->service,
                              .has_trace = filter->has_trace_id,
                              .has_id = filter->has_id,
                              .severity = filter->severity,
                              .source = filter->source,
                              .since_ns = filter->since_ns,
                              .until_ns = filter->until_ns};
  if (filter->rule) query.rule = checksum_of(filter->rule, strlen(filter->rule));
  if (filter->service) query.service = checksum_of(filter->service, strlen(filter->service));
  if (filter->has_trace_id) query.trace = trace_half(filter->trace_id);
  if (filter->has_id) query.id = checksum_of(filter->id, sizeof filter->id);
  return query;
}

static bool text_is(struct event_text text, const char *wanted) {
  const size_t length = strlen(wanted);
  return text.at && text.length == length && (length == 0 || memcmp(text.at, wanted, length) == 0);
}

static bool matches(const struct violation_filter *filter, const struct violation *violation) {
  if (filter->rule && !text_is(violation->rule, filter->rule)) return false;
  if (filter->service && !text_is(violation->service, filter->service)) return false;
  if (filter->has_id && memcmp(violation->fixed.id, filter->id, sizeof filter->id) != 0) return false;
  return !filter->has_trace_id ||
         (violation->fixed.has_trace && memcmp(violation->fixed.trace_id, filter->trace_id, sizeof filter->trace_id) == 0);
}

void violation_store_forget(struct violation_store *store, uint64_t before_lsn) {
  pthread_mutex_lock(&store->lock);
  if (before_lsn > store->forgotten_lsn) {
    store->forgotten_lsn = before_lsn;
    store->index.count -= violation_index_below(&store->index, before_lsn);
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
static uint32_t take_candidates(struct violation_store *store, struct query *query, struct index_entry *candidates,
                                uint32_t most) {
  const struct violation_index *index = &store->index;
  const bool oldest_first = query->filter->oldest_first;
  uint32_t taken = 0;
  pthread_mutex_lock(&store->lock);
  uint64_t at = violation_index_below(index, query->above == UINT64_MAX ? UINT64_MAX : query->above + 1);
  uint64_t end = violation_index_below(index, query->below), group_first = 0, group_end = 0;
  for (uint32_t looked = 0; at < end && taken < most && looked < LOOKS; looked++) {
    const uint64_t nth = oldest_first ? at : end - 1;
    const bool new_group = nth < group_first || nth >= group_end;
    const bool skip = new_group && !violation_index_group_may_match(index, &query->index, nth, &group_first, &group_end);
    if (oldest_first)
      at = skip ? group_end : at + 1;
    else
      end = skip ? group_first : end - 1;
    if (skip) continue;
    const struct index_entry *entry = violation_index_at(index, nth);
    if (violation_index_matches(&query->index, entry)) candidates[taken++] = *entry;
  }
  query->done = at >= end;
  if (!query->done && oldest_first)
    query->above = violation_index_at(index, at)->lsn - 1;
  else if (!query->done)
    query->below = violation_index_at(index, end - 1)->lsn + 1;
  pthread_mutex_unlock(&store->lock);
  return taken;
}

/* 1: given, 0: no match, -ECANCELED: the caller stops, or another -errno. */
static int give(struct violation_store *store, struct journal_reader *reader, const struct query *query,
                const struct index_entry *entry, bool (*each)(void *context, uint64_t lsn, const struct violation *violation),
                void *context) {
  const struct journal_position position = {.segment = entry->segment,
                                            .offset = (uint64_t)entry->block * JOURNAL_BLOCK_BYTES,
                                            .offset_in_batch = entry->offset_in_batch};
  const struct record_header *record = journal_reader_at(reader, position, entry->lsn);
  struct violation violation;
  if (!record && is_forgotten(store, entry->lsn)) return 0;
  if (!record || !violation_decode(record, record->bytes, &violation)) return -EBADMSG;
  if (!matches(query->filter, &violation)) return 0;
  return each(context, entry->lsn, &violation) ? 1 : -ECANCELED;
}

int violation_store_query(struct violation_store *store, const struct violation_filter *filter,
                          bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *context) {
  struct query query = {.filter = filter,
                        .index = violation_store_index_query(filter),
                        .below = filter->before_lsn ? filter->before_lsn : UINT64_MAX,
                        .above = filter->after_lsn};
  int result;
  struct journal_reader *reader = journal_reader_open(store->io, 1, &result);
  if (!reader) return result;
  uint32_t given = 0;
  struct index_entry candidates[CANDIDATES];
  while (result >= 0 && given < filter->limit && !query.done) {
    const uint32_t left = filter->limit - given;
    const uint32_t count = take_candidates(store, &query, candidates, left < CANDIDATES ? left : CANDIDATES);
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
  const uint64_t total = store->index.added;
  pthread_mutex_unlock(&store->lock);
  return total;
}

uint64_t violation_store_count(struct violation_store *store) {
  pthread_mutex_lock(&store->lock);
  const uint64_t count = store->index.count;
  pthread_mutex_unlock(&store->lock);
  return count;
}

uint64_t violation_store_run_total(struct violation_store *store) {
  pthread_mutex_lock(&store->lock);
  const uint64_t total = store->run_total;
  pthread_mutex_unlock(&store->lock);
  return total;
}

struct violation_extent violation_store_extent(struct violation_store *store) {
  const struct violation_index *index = &store->index;
  pthread_mutex_lock(&store->lock);
  struct violation_extent extent = {.count = index->count,
                                    .capacity = index->capacity,
                                    .bytes = violation_index_bytes(index),
                                    .let_go = index->added - index->count,
                                    .last_lsn = store->last_lsn};
  if (index->count > 0) {
    extent.first_lsn = violation_index_at(index, 0)->lsn;
    extent.first_wall_ns = violation_index_at(index, 0)->wall_ns;
  }
  pthread_mutex_unlock(&store->lock);
  return extent;
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
