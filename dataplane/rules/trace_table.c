#include "rules_internal.h"

#define CHAIN_EXPECTED 3u /* traces of a chain that are looked ahead at; longer ones are rare */

static struct trace *at(struct trace_table *table, uint32_t index) { return &table->traces[index]; }

static uint32_t index_of(const struct trace_table *table, const struct trace *trace) { return (uint32_t)(trace - table->traces); }

bool trace_table_create(struct trace_table *table, struct arena *arena, uint32_t traces, uint32_t captures,
                        const struct siphash_key *key) {
  uint32_t buckets = 16;
  while (buckets < traces) buckets *= 2;
  *table = (struct trace_table){.bucket_mask = buckets - 1, .capacity = traces, .key = *key, .retry = TRACE_NONE};
  table->traces = ARENA_ARRAY(arena, struct trace, traces);
  table->buckets = ARENA_ARRAY(arena, uint32_t, buckets);
  table->captures = ARENA_ARRAY(arena, struct trace_capture, captures);
  if (!table->traces || !table->buckets || !table->captures) return false;
  memset(table->buckets, 0xff, (size_t)buckets * sizeof *table->buckets);
  table->free_traces = table->free_captures = TRACE_NONE;
  for (uint32_t i = traces; i-- > 0;) {
    table->traces[i].chain = table->free_traces;
    table->free_traces = i;
  }
  for (uint32_t i = captures; i-- > 0;) {
    table->captures[i].next = table->free_captures;
    table->free_captures = i;
  }
  table->live = table->remembered = (struct trace_list){TRACE_NONE, TRACE_NONE};
  return true;
}

/* By the upper half of the hash: its remainder has chosen this shard, and would leave buckets empty. */
static uint32_t *bucket_of(struct trace_table *table, const uint8_t trace_id[16]) {
  return &table->buckets[siphash(&table->key, trace_id, 16) >> 32 & table->bucket_mask];
}

static void expect_neighbours(struct trace_table *table, const struct trace *trace) {
  if (trace->older != TRACE_NONE) __builtin_prefetch(at(table, trace->older), 1);
  if (trace->newer != TRACE_NONE) __builtin_prefetch(at(table, trace->newer), 1);
}

/* In stages, so that the misses of all are waited for together: the bucket, the traces of its chain, their neighbours in the
 * list.
 */
void trace_table_expect(struct trace_table *table, const uint8_t *const *trace_ids, uint32_t count) {
  const uint32_t *buckets[TRACES_EXPECTED_MAX];
  uint32_t indexes[TRACES_EXPECTED_MAX];
  ALWAYS_ASSERT(count <= TRACES_EXPECTED_MAX);
  for (uint32_t i = 0; i < count; i++) {
    /* Spans of one trace come together. */
    const bool again = i > 0 && memcmp(trace_ids[i], trace_ids[i - 1], 16) == 0;
    buckets[i] = again ? buckets[i - 1] : bucket_of(table, trace_ids[i]);
    if (!again) __builtin_prefetch(buckets[i], 1);
  }
  for (uint32_t i = 0; i < count; i++) {
    indexes[i] = i > 0 && buckets[i] == buckets[i - 1] ? TRACE_NONE : *buckets[i];
    if (indexes[i] != TRACE_NONE) __builtin_prefetch(at(table, indexes[i]), 1);
  }
  for (uint32_t depth = 0; depth < CHAIN_EXPECTED; depth++) {
    for (uint32_t i = 0; i < count; i++) {
      if (indexes[i] == TRACE_NONE) continue;
      const struct trace *trace = at(table, indexes[i]);
      const bool found = memcmp(trace->trace_id, trace_ids[i], 16) == 0;
      if (found) expect_neighbours(table, trace);
      indexes[i] = found ? TRACE_NONE : trace->chain;
      if (indexes[i] != TRACE_NONE) __builtin_prefetch(at(table, indexes[i]), 1);
    }
  }
}

struct trace *trace_find(struct trace_table *table, const uint8_t trace_id[16]) {
  for (uint32_t index = *bucket_of(table, trace_id); index != TRACE_NONE; index = at(table, index)->chain)
    if (memcmp(at(table, index)->trace_id, trace_id, 16) == 0) return at(table, index);
  return NULL;
}

static void list_append(struct trace_table *table, struct trace_list *list, struct trace *trace) {
  trace->older = list->newest;
  trace->newer = TRACE_NONE;
  if (list->newest == TRACE_NONE) {
    list->oldest = index_of(table, trace);
  } else {
    at(table, list->newest)->newer = index_of(table, trace);
  }
  list->newest = index_of(table, trace);
}

