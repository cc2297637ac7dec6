#pragma once
/* Where webhooks are in the journal, roughly: an entry for every thousand of them or megabyte of it. Bounded: when all entries
 * are used, neighbours become one. Threads: the owner's lock. */
#include "journal.h"
#include "webhook_record.h"
#include <stdbool.h>
#include <stddef.h>

#define WEBHOOK_ENTRIES_MAX 16384u /* of 1.1 KiB each */
#define WEBHOOK_ENTRY_WEBHOOKS 1024u
#define WEBHOOK_ENTRY_BYTES (1u << 20)
#define WEBHOOK_KEY_WORDS 128u /* 8192 bits: of a full entry that was not merged one id in forty passes by mistake */

struct webhook_span { /* what a reader needs of an entry */
  uint64_t first_lsn, last_lsn;
  struct journal_position at; /* of the batch that holds the first; segment 0: not known any more */
};

struct webhook_entry {
  struct webhook_span span;
  uint64_t wall_least_ns, wall_most_ns; /* of the records */
  uint64_t id_least_ms, id_most_ms;     /* of the correlation ids */
  uint64_t sources;                     /* bits by hash */
  uint32_t statuses;                    /* bits: 200, 202, others */
  uint32_t webhooks;
  uint64_t keys[WEBHOOK_KEY_WORDS]; /* Bloom filter of the ids that were claimed */
};

struct webhook_index {
  struct webhook_entry *entries; /* begin to begin + count, in LSN order */
  uint32_t capacity, begin, count;
  uint64_t webhooks, merges;
};

/* What a query wants of an entry. */
struct webhook_wanted {
  uint64_t since_ns, until_ns; /* 0: open */
  uint64_t id_ms;              /* of a correlation id; 0: any */
  uint64_t sources;            /* bits, one of which has to be there; 0: any */
  uint32_t statuses;           /* likewise */
  const uint8_t *key;          /* 16 bytes; NULL: any */
};

bool webhook_index_create(struct webhook_index *index, uint32_t capacity); /* even; false: out of memory */
void webhook_index_destroy(struct webhook_index *index);
/* LSNs only grow. */
void webhook_index_add(struct webhook_index *index, uint64_t lsn, const struct webhook_record *record,
                       struct journal_position position);
/* Of the entries that hold an LSN below `below` and may hold what is wanted the newest; NULL: none. */
const struct webhook_entry *webhook_index_find(const struct webhook_index *index, uint64_t below,
                                               const struct webhook_wanted *wanted);
/* What is below this LSN is removed. */
void webhook_index_forget(struct webhook_index *index, uint64_t before_lsn);
uint64_t webhook_source_bit(const char *name, size_t length);
uint32_t webhook_status_bit(uint16_t status);
uint64_t webhook_id_ms(const uint8_t correlation_id[16]);
