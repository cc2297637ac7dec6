/* The image that comes out of the text: shapes, sharing, tables, limits. */
#include "cmocka_test.h"

#include "rule_text_support.h"
#include "violation.h"

static bool text_is(struct image_text text, const char *string) {
  return text.length == strlen(string) && memcmp(text.at, string, text.length) == 0;
}

static int column_of(const struct image_kind *kind, const char *reference) {
  for (uint32_t i = 0; i < kind->column_count; i++)
    if (text_is(kind->columns[i].reference, reference)) return (int)i;
  return -1;
}

/* Postfix as text: p0 p1 & and so on. */
static void print_program(const struct image_program *program, char *out) {
  out[0] = '\0';
  for (uint32_t i = 0; i < program->count; i++) {
    const uint32_t operation = program->operations[i];
    if (operation == PROGRAM_AND)
      strcat(out, "& ");
    else if (operation == PROGRAM_OR)
      strcat(out, "| ");
    else if (operation == PROGRAM_NOT)
      strcat(out, "! ");
    else
      sprintf(out + strlen(out), "%u ", operation);
  }
}

static void check_program(const struct image_program *program, const char *expected) {
  char printed[1024];
  print_program(program, printed);
  assert_string_equal(printed, expected);
}

static void test_sharing(void **state) {
  (void)state;
  struct rule_image *image = compile_text(
      "rules:\n"
      "  - {name: a, on: span, if: span.x = 1 && name = \"n\" && duration > 2s}\n"
      "  - {name: b, on: span, if: 'duration > 2000ms || name = \"n\" || name in [\"m\", \"n\"] || span.\"x\" = 1'}\n"
      "  - {name: c, on: webhook, if: name = \"n\", enabled: false}\n");
  const struct image_kind *spans = &image->kinds[EVENT_SPAN];
  assert_int_equal(spans->column_count, 3);
  assert_int_equal(spans->predicate_count, 4);
  assert_int_equal(spans->rule_count, 2);
  assert_int_equal(image->rule_count, 2);
  assert_int_equal(image->kinds[EVENT_WEBHOOK].rule_count, 0);
  assert_int_equal(image->kinds[EVENT_WEBHOOK].column_count, 0);
  check_program(&spans->rules[0].condition, "0 1 & 2 & ");
  check_program(&spans->rules[1].condition, "2 1 | 3 | 0 | ");
  rule_image_free(image);
}

static void test_predicates(void **state) {
  (void)state;
  struct rule_image *image =
      compile_text("rules:\n"
                   "  - name: a\n"
                   "    on: span\n"
                   "    if: span.a = 1 || span.a != 1.0 || span.a < 2s || span.a <= -5 || span.a > 0 ||\n"
                   "        span.a >= 1 || name =~ \"x\" || name !~ \"x\" || span.a in [1, \"b\", true] ||\n"
                   "        name contains \"q\" || span.a || true || kind = server || name != \"z\"\n");
  const struct image_kind *spans = &image->kinds[EVENT_SPAN];
  const struct image_predicate *p = spans->predicates;
  assert_int_equal(spans->predicate_count, 14);
  const uint8_t operations[14] = {PREDICATE_EQUAL,   PREDICATE_NOT_EQUAL,        PREDICATE_LESS,    PREDICATE_LESS_OR_EQUAL,
                                  PREDICATE_GREATER, PREDICATE_GREATER_OR_EQUAL, PREDICATE_MATCHES, PREDICATE_NOT_MATCHES,
                                  PREDICATE_IN,      PREDICATE_CONTAINS,         PREDICATE_TRUE,    PREDICATE_CONSTANT,
                                  PREDICATE_EQUAL,   PREDICATE_NOT_EQUAL};
  for (int i = 0; i < 14; i++) assert_int_equal(p[i].operation, operations[i]);
  const int a = column_of(spans, "span.a"), name = column_of(spans, "name"), kind = column_of(spans, "kind");
  assert_int_equal(p[0].column, a);
  assert_int_equal(p[0].constant.type, VALUE_INTEGER);
  assert_int_equal(p[1].constant.type, VALUE_DOUBLE);
  assert_int_equal(p[2].constant.integer, 2000000000);
  assert_int_equal(p[3].constant.integer, -5);
  assert_int_equal(p[6].column, name);
  assert_int_equal(p[8].list_count, 3);
  assert_int_equal(p[8].list[0].integer, 1);
  assert_int_equal(p[8].list_interned[0], 0);
  assert_memory_equal(p[8].list[1].text, "b", 1);
  assert_int_equal(p[8].list_interned[1], 1);
  assert_true(p[8].list[2].boolean);
  assert_memory_equal(p[9].constant.text, "q", 1);
  assert_int_equal(p[10].column, a);
  assert_true(p[11].constant.boolean);
  assert_int_equal(p[12].column, kind);
  assert_memory_equal(p[12].constant.text, "server", 6);
  assert_int_equal(p[12].interned, 1);
  /* Only what is compared for equality is interned: not patterns, not substrings. */
  assert_int_equal(p[13].interned, 1);
  assert_non_null(spans->columns[name].patterns);
  assert_null(spans->columns[a].patterns);
  assert_non_null(image->scratch[0]);
  assert_null(image->scratch[1]);
  rule_image_free(image);
}

