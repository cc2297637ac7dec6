/* Golden errors: every tests/golden/rules/NAME.yaml prints exactly NAME.expected. */
#include "cmocka_test.h"

#include "rule_text_support.h"
#include <dirent.h>

static char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  char *text = calloc(1, 1 << 20);
  *length = fread(text, 1, (1 << 20) - 1, file);
  fclose(file);
  return text;
}

static void check_golden(const char *name) {
  char input[512], golden[512];
  snprintf(input, sizeof input, "%s/%s.yaml", GOLDEN, name);
  snprintf(golden, sizeof golden, "%s/%s.expected", GOLDEN, name);
  size_t length, expected_length, printed_length;
  char *text = read_file(input, &length);
  char *expected = read_file(golden, &expected_length);
  char file[300], *printed;
  snprintf(file, sizeof file, "%s.yaml", name);
  struct rule_errors errors = {0};
  assert_non_null(text);
  assert_null(rule_set_parse(file, text, length, &errors));
  FILE *out = open_memstream(&printed, &printed_length);
  rule_errors_print(&errors, out);
  fclose(out);
  if (getenv("TRIPLINE_WRITE_GOLDEN")) {
    FILE *rewritten = fopen(golden, "wb");
    fwrite(printed, 1, printed_length, rewritten);
    fclose(rewritten);
  } else {
    assert_non_null(expected);
    if (strcmp(printed, expected) != 0) fprintf(stderr, "%s printed:\n%s\n", input, printed);
    assert_string_equal(printed, expected);
  }
  free(printed);
  free(expected);
  free(text);
  rule_errors_free(&errors);
}

static void test_golden(void **state) {
  (void)state;
  DIR *directory = opendir(GOLDEN);
  assert_non_null(directory);
  unsigned checked = 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    char name[256];
    snprintf(name, sizeof name, "%s", entry->d_name);
    char *dot = strrchr(name, '.');
    if (!dot || strcmp(dot, ".yaml") != 0) continue;
    *dot = '\0';
    check_golden(name);
    checked++;
  }
  closedir(directory);
  assert_true(checked >= 10);
}

static void test_at_most_a_hundred_are_kept(void **state) {
  (void)state;
  char *text = calloc(1, 1 << 20);
  strcpy(text, "rules:\n");
  char *end = text + strlen(text);
  for (int i = 0; i < 250; i++) end += sprintf(end, "  - {name: r%d, on: span, if: nmae = 1}\n", i);
  struct rule_errors errors = {0};
  assert_null(parse_text(text, &errors));
  assert_int_equal(errors.count, 100);
  assert_int_equal(errors.items[99].line, 101);
  /* Another file's errors are still noticed, though not kept. */
  assert_null(parse_text("rules: 5\n", &errors));
  assert_int_equal(errors.count, 100);
  assert_true(errors.dropped > 0);
  rule_errors_free(&errors);
  free(text);
}

static void test_control_characters_do_not_reach_the_terminal(void **state) {
  (void)state;
  struct rule_errors errors = {0};
  assert_null(parse_text("rules:\n  - {name: \"a\\e[31m\", on: \"\\e[2J\", if: root}\n", &errors));
  for (size_t i = 0; i < errors.count; i++) {
    assert_null(strchr(errors.items[i].message, '\033'));
    assert_null(strchr(errors.items[i].excerpt, '\033'));
  }
  assert_int_equal(errors.count, 2);
  rule_errors_free(&errors);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),
      cmocka_unit_test(test_at_most_a_hundred_are_kept),
      cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
