#include "always_assert.h"
#include "trace_table_internal.h"
#include <string.h>

static uint32_t take_spill(struct trace_table *table, uint32_t next) {
  const uint32_t taken = table->free_spills;
  if (taken == TRACE_NONE) return TRACE_NONE;
  table->free_spills = table->spills[taken].next;
  table->spills[taken].next = next;
  return taken;
}

static struct trace_findings *begin(struct trace_table *table, struct trace *trace) {
  struct trace_findings *findings = trace_findings(table, trace);
  if (trace->flags & TRACE_MET) return findings;
  *findings =
      (struct trace_findings){.met_spill = TRACE_NONE, .mark_spill = TRACE_NONE, .records = TRACE_NONE, .retry = TRACE_NONE};
  trace->flags |= TRACE_MET;
  return findings;
}

/* Where the next item goes beyond those in place. False: the pool is spent. */
static bool spill_room(struct trace_table *table, uint32_t beyond, uint32_t *newest, uint32_t *item) {
  *item = beyond % SPILL_ITEMS;
  if (*item != 0) return true;
  const uint32_t taken = take_spill(table, *newest);
  if (taken == TRACE_NONE) return false;
  *newest = taken;
  return true;
}

bool trace_met_add(struct trace_table *table, struct trace *trace, uint16_t bit, uint16_t spans) {
  struct trace_findings *findings = begin(table, trace);
  struct trace_met *met;
  uint32_t item;
  if (findings->met_count < FINDINGS_MET) {
    met = &findings->met[findings->met_count];
  } else {
    if (!spill_room(table, findings->met_count - FINDINGS_MET, &findings->met_spill, &item)) return false;
    met = &table->spills[findings->met_spill].met[item];
  }
  *met = (struct trace_met){.bit = bit, .spans = spans};
  findings->met_count++;
  return true;
}

bool trace_mark_add(struct trace_table *table, struct trace *trace, uint32_t mark) {
  struct trace_findings *findings = begin(table, trace);
  uint32_t *at, item;
  if (findings->mark_count == UINT16_MAX) return false;
  if (findings->mark_count < FINDINGS_MARKS) {
    at = &findings->marks[findings->mark_count];
  } else {
    if (!spill_room(table, findings->mark_count - FINDINGS_MARKS, &findings->mark_spill, &item)) return false;
    at = &table->spills[findings->mark_spill].marks[item];
  }
  *at = mark;
  findings->mark_count++;
  return true;
}

static uint32_t *find_mark(uint32_t *marks, uint32_t count, uint32_t identity) {
  for (uint32_t i = 0; i < count; i++)
    if ((marks[i] & ~MARK_DUE) == identity) return &marks[i];
  return NULL;
}

uint32_t *trace_mark_of(struct trace_table *table, const struct trace *trace, uint32_t identity) {
  if (!(trace->flags & TRACE_MET)) return NULL;
  struct trace_findings *findings = trace_findings(table, trace);
  const uint32_t in_place = findings->mark_count < FINDINGS_MARKS ? findings->mark_count : FINDINGS_MARKS;
  uint32_t *found = find_mark(findings->marks, in_place, identity);
  uint32_t count = trace_in_newest(findings->mark_count - in_place);
  for (uint32_t chunk = findings->mark_spill; !found && chunk != TRACE_NONE; chunk = table->spills[chunk].next) {
    found = find_mark(table->spills[chunk].marks, count, identity);
    count = SPILL_ITEMS;
  }
  return found;
}

struct trace_record *trace_record_add(struct trace_table *table, struct trace *trace, const uint8_t span_id[8]) {
  struct trace_findings *findings = begin(table, trace);
  if (findings->record_count == FINDINGS_RECORDS_MAX) return NULL;
  const uint32_t taken = take_spill(table, findings->records);
  if (taken == TRACE_NONE) return NULL;
  struct trace_record *record = &table->spills[taken].record;
  *record = (struct trace_record){.capture = TRACE_NONE};
  memcpy(record->span_id, span_id, sizeof record->span_id);
  findings->records = taken;
  findings->record_count++;
  return record;
}

struct trace_capture *trace_capture_take(struct trace_table *table, struct trace_record *record) {
  const uint32_t taken = table->free_captures;
  if (taken == TRACE_NONE) return NULL;
  record->capture = taken;
  table->free_captures = table->captures[taken].next;
  return &table->captures[taken];
}

static void release_chain(struct trace_table *table, uint32_t *chain) {
  while (*chain != TRACE_NONE) {
    const uint32_t chunk = *chain;
    *chain = table->spills[chunk].next;
    table->spills[chunk].next = table->free_spills;
    table->free_spills = chunk;
  }
}

void trace_findings_release(struct trace_table *table, struct trace *trace) {
  struct trace_findings *findings = trace_findings(table, trace);
  for (uint32_t chunk = findings->records; chunk != TRACE_NONE; chunk = table->spills[chunk].next) {
    const uint32_t capture = table->spills[chunk].record.capture;
    if (capture == TRACE_NONE) continue;
    table->captures[capture].next = table->free_captures;
    table->free_captures = capture;
  }
  release_chain(table, &findings->met_spill);
  release_chain(table, &findings->mark_spill);
  release_chain(table, &findings->records);
  trace->flags &= (uint8_t)~TRACE_MET;
}

struct met_walk met_walk(const struct trace_table *table, const struct trace *trace) {
  if (!(trace->flags & TRACE_MET)) return (struct met_walk){.table = table, .spill = TRACE_NONE};
  struct trace_findings *findings = &table->findings[trace_number(table, trace)];
  const uint32_t in_place = findings->met_count < FINDINGS_MET ? findings->met_count : FINDINGS_MET;
  return (struct met_walk){.table = table,
                           .at = findings->met,
                           .end = findings->met + in_place,
                           .left = findings->met_count - in_place,
                           .spill = findings->met_spill};
}

bool met_next(struct met_walk *walk) {
  if (walk->at == walk->end) {
    if (walk->left == 0) return false;
    const uint32_t count = trace_in_newest(walk->left);
    struct trace_spill *chunk = &walk->table->spills[walk->spill];
    walk->at = chunk->met;
    walk->end = chunk->met + count;
    walk->left -= count;
    walk->spill = chunk->next;
  }
  walk->met = walk->at++;
  return true;
}