static int note_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context) {
  (void)from, (void)to, (void)flags;
  *(uint64_t *)context |= 1ull << id;
  return 0;
}

static void test_patterns(void **state) {
  (void)state;
  struct rule_set *set =
      parse_good("rules:\n"
                 "  - {name: a, on: span, if: name =~ \"^a.c$\" || span.x =~ \"z\" || name !~ \"b\" || name =~ \"\"}\n");
  struct rule_image *image = compile_good(set, 1, NULL, 3);
  const struct image_kind *spans = &image->kinds[EVENT_SPAN];
  uint64_t matched = 0;
  assert_int_equal(hs_scan(spans->columns[0].patterns,
                           "a\xc3\xa9"
                           "c",
                           4, 0, image->scratch[2], note_match, &matched),
                   HS_SUCCESS);
  assert_int_equal(matched, 1u << 0 | 1u << 3); /* one character between a and c, and the empty pattern */
  matched = 0;
  assert_int_equal(hs_scan(spans->columns[0].patterns, "xby", 3, 0, image->scratch[1], note_match, &matched), HS_SUCCESS);
  assert_int_equal(matched, 1u << 2 | 1u << 3);
  for (int i = 0; i < 3; i++) assert_non_null(image->scratch[i]);
  assert_ptr_not_equal(image->scratch[0], image->scratch[1]);
  rule_set_free(set);
  rule_image_free(image);
}

static void test_lookup_and_dictionary(void **state) {
  (void)state;
  char *text = calloc(1, 1 << 20), *end = text;
  end += sprintf(end, "rules:\n");
  for (int i = 0; i < 300; i++)
    end += sprintf(end, "  - {name: r%d, on: span, if: span.key%d = \"v\" || resource.key%d = 2 || span.one = \"value%d\"}\n", i,
                   i % 200, i % 200, i);
  struct rule_image *image = compile_text(text);
  const struct image_kind *spans = &image->kinds[EVENT_SPAN];
  assert_int_equal(spans->column_count, 401);
  for (int i = 0; i < 200; i++) {
    char key[32], reference[48];
    const uint32_t length = (uint32_t)sprintf(key, "key%d", i);
    sprintf(reference, "span.%s", key);
    assert_int_equal(event_column_find(image, EVENT_SPAN, SCOPE_SPAN, key, length), column_of(spans, reference));
    sprintf(reference, "resource.%s", key);
    assert_int_equal(event_column_find(image, EVENT_SPAN, SCOPE_RESOURCE, key, length), column_of(spans, reference));
  }
  assert_int_equal(event_column_find(image, EVENT_SPAN, SCOPE_SPAN, "key200", 6), -1);
  assert_int_equal(event_column_find(image, EVENT_ALERT, SCOPE_LABEL, "key1", 4), -1);
  const struct image_column *one = &spans->columns[column_of(spans, "span.one")];
  uint32_t found = 0;
  bool seen[301] = {false};
  for (uint32_t i = 0; i < one->dictionary_slots; i++) {
    if (one->dictionary[i].id == 0) continue;
    assert_true(one->dictionary[i].id <= 300);
    assert_false(seen[one->dictionary[i].id]);
    seen[one->dictionary[i].id] = true;
    const struct text_print print = text_print_of(one->dictionary[i].text.at, one->dictionary[i].text.length);
    const uint32_t mark = dictionary_mark(one, print.hash);
    assert_int_equal(one->dictionary[i].print.hash, print.hash);
    assert_true(one->marks[mark / 64] >> mark % 64 & 1);
    found++;
  }
  assert_int_equal(found, 300);
  rule_image_free(image);
  free(text);
}

