#include "always_assert.h"
#include "rule_book_internal.h"
#include "rule_ledger_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void add_item(struct rule_work *work, struct rule_change_item item, const struct rule_record *record) {
  const struct rule_version *current = record ? rule_record_current(record) : NULL;
  item.expected_version = current ? current->version : 0;
  item.version = record ? rule_record_next_version(record) : 1;
  work->change.items[work->change.count++] = item;
}

/* Both sets are sorted. What is the same keeps its version. */
static void compare(struct rule_work *work) {
  const struct rule_set *base = work->book->set;
  struct rule_set *candidate = work->candidate;
  const size_t base_count = base ? rule_set_count(base) : 0, count = rule_set_count(candidate);
  struct rule_set_difference *difference = &work->result->difference;
  work->change.items = ledger_allocate((base_count + count + 1) * sizeof *work->change.items);
  for (size_t old = 0, new = 0; old < base_count || new < count;) {
    const struct rule_definition *before = old < base_count ? rule_set_at(base, old) : NULL;
    const struct rule_definition *after = new < count ? rule_set_at(candidate, new) : NULL;
    const int order = !before ? 1 : !after ? -1 : strcmp(before->name, after->name);
    size_t text_bytes = 0, before_bytes = 0;
    const char *text = order >= 0 ? rule_set_rule_text(candidate, new, &text_bytes) : NULL;
    const char *before_text = order <= 0 ? rule_set_rule_text(base, old, &before_bytes) : NULL;
    const struct rule_change_item item = {
        .name = order < 0 ? before->name : after->name, .text = text, .text_bytes = (uint32_t)text_bytes};
    const bool same =
        order == 0 && (text == before_text || (text_bytes == before_bytes && !memcmp(text, before_text, text_bytes)));
    if (same)
      rule_set_set_version(candidate, new, before->version);
    else
      add_item(work, item, rule_ledger_find(work->book->ledger, item.name));
    if (!same && text) rule_set_set_version(candidate, new, work->change.items[work->change.count - 1].version);
    difference->added += order > 0;
    difference->removed += order < 0;
    difference->changed += order == 0 && !same;
    difference->unchanged += same;
    old += order <= 0;
    new += order >= 0;
  }
}

static int claim_items(struct rule_work *work) {
  for (size_t i = 0; i < work->change.count; i++) {
    const struct rule_change_item *item = &work->change.items[i];
    const enum rule_event event = !item->text              ? RULE_EVENT_DELETE
                                  : item->expected_version ? RULE_EVENT_UPDATE
                                                           : RULE_EVENT_CREATE;
    const int status = work_claim(work, item->name, event);
    if (status != 0) return status;
  }
  return 0;
}

int work_compile(struct rule_work *work, void **image) {
  const struct rule_book_operations *operations = &work->book->operations;
  struct rule_change *change = &work->change;
  rule_set_free(work->candidate);
  free(change->items);
  work->result->difference = (struct rule_set_difference){0};
  *change = (struct rule_change){.action = work->request->action, .who = work->request->who};
  work->candidate = rule_set_edit(work->replaces ? NULL : work->book->set, work->addition, (const char *const *)work->removed,
                                  work->removed_count);
  pthread_rwlock_rdlock(&work->book->view); /* claims change the ledger's table meanwhile */
  compare(work);
  pthread_rwlock_unlock(&work->book->view);
  work->candidate_enabled = 0;
  for (size_t i = 0; i < rule_set_count(work->candidate); i++)
    work->candidate_enabled += rule_set_at(work->candidate, i)->enabled;
  change->from_generation = rule_ledger_generation(work->book->ledger);
  change->to_generation = change->from_generation + 1;
  if (change->count == 0 && change->from_generation > 0) return 0;
  return operations->compile(operations->context, work->candidate, change->to_generation, &work->result->errors, image,
                             change->sha256);
}

