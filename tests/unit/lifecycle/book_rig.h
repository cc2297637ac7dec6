#pragma once
/* A book over a compiler that is real, a journal that is a list of records in memory, and faults on demand. */
#include "rule_book.h"
#include <pthread.h>

struct kept_record {
  struct record_header *header;
};

struct book_rig {
  struct rule_book *book;
  struct kept_record *records;
  size_t record_count, record_capacity;
  _Atomic uint64_t now_ns;
  const char *poison;                   /* a name that no set with it compiles; NULL: none */
  int fail_compile, fail_record;        /* what the next ones return; 0: as they should */
  size_t records_until_full;            /* SIZE_MAX: never; then there is no room in the middle of a stream */
  unsigned compiles, published, images; /* images that are neither published nor discarded */
  /* Holds a change where it records, until it is let go. */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool hold;
  unsigned held;
};

void book_rig_open(struct book_rig *rig, size_t history_bytes_max);
void book_rig_close(struct book_rig *rig);
/* A new book from the first `count` records, beginning with record `from`; the old one is gone. */
void book_rig_recover(struct book_rig *rig, size_t from, size_t count, size_t history_bytes_max);

/* Frees the result; returns the status. */
int book_change(struct book_rig *rig, const struct rule_request *request);
int book_create(struct book_rig *rig, const char *name, const char *condition);
int book_update(struct book_rig *rig, const char *name, const char *condition);
int book_delete(struct book_rig *rig, const char *name);
/* The set as text, and all that the ledger knows: equal bytes, equal state (malloc'd). */
char *book_text(struct book_rig *rig);
void *book_ledger(struct book_rig *rig, size_t *length);
enum rule_state book_state(struct book_rig *rig, const char *name);
/* Waits until a change is held. */
void book_wait_held(struct book_rig *rig);
void book_let_go(struct book_rig *rig);
