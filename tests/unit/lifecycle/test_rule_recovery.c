/* What comes back after a stop at any record: random lives, cut anywhere, with snapshots; histories that are bounded; the records
 * of an earlier release; bytes that are no records. */
#include "book_rig.h"
#include "cmocka_test.h"
#include "rule_outline.h"
#include "rule_text_diff.h"
#include "test_random.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY (1u << 20)
#define STEPS 60u

/* What there was when so many records were there. */
struct point {
  size_t records, ledger_bytes;
  char *text;
  void *ledger;
};

struct life {
  struct book_rig rig;
  struct point points[STEPS + 1];
  size_t point_count;
  size_t snapshot_begin, covered_until; /* of the last snapshot: its first record, and how much it says again */
};

static void mark(struct life *life) {
  struct point *point = &life->points[life->point_count++];
  point->records = life->rig.record_count;
  point->text = book_text(&life->rig);
  point->ledger = book_ledger(&life->rig, &point->ledger_bytes);
}

static void step(struct life *life, struct test_random *random) {
  struct book_rig *rig = &life->rig;
  char name[16], condition[32];
  const char *names[] = {name}, *tags[] = {"r"};
  snprintf(name, sizeof name, "rule-%u", (unsigned)(random_below(random, 6)));
  snprintf(condition, sizeof condition, "duration > %us", (unsigned)(random_below(random, 4)));
  struct rule_request request = {.names = names, .name_count = 1, .who = "chance"};
  size_t bytes;
  switch (random_below(random, 9)) {
  case 0:
  case 1:
    book_create(rig, name, condition);
    return;
  case 2:
  case 3:
    book_update(rig, name, condition);
    return;
  case 4:
    book_delete(rig, name);
    return;
  case 5:
    request.action = random_below(random, 2) ? RULE_ACTION_ENABLE : RULE_ACTION_DISABLE;
    if (random_below(random, 2)) {
      request.name_count = 0;
      request.tags = tags;
      request.tag_count = 1;
    }
    break;
  case 6:
    request.action = RULE_ACTION_ROLLBACK;
    request.version = (uint32_t)(1 + random_below(random, 5));
    break;
  case 7:
    request.action = RULE_ACTION_ROLLBACK_SET;
    request.generation = 1 + random_below(random, (uint32_t)life->point_count + 1);
    break;
  default:
    life->covered_until = life->snapshot_begin = rig->record_count;
    assert_int_equal(rule_book_snapshot(rig->book, &bytes), 0);
    return;
  }
  book_change(rig, &request);
}

static void expect_point(struct life *life, const struct point *point) {
  size_t bytes;
  char *text = book_text(&life->rig);
  void *ledger = book_ledger(&life->rig, &bytes);
  assert_string_equal(text, point->text);
  assert_int_equal(bytes, point->ledger_bytes);
  free(text);
  free(ledger);
}

static void live(struct life *life, uint64_t seed, size_t history_bytes_max) {
  struct test_random random = {.state = seed};
  memset(life, 0, sizeof *life);
  book_rig_open(&life->rig, history_bytes_max);
  book_create(&life->rig, "rule-0", "root");
  mark(life);
  for (unsigned i = 0; i < STEPS; i++) {
    step(life, &random);
    mark(life);
  }
}

static void end(struct life *life) {
  for (size_t i = 0; i < life->point_count; i++) {
    free(life->points[i].text);
    free(life->points[i].ledger);
  }
  book_rig_close(&life->rig);
}

/* After every record: the state of the last whole stream, and nothing between two. */
static void any_record_may_be_the_last(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct life life;
    live(&life, seed, HISTORY);
    const size_t all = life.rig.record_count;
    size_t point = 0;
    for (size_t count = life.points[0].records; count <= all; count++) {
      while (point + 1 < life.point_count && life.points[point + 1].records <= count) point++;
      book_rig_recover(&life.rig, 0, count, HISTORY);
      expect_point(&life, &life.points[point]);
    }
    end(&life);
  }
}

/* From a snapshot on, or from a while before it: what is read of changes before it does no harm. */
static void a_snapshot_stands_for_all_before_it(void **state) {
  (void)state;
  unsigned from_snapshots = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    struct life life;
    live(&life, seed, HISTORY);
    const size_t all = life.rig.record_count, begin = life.snapshot_begin;
    for (size_t before = 0; before < 12 && begin > 0 && before <= begin; before++) {
      book_rig_recover(&life.rig, begin - before, all, HISTORY);
      expect_point(&life, &life.points[life.point_count - 1]);
      from_snapshots++;
    }
    /* And it goes on from there. */
    assert_int_equal(book_create(&life.rig, "later", "root"), 0);
    end(&life);
  }
  assert_true(from_snapshots > 100);
}