/* Those that an error from `first` on is about. False: there is none such, or not of ours. */
static bool drop_wrong(struct rule_work *work, size_t first) {
  const struct rule_errors *errors = &work->result->errors;
  const char **wrong = ledger_allocate((errors->count + 1) * sizeof *wrong);
  size_t count = 0;
  for (size_t i = 0; i < rule_set_count(work->addition) && count < errors->count; i++) {
    const struct rule_definition *rule = rule_set_at(work->addition, i);
    for (size_t e = first; e < errors->count; e++)
      if (errors->items[e].line == rule->line && strcmp(errors->items[e].file, rule->file) == 0) {
        wrong[count++] = rule->name;
        break;
      }
  }
  struct rule_set *kept = rule_set_edit(work->addition, NULL, wrong, count);
  free(wrong);
  rule_set_free(work->addition);
  work->addition = kept;
  return count > 0 && errors->dropped == 0;
}

static int compile_what_is_good(struct rule_work *work, void **image) {
  for (;;) {
    const size_t errors_before = work->result->errors.count;
    const int status = work_compile(work, image);
    if (status == 0 || !work->request->partial || !drop_wrong(work, errors_before)) return status;
  }
}

int work_record(struct rule_work *work) {
  const struct rule_book_operations *operations = &work->book->operations;
  size_t length;
  work->change.wall_ns = operations->now(operations->context);
  void *encoded = rule_change_encode(&work->change, &length);
  const int status =
      operations->record(operations->context, RULES_STREAM_CHANGE, encoded, length, work->change.wall_ns, work->change.who);
  free(encoded);
  return status == 0 ? 0 : refuse(work->result, status, "the change could not be made durable: %s", strerror(-status));
}

void work_exchange(struct rule_work *work) {
  struct rule_book *book = work->book;
  struct rule_set *before = book->set;
  ALWAYS_ASSERT(rule_ledger_apply(book->ledger, &work->change) == 0);
  book->set = work->candidate;
  book->enabled = work->candidate_enabled;
  memcpy(book->sha256, work->change.sha256, sizeof book->sha256);
  for (size_t i = 0; i < work->change.count; i++) failures_clear(book, work->change.items[i].name);
  if (work->replaces) failures_clear(book, NULL);
  work->candidate = before; /* freed with the work: its names are still in use */
}

static int by_name(const void *key, const void *item) { return strcmp(key, ((const struct rule_change_item *)item)->name); }

static void tell_outcome(struct rule_outcome *outcome, const struct rule_change *change, const struct rule_set *set) {
  const struct rule_change_item *item =
      change->count ? bsearch(outcome->name, change->items, change->count, sizeof *item, by_name) : NULL;
  const struct rule_definition *rule = set ? rule_set_find(set, outcome->name) : NULL;
  outcome->kind = !item ? RULE_UNCHANGED : !item->text ? RULE_DELETED : item->expected_version ? RULE_UPDATED : RULE_CREATED;
  outcome->version = rule ? rule->version : 0;
}

static struct rule_outcome *add_outcome(struct rule_result *result, const char *name) {
  struct rule_outcome *outcome = &result->outcomes[result->outcome_count++];
  ledger_copy_text(outcome->name, sizeof outcome->name, name);
  return outcome;
}

/* One for each rule of the request's text, or for each name, or, of tags, for each rule that was changed. */
void work_list_outcomes(struct rule_work *work) {
  struct rule_result *result = work->result;
  const struct rule_request *request = work->request;
  const bool of_change = request->tag_count > 0;
  const size_t room = work->outline.count + request->name_count + (of_change ? work->change.count : 0);
  result->outcomes = ledger_allocate((room + 1) * sizeof *result->outcomes);
  for (size_t i = 0; i < work->outline.count; i++) add_outcome(result, work->outline.items[i].name);
  for (size_t i = 0; i < request->name_count && work->outline.count == 0 && !of_change; i++)
    add_outcome(result, request->names[i]);
  for (size_t i = 0; of_change && i < work->change.count; i++) add_outcome(result, work->change.items[i].name);
  const struct rule_errors *errors = &result->errors;
  for (size_t i = errors->count; i > 0 && work->outline.count > 0; i--) { /* the first of each rule is told */
    const size_t at = rule_outline_at(&work->outline, errors->items[i - 1].line);
    if (at >= work->outline.count) continue;
    result->failed += result->outcomes[at].kind != RULE_FAILED;
    result->outcomes[at].kind = RULE_FAILED;
    result->outcomes[at].error = errors->items[i - 1];
  }
}

