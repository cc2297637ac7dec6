/* Window rules through real engines, in virtual time: what each function gives, when a key fires and when it is silent, what a full
 * table, a full ring and new rules do. */
#include "engine_rig.h"
#include <stdio.h>
#include <stdlib.h>

static const struct rig_limits roomy = {1u << 20, 4096, 256, 512};

#define FIRINGS_MAX 256
struct firing {
  char rule[32], key[64], message[128];
  uint32_t count;
  double value;
  int64_t suppressed;
  uint64_t first_seen_ns, last_seen_ns;
  bool has_trace;
  char service[32];
};
struct firings {
  uint32_t count;
  struct firing at[FIRINGS_MAX];
};

static void copy(char *into, size_t room, const char *text, uint32_t length) {
  snprintf(into, room, "%.*s", (int)length, text ? text : "");
}

static void add(void *context, const struct violation *violation) {
  struct firings *firings = context;
  assert_true(firings->count < FIRINGS_MAX);
  struct firing *firing = &firings->at[firings->count++];
  *firing = (struct firing){.count = violation->fixed.count,
                            .value = -1,
                            .first_seen_ns = violation->fixed.first_seen_ns,
                            .last_seen_ns = violation->fixed.last_seen_ns,
                            .has_trace = violation->fixed.has_trace};
  copy(firing->rule, sizeof firing->rule, violation->rule.at, violation->rule.length);
  copy(firing->message, sizeof firing->message, violation->message.at, violation->message.length);
  copy(firing->service, sizeof firing->service, violation->service.at, violation->service.length);
  for (uint32_t i = 0; i < violation->attribute_count; i++) {
    const struct violation_attribute *attribute = &violation->attributes[i];
    const bool is_value = attribute->key.length == 5 && memcmp(attribute->key.at, "value", 5) == 0;
    const bool is_suppressed = attribute->key.length == 10 && memcmp(attribute->key.at, "suppressed", 10) == 0;
    if (is_value)
      firing->value = attribute->value.type == VALUE_INTEGER ? (double)attribute->value.integer : attribute->value.real;
    else if (is_suppressed)
      firing->suppressed = attribute->value.integer;
    else if (attribute->value.type == VALUE_STRING && !firing->key[0])
      copy(firing->key, sizeof firing->key, attribute->value.text, attribute->value.length);
  }
}

static struct firings read_firings(struct engine_rig *rig) {
  struct firings firings = {0};
  rig_violations(rig, add, &firings);
  return firings;
}

static const struct rig_span shop = {1, 11, "charge", "shop", 10, false}, site = {2, 21, "login", "site", 20, false};

static void send(struct engine_rig *rig, const struct rig_span *span, uint32_t times) {
  for (uint32_t i = 0; i < times; i++) assert_true(rig_send(rig, 0, span));
  rig_deliver(rig);
}

static const char busy[] = "rules:\n"
                           "  - {name: busy, on: span, if: 'name != \"\"', window: 'count by (service) over 60s > 3',\n"
                           "     message: '${service} had ${value} (${count})'}\n";

static void test_count_fires_once_each_time_it_becomes_true(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, busy);
  send(&rig, &shop, 3);
  send(&rig, &site, 3);
  assert_int_equal(read_firings(&rig).count, 0);
  send(&rig, &shop, 5);
  struct firings firings = read_firings(&rig);
  assert_int_equal(firings.count, 1);
  assert_string_equal(firings.at[0].rule, "busy");
  assert_string_equal(firings.at[0].key, "shop");
  assert_string_equal(firings.at[0].service, "shop");
  assert_string_equal(firings.at[0].message, "shop had 4 (4)");
  assert_int_equal(firings.at[0].count, 4);
  assert_true(firings.at[0].value == 4);
  assert_false(firings.at[0].has_trace);
  rig_pass(&rig, 30 * RIG_SECOND);
  send(&rig, &shop, 1); /* still more than three */
  assert_int_equal(read_firings(&rig).count, 0);
  rig_pass(&rig, 61 * RIG_SECOND); /* all are gone */
  send(&rig, &shop, 3);
  assert_int_equal(read_firings(&rig).count, 0);
  send(&rig, &shop, 1);
  assert_int_equal(read_firings(&rig).count, 1);
  rig_check_laws(&rig);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_count_fires_once_each_time_it_becomes_true),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
