/* The table against a flat list that is searched from end to end, over random histories; and each named answer once by hand. */
#include "cmocka_test.h"
#include "heap_arena.h"
#include "replay_table.h"
#include "test_random.h"
#include <string.h>

#define CAPACITY 24
#define IDS 60
#define SLOTS 64 /* twice the capacity, rounded up to a power of two */

static const struct siphash_key hash_key = {1, 2};

static struct replay_key key_of(uint32_t id) {
  char text[8];
  for (unsigned i = 0; i < sizeof text; i++) text[i] = (char)('a' + (id >> (4 * i) & 15));
  return replay_key_of("orders", 6, text, sizeof text);
}

struct remembered {
  bool used, settled;
  uint8_t body;
  uint64_t until_ns;
  uint16_t status;
};

struct model {
  struct remembered ids[IDS];
  uint32_t live;
};

static struct replay_table *table_create(struct heap_arena *arena) {
  struct replay_table *table = replay_table_create(heap_arena_arena(arena), CAPACITY, &hash_key);
  assert_non_null(table);
  return table;
}

static void digest_of(uint8_t body, uint8_t digest[32]) {
  memset(digest, 0, 32);
  digest[31] = body;
}

static enum replay_verdict claim(struct replay_table *table, uint32_t id, uint8_t body, uint64_t until_ns,
                                 struct replay_answer *answer) {
  const struct replay_key key = key_of(id);
  uint8_t digest[32];
  digest_of(body, digest);
  return replay_claim(table, &key, digest, until_ns, answer);
}

static void settle(struct replay_table *table, uint32_t id, uint16_t status) {
  const struct replay_key key = key_of(id);
  const struct replay_answer answer = {.status = status, .correlation_id = {(uint8_t)id, 7}};
  replay_settle(table, &key, &answer);
}

static void release(struct replay_table *table, uint32_t id) {
  const struct replay_key key = key_of(id);
  replay_release(table, &key);
}

static bool restore(struct replay_table *table, uint32_t id, uint8_t body, uint64_t until_ns, uint16_t status) {
  const struct replay_key key = key_of(id);
  const struct replay_answer answer = {.status = status, .correlation_id = {(uint8_t)id, 7}};
  uint8_t digest[32];
  digest_of(body, digest);
  return replay_restore(table, &key, digest, until_ns, &answer);
}

static enum replay_verdict expected_claim(struct model *model, uint32_t id, uint8_t body, uint64_t until_ns) {
  struct remembered *known = &model->ids[id];
  if (!known->used) {
    if (model->live == CAPACITY) return REPLAY_FULL;
    *known = (struct remembered){.used = true, .body = body, .until_ns = until_ns};
    model->live++;
    return REPLAY_NEW;
  }
  if (known->body != body) return REPLAY_CONFLICT;
  return known->settled ? REPLAY_SAME : REPLAY_PENDING;
}

static void expire_model(struct model *model, uint64_t now_ns) {
  for (uint32_t id = 0; id < IDS; id++) {
    if (!model->ids[id].used || !model->ids[id].settled || model->ids[id].until_ns > now_ns) continue;
    model->ids[id].used = false;
    model->live--;
  }
}

static void step(struct replay_table *table, struct model *model, struct test_random *random, uint64_t now_ns) {
  const uint32_t id = random_below(random, IDS);
  const uint8_t body = (uint8_t)random_below(random, 2);
  const uint64_t until_ns = now_ns + random_below(random, 400);
  struct remembered *known = &model->ids[id];
  struct replay_answer answer = {0};
  switch (random_below(random, 8)) {
  case 0:
    if (!known->used || known->settled) break;
    release(table, id);
    known->used = false;
    model->live--;
    break;
  case 1:
    replay_expire(table, now_ns, 2 * SLOTS + CAPACITY); /* each hit looks at the same slot again */
    expire_model(model, now_ns);
    break;
  case 2: {
    const bool room = known->used || model->live < CAPACITY;
    assert_int_equal(restore(table, id, body, until_ns, 200), room);
    if (known->used || !room) break;
    *known = (struct remembered){.used = true, .settled = true, .body = body, .until_ns = until_ns, .status = 200};
    model->live++;
    break;
  }
  case 3:
  case 4:
    if (!known->used || known->settled) break;
    known->settled = true;
    known->status = (uint16_t)(200 + random_below(random, 300));
    settle(table, id, known->status);
    break;
  default: {
    const enum replay_verdict expected = expected_claim(model, id, body, until_ns);
    assert_int_equal(claim(table, id, body, until_ns, &answer), expected);
    if (expected != REPLAY_SAME) break;
    assert_int_equal(answer.status, known->status);
    assert_int_equal(answer.correlation_id[0], id);
  }
  }
  assert_int_equal(replay_table_counters(table)->live, model->live);
}

