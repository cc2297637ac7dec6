#include "rule_mixes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t scatter(uint32_t number, uint32_t salt) {
  const uint64_t mixed = (number + 1ull) * 0x9e3779b97f4a7c15u ^ (salt + 1ull) * 0xd1b54a32d192ed03u;
  return (uint32_t)((mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9u >> 33);
}

static void add_text(struct mix_rule *rule, uint16_t reference, enum mix_operation operation, const char *word, uint32_t number) {
  struct mix_test *test = &rule->tests[rule->count++];
  *test = (struct mix_test){.reference = reference, .operation = (uint8_t)operation};
  snprintf(test->text, sizeof test->text, "%s-%u", word, number);
}

static void add_number(struct mix_rule *rule, uint16_t reference, enum mix_operation operation, int64_t number) {
  rule->tests[rule->count++] = (struct mix_test){.reference = reference, .operation = (uint8_t)operation, .number = number};
}

static void set_text(struct mix_span *span, uint16_t reference, const char *word, uint32_t number) {
  struct mix_value *value = &span->values[reference];
  if (reference >= MIX_ATTRIBUTE && !value->present) span->present[span->present_count++] = (uint16_t)(reference - MIX_ATTRIBUTE);
  *value = (struct mix_value){.is_text = true, .present = true};
  value->length = (uint32_t)snprintf(value->text, sizeof value->text, "%s-%u", word, number);
}

static void set_number(struct mix_span *span, uint16_t reference, int64_t number) {
  struct mix_value *value = &span->values[reference];
  if (reference >= MIX_ATTRIBUTE && !value->present) span->present[span->present_count++] = (uint16_t)(reference - MIX_ATTRIBUTE);
  *value = (struct mix_value){.present = true, .number = number};
}

/* Every span's name is some rule's: only the limit tells them apart. */
static void rule_by_name(struct mix_rule *rule, uint32_t number, uint32_t rules) {
  (void)rules;
  add_text(rule, MIX_NAME, MIX_EQUAL, "operation", number);
  add_number(rule, MIX_DURATION, MIX_ABOVE, 1000000 + number % 10);
}

static void span_by_name(struct mix_span *span, uint32_t number, uint32_t rules, bool lucky) {
  set_text(span, MIX_NAME, "operation", scatter(number, 1) % rules);
  set_number(span, MIX_DURATION, lucky ? 2000000 : scatter(number, 2) % 1000000);
}

static void rule_on_one(struct mix_rule *rule, uint32_t number, uint32_t rules) {
  (void)rules;
  add_text(rule, MIX_ATTRIBUTE, MIX_EQUAL, "route", number);
}

static void span_on_one(struct mix_span *span, uint32_t number, uint32_t rules, bool lucky) {
  set_text(span, MIX_ATTRIBUTE, lucky ? "route" : "other", scatter(number, 1) % rules);
}

/* Each span has ten of the attributes. */
static void rule_on_hundred(struct mix_rule *rule, uint32_t number, uint32_t rules) {
  (void)rules;
  add_text(rule, (uint16_t)(MIX_ATTRIBUTE + number % MIX_ATTRIBUTES), MIX_EQUAL, "value", number / MIX_ATTRIBUTES);
  add_number(rule, MIX_DURATION, MIX_ABOVE, 1000000);
}

static void span_on_hundred(struct mix_span *span, uint32_t number, uint32_t rules, bool lucky) {
  for (uint32_t i = 0; i < 10; i++)
    set_text(span, (uint16_t)(MIX_ATTRIBUTE + scatter(number % 5, i) % MIX_ATTRIBUTES), "value", scatter(number, i) % 1000);
  if (lucky) set_text(span, MIX_ATTRIBUTE + 0, "value", scatter(number, 3) % (rules / MIX_ATTRIBUTES + 1));
  set_number(span, MIX_DURATION, lucky ? 2000000 : 5);
}

static void rule_by_limit(struct mix_rule *rule, uint32_t number, uint32_t rules) {
  (void)rules;
  add_number(rule, MIX_DURATION, MIX_ABOVE, 1000000 + 2 * (int64_t)number);
}

static void span_by_limit(struct mix_span *span, uint32_t number, uint32_t rules, bool lucky) {
  (void)rules;
  set_number(span, MIX_DURATION, lucky ? 1000001 : scatter(number, 2) % 1000000);
}

static void rule_by_number(struct mix_rule *rule, uint32_t number, uint32_t rules) {
  (void)rules;
  add_number(rule, MIX_ATTRIBUTE, MIX_EQUAL_NUMBER, 1000 + (int64_t)number);
  add_number(rule, MIX_DURATION, MIX_ABOVE, 100);
}

static void span_by_number(struct mix_span *span, uint32_t number, uint32_t rules, bool lucky) {
  set_number(span, MIX_ATTRIBUTE, lucky ? 1000 + scatter(number, 1) % rules : scatter(number, 2) % 600);
  set_number(span, MIX_DURATION, scatter(number, 3) % 1000000 + 101);
}

