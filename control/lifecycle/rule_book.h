#pragma once
/* The rules in force and all that may be done to them. A change is claimed by name, validated, compiled, recorded and only then
 * in force; whatever fails on the way leaves the version before. Changes of different rules wait for each other, two of the same
 * rule exclude each other, and one of the whole set waits for all. Readers wait for none of this but the moment of the exchange.
 * Threads: any. */
#include "rule_ledger.h"
#include "rule_records.h"
#include "rule_set.h"

/* What stands behind the book. Called by the thread that changes, by one at a time. */
struct rule_book_operations {
  void *context;
  /* An image for all shards; -EINVAL with errors. */
  int (*compile)(void *context, const struct rule_set *set, uint64_t generation, struct rule_errors *errors, void **image,
                 uint8_t sha256[32]);
  void (*discard)(void *context, void *image);
  /* Returns when it is durable; else none of it counts. */
  int (*record)(void *context, enum rules_stream_kind kind, const void *bytes, size_t length, uint64_t wall_ns, const char *who);
  /* Takes the image over and puts it in force on every shard. */
  void (*publish)(void *context, void *image);
  uint64_t (*now)(void *context);
};

struct rule_request {
  enum rule_action action;
  const struct rule_text *texts; /* create, update: one rule; import, apply, merge: any number */
  size_t text_count;
  const char *const *paths; /* reload, start: read from files instead */
  size_t path_count;
  const char *const *names; /* update: of the rule; enable, disable, delete, rollback */
  size_t name_count;
  const char *const *tags; /* enable, disable: all rules with one of them, beside names */
  size_t tag_count;
  uint32_t version;          /* rollback: to this one */
  uint64_t generation;       /* rollback_set: to this one */
  uint32_t expected_version; /* update, delete, rollback: of the rule in force; 0: any */
  bool partial;              /* import: what is good, instead of all or nothing */
  const char *who;
};

enum rule_outcome_kind { RULE_CREATED, RULE_UPDATED, RULE_UNCHANGED, RULE_DELETED, RULE_FAILED };
const char *rule_outcome_word(enum rule_outcome_kind kind);

struct rule_outcome {
  char name[129];
  enum rule_outcome_kind kind;
  uint32_t version;        /* in force now; 0: none */
  struct rule_error error; /* RULE_FAILED */
};

struct rule_result {
  uint64_t generation; /* in force now */
  uint32_t rules;
  uint8_t sha256[32];
  struct rule_set_difference difference;
  struct rule_errors errors;
  struct rule_outcome *outcomes; /* one for each rule of the request, in its order; none for a set as a whole */
  size_t outcome_count, failed;
  char refusal[256]; /* why, when it is not in errors */
};
void rule_result_free(struct rule_result *result);

struct rule_book;
struct rule_book *rule_book_create(const struct rule_book_operations *operations, size_t history_bytes_max);
void rule_book_destroy(struct rule_book *book);

/* Before any other thread: records of the journal, in order. */
void rule_book_recover(struct rule_book *book, const struct record_header *record);
/* Puts in force what was recovered: 1; 0: nothing was; -EINVAL with errors. A refusal tells of records that are missing. */
int rule_book_recovered(struct rule_book *book, struct rule_result *result);

/* 0 (also when a partial import left rules out: `failed`), or nothing has changed: -EINVAL with errors, -ENOENT, -EEXIST, -EBUSY,
 * -ESTALE (not the expected version), -ENODATA (that version or generation is not remembered), or what `record` said. */
int rule_book_change(struct rule_book *book, const struct rule_request *request, struct rule_result *result);

/* Says all of it in the journal again, for a snapshot of the state; *bytes: its size. -EBUSY: a change is under way. */
int rule_book_snapshot(struct rule_book *book, size_t *bytes);

/* A rule or a file that the last attempt about it left as it was. */
struct rule_failure {
  uint64_t wall_ns;
  enum rule_action action;
  char who[RULE_WHO_BYTES], name[129];
  struct rule_error error;
};
#define RULE_FAILURES_MAX 100u

/* What is in force, to be read until rule_book_release. */
struct rule_view {
  const struct rule_set *set; /* NULL: none */
  const struct rule_ledger *ledger;
  uint64_t generation;
  uint8_t sha256[32];
  uint32_t enabled;
  uint64_t in_state[RULE_STATES];
  const struct rule_failure *failures; /* oldest first */
  size_t failure_count;
};
void rule_book_read(struct rule_book *book, struct rule_view *view);
void rule_book_release(struct rule_book *book);