static void random_histories_agree_with_a_list(void **state) {
  (void)state;
  uint64_t full = 0, expired = 0, released = 0, same = 0, conflicts = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    struct heap_arena *arena = heap_arena_create();
    struct replay_table *table = table_create(arena);
    struct test_random random = {seed};
    struct model model = {0};
    for (uint64_t now_ns = 1; now_ns < 4000; now_ns++) step(table, &model, &random, now_ns);
    const struct replay_counters *counters = replay_table_counters(table);
    full += counters->full, expired += counters->expired, released += counters->released;
    same += counters->same, conflicts += counters->conflicts;
    heap_arena_destroy(arena);
  }
  assert_true(full && expired && released && same && conflicts); /* the histories went everywhere */
}

static void a_full_table_refuses_new_ids_only(void **state) {
  (void)state;
  struct heap_arena *arena = heap_arena_create();
  struct replay_table *table = table_create(arena);
  struct replay_answer answer;
  for (uint32_t id = 0; id < CAPACITY; id++) assert_int_equal(claim(table, id, 0, 100, &answer), REPLAY_NEW);
  assert_int_equal(claim(table, CAPACITY, 0, 100, &answer), REPLAY_FULL);
  assert_false(restore(table, CAPACITY, 0, 100, 200));
  assert_int_equal(claim(table, 3, 0, 100, &answer), REPLAY_PENDING);
  assert_int_equal(claim(table, 3, 1, 100, &answer), REPLAY_CONFLICT);
  release(table, 3);
  assert_int_equal(claim(table, CAPACITY, 0, 100, &answer), REPLAY_NEW);
  assert_int_equal(replay_table_counters(table)->full, 1);
  heap_arena_destroy(arena);
}

static void an_id_is_forgotten_at_its_time_and_a_pending_one_never(void **state) {
  (void)state;
  struct heap_arena *arena = heap_arena_create();
  struct replay_table *table = table_create(arena);
  struct replay_answer answer;
  claim(table, 1, 0, 100, &answer);
  claim(table, 2, 0, 100, &answer);
  settle(table, 1, 202);
  assert_int_equal(replay_expire(table, 99, 4 * SLOTS), 0);
  assert_int_equal(claim(table, 1, 0, 100, &answer), REPLAY_SAME);
  assert_int_equal(answer.status, 202);
  assert_int_equal(replay_expire(table, 100, 4 * SLOTS), 1);
  assert_int_equal(claim(table, 1, 1, 300, &answer), REPLAY_NEW);
  assert_int_equal(replay_expire(table, UINT64_MAX, 4 * SLOTS), 0);
  assert_int_equal(claim(table, 2, 0, 100, &answer), REPLAY_PENDING);
  heap_arena_destroy(arena);
}

static void expiry_looks_at_no_more_than_it_may(void **state) {
  (void)state;
  struct heap_arena *arena = heap_arena_create();
  struct replay_table *table = table_create(arena);
  for (uint32_t id = 0; id < CAPACITY; id++) assert_true(restore(table, id, 0, 1, 200));
  uint32_t expired = 0, calls = 0;
  while (expired < CAPACITY) {
    const uint32_t now = replay_expire(table, 2, 4);
    assert_in_range(now, 0, 4);
    expired += now;
    assert_true(++calls < 2 * SLOTS);
  }
  assert_int_equal(replay_table_counters(table)->live, 0);
  heap_arena_destroy(arena);
}

static void the_key_keeps_source_and_id_apart(void **state) {
  (void)state;
  const struct replay_key first = replay_key_of("ab", 2, "c", 1), second = replay_key_of("a", 1, "bc", 2);
  assert_memory_not_equal(&first, &second, sizeof first);
  const struct replay_key again = replay_key_of("ab", 2, "c", 1);
  assert_memory_equal(&first, &again, sizeof first);
}

static void without_memory_there_is_no_table(void **state) {
  (void)state;
  for (unsigned takes = 0; takes < 2; takes++) {
    struct heap_arena *arena = heap_arena_create();
    heap_arena_limit(arena, takes);
    assert_null(replay_table_create(heap_arena_arena(arena), CAPACITY, &hash_key));
    heap_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_histories_agree_with_a_list),
      cmocka_unit_test(a_full_table_refuses_new_ids_only),
      cmocka_unit_test(an_id_is_forgotten_at_its_time_and_a_pending_one_never),
      cmocka_unit_test(expiry_looks_at_no_more_than_it_may),
      cmocka_unit_test(the_key_keeps_source_and_id_apart),
      cmocka_unit_test(without_memory_there_is_no_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
