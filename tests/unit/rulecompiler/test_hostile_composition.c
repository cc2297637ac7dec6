/* Macros, lists, exceptions, examples and BeTrace's notation made to hurt: an error within a second of processor time, and
 * bounded memory. Each text is read in a process of its own, whose use of both the system tells. */
#include "cmocka_test.h"

#include "rule_text_support.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Of reading alone: beyond what the text itself takes. */
#define MEMORY_KIB_MAX (400l << 10)
/* Printed, to be held against the second that the manual promises; only a reader that does not come back fails. */
#define SECONDS_MAX 60.0

struct text {
  char *at;
  size_t length, room;
};

static void add(struct text *text, const char *piece, size_t times) {
  const size_t length = strlen(piece);
  while (text->length + length * times + 1 > text->room) {
    text->room = text->room ? text->room * 2 : 4096;
    text->at = realloc(text->at, text->room);
  }
  for (; times > 0; times--, text->length += length) memcpy(text->at + text->length, piece, length);
  text->at[text->length] = '\0';
}

static void add_numbered(struct text *text, const char *before, unsigned number, const char *behind) {
  char digits[16];
  snprintf(digits, sizeof digits, "%u", number);
  add(text, before, 1);
  add(text, digits, 1);
  add(text, behind, 1);
}

static int read_text(const struct text *text, const char *part) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("hostile.yaml", text->at, text->length, &errors);
  int result = 1;
  for (size_t i = 0; i < errors.count; i++)
    if (strstr(errors.items[i].message, part)) result = 0;
  if (set) result = 2;
  if (result) rule_errors_print(&errors, stderr);
  rule_errors_free(&errors);
  rule_set_free(set);
  return result;
}

static double seconds_of(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec * 1e-6; }

/* One of the errors must hold `part`. Frees the text. */
static void check(struct text *text, const char *part) {
  struct rusage before, use;
  int status;
  getrusage(RUSAGE_SELF, &before);
  const pid_t reader = fork();
  assert_true(reader >= 0);
  if (reader == 0) _exit(read_text(text, part));
  assert_int_equal(wait4(reader, &status, 0, &use), reader);
  const double seconds = seconds_of(use.ru_utime) + seconds_of(use.ru_stime);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("not refused with: %s", part);
  print_message("# %s: %.3f s\n", part, seconds);
  if (seconds > SECONDS_MAX) fail_msg("%s: %.3f s", part, seconds);
#ifndef SANITIZED
  if (use.ru_maxrss - before.ru_maxrss > MEMORY_KIB_MAX) fail_msg("%s: %ld KiB", part, use.ru_maxrss - before.ru_maxrss);
#endif
  free(text->at);
  *text = (struct text){0};
}

static void a_hundred_thousand_macros(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "rules: []\nmacros:\n", 1);
  for (unsigned i = 0; i < 100000; i++) add_numbered(&text, "  m", i, ": root\n");
  check(&text, "more than 10000 macros and lists");
}

static void macros_of_macros(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "macros:\n  m0: root\n", 1);
  for (unsigned i = 1; i < 30; i++) {
    add_numbered(&text, "  m", i, ": ");
    add_numbered(&text, "m", i - 1, " || ");
    add_numbered(&text, "m", i - 1, "\n");
  }
  add(&text, "rules:\n", 1);
  for (unsigned i = 0; i < 5000; i++) add_numbered(&text, "  - {on: span, if: m29, name: r", i, "}\n");
  check(&text, "more than 65536 bytes");
  /* Each within its bound, too much together. */
  add(&text, "macros:\n  m: \"", 1);
  add(&text, "true || ", 8000);
  add(&text, "true\"\nrules:\n", 1);
  for (unsigned i = 0; i < 3000; i++) add_numbered(&text, "  - {on: span, if: m, name: r", i, "}\n");
  check(&text, "more than 16 MiB of text");
}

static void many_constants(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "lists:\n  l: [", 1);
  add(&text, "1,", 4000000);
  add(&text, "1]\n", 1);
  check(&text, "more than 1000000 values");
  add(&text, "lists:\n  a: [1", 1);
  add(&text, ", 1", 900);
  for (unsigned level = 0; level < 20; level++) {
    const char one[] = {(char)('b' + (int)level), '\0'}, below[] = {',', (char)('a' + (int)level), '\0'};
    add(&text, "]\n  ", 1);
    add(&text, one, 1);
    add(&text, ": [1", 1);
    add(&text, below, 900);
  }
  add(&text, "]\nrules: [{name: r, on: span, if: span.x in u}]\n", 1);
  check(&text, "more than 65536 bytes");
}

