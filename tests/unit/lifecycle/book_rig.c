#include "book_rig.h"
#include "cmocka_test.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compile(void *context, const struct rule_set *set, uint64_t generation, struct rule_errors *errors, void **image,
                   uint8_t sha256[32]) {
  struct book_rig *rig = context;
  rig->compiles++;
  if (rig->fail_compile) return rig->fail_compile;
  if (rig->poison && rule_set_find(set, rig->poison)) return -EINVAL;
  struct rule_image *made = rule_image_compile(set, generation, NULL, 0, errors);
  if (!made) return -EINVAL;
  memcpy(sha256, made->sha256, 32);
  *image = made;
  rig->images++;
  return 0;
}

static void discard(void *context, void *image) {
  struct book_rig *rig = context;
  rule_image_free(image);
  rig->images--;
}

static void publish(void *context, void *image) {
  struct book_rig *rig = context;
  discard(context, image);
  rig->published++;
}

static void *reserve(void *context, uint32_t bytes) {
  struct book_rig *rig = context;
  if (rig->records_until_full != SIZE_MAX && rig->records_until_full-- == 0) {
    rig->records_until_full = 0;
    return NULL;
  }
  if (rig->record_count == rig->record_capacity) {
    rig->record_capacity = rig->record_capacity ? 2 * rig->record_capacity : 64;
    rig->records = reallocarray(rig->records, rig->record_capacity, sizeof *rig->records);
    assert_non_null(rig->records);
  }
  return rig->records[rig->record_count].header = malloc(bytes);
}

static void filled(void *context, bool last) {
  (void)last;
  ((struct book_rig *)context)->record_count++;
}

static int record(void *context, enum rules_stream_kind kind, const void *bytes, size_t length, uint64_t wall_ns,
                  const char *who) {
  struct book_rig *rig = context;
  const struct rules_writer writer = {.context = rig, .reserve = reserve, .filled = filled};
  pthread_mutex_lock(&rig->lock);
  if (rig->hold) {
    rig->held++;
    pthread_cond_broadcast(&rig->changed);
    while (rig->hold) pthread_cond_wait(&rig->changed, &rig->lock);
    rig->held--;
  }
  pthread_mutex_unlock(&rig->lock);
  if (rig->fail_record) return rig->fail_record;
  return rules_stream_write(&writer, kind, bytes, length, wall_ns, who);
}

static uint64_t now(void *context) { return atomic_fetch_add(&((struct book_rig *)context)->now_ns, 1000000007); }

static struct rule_book *make_book(struct book_rig *rig, size_t history_bytes_max) {
  const struct rule_book_operations operations = {
      .context = rig, .compile = compile, .discard = discard, .record = record, .publish = publish, .now = now};
  return rule_book_create(&operations, history_bytes_max);
}

void book_rig_open(struct book_rig *rig, size_t history_bytes_max) {
  *rig = (struct book_rig){.now_ns = 1700000000000000000u, .records_until_full = SIZE_MAX};
  pthread_mutex_init(&rig->lock, NULL);
  pthread_cond_init(&rig->changed, NULL);
  rig->book = make_book(rig, history_bytes_max);
}

void book_rig_close(struct book_rig *rig) {
  rule_book_destroy(rig->book);
  for (size_t i = 0; i < rig->record_count; i++) free(rig->records[i].header);
  free(rig->records);
  assert_int_equal(rig->images, 0);
}

void book_rig_recover(struct book_rig *rig, size_t from, size_t count, size_t history_bytes_max) {
  struct rule_result result;
  rule_book_destroy(rig->book);
  rig->book = make_book(rig, history_bytes_max);
  for (size_t i = from; i < count; i++) rule_book_recover(rig->book, rig->records[i].header);
  const int status = rule_book_recovered(rig->book, &result);
  assert_true(status >= 0);
  if (result.refusal[0]) fail_msg("%s", result.refusal);
  rule_result_free(&result);
}

int book_change(struct book_rig *rig, const struct rule_request *request) {
  struct rule_result result;
  const int status = rule_book_change(rig->book, request, &result);
  rule_result_free(&result);
  return status;
}

static int change_text(struct book_rig *rig, enum rule_action action, const char *name, const char *condition) {
  char text[512];
  snprintf(text, sizeof text, "rules:\n- {name: %s, on: span, if: '%s', tags: [all, %c]}\n", name, condition, name[0]);
  const struct rule_text one = {.name = "test", .text = text, .length = strlen(text)};
  return book_change(rig, &(struct rule_request){.action = action,
                                                 .texts = &one,
                                                 .text_count = 1,
                                                 .names = &name,
                                                 .name_count = action == RULE_ACTION_UPDATE,
                                                 .who = "somebody"});
}

int book_create(struct book_rig *rig, const char *name, const char *condition) {
  return change_text(rig, RULE_ACTION_CREATE, name, condition);
}

int book_update(struct book_rig *rig, const char *name, const char *condition) {
  return change_text(rig, RULE_ACTION_UPDATE, name, condition);
}

int book_delete(struct book_rig *rig, const char *name) {
  return book_change(rig,
                     &(struct rule_request){.action = RULE_ACTION_DELETE, .names = &name, .name_count = 1, .who = "somebody"});
}

char *book_text(struct book_rig *rig) {
  struct rule_view view;
  rule_book_read(rig->book, &view);
  char *text = view.set ? rule_set_text(view.set, NULL) : strdup("");
  rule_book_release(rig->book);
  return text;
}

void *book_ledger(struct book_rig *rig, size_t *length) {
  struct rule_view view;
  rule_book_read(rig->book, &view);
  void *bytes = rule_ledger_encode(view.ledger, length);
  rule_book_release(rig->book);
  return bytes;
}

enum rule_state book_state(struct book_rig *rig, const char *name) {
  struct rule_view view;
  rule_book_read(rig->book, &view);
  const struct rule_record *found = rule_ledger_find(view.ledger, name);
  const enum rule_state state = found ? found->machine.state : RULE_NONEXISTENT;
  rule_book_release(rig->book);
  return state;
}

void book_wait_held(struct book_rig *rig) {
  pthread_mutex_lock(&rig->lock);
  while (rig->held == 0) pthread_cond_wait(&rig->changed, &rig->lock);
  pthread_mutex_unlock(&rig->lock);
}

void book_let_go(struct book_rig *rig) {
  pthread_mutex_lock(&rig->lock);
  rig->hold = false;
  pthread_cond_broadcast(&rig->changed);
  pthread_mutex_unlock(&rig->lock);
}