void work_tell_outcomes(struct rule_work *work, const struct rule_change *change) {
  for (size_t i = 0; i < work->result->outcome_count; i++)
    if (work->result->outcomes[i].kind != RULE_FAILED) tell_outcome(&work->result->outcomes[i], change, work->book->set);
}

static int settle(struct rule_work *work) {
  const struct rule_book_operations *operations = &work->book->operations;
  void *image = NULL;
  int status = compile_what_is_good(work, &image);
  if (status == 0 && !image) return 0;
  if (status == 0 && rule_action_is_whole(work->request)) {
    status = claim_items(work);
    if (status == 0) work_advance(work, RULE_EVENT_VALIDATED);
  }
  if (status == 0) work_advance(work, RULE_EVENT_COMPILED);
  if (status == 0) status = work_record(work);
  if (status != 0) {
    if (image) operations->discard(operations->context, image);
    return status;
  }
  /* The one moment that readers wait for. */
  pthread_rwlock_wrlock(&work->book->view);
  work_exchange(work);
  work_advance_locked(work, RULE_EVENT_RECORDED);
  pthread_rwlock_unlock(&work->book->view);
  operations->publish(operations->context, image);
  return 0;
}

int work_settle(struct rule_work *work) {
  struct rule_result *result = work->result;
  int status = settle(work);
  work_list_outcomes(work);
  if (status == 0 && result->failed > 0 && result->failed == result->outcome_count) status = -EINVAL;
  if (status == 0) work_tell_outcomes(work, &work->change);
  return status;
}

/* What is still claimed goes back: nothing came of it. */
static void give_back(struct rule_work *work) {
  struct rule_book *book = work->book;
  struct rule_result *result = work->result;
  const uint64_t now_ns = book->operations.now(book->operations.context);
  pthread_rwlock_wrlock(&book->view);
  work_advance_locked(work, RULE_EVENT_FAILED);
  failures_note(book, work->request, result, &work->outline, now_ns);
  result->generation = rule_ledger_generation(book->ledger);
  result->rules = book->set ? (uint32_t)rule_set_count(book->set) : 0;
  memcpy(result->sha256, book->sha256, sizeof result->sha256);
  pthread_rwlock_unlock(&book->view);
}

static void wait_in_queue(struct rule_work *work) {
  struct rule_book *book = work->book;
  pthread_mutex_lock(&book->queue_lock);
  work->next = book->queue;
  book->queue = work;
  pthread_mutex_unlock(&book->queue_lock);
}

/* One at a time from here on; of changes of single rules all that have come so far. */
static int carry_out(struct rule_work *work) {
  struct rule_book *book = work->book;
  work_advance(work, RULE_EVENT_VALIDATED);
  const bool alone = rule_action_is_whole(work->request);
  if (!alone) wait_in_queue(work);
  pthread_mutex_lock(&book->changing);
  if (alone)
    work->status = work_settle(work);
  else if (!work->carried)
    work_settle_waiting(book);
  give_back(work);
  pthread_mutex_unlock(&book->changing);
  return work->status;
}

int rule_book_change(struct rule_book *book, const struct rule_request *request, struct rule_result *result) {
  struct rule_work work = {.book = book, .request = request, .result = result};
  *result = (struct rule_result){0};
  if (rule_action_is_whole(request))
    pthread_rwlock_wrlock(&book->gate);
  else
    pthread_rwlock_rdlock(&book->gate);
  int status = work_prepare(&work);
  if (status == 0)
    status = carry_out(&work);
  else
    give_back(&work); /* and waits for nobody */
  work_finish(&work);
  pthread_rwlock_unlock(&book->gate);
  return status;
}
