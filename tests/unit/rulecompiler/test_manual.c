/* Every yaml block of docs/rules.md is a rule file that validates and compiles. */
#include "cmocka_test.h"

#include "rule_text_support.h"

static void test_examples(void **state) {
  (void)state;
  FILE *file = fopen(SOURCE_ROOT "/docs/rules.md", "r");
  assert_non_null(file);
  char line[4096], *block = calloc(1, 1 << 16);
  bool inside = false;
  unsigned blocks = 0;
  while (fgets(line, sizeof line, file)) {
    if (!inside && strcmp(line, "```yaml\n") == 0) {
      inside = true;
      block[0] = '\0';
    } else if (inside && strcmp(line, "```\n") == 0) {
      inside = false;
      blocks++;
      rule_image_free(compile_text(block));
    } else if (inside) {
      strcat(block, line);
    }
  }
  fclose(file);
  free(block);
  assert_false(inside);
  assert_true(blocks >= 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