/* Six of ten rules about a service or a name, two to four tests each, two of ten with an OR, one with a NOT. */
static void rule_of_all(struct mix_rule *rule, uint32_t number, uint32_t rules) {
  const uint32_t pick = scatter(number, 7);
  const uint16_t attribute = (uint16_t)(MIX_ATTRIBUTE + pick % 12);
  switch (pick % 10) {
  case 0:
  case 1:
  case 2:
    add_text(rule, MIX_NAME, MIX_EQUAL, "operation", scatter(number, 1) % (rules / 2 + 1));
    add_number(rule, MIX_DURATION, MIX_ABOVE, 900000 + scatter(number, 2) % 100000);
    break;
  case 3:
  case 4:
  case 5:
    add_text(rule, MIX_SERVICE, MIX_EQUAL, "service", scatter(number, 1) % 50);
    add_text(rule, attribute, MIX_EQUAL, "value", scatter(number, 3) % 500);
    break;
  case 6:
    add_text(rule, attribute, MIX_EQUAL, "value", scatter(number, 3) % 500);
    add_text(rule, attribute, MIX_EQUAL, "value", scatter(number, 4) % 500);
    rule->either = true;
    break;
  case 7:
    add_text(rule, attribute, MIX_EQUAL, "value", scatter(number, 3) % 500);
    add_text(rule, MIX_NAME, MIX_EQUAL, "operation", scatter(number, 4) % (rules / 2 + 1));
    rule->either = true;
    add_number(rule, MIX_DURATION, MIX_ABOVE, 500000);
    break;
  case 8:
    add_number(rule, MIX_ATTRIBUTE + 20, MIX_EQUAL_NUMBER, 500 + scatter(number, 3) % 400);
    add_text(rule, MIX_SERVICE, MIX_NOT_EQUAL, "service", scatter(number, 1) % 50);
    break;
  default:
    add_text(rule, attribute, MIX_EQUAL, "value", scatter(number, 3) % 500);
    add_number(rule, MIX_DURATION, MIX_ABOVE, 700000 + scatter(number, 2) % 100000);
    break;
  }
  if (scatter(number, 9) % 10 == 0) {
    add_text(rule, MIX_ATTRIBUTE + 1, MIX_EQUAL, "value", scatter(number, 5) % 500);
    rule->tests[rule->count - 1].negated = true;
  }
}

/* The same, but one rule in ten searches a path, which is another in nearly every span. */
static void rule_that_searches(struct mix_rule *rule, uint32_t number, uint32_t rules) {
  static const char *const words[] = {"checkout", "wishlist", "internal", "graphql", "favicon"};
  rule_of_all(rule, number, rules);
  if (scatter(number, 7) % 10 != 9) return;
  rule->count = 0;
  add_text(rule, MIX_SERVICE, MIX_EQUAL, "service", scatter(number, 1) % 50);
  add_text(rule, MIX_ATTRIBUTE + 21, scatter(number, 6) % 3 ? MIX_CONTAINS : MIX_BEGINS, words[scatter(number, 8) % 5],
           scatter(number, 3) % 2000);
}

/* And one in ten is about the whole trace. */
static void rule_of_every_kind(struct mix_rule *rule, uint32_t number, uint32_t rules) {
  rule_that_searches(rule, number, rules);
  rule->trace = scatter(number, 10) % 10 == 0;
}

static void span_of_all(struct mix_span *span, uint32_t number, uint32_t rules, bool lucky) {
  const uint32_t service = scatter(number / 100, 1) % 50; /* requests of 100 spans */
  set_text(span, MIX_SERVICE, "service", scatter(service, 2) % 4 ? service : service % 7);
  set_text(span, MIX_NAME, "operation", scatter(number, 3) % (rules / 2 + 1));
  set_number(span, MIX_DURATION, lucky ? 999999 : scatter(number, 4) % 910000);
  for (uint16_t i = 0; i < 6; i++)
    set_text(span, (uint16_t)(MIX_ATTRIBUTE + i * 2), "value", 480 + scatter(number, 5u + i) % 5000);
  set_number(span, MIX_ATTRIBUTE + 20, scatter(number, 15) % 30 ? 200 : 500 + scatter(number, 16) % 5);
  set_text(span, MIX_ATTRIBUTE + 21, "/api/orders", scatter(number, 17) % 50000);
}

const struct mix mixes[MIXES] = {
    {"name and limit", rule_by_name, span_by_name},       {"one attribute", rule_on_one, span_on_one},
    {"100 attributes", rule_on_hundred, span_on_hundred}, {"limits", rule_by_limit, span_by_limit},
    {"numbers", rule_by_number, span_by_number},          {"realistic", rule_of_all, span_of_all},
    {"searching", rule_that_searches, span_of_all},       {"with traces", rule_of_every_kind, span_of_all},
};

