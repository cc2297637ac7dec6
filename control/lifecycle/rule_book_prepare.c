/* What a request comes to: rules to add or replace, and names to remove. */
#include "rule_book_internal.h"
#include "rule_ledger_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Texts that the work itself puts together. */
struct made_texts {
  struct rule_text *texts;
  size_t count, capacity;
};

static void made_add(struct made_texts *made, char *text, size_t length) {
  if (made->count == made->capacity) {
    made->capacity = made->capacity ? 2 * made->capacity : 16;
    struct rule_text *grown = ledger_allocate(made->capacity * sizeof *grown);
    if (made->count) memcpy(grown, made->texts, made->count * sizeof *grown);
    free(made->texts);
    made->texts = grown;
  }
  made->texts[made->count++] = (struct rule_text){.name = "history", .text = text, .length = length};
}

static void made_add_version(struct made_texts *made, const struct rule_version *version) {
  static const char head[] = "rules:\n";
  char *text = ledger_allocate(sizeof head + version->text_bytes);
  memcpy(text, head, sizeof head - 1);
  memcpy(text + sizeof head - 1, version->text, version->text_bytes);
  made_add(made, text, sizeof head - 1 + version->text_bytes);
}

static void made_free(struct made_texts *made) {
  for (size_t i = 0; i < made->count; i++) free((void *)(uintptr_t)made->texts[i].text);
  free(made->texts);
}

static int parse(struct rule_work *work, const struct rule_text *texts, size_t count) {
  const bool partial = work->request->partial;
  struct rule_errors *errors = &work->result->errors;
  work->addition = rule_set_parse_texts(texts, count, partial, errors);
  if (partial && errors->dropped > 0) return refuse(work->result, -EINVAL, "more than %zu errors", errors->count);
  if (!work->addition) return -EINVAL;
  rule_set_sort(work->addition);
  return 0;
}

static int parse_made(struct rule_work *work, struct made_texts *made, int status) {
  if (status == 0) status = parse(work, made->texts, made->count);
  made_free(made);
  return status;
}

static void remove_name(struct rule_work *work, const char *name) {
  work->removed = reallocarray(work->removed, work->removed_count + 1, sizeof *work->removed);
  work->removed[work->removed_count++] = strdup(name);
}

static int by_text(const void *left, const void *right) { return strcmp(*(char *const *)left, *(char *const *)right); }

static int check_expected(struct rule_work *work, const char *name) {
  const uint32_t expected = work->request->expected_version;
  if (expected == 0) return 0;
  pthread_rwlock_rdlock(&work->book->view);
  const struct rule_record *record = rule_ledger_find(work->book->ledger, name);
  const struct rule_version *current = record ? rule_record_current(record) : NULL;
  const uint32_t found = current ? current->version : 0;
  pthread_rwlock_unlock(&work->book->view);
  return found == expected ? 0 : refuse(work->result, -ESTALE, "`%s` is at version %u, not %u", name, found, expected);
}

/* One rule is expected; its name is known before it is judged. */
static int prepare_one(struct rule_work *work) {
  const struct rule_request *request = work->request;
  const bool creation = request->action == RULE_ACTION_CREATE;
  rule_outline_read(request->texts[0].text, request->texts[0].length, &work->outline);
  const char *written = work->outline.count == 1 ? work->outline.items[0].name : "";
  const char *name = creation ? written : request->names[0];
  int status = 0;
  if (*name) status = work_claim(work, name, creation ? RULE_EVENT_CREATE : RULE_EVENT_UPDATE);
  if (status == 0 && !creation) status = check_expected(work, name);
  if (status == 0) status = parse(work, request->texts, 1);
  if (status != 0) return status;
  if (rule_set_count(work->addition) != 1)
    return refuse(work->result, -EINVAL, "one rule is expected, not %zu", rule_set_count(work->addition));
  if (strcmp(rule_set_at(work->addition, 0)->name, name) != 0)
    return refuse(work->result, -EINVAL, "the text is of `%s`, not of `%s`: a rule keeps its name",
                  rule_set_at(work->addition, 0)->name, name);
  return 0;
}

static int prepare_deletion(struct rule_work *work) {
  int status = 0;
  for (size_t i = 0; i < work->request->name_count && status == 0; i++) {
    const char *name = work->request->names[i];
    status = work_claim(work, name, RULE_EVENT_DELETE);
    if (status == 0) status = check_expected(work, name);
    if (status == 0) remove_name(work, name);
  }
  if (work->removed_count) qsort(work->removed, work->removed_count, sizeof *work->removed, by_text);
  return status;
}

static bool has_tag(const struct rule_definition *rule, const struct rule_request *request) {
  for (size_t i = 0; i < rule->tag_count; i++)
    for (size_t wanted = 0; wanted < request->tag_count; wanted++)
      if (strcmp(rule->tags[i], request->tags[wanted]) == 0) return true;
  return false;
}

static void toggle(const struct rule_set *set, size_t index, bool enabled, struct made_texts *made) {
  size_t length;
  if (rule_set_at(set, index)->enabled == enabled) return;
  char *text = rule_set_rule_text_enabled(set, index, enabled, &length);
  made_add(made, text, length);
}

