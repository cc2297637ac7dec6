#pragma once
/* What the store knows of each violation without reading it, in LSN order, with a summary of every few thousand so that most
 * queries look at few. Bounded: the newest `capacity`. Threads: the owner's lock. */
#include "violation.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text is told apart by checksum and compared when the record is read. */
struct index_entry {
  uint64_t lsn;
  uint64_t wall_ns;
  uint64_t trace; /* the first half of the trace id; 0: none */
  uint32_t id, rule, service;
  uint32_t offset_in_batch;
  uint32_t segment; /* 2^32 segments outlast the disk */
  uint32_t block;   /* the batch's offset / 4096: segments stay below 16 TiB */
  uint8_t severity, source;
};

#define INDEX_GROUP_ENTRIES 4096u
#define INDEX_NAME_WORDS 64u /* 4096 bits: rules and services */
#define INDEX_ID_WORDS 1024u /* 65536 bits: ids and traces, eight bits each */

struct index_group {
  uint64_t wall_least_ns, wall_most_ns;
  uint32_t severities, sources; /* bits */
  uint64_t names[INDEX_NAME_WORDS], ids[INDEX_ID_WORDS];
};

struct violation_index {
  uint32_t capacity, group_count;
  struct index_entry *entries; /* entry i (0 = first ever) is at i % capacity */
  struct index_group *groups;  /* that of entries i / INDEX_GROUP_ENTRIES is at that % group_count */
  uint64_t added;              /* ever */
  uint64_t count;              /* of the newest, held */
};

/* What a query wants of an entry. */
struct index_query {
  bool has_rule, has_service, has_trace, has_id;
  uint32_t rule, service, id;
  uint64_t trace;
  int severity, source;        /* -1: any */
  uint64_t since_ns, until_ns; /* 0: open */
};

bool violation_index_create(struct violation_index *index, uint32_t capacity); /* false: out of memory */
void violation_index_destroy(struct violation_index *index);
uint64_t violation_index_bytes(const struct violation_index *index); /* of memory, when it is full */
void violation_index_add(struct violation_index *index, const struct index_entry *entry);
/* How many of the entries held (from the oldest) have an LSN below `lsn`. */
uint64_t violation_index_below(const struct violation_index *index, uint64_t lsn);
/* The nth held, from the oldest. */
const struct index_entry *violation_index_at(const struct violation_index *index, uint64_t nth);
bool violation_index_matches(const struct index_query *query, const struct index_entry *entry);
/* Whether any entry of the group that holds the nth may match; *first and *end: the nths of the group that are held. */
bool violation_index_group_may_match(const struct violation_index *index, const struct index_query *query, uint64_t nth,
                                     uint64_t *first, uint64_t *end);