static void exceptions_and_examples(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "rules:\n  - {name: r, on: span, if: root, exceptions: ", 1);
  add(&text, "[", 1 << 20);
  check(&text, "");
  add(&text, "rules:\n  - {name: r, on: span, if: root, exceptions: [{name: e, fields: service, values: [", 1);
  add(&text, "a,", 2000000);
  add(&text, "a]}]}\n", 1);
  check(&text, "more than 1000000 values");
  add(&text, "rules:\n  - {name: r, on: span, if: root, exceptions: [{name: e, fields: service, values: [", 1);
  add(&text, "a,", 100000);
  add(&text, "a]}]}\n", 1);
  check(&text, "more than 65536 bytes");
  add(&text, "rules:\n  - {name: r, on: span, if: root, example_violation: ", 1);
  add(&text, "{trace: [{span: ", 1 << 19);
  check(&text, "");
  add(&text, "rules:\n  - {name: r, on: span, if: root}\n", 1);
  for (unsigned i = 0; i < 99000; i++)
    add_numbered(&text, "  - {append: true, exceptions: [{name: e, values: [a]}], name: a", i, "}\n");
  check(&text, "no rule named `a0` is read together with this");
}

static void expressions_of_betrace(void **state) {
  (void)state;
  static const char *const bombs[][2] = {{"(", "nested more than 64 deep"},
                                         {"not ", "expected a name"},
                                         {"a.", "at most 32 parts"},
                                         {"a and ", "expected a name"},
                                         {"count(", "expected a name"},
                                         {"a.where((", "expected `and`, `or` or `)`"},
                                         {"a.where(", "expected"},
                                         {"when {", "expected"},
                                         {"trace.has(a) or ", "expected a name"},
                                         {"\\\"", "expected"}};
  struct text text = {0};
  for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
    add(&text, "rules:\n  - name: r\n    expression: \"when { ", 1);
    add(&text, bombs[i][0], 65000 / strlen(bombs[i][0]));
    add(&text, "\"\n", 1);
    check(&text, bombs[i][1]);
    add(&text, "rules:\n  - name: r\n    condition: \"", 1);
    add(&text, bombs[i][0], (1 << 20) / strlen(bombs[i][0]));
    add(&text, "\"\n", 1);
    check(&text, "at most 65536 bytes");
  }
  add(&text, "rules:\n  - name: r\n    expression: \"when { a", 1);
  add(&text, ".where(b)", 7000);
  add(&text, " } never { a.where(b matches c{1000}) }\"\n", 1);
  check(&text, "");
  add(&text, "rules:\n  - name: r\n    expression: 'when { a } never { a.where(b matches \"(c{99}){99}\") }'\n", 1);
  check(&text, "repeats too much");
}

static void megabyte_texts(void **state) {
  (void)state;
  static const char *const keys[][3] = {
      {"id", "a name has 1 to 128 characters", "a"},
      {"title", "a title has 1 to 256 bytes", "a"},
      {"description", "at most 4096 bytes", "a"},
      {"severity", "is no severity", "a"},
      {"mode", "is no mode", "a"},
      {"expression", "at most 65536 bytes", "a"},
      {"compliance_frameworks: [a], tags", "list", "a"},
      {"append", "`append` is true", "a"},
  };
  struct text text = {0};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    add(&text, "rules:\n  - {", 1);
    add(&text, keys[i][0], 1);
    add(&text, ": ", 1);
    add(&text, keys[i][2], 4 << 20);
    add(&text, "}\n", 1);
    check(&text, keys[i][1]);
  }
  add(&text, "macros:\n  ? ", 1);
  add(&text, "m", 1 << 20);
  add(&text, "\n  : root\n", 1);
  check(&text, "the name of a macro has 1 to 64");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hundred_thousand_macros), cmocka_unit_test(macros_of_macros),       cmocka_unit_test(many_constants),
      cmocka_unit_test(exceptions_and_examples),   cmocka_unit_test(expressions_of_betrace), cmocka_unit_test(megabyte_texts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