/* The set may be exchanged meanwhile, but not the rules that are claimed. */
static int prepare_toggle(struct rule_work *work) {
  const struct rule_request *request = work->request;
  const bool enabled = request->action == RULE_ACTION_ENABLE;
  struct made_texts made = {0};
  int status = 0;
  for (size_t i = 0; i < request->name_count && status == 0 && request->tag_count == 0; i++)
    status = work_claim(work, request->names[i], RULE_EVENT_UPDATE);
  pthread_rwlock_rdlock(&work->book->view);
  const struct rule_set *set = work->book->set;
  for (size_t i = 0; i < request->name_count && status == 0; i++) {
    const size_t index = set ? rule_set_index(set, request->names[i]) : RULE_SET_NONE;
    if (index == RULE_SET_NONE)
      status = refuse(work->result, -ENOENT, "there is no rule named `%s`", request->names[i]);
    else if (!has_tag(rule_set_at(set, index), request))
      toggle(set, index, enabled, &made);
  }
  for (size_t i = 0; set && request->tag_count > 0 && i < rule_set_count(set) && status == 0; i++)
    if (has_tag(rule_set_at(set, i), request)) toggle(set, i, enabled, &made);
  pthread_rwlock_unlock(&work->book->view);
  return parse_made(work, &made, status);
}

static int prepare_rollback(struct rule_work *work) {
  const char *name = work->request->names[0];
  struct made_texts made = {0};
  pthread_rwlock_rdlock(&work->book->view);
  const struct rule_record *record = rule_ledger_find(work->book->ledger, name);
  const bool deleted = record && record->version_count > 0 && !record->machine.in_force;
  pthread_rwlock_unlock(&work->book->view);
  int status = work_claim(work, name, deleted ? RULE_EVENT_CREATE : RULE_EVENT_UPDATE);
  if (status == 0) status = check_expected(work, name);
  if (status != 0) return status;
  pthread_rwlock_rdlock(&work->book->view);
  record = rule_ledger_find(work->book->ledger, name);
  const struct rule_version *version = record ? rule_record_version(record, work->request->version) : NULL;
  if (version) made_add_version(&made, version);
  pthread_rwlock_unlock(&work->book->view);
  if (!version) status = refuse(work->result, -ENODATA, "there is no version %u of `%s`", work->request->version, name);
  return parse_made(work, &made, status);
}

struct rolled_back {
  struct rule_work *work;
  struct made_texts *made;
};

static void roll_back(void *context, struct rule_record *record) {
  const struct rolled_back *to = context;
  const struct rule_version *then = rule_record_at(record, to->work->request->generation), *now = rule_record_current(record);
  if (now && !then) remove_name(to->work, record->name);
  if (!then || (now && now->text_bytes == then->text_bytes && memcmp(now->text, then->text, then->text_bytes) == 0)) return;
  made_add_version(to->made, then);
}

/* Under the gate: nothing changes meanwhile. */
static int prepare_set_rollback(struct rule_work *work) {
  struct rule_book *book = work->book;
  const uint64_t generation = work->request->generation;
  struct made_texts made = {0};
  int status = 0;
  pthread_rwlock_rdlock(&book->view);
  if (generation == 0 || generation < rule_ledger_oldest_whole(book->ledger) || generation > rule_ledger_generation(book->ledger))
    status = refuse(work->result, -ENODATA, "generation %llu is not remembered: from %llu to %llu are",
                    (unsigned long long)generation, (unsigned long long)rule_ledger_oldest_whole(book->ledger),
                    (unsigned long long)rule_ledger_generation(book->ledger));
  else
    rule_ledger_visit(book->ledger, roll_back, &(struct rolled_back){work, &made});
  pthread_rwlock_unlock(&book->view);
  if (work->removed_count) qsort(work->removed, work->removed_count, sizeof *work->removed, by_text);
  return parse_made(work, &made, status);
}

static int prepare_files(struct rule_work *work) {
  const struct rule_request *request = work->request;
  work->replaces = request->action != RULE_ACTION_MERGE && request->action != RULE_ACTION_IMPORT;
  if (request->action == RULE_ACTION_IMPORT && request->text_count > 0)
    rule_outline_read(request->texts[0].text, request->texts[0].length, &work->outline);
  if (request->path_count == 0) return parse(work, request->texts, request->text_count);
  work->addition = rule_set_load(request->paths, request->path_count, &work->result->errors);
  if (!work->addition) return -EINVAL;
  rule_set_sort(work->addition);
  return 0;
}

bool rule_action_is_whole(const struct rule_request *request) {
  switch (request->action) {
  case RULE_ACTION_CREATE:
  case RULE_ACTION_UPDATE:
  case RULE_ACTION_DELETE:
  case RULE_ACTION_ROLLBACK:
    return false;
  case RULE_ACTION_ENABLE:
  case RULE_ACTION_DISABLE:
    return request->tag_count > 0;
  default:
    return true;
  }
}

int work_prepare(struct rule_work *work) {
  switch (work->request->action) {
  case RULE_ACTION_CREATE:
  case RULE_ACTION_UPDATE:
    return prepare_one(work);
  case RULE_ACTION_DELETE:
    return prepare_deletion(work);
  case RULE_ACTION_ENABLE:
  case RULE_ACTION_DISABLE:
    return prepare_toggle(work);
  case RULE_ACTION_ROLLBACK:
    return prepare_rollback(work);
  case RULE_ACTION_ROLLBACK_SET:
    return prepare_set_rollback(work);
  default:
    return prepare_files(work);
  }
}

void work_finish(struct rule_work *work) {
  rule_set_free(work->addition);
  rule_set_free(work->candidate);
  for (size_t i = 0; i < work->removed_count; i++) free(work->removed[i]);
  free(work->removed);
  free(work->claims);
  free(work->change.items);
  rule_outline_free(&work->outline);
}
