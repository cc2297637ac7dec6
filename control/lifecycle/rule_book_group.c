/* Changes of single rules that wait for each other, made together: one image, one write, one generation. Their claims keep them
 * from touching each other's rules. */
#include "rule_book_internal.h"
#include "rule_ledger_internal.h"
#include <stdlib.h>
#include <string.h>

static int by_text(const void *left, const void *right) { return strcmp(*(char *const *)left, *(char *const *)right); }

/* The additions and removals of all; the names stay theirs. */
static void gather(struct rule_work *group, struct rule_work *works) {
  for (struct rule_work *work = works; work; work = work->next) {
    struct rule_set *addition = rule_set_edit(group->addition, work->addition, NULL, 0);
    rule_set_free(group->addition);
    group->addition = addition;
    if (work->removed_count == 0) continue;
    group->removed = reallocarray(group->removed, group->removed_count + work->removed_count, sizeof *group->removed);
    memcpy(group->removed + group->removed_count, work->removed, work->removed_count * sizeof *group->removed);
    group->removed_count += work->removed_count;
  }
  if (group->removed_count) qsort(group->removed, group->removed_count, sizeof *group->removed, by_text);
}

static struct rule_work *owner_of(struct rule_work *works, const char *name) {
  for (struct rule_work *work = works; work; work = work->next)
    for (size_t i = 0; i < work->claim_count; i++)
      if (strcmp(work->claims[i], name) == 0) return work;
  return NULL;
}

/* Each item is its owner's, and so is the difference that it makes. */
static void share_out(struct rule_work *group, struct rule_work *works) {
  struct rule_change *change = &group->change;
  const size_t before = group->book->set ? rule_set_count(group->book->set) : 0;
  for (struct rule_work *work = works; work; work = work->next)
    work->result->difference = (struct rule_set_difference){.unchanged = before};
  for (size_t i = 0; i < change->count; i++) {
    struct rule_change_item *item = &change->items[i];
    const struct rule_work *owner = owner_of(works, item->name);
    struct rule_set_difference *difference = &owner->result->difference;
    item->action = owner->request->action;
    item->who = owner->request->who;
    difference->added += item->expected_version == 0;
    difference->removed += !item->text;
    difference->changed += item->text && item->expected_version > 0;
    difference->unchanged -= item->expected_version > 0;
  }
  change->who = works->request->who;
  for (const struct rule_work *work = works; work; work = work->next)
    if (strcmp(work->request->who, change->who) != 0) change->who = "several";
}

static int settle_group(struct rule_work *group, struct rule_work *works, bool *compiled) {
  const struct rule_book_operations *operations = &group->book->operations;
  void *image = NULL;
  gather(group, works);
  int status = work_compile(group, &image);
  *compiled = status == 0;
  if (status != 0) return status;
  share_out(group, works);
  if (!image) return 0;
  for (struct rule_work *work = works; work; work = work->next) work_advance(work, RULE_EVENT_COMPILED);
  status = work_record(group);
  if (status != 0) {
    operations->discard(operations->context, image);
    return status;
  }
  pthread_rwlock_wrlock(&group->book->view);
  work_exchange(group);
  for (struct rule_work *work = works; work; work = work->next) work_advance_locked(work, RULE_EVENT_RECORDED);
  pthread_rwlock_unlock(&group->book->view);
  operations->publish(operations->context, image);
  return 0;
}

/* False: all of them together are no good set; that may be the fault of one. */
static bool settle_together(struct rule_book *book, struct rule_work *works) {
  static const struct rule_request several = {.action = RULE_ACTION_SEVERAL};
  struct rule_result result = {0};
  struct rule_work group = {.book = book, .request = &several, .result = &result};
  bool compiled;
  const int status = settle_group(&group, works, &compiled);
  for (struct rule_work *work = works; work && compiled; work = work->next) {
    work->status = status;
    memcpy(work->result->refusal, result.refusal, sizeof result.refusal);
    work_list_outcomes(work);
    if (status == 0) work_tell_outcomes(work, &group.change);
  }
  free(group.removed);
  group.removed = NULL;
  group.removed_count = 0;
  work_finish(&group);
  rule_result_free(&result);
  return compiled;
}

void work_settle_waiting(struct rule_book *book) {
  pthread_mutex_lock(&book->queue_lock);
  struct rule_work *works = book->queue;
  book->queue = NULL;
  pthread_mutex_unlock(&book->queue_lock);
  if (!works->next || !settle_together(book, works))
    for (struct rule_work *work = works; work; work = work->next) work->status = work_settle(work);
  /* A work is gone once its thread sees this, which it does under `changing`. */
  for (struct rule_work *work = works, *next; work; work = next) {
    next = work->next;
    work->carried = true;
  }
}
