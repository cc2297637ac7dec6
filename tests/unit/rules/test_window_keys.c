/* The life of a window's keys: silence and repeats, absence, eviction, new rules, a full ring, several shards. */
#include "window_firings.h"
#include <stdio.h>
#include <stdlib.h>

static const struct rig_limits roomy = {1u << 20, 4096, 256, 512};

#define SECONDS(count) ((uint64_t)(count)*RIG_SECOND)

static struct rig_span span(uint64_t trace, const char *name, const char *service, int64_t amount) {
  static uint64_t last;
  return (struct rig_span){trace, ++last, name, service, amount, false};
}

static void send_to(struct engine_rig *rig, uint32_t engine, const char *name, const char *service, int64_t amount,
                    uint32_t times) {
  for (uint32_t i = 0; i < times; i++) {
    const struct rig_span one = span(1 + (uint64_t)random() % 1000, name, service, amount);
    assert_true(rig_send(rig, engine, &one));
  }
  rig_deliver(rig);
}

static void pass(struct engine_rig *rig, uint64_t ns) {
  const uint64_t end_ns = rig->now_ns + ns, most_ns = RIG_SECOND / 50;
  while (rig->now_ns < end_ns) rig_pass(rig, end_ns - rig->now_ns < most_ns ? end_ns - rig->now_ns : most_ns);
}

static uint64_t total(struct engine_rig *rig, size_t offset) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < rig->engines; i++) {
    uint64_t counter;
    memcpy(&counter, (const char *)engine_counters(rig->engine[i]) + offset, sizeof counter);
    sum += counter;
  }
  return sum;
}
#define TOTAL(rig, field) total(rig, offsetof(struct engine_counters, field))

static const char held[] =
    "rules:\n"
    "  - {name: held, on: span, if: 'name = \"x\"', window: 'count by (service) over 10s >= 3', for: 2s}\n";

static void test_for_is_broken_by_what_leaves(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, held);
  send_to(&rig, 0, "x", "a", 1, 2);
  pass(&rig, SECONDS(9));
  send_to(&rig, 0, "x", "a", 1, 1); /* three, until the first two leave within two seconds */
  pass(&rig, SECONDS(5));
  assert_int_equal(read_firings(&rig).count, 0);
  send_to(&rig, 0, "x", "a", 1, 2); /* three again, and they stay */
  pass(&rig, SECONDS(2) - 1);
  assert_int_equal(read_firings(&rig).count, 0);
  pass(&rig, 4000000);
  const struct firings firings = read_firings(&rig);
  assert_int_equal(firings.count, 1);
  assert_int_equal(firings.at[0].count, 3);
  pass(&rig, SECONDS(30));
  assert_int_equal(read_firings(&rig).count, 0);
  assert_int_equal(engine_counters(rig.engine[0])->window_keys_live, 0);
  assert_int_equal(engine_counters(rig.engine[0])->window_blocks_in_use, 0);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_repeat_after(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy,
           "rules:\n"
           "  - {name: r, on: span, if: 'name = \"x\"', window: 'count by (service) over 1s > 0', repeat_after: 10s}\n");
  send_to(&rig, 0, "x", "a", 1, 1);
  assert_int_equal(read_firings(&rig).count, 1);
  for (unsigned i = 0; i < 4; i++) { /* true and false again, four times in the silence */
    pass(&rig, SECONDS(2));
    send_to(&rig, 0, "x", "a", 1, 1);
  }
  assert_int_equal(read_firings(&rig).count, 0);
  assert_int_equal(TOTAL(&rig, window_suppressed[WINDOW_SILENCE_REPEAT]), 4);
  pass(&rig, SECONDS(3));
  send_to(&rig, 0, "x", "a", 1, 1);
  struct firings firings = read_firings(&rig);
  assert_int_equal(firings.count, 1);
  assert_int_equal(firings.at[0].suppressed, 4);
  for (unsigned i = 0; i < 45; i++) { /* true without a break: it is said again each time the silence is over */
    pass(&rig, RIG_SECOND / 2);
    send_to(&rig, 0, "x", "a", 1, 1);
  }
  firings = read_firings(&rig);
  assert_int_equal(firings.count, 2);
  assert_int_equal(firings.at[1].wall_ns / RIG_SECOND - firings.at[0].wall_ns / RIG_SECOND, 10);
  rig_close(&rig);
}

