/* What the CLI prints: tables aligned by their longest cell, control characters kept from the terminal, YAML that reads back. */
#include "cli_internal.h"
#include "cmocka_test.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

static char printed[8192];

/* Runs it with standard output in `printed`. */
static void print(const struct cli *cli, const char *whole_text, const char *list_key, const struct cli_column *columns) {
  json_t *whole = json_loads(whole_text, 0, NULL);
  assert_non_null(whole);
  FILE *file = tmpfile();
  fflush(stdout);
  const int saved = dup(STDOUT_FILENO);
  dup2(fileno(file), STDOUT_FILENO);
  cli_print(cli, whole, list_key ? json_object_get(whole, list_key) : NULL, columns);
  fflush(stdout);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  rewind(file);
  printed[fread(printed, 1, sizeof printed - 1, file)] = '\0';
  fclose(file);
  json_decref(whole);
}

static const struct cli_column columns[] = {{"NAME", "name"}, {"COUNT", "count"}, {"TEXT", "text"}, {NULL, NULL}};

static void a_table_is_as_wide_as_its_longest_cell(void **state) {
  (void)state;
  print(&(struct cli){.output = OUTPUT_TABLE},
        "{\"list\":[{\"name\":\"a long name\",\"count\":7,\"text\":\"x\"},{\"name\":\"b\",\"text\":null}]}", "list", columns);
  assert_string_equal(printed, "NAME         COUNT  TEXT\na long name  7      x\nb            -      -\n");
}

static void control_characters_do_not_reach_a_terminal(void **state) {
  (void)state;
  print(&(struct cli){.output = OUTPUT_TABLE},
        "{\"list\":[{\"name\":\"\\u001b[31m\\n\\t\\u007f\",\"count\":1,\"text\":\"\\u0007\"}]}", "list", columns);
  for (const char *c = printed; *c; c++) assert_true(*c == '\n' || (unsigned char)*c >= ' ');
  assert_int_equal(strchr(strchr(printed, '\n') + 1, '\n')[1], '\0');
}

static void an_empty_list_has_its_titles(void **state) {
  (void)state;
  print(&(struct cli){.output = OUTPUT_TABLE}, "{\"list\":[]}", "list", columns);
  assert_string_equal(printed, "NAME  COUNT  TEXT\n");
}

static void json_is_json(void **state) {
  (void)state;
  print(&(struct cli){.output = OUTPUT_JSON}, "{\"list\":[{\"name\":\"\\u00e9\\\"\",\"count\":1}]}", "list", columns);
  json_t *back = json_loads(printed, 0, NULL);
  assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(back, "list"), 0), "name")), "\xc3\xa9\"");
  json_decref(back);
}

/* A scalar of the printed YAML; one in quotes is text whatever it looks like. */
struct scalar {
  char text[64];
  bool quoted;
};

static size_t read_scalars(struct scalar *into, size_t room) {
  yaml_parser_t parser;
  yaml_event_t event;
  size_t count = 0;
  bool over = false;
  yaml_parser_initialize(&parser);
  yaml_parser_set_input_string(&parser, (const unsigned char *)printed, strlen(printed));
  while (!over) {
    assert_int_equal(yaml_parser_parse(&parser, &event), 1);
    if (event.type == YAML_SCALAR_EVENT) {
      assert_true(count < room);
      snprintf(into[count].text, sizeof into[count].text, "%s", (const char *)event.data.scalar.value);
      into[count++].quoted = event.data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    }
    over = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  return count;
}

static void yaml_reads_back_as_it_was(void **state) {
  (void)state;
  struct scalar found[16];
  print(&(struct cli){.output = OUTPUT_YAML},
        "{\"on\":\"no\",\"n\":12,\"t\":true,\"z\":null,\"s\":\"12\",\"m\":\"a: b # c\\n- d\"}", NULL, NULL);
  assert_int_equal(read_scalars(found, 16), 12);
  static const struct scalar wanted[] = {{"on", true}, {"no", true},    {"n", true},  {"12", false},
                                         {"t", false}, {"true", false}, {"z", false}, {"null", false},
                                         {"s", false}, {"12", true},    {"m", false}, {"a: b # c\n- d", true}};
  for (size_t i = 0; i < 12; i++) {
    assert_string_equal(found[i].text, wanted[i].text);
    assert_int_equal(found[i].quoted, wanted[i].quoted);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_table_is_as_wide_as_its_longest_cell),
      cmocka_unit_test(control_characters_do_not_reach_a_terminal),
      cmocka_unit_test(an_empty_list_has_its_titles),
      cmocka_unit_test(json_is_json),
      cmocka_unit_test(yaml_reads_back_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
