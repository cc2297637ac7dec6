#pragma once
/* Inside the violation store. */
#include "violation_counts.h"
#include "violation_index_internal.h"
#include "violation_store.h"
#include <pthread.h>

#define LOOKS 65536u /* at entries of the index, while the lock is held */

struct violation_store {
  struct journal_io *io;
  pthread_mutex_t catching_up; /* guards `reader` */
  struct journal_reader *reader;
  pthread_mutex_t lock; /* guards the rest; never held while reading */
  struct violation_index index;
  uint64_t last_lsn;
  uint64_t forgotten_lsn; /* entries below it are gone, and perhaps their segments */
  uint64_t run_first_lsn, run_total;
  struct violation_counts *by_rule;
  void (*see)(void *context, uint64_t lsn, const struct record_header *record, struct journal_position position);
  void *see_context;
};

struct index_query violation_store_index_query(const struct violation_filter *filter);
