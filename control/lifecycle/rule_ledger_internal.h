#pragma once
/* The inside of a ledger, for what writes it into a snapshot and brings it back. */
#include "rule_ledger.h"

struct rule_ledger {
  struct rule_record **buckets;
  size_t bucket_count, names, in_force;
  struct rule_version *oldest, *newest; /* no longer in force */
  size_t history_bytes, history_bytes_max, versions;
  uint64_t versions_forgotten;
  uint64_t generation, oldest_whole;
  struct rule_generation generations[RULE_GENERATIONS_MAX]; /* a ring, by generation_count */
  uint64_t generation_count;
};

void *ledger_allocate(size_t bytes);                              /* zeroed; never NULL */
void ledger_copy_text(char *into, size_t room, const char *text); /* what fits, with a NUL */
struct rule_version *ledger_add_version(struct rule_ledger *ledger, struct rule_record *record,
                                        const struct rule_version *fields);
/* The last one before the newest ceases to be in force, or a deletion stands for itself. */
void ledger_supersede(struct rule_ledger *ledger, struct rule_version *version);
void ledger_shorten(struct rule_ledger *ledger, struct rule_record *record); /* to RULE_VERSIONS_MAX */
void ledger_keep_within_bounds(struct rule_ledger *ledger);
void ledger_add_generation(struct rule_ledger *ledger, const struct rule_generation *generation);
