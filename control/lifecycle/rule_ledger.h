#pragma once
/* What became of each rule: its versions with who and when, and the generations of the whole set. It changes by one kind of step,
 * a change that was recorded, at run time and in recovery alike. Bounds: 100 versions a rule, 100 generations, and a limit of
 * bytes for what is no longer in force; the oldest goes first. Out of memory stops the process, as in control/rules. Threads: the
 * caller locks. */
#include "rule_state.h"
#include <stddef.h>
#include <stdint.h>

#define RULE_VERSIONS_MAX 100u
#define RULE_GENERATIONS_MAX 100u
#define RULE_HISTORY_BYTES_DEFAULT (128u << 20)
#define RULE_WHO_BYTES 64u

/* In the journal: never renumbered. */
enum rule_action {
  RULE_ACTION_CREATE = 1,
  RULE_ACTION_UPDATE = 2,
  RULE_ACTION_ENABLE = 3,
  RULE_ACTION_DISABLE = 4,
  RULE_ACTION_DELETE = 5,
  RULE_ACTION_IMPORT = 6,
  RULE_ACTION_APPLY = 7,    /* the whole set */
  RULE_ACTION_MERGE = 8,    /* files, added or updated by name */
  RULE_ACTION_ROLLBACK = 9, /* one rule */
  RULE_ACTION_ROLLBACK_SET = 10,
  RULE_ACTION_RELOAD = 11,  /* rules.files again */
  RULE_ACTION_START = 12,   /* rules.files, as the journal held no set */
  RULE_ACTION_FORMER = 13,  /* a set that an earlier release wrote whole */
  RULE_ACTION_SEVERAL = 14, /* changes of single rules that came at the same time: each item says which */
  RULE_ACTIONS,
};
const char *rule_action_word(enum rule_action action);

struct rule_record;

struct rule_version {
  struct rule_record *record;
  struct rule_version *older, *newer; /* no longer in force, in the order in which they ceased to be */
  uint64_t generation;                /* in force from this one on */
  uint64_t wall_ns;
  uint32_t version;
  enum rule_action action;
  uint32_t text_bytes;
  const char *text; /* an item of the list `rules:`; NULL: from here on there was no such rule */
  const char *who;
  char bytes[];
};

/* One name, with a rule in force, being created, or deleted and remembered. */
struct rule_record {
  struct rule_record *next; /* of the same hash */
  const char *name;
  struct rule_machine machine;
  uint64_t created_ns;
  char created_by[RULE_WHO_BYTES];
  struct rule_version **versions; /* oldest first */
  uint32_t version_count, version_capacity;
  bool shortened; /* older ones are forgotten */
  char bytes[];
};

struct rule_generation {
  uint64_t generation, wall_ns;
  enum rule_action action;
  uint32_t added, changed, removed, rules;
  uint8_t sha256[32];
  char who[RULE_WHO_BYTES];
};

struct rule_change_item {
  const char *name;
  const char *text; /* NULL: deleted */
  uint32_t text_bytes;
  uint32_t expected_version; /* of what it replaces; 0: there is no such rule */
  uint32_t version;
  enum rule_action action; /* 0: the change's, by whom the change is */
  const char *who;
};

struct rule_change {
  uint64_t from_generation, to_generation, wall_ns;
  enum rule_action action;
  const char *who;
  uint8_t sha256[32]; /* of the set after it */
  struct rule_change_item *items;
  size_t count;
};

struct rule_ledger;
struct rule_ledger *rule_ledger_create(size_t history_bytes_max);
void rule_ledger_destroy(struct rule_ledger *ledger);

/* 0, or -ESTALE when it was made for another state of the ledger: then nothing has changed. Leaves the machines alone but for
 * what is in force. */
int rule_ledger_apply(struct rule_ledger *ledger, const struct rule_change *change);

/* NULL: never heard of, or forgotten. */
struct rule_record *rule_ledger_find(const struct rule_ledger *ledger, const char *name);
/* Found, or made without any version. */
struct rule_record *rule_ledger_take(struct rule_ledger *ledger, const char *name);
/* Removes it when it has neither a version nor a change under way. */
void rule_ledger_tidy(struct rule_ledger *ledger, struct rule_record *record);
/* In no order that means anything; `visit` must not change the ledger. */
void rule_ledger_visit(const struct rule_ledger *ledger, void (*visit)(void *context, struct rule_record *record), void *context);

/* The newest, NULL when there is none; it is a deletion when the rule is not in force. */
const struct rule_version *rule_record_newest(const struct rule_record *record);
/* In force, or NULL. */
const struct rule_version *rule_record_current(const struct rule_record *record);
/* NULL when it is not remembered, or was a deletion. */
const struct rule_version *rule_record_version(const struct rule_record *record, uint32_t version);
/* What was in force in a generation that is not older than rule_ledger_oldest_whole; NULL: nothing. */
const struct rule_version *rule_record_at(const struct rule_record *record, uint64_t generation);
/* The number that the next version gets: none is ever used again. */
uint32_t rule_record_next_version(const struct rule_record *record);

uint64_t rule_ledger_generation(const struct rule_ledger *ledger);
size_t rule_ledger_in_force(const struct rule_ledger *ledger);
/* The oldest generation whose set can still be put together. */
uint64_t rule_ledger_oldest_whole(const struct rule_ledger *ledger);
/* Newest first, at most RULE_GENERATIONS_MAX; NULL beyond. */
const struct rule_generation *rule_ledger_generation_at(const struct rule_ledger *ledger, size_t index);

struct rule_ledger_counters {
  uint64_t names, versions;    /* remembered */
  uint64_t history_bytes;      /* of versions no longer in force */
  uint64_t versions_forgotten; /* of this run */
};
struct rule_ledger_counters rule_ledger_count(const struct rule_ledger *ledger);