static void test_paths(void **state) {
  (void)state;
  struct rule_image *image =
      compile_text("rules:\n"
                   "  - name: a\n"
                   "    on: webhook\n"
                   "    if: body.order.amount > 1 && body.order > 2 && body.\"order.amount\" = 3 && body.x.y.z\n");
  const struct image_kind *webhooks = &image->kinds[EVENT_WEBHOOK];
  assert_int_equal(webhooks->column_count, 4);
  const int order = event_path_child(image, EVENT_WEBHOOK, 0, "order", 5);
  assert_int_equal(event_path_slot(image, EVENT_WEBHOOK, order), column_of(webhooks, "body.order"));
  const int amount = event_path_child(image, EVENT_WEBHOOK, order, "amount", 6);
  assert_int_equal(event_path_slot(image, EVENT_WEBHOOK, amount), column_of(webhooks, "body.order.amount"));
  const int dotted = event_path_child(image, EVENT_WEBHOOK, 0, "order.amount", 12);
  assert_int_equal(event_path_slot(image, EVENT_WEBHOOK, dotted), column_of(webhooks, "body.\"order.amount\""));
  const int x = event_path_child(image, EVENT_WEBHOOK, 0, "x", 1);
  assert_int_equal(event_path_slot(image, EVENT_WEBHOOK, x), -1);
  const int y = event_path_child(image, EVENT_WEBHOOK, x, "y", 1), z = event_path_child(image, EVENT_WEBHOOK, y, "z", 1);
  assert_int_equal(event_path_slot(image, EVENT_WEBHOOK, z), column_of(webhooks, "body.x.y.z"));
  assert_int_equal(event_path_child(image, EVENT_WEBHOOK, 0, "y", 1), -1);
  rule_image_free(image);
}

static void test_messages_and_attributes(void **state) {
  (void)state;
  struct rule_image *image = compile_text("rules:\n"
                                          "  - name: a\n"
                                          "    on: span\n"
                                          "    if: span.x = 1 && span.y = 2 && !(span.x = 3)\n"
                                          "    message: 'is ${span.z}, $${not} ${ span.x }$'\n"
                                          "  - {name: plain, on: span, if: root}\n"
                                          "  - name: t\n"
                                          "    when: '{span.w}'\n"
                                          "    always: '{span.al}'\n"
                                          "    never: '{span.n}'\n"
                                          "    message: '${service}'\n");
  const struct image_kind *spans = &image->kinds[EVENT_SPAN];
  const struct image_rule *a = &spans->rules[0], *plain = &spans->rules[1], *t = &image->trace_rules[0];
  assert_int_equal(a->message_parts, 5);
  assert_true(text_is(a->message[0].literal, "is "));
  assert_int_equal(a->message[0].slot, -1);
  assert_int_equal(a->message[1].slot, column_of(spans, "span.z"));
  assert_true(text_is(a->message[2].literal, ", ${not} "));
  assert_int_equal(a->message[3].slot, column_of(spans, "span.x"));
  assert_true(text_is(a->message[4].literal, "$"));
  assert_int_equal(a->attribute_count, 3);
  assert_int_equal(a->attributes[0], column_of(spans, "span.x"));
  assert_int_equal(a->attributes[1], column_of(spans, "span.y"));
  assert_int_equal(a->attributes[2], column_of(spans, "span.z"));
  assert_int_equal(plain->message_parts, 1);
  assert_true(text_is(plain->message[0].literal, "plain"));
  assert_int_equal(t->attribute_count, 3);
  assert_int_equal(t->attributes[0], column_of(spans, "span.w"));
  assert_int_equal(t->attributes[1], column_of(spans, "span.n"));
  assert_int_equal(t->attributes[2], column_of(spans, "service"));
  rule_image_free(image);
}

static void test_attributes_are_bounded(void **state) {
  (void)state;
  char text[4096] = "rules:\n  - name: a\n    on: span\n    if: root";
  for (int i = 0; i < 50; i++) sprintf(text + strlen(text), " || span.k%d", i);
  strcat(text, "\n");
  struct rule_image *image = compile_text(text);
  assert_int_equal(image->kinds[EVENT_SPAN].column_count, 51);
  assert_int_equal(image->kinds[EVENT_SPAN].rules[0].attribute_count, VIOLATION_ATTRIBUTES_MAX);
  rule_image_free(image);
}

