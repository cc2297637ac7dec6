/* Changes that fail at each step, changes that exclude each other, and readers beside them. */
#include "book_rig.h"
#include "cmocka_test.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HISTORY (1u << 20)

static void open_with_two(struct book_rig *rig) {
  book_rig_open(rig, HISTORY);
  assert_int_equal(book_create(rig, "first", "duration > 1s"), 0);
  assert_int_equal(book_create(rig, "second", "root"), 0);
}

static const char *const second[] = {"second"}, *const all_tag[] = {"all"};
static const char third[] = "rules:\n- {name: third, on: span, if: root}\n";
static const struct rule_text other_text = {"other", third, sizeof third - 1};

/* One request of each action, all of which change something. */
static const struct rule_request requests[] = {
    {.action = RULE_ACTION_CREATE, .texts = &other_text, .text_count = 1, .who = "w"},
    {.action = RULE_ACTION_DELETE, .names = second, .name_count = 1, .who = "w"},
    {.action = RULE_ACTION_DISABLE, .names = second, .name_count = 1, .who = "w"},
    {.action = RULE_ACTION_DISABLE, .tags = all_tag, .tag_count = 1, .who = "w"},
    {.action = RULE_ACTION_IMPORT, .texts = &other_text, .text_count = 1, .who = "w"},
    {.action = RULE_ACTION_IMPORT, .texts = &other_text, .text_count = 1, .partial = true, .who = "w"},
    {.action = RULE_ACTION_APPLY, .texts = &other_text, .text_count = 1, .who = "w"},
    {.action = RULE_ACTION_MERGE, .texts = &other_text, .text_count = 1, .who = "w"},
    {.action = RULE_ACTION_ROLLBACK, .names = second, .name_count = 1, .version = 1, .who = "w"},
    {.action = RULE_ACTION_ROLLBACK_SET, .generation = 1, .who = "w"},
};

struct before {
  char *text;
  void *ledger;
  size_t ledger_bytes;
};

static struct before remember(struct book_rig *rig) {
  struct before before = {.text = book_text(rig)};
  before.ledger = book_ledger(rig, &before.ledger_bytes);
  return before;
}

static void expect_same(struct book_rig *rig, struct before *before, bool same) {
  struct before now = remember(rig);
  assert_int_equal(strcmp(now.text, before->text) == 0, same);
  assert_int_equal(now.ledger_bytes == before->ledger_bytes && memcmp(now.ledger, before->ledger, now.ledger_bytes) == 0, same);
  free(now.text);
  free(now.ledger);
}

static void every_failure_leaves_what_was(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    struct book_rig rig;
    open_with_two(&rig);
    assert_int_equal(book_update(&rig, "second", "duration > 2s"), 0);
    struct before before = remember(&rig);
    const unsigned published = rig.published;
    const size_t records = rig.record_count;
    rig.fail_compile = -EINVAL;
    assert_int_equal(book_change(&rig, &requests[i]), -EINVAL);
    rig.fail_compile = 0;
    expect_same(&rig, &before, true);
    assert_int_equal(rig.record_count, records);
    static const int errors[] = {-EIO, -ENOSPC, -ECANCELED};
    for (size_t e = 0; e < 3; e++) {
      rig.fail_record = errors[e];
      assert_int_equal(book_change(&rig, &requests[i]), errors[e]);
      expect_same(&rig, &before, true);
    }
    rig.fail_record = 0;
    /* No room after any number of records of the stream: what lies there of it must never count. */
    for (size_t room = 0; room < 3; room++) {
      rig.records_until_full = room;
      assert_int_equal(book_change(&rig, &requests[i]), -EAGAIN);
      rig.records_until_full = SIZE_MAX;
      expect_same(&rig, &before, true);
      book_rig_recover(&rig, 0, rig.record_count, HISTORY);
      expect_same(&rig, &before, true);
    }
    const unsigned recovered = rig.published;
    assert_int_equal(recovered, published + 3);
    assert_int_equal(book_state(&rig, "second"), RULE_PERSISTED);
    assert_int_equal(book_state(&rig, "third"), RULE_NONEXISTENT);
    assert_int_equal(book_change(&rig, &requests[i]), 0);
    expect_same(&rig, &before, false);
    assert_int_equal(rig.published, recovered + 1);
    free(before.text);
    free(before.ledger);
    book_rig_close(&rig);
  }
}