static int print_test(char *at, const struct mix_test *test) {
  static const char *const intrinsics[] = {"name", "service", "duration"};
  static const char *const operations[] = {"=", "!=", ">", "=", "contains", "=~"};
  char reference[16];
  snprintf(reference, sizeof reference, "span.a%d", test->reference - MIX_ATTRIBUTE);
  const char *shown = test->reference < MIX_ATTRIBUTE ? intrinsics[test->reference] : reference;
  int length = sprintf(at, "%s%s %s ", test->negated ? "!(" : "", shown, operations[test->operation]);
  if (test->operation == MIX_ABOVE || test->operation == MIX_EQUAL_NUMBER) {
    length += sprintf(at + length, "%lld", (long long)test->number);
  } else {
    length += sprintf(at + length, "\"%s%s\"", test->operation == MIX_BEGINS ? "^" : "", test->text);
  }
  return length + sprintf(at + length, "%s", test->negated ? ")" : "");
}

char *mix_text(const struct mix_rule *rules, uint32_t count) {
  char *text = malloc(64 + count * 400ull), *at = text;
  if (!text) abort();
  at += sprintf(at, count ? "rules:\n" : "rules: []\n");
  for (uint32_t i = 0; i < count; i++) {
    at += sprintf(at, rules[i].trace ? "  - {name: r%u, when: '{" : "  - {name: r%u, on: span, if: '", i);
    for (uint32_t t = 0; t < rules[i].count; t++) {
      if (t == 0 && rules[i].either) at += sprintf(at, "(");
      if (t > 0) at += sprintf(at, rules[i].either && t == 1 ? " || " : " && ");
      at += print_test(at, &rules[i].tests[t]);
      if (t == 1 && rules[i].either) at += sprintf(at, ")");
    }
    at += sprintf(at, rules[i].trace ? "}', always: '{name = \"checked\"}'}\n" : "'}\n");
  }
  return text;
}

static bool holds(const struct mix_test *test, const struct mix_span *span) {
  const struct mix_value *value = &span->values[test->reference];
  if (!value->present) return test->negated;
  switch ((enum mix_operation)test->operation) {
  case MIX_EQUAL:
    return (value->is_text && strcmp(value->text, test->text) == 0) != test->negated;
  case MIX_NOT_EQUAL:
    return (!value->is_text || strcmp(value->text, test->text) != 0) != test->negated;
  case MIX_ABOVE:
    return (!value->is_text && value->number > test->number) != test->negated;
  case MIX_EQUAL_NUMBER:
    return (!value->is_text && value->number == test->number) != test->negated;
  case MIX_CONTAINS:
    return (value->is_text && strstr(value->text, test->text) != NULL) != test->negated;
  case MIX_BEGINS:
    break;
  }
  return (value->is_text && strncmp(value->text, test->text, strlen(test->text)) == 0) != test->negated;
}

static bool judge(const struct mix_rule *rule, const struct mix_span *span) {
  uint32_t t = 0;
  if (rule->either) {
    if (!holds(&rule->tests[0], span) && !holds(&rule->tests[1], span)) return false;
    t = 2;
  }
  for (; t < rule->count; t++)
    if (!holds(&rule->tests[t], span)) return false;
  return true;
}

uint64_t mix_naive(const struct mix_rule *rules, uint32_t count, const struct mix_span *spans, uint32_t span_count) {
  uint64_t matches = 0;
  for (uint32_t s = 0; s < span_count; s++)
    for (uint32_t r = 0; r < count; r++) matches += judge(&rules[r], &spans[s]);
  return matches;
}

void mix_slots(const struct rule_image *image, int slots[MIX_ATTRIBUTES]) {
  for (int i = 0; i < MIX_ATTRIBUTES; i++) {
    char key[8];
    slots[i] = event_column_find(image, EVENT_SPAN, SCOPE_SPAN, key, (uint32_t)sprintf(key, "a%d", i));
  }
}

void mix_fill(struct event_batch *batch, const struct mix_span *from, const int slots[MIX_ATTRIBUTES]) {
  static uint64_t trace_ids = 1;
  for (uint32_t s = 0; s < EVENT_BATCH_ROWS; s++) {
    const struct mix_span *span = &from[s];
    const uint32_t row = event_batch_add(batch);
    struct event_fields *fields = &batch->fields[row];
    fields->name = (struct event_text){span->values[MIX_NAME].text, span->values[MIX_NAME].length};
    if (span->values[MIX_SERVICE].present)
      fields->service = (struct event_text){span->values[MIX_SERVICE].text, span->values[MIX_SERVICE].length};
    fields->end_ns = (uint64_t)span->values[MIX_DURATION].number;
    memcpy(fields->trace_id, &trace_ids, sizeof trace_ids);
    memcpy(fields->span_id, &trace_ids, sizeof trace_ids);
    trace_ids++;
    for (uint32_t i = 0; i < span->present_count; i++) {
      const struct mix_value *of = &span->values[MIX_ATTRIBUTE + span->present[i]];
      const struct value value = of->is_text ? (struct value){.text = of->text, .length = of->length, .type = VALUE_STRING}
                                             : (struct value){.integer = of->number, .type = VALUE_INTEGER};
      event_batch_set(batch, row, slots[span->present[i]], &value);
    }
  }
}