static const char absent[] = "rules:\n"
                             "  - {name: gone, on: span, if: 'name = \"beat\"', window: 'absent by (service) for 5s'}\n"
                             "  - {name: dead, on: span, if: 'name = \"beat\"', window: 'absent for 8s', repeat_after: 4s}\n";

static void test_absence_without_traffic(void **state) {
  struct engine_rig rig;
  (void)state;
  for (uint32_t engines = 1; engines <= 4; engines++) {
    rig_open(&rig, engines, &roomy, absent);
    pass(&rig, SECONDS(8) - 10000000);
    assert_int_equal(read_firings(&rig).count, 0);
    pass(&rig, 40000000); /* never a beat since the start */
    struct firings firings = read_firings(&rig);
    assert_int_equal(firings.count, 1);
    assert_string_equal(firings.at[0].rule, "dead");
    pass(&rig, SECONDS(4));
    assert_int_equal(read_firings(&rig).count, 1); /* still none: repeated */
    send_to(&rig, engines - 1, "beat", "a", 1, 1);
    pass(&rig, SECONDS(3));
    send_to(&rig, 0, "beat", "b", 1, 1);
    pass(&rig, SECONDS(2) + 20000000);
    firings = read_firings(&rig);
    assert_int_equal(firings.count, 1);
    assert_string_equal(firings.at[0].rule, "gone");
    assert_string_equal(firings.at[0].key, "a");
    assert_int_equal(firings.at[0].last_seen_ns % RIG_SECOND, firings.at[0].first_seen_ns % RIG_SECOND);
    pass(&rig, SECONDS(3));
    firings = read_firings(&rig);
    assert_int_equal(firings.count, 1);
    assert_string_equal(firings.at[0].key, "b");
    pass(&rig, SECONDS(60)); /* each key once; the whole again and again */
    firings = read_firings(&rig);
    for (uint32_t i = 0; i < firings.count; i++) assert_string_equal(firings.at[i].rule, "dead");
    assert_in_range(firings.count, 14, 15);
    assert_int_equal(TOTAL(&rig, window_keys_opened), 3);
    rig_check_laws(&rig);
    rig_close(&rig);
  }
}

static const char quiet[] = "rules:\n"
                            "  - {name: s, on: span, if: 'span.amount > 5', message: '${name} ${span.amount}',\n"
                            "     suppress: {by: [service], for: 10s}}\n"
                            "  - {name: n, on: span, if: 'span.amount < 0 || span.amount = 3', message: '${name}',\n"
                            "     threshold: {count: 3, over: 10s, by: [service]}}\n";

static void test_suppress_and_threshold_over_shards(void **state) {
  struct engine_rig rig;
  (void)state;
  for (uint32_t engines = 1; engines <= 4; engines++) {
    rig_open(&rig, engines, &roomy, quiet);
    for (uint32_t i = 0; i < 8; i++) send_to(&rig, i % engines, i == 0 ? "first" : "later", i % 2 ? "a" : "b", 6 + i, 1);
    struct firings firings = read_firings(&rig);
    assert_int_equal(firings.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
      assert_true(firings.at[i].has_trace);
      assert_int_equal(firings.at[i].count, 1);
      assert_string_equal(firings.at[i].message, firings.at[i].key[0] == 'a' ? "later 7" : "first 6");
      assert_string_equal(firings.at[i].service, firings.at[i].key);
    }
    assert_int_equal(TOTAL(&rig, window_suppressed[WINDOW_SILENCE_SUPPRESS]), 6);
    pass(&rig, SECONDS(10) + 5000000);
    send_to(&rig, 0, "again", "a", 9, 1);
    firings = read_firings(&rig);
    assert_int_equal(firings.count, 1);
    assert_int_equal(firings.at[0].suppressed, 3);
    pass(&rig, SECONDS(10));
    assert_int_equal(TOTAL(&rig, window_keys_expired), 2); /* b has stayed to say what it suppressed, in vain */
    for (uint32_t i = 0; i < 7; i++) {
      char name[8];
      snprintf(name, sizeof name, "n%u", i);
      send_to(&rig, (i + 1) % engines, name, "c", 3, 1);
    }
    firings = read_firings(&rig);
    assert_int_equal(firings.count, 1);
    assert_string_equal(firings.at[0].rule, "n");
    assert_string_equal(firings.at[0].message, "n2"); /* the third */
    assert_int_equal(firings.at[0].count, 3);
    rig_check_laws(&rig);
    rig_close(&rig);
  }
}