static void refusals(void **state) {
  (void)state;
  struct book_rig rig;
  open_with_two(&rig);
  struct before before = remember(&rig);
  assert_int_equal(book_create(&rig, "first", "root"), -EEXIST);
  assert_int_equal(book_update(&rig, "third", "root"), -ENOENT);
  assert_int_equal(book_delete(&rig, "third"), -ENOENT);
  assert_int_equal(book_create(&rig, "third", "duration >"), -EINVAL);
  assert_int_equal(book_update(&rig, "first", "nmae"), -EINVAL);
  assert_int_equal(book_create(&rig, "no good", "root"), -EINVAL);
  const char *names[] = {"first", "third"};
  struct rule_request request = {.action = RULE_ACTION_DELETE, .names = names, .name_count = 2, .who = "w"};
  assert_int_equal(book_change(&rig, &request), -ENOENT); /* all or none */
  request.name_count = 1;
  request.expected_version = 7;
  assert_int_equal(book_change(&rig, &request), -ESTALE);
  request = (struct rule_request){.action = RULE_ACTION_ROLLBACK, .names = names, .name_count = 1, .version = 9, .who = "w"};
  assert_int_equal(book_change(&rig, &request), -ENODATA);
  request = (struct rule_request){.action = RULE_ACTION_ROLLBACK_SET, .generation = 9, .who = "w"};
  assert_int_equal(book_change(&rig, &request), -ENODATA);
  expect_same(&rig, &before, true);
  struct rule_view view;
  rule_book_read(rig.book, &view);
  assert_true(view.failure_count >= 3);
  assert_int_equal(view.in_state[RULE_PERSISTED], 2);
  rule_book_release(rig.book);
  assert_int_equal(book_update(&rig, "first", "root"), 0);
  rule_book_read(rig.book, &view);
  for (size_t i = 0; i < view.failure_count; i++) assert_string_not_equal(view.failures[i].name, "first");
  rule_book_release(rig.book);
  free(before.text);
  free(before.ledger);
  book_rig_close(&rig);
}

struct asked {
  struct book_rig *rig;
  const char *name, *condition;
  int status;
  atomic_bool done;
};

static void *update_thread(void *context) {
  struct asked *asked = context;
  asked->status = book_update(asked->rig, asked->name, asked->condition);
  atomic_store(&asked->done, true);
  return NULL;
}

static void *delete_thread(void *context) {
  struct asked *asked = context;
  asked->status = book_delete(asked->rig, asked->name);
  atomic_store(&asked->done, true);
  return NULL;
}

static void update_and_delete_exclude_each_other(void **state) {
  (void)state;
  struct book_rig rig;
  open_with_two(&rig);
  char *before = book_text(&rig);
  for (unsigned deleting = 0; deleting < 2; deleting++) {
    struct asked held = {.rig = &rig, .name = "second", .condition = "duration > 5s"};
    struct asked other = {.rig = &rig, .name = "first", .condition = deleting ? "duration > 7s" : "duration > 6s"};
    pthread_t thread, other_thread;
    rig.hold = true;
    assert_int_equal(pthread_create(&thread, NULL, deleting ? delete_thread : update_thread, &held), 0);
    book_wait_held(&rig);
    assert_int_equal(book_state(&rig, "second"), deleting ? RULE_DELETING : RULE_COMPILED);
    assert_int_equal(book_update(&rig, "second", "duration > 9s"), -EBUSY);
    assert_int_equal(book_delete(&rig, "second"), -EBUSY);
    assert_int_equal(book_create(&rig, "second", "root"), -EBUSY);
    /* What is in force is read as ever; another rule's change waits its turn. */
    char *text = book_text(&rig);
    if (!deleting) assert_string_equal(text, before);
    free(text);
    assert_int_equal(pthread_create(&other_thread, NULL, update_thread, &other), 0);
    while (book_state(&rig, "first") == RULE_PERSISTED) sched_yield();
    assert_false(atomic_load(&other.done));
    book_let_go(&rig);
    pthread_join(thread, NULL);
    pthread_join(other_thread, NULL);
    assert_int_equal(held.status, 0);
    assert_int_equal(other.status, 0);
    assert_int_equal(book_state(&rig, "second"), deleting ? RULE_NONEXISTENT : RULE_PERSISTED);
  }
  free(before);
  book_rig_close(&rig);
}

#define TOGETHER 4u

static void *create_thread(void *context) {
  struct asked *asked = context;
  asked->status = book_create(asked->rig, asked->name, asked->condition);
  return NULL;
}

/* Behind one that is held, so that they are made together. */
static void change_together(struct book_rig *rig, struct asked asked[TOGETHER], void *(*run[TOGETHER])(void *)) {
  struct asked held = {.rig = rig, .name = "first", .condition = "duration > 8s"};
  pthread_t thread, threads[TOGETHER];
  rig->hold = true;
  assert_int_equal(pthread_create(&thread, NULL, update_thread, &held), 0);
  book_wait_held(rig);
  for (unsigned i = 0; i < TOGETHER; i++) assert_int_equal(pthread_create(&threads[i], NULL, run[i], &asked[i]), 0);
  for (unsigned i = 0; i < TOGETHER; i++)
    while (book_state(rig, asked[i].name) != (run[i] == delete_thread ? RULE_DELETING : RULE_VALIDATED)) sched_yield();
  usleep(20000); /* from there it is a few steps to the queue */
  book_let_go(rig);
  pthread_join(thread, NULL);
  for (unsigned i = 0; i < TOGETHER; i++) pthread_join(threads[i], NULL);
  assert_int_equal(held.status, 0);
}