static void list_remove(struct trace_table *table, struct trace_list *list, struct trace *trace) {
  if (trace->older == TRACE_NONE) {
    list->oldest = trace->newer;
  } else {
    at(table, trace->older)->newer = trace->newer;
  }
  if (trace->newer == TRACE_NONE) {
    list->newest = trace->older;
  } else {
    at(table, trace->newer)->older = trace->older;
  }
}

static struct trace_list *list_of(struct trace_table *table, const struct trace *trace) {
  return trace->state == TRACE_LIVE ? &table->live : &table->remembered;
}

struct trace *trace_open(struct trace_table *table, const uint8_t trace_id[16], uint64_t now_ns) {
  if (table->free_traces == TRACE_NONE) return NULL;
  struct trace *trace = at(table, table->free_traces);
  table->free_traces = trace->chain;
  *trace = (struct trace){
      .arrival_ns = now_ns, .first_ns = UINT64_MAX, .state = TRACE_LIVE, .captures = TRACE_NONE, .retry = TRACE_NONE};
  memcpy(trace->trace_id, trace_id, sizeof trace->trace_id);
  uint32_t *bucket = bucket_of(table, trace_id);
  trace->chain = *bucket;
  *bucket = index_of(table, trace);
  list_append(table, &table->live, trace);
  return trace;
}

void trace_touch(struct trace_table *table, struct trace *trace, uint64_t now_ns) {
  trace->arrival_ns = now_ns;
  if (trace->newer == TRACE_NONE) return; /* the newest already */
  list_remove(table, &table->live, trace);
  list_append(table, &table->live, trace);
}

void trace_remember(struct trace_table *table, struct trace *trace, uint64_t now_ns) {
  list_remove(table, &table->live, trace);
  trace->state = TRACE_REMEMBERED;
  trace->arrival_ns = now_ns;
  list_append(table, &table->remembered, trace);
}

static void give_captures(struct trace_table *table, struct trace *trace) {
  while (trace->captures != TRACE_NONE) {
    struct trace_capture *capture = &table->captures[trace->captures];
    const uint32_t next = capture->next;
    capture->next = table->free_captures;
    table->free_captures = trace->captures;
    trace->captures = next;
  }
}

void trace_forget(struct trace_table *table, struct trace *trace) {
  ALWAYS_ASSERT(!trace->on_retry && trace->state != TRACE_FREE);
  uint32_t *link = bucket_of(table, trace->trace_id);
  while (*link != index_of(table, trace)) link = &at(table, *link)->chain;
  *link = trace->chain;
  list_remove(table, list_of(table, trace), trace);
  give_captures(table, trace);
  trace->state = TRACE_FREE;
  trace->chain = table->free_traces;
  table->free_traces = index_of(table, trace);
}

struct trace *trace_oldest(struct trace_table *table, const struct trace_list *list) {
  return list->oldest == TRACE_NONE ? NULL : at(table, list->oldest);
}

struct trace_capture *trace_capture_of(struct trace_table *table, struct trace *trace, uint16_t rule, bool make) {
  for (uint32_t index = trace->captures; index != TRACE_NONE; index = table->captures[index].next)
    if (table->captures[index].rule == rule) return &table->captures[index];
  if (!make || table->free_captures == TRACE_NONE) return NULL;
  const uint32_t index = table->free_captures;
  struct trace_capture *capture = &table->captures[index];
  table->free_captures = capture->next;
  capture->rule = rule;
  capture->span_count = 0;
  capture->spans_met = 0;
  capture->has_values = false;
  capture->next = trace->captures;
  trace->captures = index;
  return capture;
}

static void renumber_bits(uint64_t bits[IMAGE_TRACE_RULES_MAX / 64], const uint16_t to[IMAGE_TRACE_RULES_MAX]) {
  uint64_t moved[IMAGE_TRACE_RULES_MAX / 64] = {0};
  for (uint32_t rule = 0; rule < IMAGE_TRACE_RULES_MAX; rule++)
    if (bit_get(bits, rule) && to[rule] != 0xffff) bit_set(moved, to[rule]);
  memcpy(bits, moved, sizeof moved);
}

void trace_table_renumber(struct trace_table *table, const uint16_t to[IMAGE_TRACE_RULES_MAX]) {
  for (uint32_t i = 0; i < table->capacity; i++) {
    struct trace *trace = at(table, i);
    if (trace->state == TRACE_FREE) continue;
    renumber_bits(trace->due, to);
    renumber_bits(trace->raised, to);
    for (uint32_t *link = &trace->captures; *link != TRACE_NONE;) {
      const uint32_t index = *link;
      struct trace_capture *capture = &table->captures[index];
      capture->rule = to[capture->rule];
      if (capture->rule != 0xffff) {
        link = &capture->next;
        continue;
      }
      *link = capture->next;
      capture->next = table->free_captures;
      table->free_captures = index;
    }
  }
}
