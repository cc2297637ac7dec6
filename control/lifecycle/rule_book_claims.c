#include "always_assert.h"
#include "rule_book_internal.h"
#include "rule_ledger_internal.h"
#include <errno.h>
#include <stdlib.h>

static int take(struct rule_book *book, struct rule_record *record, enum rule_event event) {
  const enum rule_state before = record->machine.state;
  const int result = rule_machine_take(&record->machine, event);
  if (result != 0) return result;
  if (before != RULE_NONEXISTENT) book->in_state[before]--;
  if (record->machine.state != RULE_NONEXISTENT) book->in_state[record->machine.state]++;
  return 0;
}

static int refuse_claim(struct rule_result *result, const char *name, int error) {
  if (error == -EEXIST) return refuse(result, error, "a rule named `%s` exists already", name);
  if (error == -ENOENT) return refuse(result, error, "there is no rule named `%s`", name);
  return refuse(result, error, "the rule `%s` is being changed", name);
}

int work_claim(struct rule_work *work, const char *name, enum rule_event event) {
  struct rule_book *book = work->book;
  if (work->claim_count == work->claim_capacity) {
    work->claim_capacity = work->claim_capacity ? 2 * work->claim_capacity : 4;
    work->claims = reallocarray(work->claims, work->claim_capacity, sizeof *work->claims);
    ALWAYS_ASSERT(work->claims != NULL);
  }
  pthread_rwlock_wrlock(&book->view);
  struct rule_record *record = rule_ledger_take(book->ledger, name);
  const int result = take(book, record, event);
  if (result == 0)
    work->claims[work->claim_count++] = record->name;
  else
    rule_ledger_tidy(book->ledger, record);
  pthread_rwlock_unlock(&book->view);
  return result == 0 ? 0 : refuse_claim(work->result, name, result);
}

void work_advance_locked(struct rule_work *work, enum rule_event event) {
  struct rule_ledger *ledger = work->book->ledger;
  for (size_t i = 0; i < work->claim_count; i++) {
    struct rule_record *record = rule_ledger_find(ledger, work->claims[i]);
    ALWAYS_ASSERT(record != NULL);
    if (event == RULE_EVENT_VALIDATED && record->machine.state == RULE_DELETING) continue;
    ALWAYS_ASSERT(take(work->book, record, event) == 0);
    rule_ledger_tidy(ledger, record);
  }
  if (event == RULE_EVENT_RECORDED || event == RULE_EVENT_FAILED) work->claim_count = 0;
}

void work_advance(struct rule_work *work, enum rule_event event) {
  pthread_rwlock_wrlock(&work->book->view);
  work_advance_locked(work, event);
  pthread_rwlock_unlock(&work->book->view);
}
