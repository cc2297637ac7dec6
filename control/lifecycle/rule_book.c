#include "always_assert.h"
#include "rule_book_internal.h"
#include "rule_ledger_internal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rule_book *rule_book_create(const struct rule_book_operations *operations, size_t history_bytes_max) {
  pthread_rwlockattr_t writers_first;
  struct rule_book *book = ledger_allocate(sizeof *book);
  book->operations = *operations;
  book->history_bytes_max = history_bytes_max;
  book->ledger = rule_ledger_create(history_bytes_max);
  pthread_rwlockattr_init(&writers_first);
  pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&book->gate, &writers_first);
  pthread_rwlock_init(&book->view, &writers_first);
  pthread_rwlockattr_destroy(&writers_first);
  pthread_mutex_init(&book->changing, NULL);
  pthread_mutex_init(&book->queue_lock, NULL);
  return book;
}

void rule_book_destroy(struct rule_book *book) {
  if (!book) return;
  rules_reader_free(&book->reader);
  rule_ledger_destroy(book->ledger);
  rule_set_free(book->set);
  pthread_rwlock_destroy(&book->gate);
  pthread_rwlock_destroy(&book->view);
  pthread_mutex_destroy(&book->changing);
  pthread_mutex_destroy(&book->queue_lock);
  free(book);
}

void rule_result_free(struct rule_result *result) {
  rule_errors_free(&result->errors);
  free(result->outcomes);
  *result = (struct rule_result){0};
}

const char *rule_outcome_word(enum rule_outcome_kind kind) {
  static const char *const words[] = {[RULE_CREATED] = "created",
                                      [RULE_UPDATED] = "updated",
                                      [RULE_UNCHANGED] = "unchanged",
                                      [RULE_DELETED] = "deleted",
                                      [RULE_FAILED] = "failed"};
  return words[kind];
}

int refuse(struct rule_result *result, int error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(result->refusal, sizeof result->refusal, format, arguments);
  va_end(arguments);
  return error;
}

void rule_book_read(struct rule_book *book, struct rule_view *view) {
  pthread_rwlock_rdlock(&book->view);
  *view = (struct rule_view){.set = book->set,
                             .ledger = book->ledger,
                             .generation = rule_ledger_generation(book->ledger),
                             .enabled = book->enabled,
                             .failures = book->failures,
                             .failure_count = book->failure_count};
  memcpy(view->sha256, book->sha256, sizeof view->sha256);
  memcpy(view->in_state, book->in_state, sizeof view->in_state);
}

void rule_book_release(struct rule_book *book) { pthread_rwlock_unlock(&book->view); }

int rule_book_snapshot(struct rule_book *book, size_t *bytes) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 5;
  *bytes = 0;
  if (pthread_mutex_timedlock(&book->changing, &until) != 0) return -EBUSY;
  int result = 0;
  if (rule_ledger_generation(book->ledger) > 0) {
    pthread_rwlock_rdlock(&book->view); /* claims change records meanwhile */
    void *encoded = rule_ledger_encode(book->ledger, bytes);
    pthread_rwlock_unlock(&book->view);
    result = book->operations.record(book->operations.context, RULES_STREAM_SNAPSHOT, encoded, *bytes,
                                     book->operations.now(book->operations.context), "snapshot");
    free(encoded);
  }
  pthread_mutex_unlock(&book->changing);
  return result;
}
