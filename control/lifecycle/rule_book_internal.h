#pragma once
/* The inside of a book. Locks, in this order: gate, changing, view. */
#include "rule_book.h"
#include "rule_outline.h"
#include <pthread.h>

struct rule_book {
  struct rule_book_operations operations;
  pthread_rwlock_t gate;    /* shared by changes of single rules, which claim them; exclusive for the set */
  pthread_mutex_t changing; /* from the choice of a generation to its being in force */
  pthread_mutex_t queue_lock;
  struct rule_work *queue; /* changes of single rules that wait for `changing`; whoever gets it takes all */
  pthread_rwlock_t view;   /* all below */
  struct rule_ledger *ledger;
  struct rule_set *set;
  uint8_t sha256[32];
  uint32_t enabled;
  uint64_t in_state[RULE_STATES];
  struct rule_failure failures[RULE_FAILURES_MAX];
  size_t failure_count;
  /* Recovery */
  struct rules_reader reader;
  uint64_t gaps; /* changes that did not follow from what was there */
  size_t history_bytes_max;
};

/* A change under way. */
struct rule_work {
  struct rule_book *book;
  const struct rule_request *request;
  struct rule_result *result;
  struct rule_set *addition; /* sorted */
  char **removed;            /* sorted */
  size_t removed_count;
  bool replaces;               /* the addition is the whole set */
  struct rule_outline outline; /* of the request's first text */
  const char **claims;         /* names of records, in the order claimed */
  size_t claim_count, claim_capacity;
  struct rule_set *candidate;
  uint32_t candidate_enabled;
  struct rule_change change;
  struct rule_work *next; /* in the queue */
  bool carried;           /* by whoever had `changing` */
  int status;
};

/* rule_book_change.c; under `changing` */
int work_settle(struct rule_work *work);
int work_compile(struct rule_work *work, void **image);
int work_record(struct rule_work *work);
void work_exchange(struct rule_work *work); /* all but the claims' states, which are the caller's, under `view` */
void work_list_outcomes(struct rule_work *work);
void work_tell_outcomes(struct rule_work *work, const struct rule_change *change);

/* rule_book_group.c; under `changing`: all that wait, as one change; each on its own when that fails */
void work_settle_waiting(struct rule_book *book);

/* rule_book_claims.c */
int work_claim(struct rule_work *work, const char *name, enum rule_event event);
void work_advance(struct rule_work *work, enum rule_event event); /* all claims; under no lock */
void work_advance_locked(struct rule_work *work, enum rule_event event);

/* rule_book_prepare.c: what is to be added and removed, or why not; sets what `finish` frees. */
int work_prepare(struct rule_work *work);
void work_finish(struct rule_work *work);
bool rule_action_is_whole(const struct rule_request *request);

/* rule_failures.c; under `view` */
void failures_note(struct rule_book *book, const struct rule_request *request, const struct rule_result *result,
                   const struct rule_outline *outline, uint64_t wall_ns);
void failures_clear(struct rule_book *book, const char *name); /* NULL: all */

int refuse(struct rule_result *result, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