static const struct rule_record *record_of(struct book_rig *rig, struct rule_view *view, const char *name) {
  rule_book_read(rig->book, view);
  rule_book_release(rig->book); /* nobody else is there */
  return rule_ledger_find(view->ledger, name);
}

static void a_hundred_versions_are_kept(void **state) {
  (void)state;
  struct book_rig rig;
  struct rule_view view;
  char condition[32];
  book_rig_open(&rig, HISTORY);
  assert_int_equal(book_create(&rig, "busy", "root"), 0);
  assert_int_equal(book_create(&rig, "calm", "root"), 0);
  for (unsigned i = 0; i < 150; i++) {
    snprintf(condition, sizeof condition, "duration > %us", i);
    assert_int_equal(book_update(&rig, "busy", condition), 0);
  }
  for (unsigned recovered = 0; recovered < 2; recovered++) {
    const struct rule_record *record = record_of(&rig, &view, "busy");
    assert_int_equal(record->version_count, RULE_VERSIONS_MAX);
    assert_true(record->shortened);
    assert_int_equal(rule_record_newest(record)->version, 151);
    assert_null(rule_record_version(record, 51));
    assert_non_null(rule_record_version(record, 52));
    assert_int_equal(rule_ledger_oldest_whole(view.ledger), 53); /* version 52 of `busy` is of it */
    assert_null(rule_ledger_generation_at(view.ledger, RULE_GENERATIONS_MAX));
    assert_int_equal(rule_ledger_generation_at(view.ledger, 0)->generation, 152);
    assert_int_equal(record_of(&rig, &view, "calm")->version_count, 1);
    book_rig_recover(&rig, 0, rig.record_count, HISTORY);
  }
  struct rule_request request = {.action = RULE_ACTION_ROLLBACK_SET, .generation = 52, .who = "w"};
  assert_int_equal(book_change(&rig, &request), -ENODATA);
  request.generation = 53;
  assert_int_equal(book_change(&rig, &request), 0);
  char *text = book_text(&rig);
  assert_non_null(strstr(text, "duration > 50s"));
  free(text);
  book_rig_close(&rig);
}

static void history_is_bounded_by_bytes(void **state) {
  (void)state;
  struct book_rig rig;
  struct rule_view view;
  char name[16];
  const size_t bound = 4096;
  book_rig_open(&rig, bound);
  for (unsigned i = 0; i < 200; i++) {
    snprintf(name, sizeof name, "rule-%u", i);
    assert_int_equal(book_create(&rig, name, "root"), 0);
    if (i % 2) assert_int_equal(book_delete(&rig, name), 0);
  }
  assert_null(record_of(&rig, &view, "rule-1")); /* deleted, and forgotten */
  assert_non_null(record_of(&rig, &view, "rule-199"));
  assert_int_equal(record_of(&rig, &view, "rule-0")->version_count, 1);
  const struct rule_ledger_counters counters = rule_ledger_count(view.ledger);
  assert_true(counters.history_bytes <= bound && counters.history_bytes > bound / 2);
  assert_true(counters.versions_forgotten > 100);
  assert_int_equal(rule_ledger_in_force(view.ledger), 100);
  assert_int_equal(book_create(&rig, "rule-199", "root"), 0);
  assert_int_equal(rule_record_newest(record_of(&rig, &view, "rule-199"))->version, 3); /* no number twice */
  char *before = book_text(&rig);
  book_rig_recover(&rig, 0, rig.record_count, bound);
  char *after = book_text(&rig);
  assert_string_equal(after, before);
  free(before);
  free(after);
  book_rig_close(&rig);
}

static void keep(struct book_rig *rig, const void *record, uint32_t bytes) {
  rig->records = reallocarray(rig->records, rig->record_count + 1, sizeof *rig->records);
  rig->record_capacity = rig->record_count + 1;
  rig->records[rig->record_count].header = malloc(bytes);
  memcpy(rig->records[rig->record_count++].header, record, bytes);
}