static void test_suppressed_trace_rules(void **state) {
  struct engine_rig rig;
  (void)state;
  for (uint32_t engines = 1; engines <= 4; engines++) {
    rig_open(&rig, engines, &roomy,
             "rules:\n"
             "  - {name: t, when: '{name = \"charge\"}', always: '{name = \"check\"}', message: '${service} ${span.amount}',\n"
             "     suppress: {by: [service], for: 1m}}\n");
    for (uint64_t trace = 1; trace <= 12; trace++) {
      const struct rig_span charge = span(trace, "charge", trace % 3 ? "a" : "b", (int64_t)trace);
      assert_true(rig_send(&rig, (uint32_t)trace % engines, &charge));
    }
    rig_deliver(&rig);
    pass(&rig, SECONDS(4));
    rig_deliver(&rig); /* the trace's owner tells the key's */
    const struct firings firings = read_firings(&rig);
    assert_int_equal(firings.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
      assert_true(firings.at[i].has_trace);
      assert_string_equal(firings.at[i].rule, "t");
      assert_memory_equal(firings.at[i].message, firings.at[i].key, 1);
    }
    assert_int_equal(TOTAL(&rig, window_suppressed[WINDOW_SILENCE_SUPPRESS]), 10);
    assert_int_equal(TOTAL(&rig, violations_emitted), 2);
    rig_check_laws(&rig);
    rig_close(&rig);
  }
}

static const char per_amount[] = "rules:\n"
                                 "  - {name: k, on: span, if: 'name = \"x\"', window: 'count by (span.amount) over 60s >= 2'}\n"
                                 "  - {name: all, on: span, if: 'name = \"x\"', window: 'count over 60s = 100'}\n";