static void what_comes_together_is_made_together(void **state) {
  (void)state;
  struct book_rig rig;
  struct rule_view view;
  void *(*run[TOGETHER])(void *) = {create_thread, update_thread, delete_thread, create_thread};
  for (unsigned poisoned = 0; poisoned < 2; poisoned++) {
    open_with_two(&rig);
    assert_int_equal(book_create(&rig, "third", "root"), 0);
    struct asked asked[TOGETHER] = {{.rig = &rig, .name = "new", .condition = "root"},
                                    {.rig = &rig, .name = "second", .condition = "duration > 3s"},
                                    {.rig = &rig, .name = "third"},
                                    {.rig = &rig, .name = "other", .condition = "root"}};
    rig.poison = poisoned ? "other" : NULL;
    const unsigned published = rig.published;
    change_together(&rig, asked, run);
    for (unsigned i = 0; i < TOGETHER; i++) assert_int_equal(asked[i].status, poisoned && i == 3 ? -EINVAL : 0);
    assert_int_equal(rig.published - published, poisoned ? 4 : 2); /* the one held, and the rest */
    rule_book_read(rig.book, &view);
    assert_int_equal(view.generation, poisoned ? 7 : 5);
    assert_null(rule_set_find(view.set, "third"));
    assert_int_equal(rule_set_find(view.set, "other") != NULL, !poisoned);
    const struct rule_version *updated = rule_record_newest(rule_ledger_find(view.ledger, "second"));
    assert_int_equal(updated->action, RULE_ACTION_UPDATE);
    assert_string_equal(updated->who, "somebody");
    assert_int_equal(rule_record_newest(rule_ledger_find(view.ledger, "third"))->action, RULE_ACTION_DELETE);
    if (!poisoned) assert_int_equal(rule_ledger_generation_at(view.ledger, 0)->action, RULE_ACTION_SEVERAL);
    assert_int_equal(view.in_state[RULE_PERSISTED], poisoned ? 3 : 4);
    rule_book_release(rig.book);
    struct before before = remember(&rig);
    rig.poison = NULL;
    book_rig_recover(&rig, 0, rig.record_count, HISTORY);
    expect_same(&rig, &before, true);
    free(before.text);
    free(before.ledger);
    book_rig_close(&rig);
  }
}

#define CLIENTS 10u
#define OPERATIONS 10u

struct client {
  struct book_rig *rig;
  unsigned number, busy, done;
};

/* All on rules of its own, and in between on one that everybody wants. */
static void *run_client(void *context) {
  struct client *client = context;
  char name[32], condition[32];
  for (unsigned i = 0; i < OPERATIONS; i++) {
    snprintf(name, sizeof name, "rule-%u-%u", client->number, i / 2);
    snprintf(condition, sizeof condition, "duration > %us", client->number * 100 + i);
    const int own = i % 2 ? book_update(client->rig, name, condition) : book_create(client->rig, name, condition);
    const int shared = book_update(client->rig, "shared", condition);
    client->done += own == 0;
    client->done += shared == 0;
    client->busy += shared == -EBUSY;
  }
  return NULL;
}

static void many_clients(void **state) {
  (void)state;
  struct book_rig rig;
  struct client clients[CLIENTS];
  pthread_t threads[CLIENTS];
  book_rig_open(&rig, HISTORY);
  assert_int_equal(book_create(&rig, "shared", "root"), 0);
  unsigned done = 1, busy = 0;
  for (unsigned i = 0; i < CLIENTS; i++) {
    clients[i] = (struct client){.rig = &rig, .number = i};
    assert_int_equal(pthread_create(&threads[i], NULL, run_client, &clients[i]), 0);
  }
  for (unsigned i = 0; i < CLIENTS; i++) {
    pthread_join(threads[i], NULL);
    done += clients[i].done;
    busy += clients[i].busy;
  }
  assert_int_equal(done + busy, 1 + 2 * CLIENTS * OPERATIONS);
  struct rule_view view;
  rule_book_read(rig.book, &view);
  assert_in_range(view.generation, done / (2 * CLIENTS), done); /* those that come together share one */
  assert_int_equal(rule_set_count(view.set), 1 + CLIENTS * OPERATIONS / 2);
  assert_int_equal(rule_record_current(rule_ledger_find(view.ledger, "shared"))->version, done - CLIENTS * OPERATIONS);
  rule_book_release(rig.book);
  struct before before = remember(&rig);
  book_rig_recover(&rig, 0, rig.record_count, HISTORY);
  expect_same(&rig, &before, true);
  free(before.text);
  free(before.ledger);
  book_rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_failure_leaves_what_was), cmocka_unit_test(refusals),
                                     cmocka_unit_test(update_and_delete_exclude_each_other),
                                     cmocka_unit_test(what_comes_together_is_made_together), cmocka_unit_test(many_clients)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