/* A set as earlier releases wrote it: its begin has no kind. */
static void keep_former(struct book_rig *rig, const char *text, uint64_t stream) {
  const uint32_t length = (uint32_t)strlen(text), begin_bytes = offsetof(struct rules_begin_record, kind);
  const struct rules_begin_record begin = {
      .header = {.type = RECORD_RULES_BEGIN, .bytes = begin_bytes}, .stream = stream, .total_bytes = length};
  keep(rig, &begin, begin_bytes);
  struct rules_chunk_record *chunk = calloc(1, sizeof *chunk + length);
  chunk->header = (struct record_header){.type = RECORD_RULES_CHUNK, .bytes = (uint32_t)sizeof *chunk + length};
  chunk->stream = stream;
  chunk->bytes = length;
  memcpy(chunk->text, text, length);
  keep(rig, chunk, chunk->header.bytes);
  free(chunk);
  const struct rules_commit_record commit = {
      .header = {.type = RECORD_RULES_COMMIT, .bytes = sizeof commit, .wall_ns = stream}, .stream = stream, .who = "old"};
  keep(rig, &commit, sizeof commit);
}

static void sets_of_an_earlier_release_are_read(void **state) {
  (void)state;
  struct book_rig rig;
  struct rule_view view;
  book_rig_open(&rig, HISTORY);
  keep_former(&rig, "rules:\n  - {name: b, on: span, if: root, version: 4}\n  - {name: a, on: span, if: root}\n", 7);
  keep_former(&rig, "rules:\n  - {name: b, on: span, if: root, version: 4}\n  - {name: a, on: span, if: root}\n",
              8); /* a snapshot */
  keep_former(&rig, "rules:\n  - {name: b, on: span, if: duration > 1s, version: 5}\n", 9);
  book_rig_recover(&rig, 0, rig.record_count, HISTORY);
  char *text = book_text(&rig);
  assert_non_null(strstr(text, "duration > 1s"));
  assert_null(strstr(text, "name: 'a'"));
  free(text);
  const struct rule_record *record = record_of(&rig, &view, "b");
  assert_int_equal(view.generation, 2);
  assert_int_equal(record->version_count, 2);
  assert_int_equal(rule_record_newest(record)->version, 5);
  assert_int_equal(book_update(&rig, "b", "duration > 2s"), 0);
  book_rig_recover(&rig, 0, rig.record_count, HISTORY);
  assert_int_equal(rule_record_newest(record_of(&rig, &view, "b"))->version, 6);
  book_rig_close(&rig);
}

/* A hole in the journal, as salvage leaves one: told, and what is there counts. */
static void a_gap_is_told(void **state) {
  (void)state;
  struct book_rig rig;
  struct rule_result result;
  book_rig_open(&rig, HISTORY);
  assert_int_equal(book_create(&rig, "a", "root"), 0);
  assert_int_equal(book_create(&rig, "b", "root"), 0);
  const size_t hole = rig.record_count;
  assert_int_equal(book_update(&rig, "a", "duration > 1s"), 0);
  const size_t hole_end = rig.record_count;
  assert_int_equal(book_update(&rig, "a", "duration > 2s"), 0);
  assert_int_equal(book_delete(&rig, "b"), 0);
  struct rule_book *first = rig.book;
  struct book_rig again = rig;
  again.book = NULL;
  book_rig_recover(&again, 0, 0, HISTORY);
  for (size_t i = 0; i < rig.record_count; i++)
    if (i < hole || i >= hole_end) rule_book_recover(again.book, rig.records[i].header);
  assert_int_equal(rule_book_recovered(again.book, &result), 1);
  assert_non_null(strstr(result.refusal, "do not follow"));
  rule_result_free(&result);
  char *text = book_text(&again);
  assert_non_null(strstr(text, "duration > 2s"));
  assert_null(strstr(text, "name: 'b'"));
  free(text);
  rule_book_destroy(first);
  assert_int_equal(book_update(&again, "a", "duration > 3s"), 0);
  book_rig_close(&again);
}