static void test_the_oldest_keys_are_evicted_and_the_whole_is_not(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open_windows(&rig, 1, &roomy, 9, 32, per_amount);
  for (int64_t i = 0; i < 50; i++) send_to(&rig, 0, "x", "a", i, 1);
  assert_int_equal(engine_counters(rig.engine[0])->window_keys_live, 9);
  assert_int_equal(engine_counters(rig.engine[0])->window_keys_evicted, 42);
  assert_int_equal(read_firings(&rig).count, 0);
  send_to(&rig, 0, "x", "a", 49, 1); /* known still */
  send_to(&rig, 0, "x", "a", 3, 1);  /* forgotten */
  assert_int_equal(read_firings(&rig).count, 1);
  send_to(&rig, 0, "x", "a", 1000, 48);
  const struct firings firings = read_firings(&rig); /* 1000 at its second, and the hundredth of all */
  assert_int_equal(firings.count, 2);
  assert_int_equal(firings.at[1].count, 100);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_blocks_run_out(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open_windows(&rig, 1, &roomy, 64, 4,
                   "rules:\n  - {name: s, on: span, if: 'name = \"x\"', window: "
                   "'sum(span.amount) by (service) over 60s > 10'}\n");
  send_to(&rig, 0, "x", "a", 6, 1);
  send_to(&rig, 0, "x", "b", 6, 1);
  send_to(&rig, 0, "x", "c", 6, 1); /* two blocks a key: a goes */
  assert_int_equal(engine_counters(rig.engine[0])->window_keys_live, 2);
  assert_int_equal(engine_counters(rig.engine[0])->window_keys_evicted, 1);
  send_to(&rig, 0, "x", "b", 6, 1);
  assert_int_equal(read_firings(&rig).count, 1);
  rig_check_laws(&rig);
  rig_close(&rig);
  rig_open_windows(&rig, 1, &roomy, 0, 0, held);
  send_to(&rig, 0, "x", "a", 6, 5);
  assert_int_equal(engine_counters(rig.engine[0])->window_digests_unplaced, 5);
  rig_check_laws(&rig);
  rig_close(&rig);
}

#define COUNTED(name, more)                                                                                                      \
  "  - {name: " name ", on: span, if: 'name = \"x\"', window: 'count by (service) over 60s >= 4'" more "}\n"

static void test_new_rules_keep_what_unchanged_ones_know(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 2, &roomy, "rules:\n" COUNTED("stays", "") COUNTED("goes", "") COUNTED("changes", ""));
  send_to(&rig, 0, "x", "a", 1, 3);
  assert_int_equal(TOTAL(&rig, window_keys_opened), 3);
  rig_apply(&rig, "rules:\n" COUNTED("new", "") COUNTED("changes", ", for: 1s") COUNTED("stays", ", severity: high"));
  pass(&rig, SECONDS(1));
  assert_int_equal(TOTAL(&rig, window_keys_dropped), 2);
  send_to(&rig, 1, "x", "a", 1, 1);
  pass(&rig, SECONDS(2));
  struct firings firings = read_firings(&rig);
  assert_int_equal(firings.count, 1);
  assert_string_equal(firings.at[0].rule, "stays");
  assert_int_equal(firings.at[0].count, 4);
  send_to(&rig, 1, "x", "a", 1, 3);
  pass(&rig, SECONDS(2));
  firings = read_firings(&rig);
  assert_int_equal(firings.count, 2); /* those that began with the new rules */
  rig_apply(&rig, "rules: []\n");
  pass(&rig, SECONDS(1));
  assert_int_equal(engine_counters(rig.engine[0])->window_keys_live + engine_counters(rig.engine[1])->window_keys_live, 0);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_digests_of_rules_that_are_gone(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 2, &roomy, "rules:\n" COUNTED("stays", "") COUNTED("goes", ""));
  for (uint32_t i = 0; i < 4; i++) {
    const struct rig_span one = span(i + 1, "x", "a", 1);
    assert_true(rig_send(&rig, i % 2, &one));
  }
  rig_apply(&rig, "rules:\n" COUNTED("stays", ""));
  rig_deliver(&rig);
  assert_int_equal(TOTAL(&rig, window_digests_stale), 4);
  assert_int_equal(read_firings(&rig).count, 1);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_a_full_record_ring_delays(void **state) {
  struct engine_rig rig;
  (void)state;
  const struct rig_limits tight = {4096, 4096, 256, 512};
  rig_open(&rig, 1, &tight, quiet);
  const char services[] = "abcdefghijklmnopqrstuvwxyz";
  for (unsigned i = 0; i < 26; i++) {
    const char service[2] = {services[i], 0};
    send_to(&rig, 0, "x", service, 6, 2);
  }
  const struct engine_counters *counters = engine_counters(rig.engine[0]);
  assert_true(counters->violations_retried > 5);
  assert_true(counters->violations_emitted < 26);
  unsigned seen = 0;
  for (unsigned turn = 0; turn < 200 && seen < 26; turn++) {
    const struct firings firings = read_firings(&rig);
    for (uint32_t i = 0; i < firings.count; i++) {
      assert_string_equal(firings.at[i].message, "x 6"); /* the event itself, kept while it waited */
      assert_true(firings.at[i].has_trace);
    }
    seen += firings.count;
    rig_pass(&rig, RIG_SECOND / 100);
  }
  assert_int_equal(seen, 26);
  assert_int_equal(counters->violations_emitted, 26);
  assert_int_equal(counters->window_suppressed[WINDOW_SILENCE_SUPPRESS], 26);
  pass(&rig, SECONDS(20));
  assert_int_equal(counters->window_keys_live, 0);
  assert_int_equal(counters->window_blocks_in_use, 0);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_drain_waits_for_verdicts_and_drops_the_rest(void **state) {
  struct engine_rig rig;
  (void)state;
  const struct rig_limits tight = {2048, 4096, 256, 512};
  rig_open(&rig, 1, &tight, quiet);
  for (unsigned i = 0; i < 20; i++) {
    const char service[2] = {(char)('a' + i), 0};
    send_to(&rig, 0, "x", service, 6, 1);
  }
  uint32_t seen = 0, left = 0;
  for (unsigned turn = 0; turn < 100; turn++) {
    left = engine_drain(rig.engine[0], rig.now_ns, rig.now_ns, 8);
    seen += read_firings(&rig).count;
  }
  assert_int_equal(left, 0);
  assert_int_equal(seen, 20);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_a_request_that_is_rolled_back_tells_nobody(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 2, &roomy, held);
  const struct rig_span one = span(1, "x", "a", 1);
  assert_true(rig_evaluate(&rig, 0, &one));
  engine_rollback(rig.engine[0]);
  rig_deliver(&rig);
  assert_int_equal(TOTAL(&rig, window_digests_sent), 0);
  assert_int_equal(TOTAL(&rig, window_keys_opened), 0);
  const struct rig_limits tight = {1u << 20, 4, 256, 512};
  rig_close(&rig);
  rig_open(&rig, 1, &tight, held);
  unsigned sent = 0;
  for (unsigned i = 0; i < 20; i++) sent += rig_send(&rig, 0, &one);
  assert_in_range(sent, 1, 4);
  rig_deliver(&rig);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_keys_by_value(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 3, &roomy,
           "rules:\n"
           "  - {name: k, on: span, if: 'name = \"x\"', window: 'count by (service, span.amount) over 60s >= 2',\n"
           "     message: '[${service}] [${span.amount}] ${value}'}\n");
  send_to(&rig, 0, "x", "a", 1, 1);
  send_to(&rig, 1, "x", "a", 2, 1);
  send_to(&rig, 2, "x", "a", -1, 1); /* missing is a key too */
  send_to(&rig, 0, "x", NULL, 1, 1);
  assert_int_equal(read_firings(&rig).count, 0);
  send_to(&rig, 1, "x", "a", -1, 1);
  struct firings firings = read_firings(&rig);
  assert_int_equal(firings.count, 1);
  assert_string_equal(firings.at[0].message, "[a] [] 2");
  send_to(&rig, 2, "x", NULL, 1, 1);
  firings = read_firings(&rig);
  assert_int_equal(firings.count, 1);
  assert_string_equal(firings.at[0].message, "[] [1] 2");
  assert_string_equal(firings.at[0].service, "");
  char wide[2][600];
  memset(wide, 'w', sizeof wide);
  wide[0][599] = wide[1][599] = '\0';
  wide[1][598] = 'v'; /* differs where the key is long cut */
  send_to(&rig, 0, "x", wide[0], 1, 1);
  send_to(&rig, 0, "x", wide[1], 1, 1);
  assert_int_equal(read_firings(&rig).count, 0);
  send_to(&rig, 1, "x", wide[0], 1, 1);
  assert_int_equal(read_firings(&rig).count, 1);
  rig_close(&rig);
}

/* Digests may come later than others that were sent after them, by less than a step or by more than the window. */
static void test_order_of_arrival_does_not_matter(void **state) {
  (void)state;
  for (unsigned lag = 0; lag < 3; lag++) {
    struct engine_rig rig;
    rig_open(&rig, 1, &roomy, "rules:\n  - {name: k, on: span, if: 'name = \"x\"', window: 'sum(span.amount) over 6s >= 30'}\n");
    const struct rig_span one = span(1, "x", "a", 10);
    for (unsigned i = 0; i < 3; i++) {
      rig.now_ns += i ? RIG_SECOND * (lag == 2 ? 7 : lag) : 0;
      assert_true(rig_send(&rig, 0, &one));
    }
    struct line_ring *ring = rig.digests[0][0];
    _Alignas(64) uint8_t copies[3][64 * 4];
    for (unsigned i = 0; i < 3; i++) {
      const struct line_header *header = line_ring_peek(ring);
      memcpy(copies[i], header, (size_t)header->lines * 64);
      line_ring_consume(ring);
    }
    for (unsigned i = 3; i-- > 0;)
      engine_apply_window(rig.engine[0], (const struct window_digest *)(const void *)copies[i], rig.now_ns, rig.now_ns);
    assert_int_equal(read_firings(&rig).count, lag < 2);
    assert_int_equal(engine_counters(rig.engine[0])->window_events_late, lag == 2 ? 2 : 0);
    rig_close(&rig);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_for_is_broken_by_what_leaves),
      cmocka_unit_test(test_repeat_after),
      cmocka_unit_test(test_absence_without_traffic),
      cmocka_unit_test(test_suppress_and_threshold_over_shards),
      cmocka_unit_test(test_suppressed_trace_rules),
      cmocka_unit_test(test_the_oldest_keys_are_evicted_and_the_whole_is_not),
      cmocka_unit_test(test_blocks_run_out),
      cmocka_unit_test(test_new_rules_keep_what_unchanged_ones_know),
      cmocka_unit_test(test_digests_of_rules_that_are_gone),
      cmocka_unit_test(test_a_full_record_ring_delays),
      cmocka_unit_test(test_drain_waits_for_verdicts_and_drops_the_rest),
      cmocka_unit_test(test_a_request_that_is_rolled_back_tells_nobody),
      cmocka_unit_test(test_keys_by_value),
      cmocka_unit_test(test_order_of_arrival_does_not_matter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