/* However the text nests, a program fits the engine's stack; operands that need more go first. */
static void test_program_depth(void **state) {
  (void)state;
  char text[8192] = "rules:\n  - name: a\n    on: span\n    if: \"";
  for (int i = 0; i < 62; i++) sprintf(text + strlen(text), "span.a%d %s (", i, i % 2 ? "&&" : "||");
  strcat(text, "root");
  for (int i = 0; i < 62; i++) strcat(text, ")");
  strcat(text, "\"\n");
  struct rule_image *image = compile_text(text);
  const struct image_program *program = &image->kinds[EVENT_SPAN].rules[0].condition;
  uint32_t depth = 0, deepest = 0;
  for (uint32_t i = 0; i < program->count; i++) {
    if (program->operations[i] == PROGRAM_AND || program->operations[i] == PROGRAM_OR)
      depth--;
    else if (program->operations[i] != PROGRAM_NOT)
      depth++;
    if (depth > deepest) deepest = depth;
  }
  assert_int_equal(depth, 1);
  assert_int_equal(deepest, 2);
  rule_image_free(image);
}

static void check_compile_error(const char *text, const char *part) {
  struct rule_set *set = parse_good(text);
  struct rule_errors errors = {0};
  assert_null(rule_image_compile(set, 1, NULL, 1, &errors));
  assert_true(errors.count >= 1);
  if (!strstr(errors.items[0].message, part)) fprintf(stderr, "not what was expected: %s\n", errors.items[0].message);
  assert_non_null(strstr(errors.items[0].message, part));
  rule_errors_free(&errors);
  rule_set_free(set);
}

static void test_limits(void **state) {
  (void)state;
  char *text = calloc(1, 16 << 20), *end;
  end = text + sprintf(text, "rules:\n");
  for (unsigned i = 0; i <= RULE_COLUMNS_MAX; i++) end += sprintf(end, "  - {name: r%u, on: span, if: span.k%u}\n", i, i);
  check_compile_error(text, "rule `r512`: the rules read more than 512 different references");
  end = text + sprintf(text, "rules:\n");
  for (unsigned i = 0; i <= RULE_PREDICATES_MAX; i += 4)
    end += sprintf(end, "  - {name: r%u, on: span, if: span.k = %u || span.k = %u || span.k = %u || span.k = %u}\n", i / 4, i, i + 1,
                   i + 2, i + 3);
  check_compile_error(text, "rule `r65536`: the rules make more than 262144 different comparisons");
  end = text + sprintf(text, "rules:\n");
  for (unsigned i = 0; i <= IMAGE_SELECTORS_MAX / 2; i++)
    end += sprintf(end, "  - {name: r%u, when: '{span.k = %u}', always: '{span.k = -%u}'}\n", i, i, i + 1);
  check_compile_error(text, "rule `r8192`: the trace rules have more than 16384 different selectors");
  end = text + sprintf(text, "rules:\n");
  for (unsigned i = 0; i <= IMAGE_TRACE_RULES_MAX; i++)
    end += sprintf(end, "  - {name: r%u, when: '{root}', always: '{span.a}'}\n", i);
  check_compile_error(text, "rule `r16384`: more than 16384 trace rules");
  end = text + sprintf(text, "rules:\n");
  for (unsigned i = 0; i < 60; i++)
    end += sprintf(end, "  - name: r%u\n    on: span\n    if: span.a =~ \"%u[a-z]{250}\"\n", i, i);
  check_compile_error(text, "make too many copies");
  free(text);
}

static void test_signature(void **state) {
  (void)state;
  struct rule_image *a = compile_text("rules:\n  - {name: a, on: span, if: root}\n");
  struct rule_image *same = compile_text("rules:\n  - {if: '( root )', on: span, name: a, severity: medium}\n");
  struct rule_image *other = compile_text("rules:\n  - {name: a, on: span, if: '!root'}\n");
  assert_memory_equal(a->sha256, same->sha256, 32);
  assert_memory_not_equal(a->sha256, other->sha256, 32);
  rule_image_free(a);
  rule_image_free(same);
  rule_image_free(other);
}

static void test_no_rules(void **state) {
  (void)state;
  struct rule_image *image = compile_text("rules: []\n");
  assert_int_equal(image->rule_count, 0);
  assert_null(image->scratch[0]);
  assert_int_equal(event_column_find(image, EVENT_SPAN, SCOPE_SPAN, "a", 1), -1);
  rule_image_free(image);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sharing),
      cmocka_unit_test(test_predicates),
      cmocka_unit_test(test_patterns),
      cmocka_unit_test(test_lookup_and_dictionary),
      cmocka_unit_test(test_paths),
      cmocka_unit_test(test_messages_and_attributes),
      cmocka_unit_test(test_attributes_are_bounded),
      cmocka_unit_test(test_program_depth),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_signature),
      cmocka_unit_test(test_no_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