static void cut_or_changed_bytes_are_no_records(void **state) {
  (void)state;
  struct rule_change_item items[] = {{.name = "a", .text = "  - name: 'a'\n", .text_bytes = 14, .version = 1},
                                     {.name = "b", .expected_version = 3, .version = 4}};
  const struct rule_change change = {.from_generation = 4,
                                     .to_generation = 5,
                                     .wall_ns = 6,
                                     .action = RULE_ACTION_APPLY,
                                     .who = "me",
                                     .items = items,
                                     .count = 2};
  struct rule_change back;
  size_t length;
  uint8_t *bytes = rule_change_encode(&change, &length);
  assert_int_equal(rule_change_decode(bytes, length, &back), 0);
  assert_int_equal(back.count, 2);
  assert_string_equal(back.who, "me");
  assert_string_equal(back.items[0].text, items[0].text);
  assert_null(back.items[1].text);
  assert_int_equal(back.items[1].expected_version, 3);
  free(back.items);
  for (size_t cut = 0; cut < length; cut++) {
    uint8_t *part = malloc(cut + 1);
    memcpy(part, bytes, cut);
    assert_int_equal(rule_change_decode(part, cut, &back), -EBADMSG);
    free(part);
  }
  for (size_t at = 0; at < length; at++)
    for (unsigned bit = 0; bit < 8; bit++) {
      bytes[at] ^= (uint8_t)(1u << bit);
      if (rule_change_decode(bytes, length, &back) == 0) free(back.items);
      bytes[at] ^= (uint8_t)(1u << bit);
    }
  free(bytes);
  struct life life;
  live(&life, 3, HISTORY);
  uint8_t *ledger = book_ledger(&life.rig, &length);
  for (size_t cut = 0; cut < length; cut++) {
    uint8_t *part = malloc(cut + 1);
    memcpy(part, ledger, cut);
    assert_null(rule_ledger_decode(part, cut, HISTORY));
    free(part);
  }
  for (size_t at = 0; at < length; at++) {
    ledger[at] ^= 0x10;
    rule_ledger_destroy(rule_ledger_decode(ledger, length, HISTORY));
    ledger[at] ^= 0x10;
  }
  free(ledger);
  end(&life);
}

static void differences_of_texts(void **state) {
  (void)state;
  static const char *const pairs[][3] = {{"a\nb\nc\n", "a\nb\nc\n", " a\n b\n c\n"},
                                         {"a\nb\nc\n", "a\nc\n", " a\n-b\n c\n"},
                                         {"", "x\ny", "+x\n+y\n"},
                                         {"x\n", "", "-x\n"},
                                         {"a\nb\n", "b\na\n", "-a\n b\n+a\n"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    char *diff = rule_text_diff(pairs[i][0], strlen(pairs[i][0]), pairs[i][1], strlen(pairs[i][1]));
    assert_string_equal(diff, pairs[i][2]);
    free(diff);
  }
}

static void where_rules_stand(void **state) {
  (void)state;
  static const char text[] = "macros: {rules: [x]}\nrules:\n- name: a\n  tags: [name, b]\n- {x: {name: no}, name: b}\n- "
                             "word\n-\n  on: name\n  name: c\n- id: d\n- {id: e, name: a text}\n- {name: f, id: g}\n";
  struct rule_outline outline;
  rule_outline_read(text, sizeof text - 1, &outline);
  assert_int_equal(outline.count, 7);
  static const struct {
    uint32_t line;
    const char *name;
  } wanted[] = {{3, "a"}, {5, "b"}, {6, ""}, {8, "c"}, {10, "d"}, {11, "e"}, {12, "f"}};
  for (size_t i = 0; i < 7; i++) {
    assert_int_equal(outline.items[i].line, wanted[i].line);
    assert_string_equal(outline.items[i].name, wanted[i].name);
  }
  assert_int_equal(rule_outline_at(&outline, 4), 0);
  assert_int_equal(rule_outline_at(&outline, 9), 3);
  assert_true(rule_outline_at(&outline, 2) == SIZE_MAX);
  rule_outline_free(&outline);
  rule_outline_read("rules: [{name: a}, {name", 24, &outline);
  assert_string_equal(outline.items[0].name, "a");
  rule_outline_free(&outline);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(any_record_may_be_the_last),
                                     cmocka_unit_test(a_snapshot_stands_for_all_before_it),
                                     cmocka_unit_test(a_hundred_versions_are_kept),
                                     cmocka_unit_test(history_is_bounded_by_bytes),
                                     cmocka_unit_test(sets_of_an_earlier_release_are_read),
                                     cmocka_unit_test(a_gap_is_told),
                                     cmocka_unit_test(cut_or_changed_bytes_are_no_records),
                                     cmocka_unit_test(differences_of_texts),
                                     cmocka_unit_test(where_rules_stand)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
