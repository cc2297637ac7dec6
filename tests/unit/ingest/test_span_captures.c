/* What stock clients of Zipkin and Jaeger sent, against what was made of it, row by row. */
#include "captured_rows.h"
#include "cmocka_test.h"
#include "hexadecimal.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct fixture_column columns[] = {
    {SCOPE_RESOURCE, "service.name"},
    {SCOPE_RESOURCE, "deployment.environment"},
    {SCOPE_RESOURCE, "hostname"},
    {SCOPE_SPAN, "http.method"},
    {SCOPE_SPAN, "http.status_code"},
    {SCOPE_SPAN, "amount"},
    {SCOPE_SPAN, "load"},
    {SCOPE_SPAN, "cached"},
    {SCOPE_SPAN, "error"},
    {SCOPE_SPAN, "peer.service"},
    {SCOPE_SPAN, "otel.status_code"},
    {SCOPE_SPAN, "http.path"},
};
#define COLUMNS (sizeof columns / sizeof *columns)

static char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  *length = 0;
  if (!file) return NULL;
  char *text = calloc(1, 1 << 20);
  *length = fread(text, 1, (1 << 20) - 1, file);
  fclose(file);
  return text;
}

static void print_value(FILE *out, const struct value *value) {
  switch (value->type) {
  case VALUE_BOOL:
    fputs(value->boolean ? "true" : "false", out);
    break;
  case VALUE_INTEGER:
    fprintf(out, "%" PRId64, value->integer);
    break;
  case VALUE_DOUBLE:
    fprintf(out, "%.17g (double)", value->real);
    break;
  case VALUE_STRING:
    fprintf(out, "\"%s\"", value->text);
    break;
  default:
    fputs("(other)", out);
  }
}

static void print_id(FILE *out, const char *name, const uint8_t *id, size_t bytes) {
  char text[33] = {0};
  hex_encode(id, bytes, text);
  fprintf(out, "  %s %s\n", name, text);
}

static void print_row(FILE *out, const struct captured_row *row) {
  static const char *const kinds[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
  static const char *const statuses[] = {"unset", "ok", "error"};
  const struct event_fields *fields = &row->fields;
  fprintf(out, "span \"%s\"\n", fields->name.at);
  print_id(out, "trace", fields->trace_id, sizeof fields->trace_id);
  print_id(out, "id", fields->span_id, sizeof fields->span_id);
  if (fields->has_parent) print_id(out, "parent", fields->parent_id, sizeof fields->parent_id);
  if (fields->service.at) fprintf(out, "  service \"%s\"\n", fields->service.at);
  fprintf(out, "  kind %s, status %s\n", kinds[fields->kind], statuses[fields->status]);
  fprintf(out, "  from %" PRIu64 " to %" PRIu64 "\n", fields->start_ns, fields->end_ns);
  for (size_t slot = 0; slot < COLUMNS; slot++) {
    if (row->columns[slot].type == VALUE_NULL) continue;
    fprintf(out, "  %s.%s = ", columns[slot].scope == SCOPE_RESOURCE ? "resource" : "span", columns[slot].key);
    print_value(out, &row->columns[slot]);
    fputc('\n', out);
  }
}

static void check_capture(const char *name, captured_decoder decoder) {
  struct image_fixture *fixture = image_fixture_create(EVENT_SPAN, columns, COLUMNS);
  struct captured_rows captured;
  char input[512], golden[512], *printed;
  size_t length, expected_length, printed_length;
  snprintf(input, sizeof input, "%s/%s", GOLDEN, name);
  snprintf(golden, sizeof golden, "%s/%s.expected", GOLDEN, name);
  char *bytes = read_file(input, &length), *expected = read_file(golden, &expected_length);
  captured_decode_with(&captured, fixture, decoder, bytes, length, UINT32_MAX);
  FILE *out = open_memstream(&printed, &printed_length);
  fprintf(out, "outcome %d, %" PRIu64 " spans, %u rows\n", captured.result.outcome, captured.result.spans, captured.count);
  for (uint32_t i = 0; i < captured.count; i++) print_row(out, &captured.rows[i]);
  fclose(out);
  if (getenv("TRIPLINE_WRITE_GOLDEN")) {
    FILE *rewritten = fopen(golden, "wb");
    fwrite(printed, 1, printed_length, rewritten);
    fclose(rewritten);
  } else {
    assert_non_null(expected);
    if (strcmp(printed, expected) != 0) print_error("%s gave:\n%s\n", name, printed);
    assert_string_equal(printed, expected);
  }
  captured_free(&captured);
  image_fixture_destroy(fixture);
  free(printed);
  free(expected);
  free(bytes);
}

static void captures_give_what_is_written_beside_them(void **state) {
  (void)state;
  DIR *directory = opendir(GOLDEN);
  unsigned checked = 0;
  assert_non_null(directory);
  for (struct dirent *entry; (entry = readdir(directory));) {
    const char *dot = strrchr(entry->d_name, '.');
    if (!dot || (strcmp(dot, ".zipkin") != 0 && strcmp(dot, ".jaeger") != 0)) continue;
    check_capture(entry->d_name, strcmp(dot, ".zipkin") == 0 ? captured_zipkin : captured_jaeger);
    checked++;
  }
  closedir(directory);
  assert_true(checked >= 6);
}

/* A capture that was cut anywhere is refused, whatever was behind the end. */
static void a_capture_that_is_cut_is_malformed(void **state) {
  (void)state;
  static const char *const names[] = {"jaeger-client.jaeger", "opentelemetry.jaeger", "opentelemetry.zipkin", "shared.zipkin"};
  struct image_fixture *fixture = image_fixture_create(EVENT_SPAN, columns, COLUMNS);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char input[512];
    size_t length;
    snprintf(input, sizeof input, "%s/%s", GOLDEN, names[i]);
    char *bytes = read_file(input, &length);
    while (length > 0 && bytes[length - 1] == '\n') length--;
    for (size_t cut = 0; cut < length; cut++) {
      struct captured_rows captured;
      captured_decode_with(&captured, fixture, i < 2 ? captured_jaeger : captured_zipkin, bytes, cut, UINT32_MAX);
      assert_int_equal(captured.result.outcome, SPANS_MALFORMED);
      captured_free(&captured);
    }
    free(bytes);
  }
  image_fixture_destroy(fixture);
}

int main(void) {
  const struct CMUnitTest span_captures[] = {
      cmocka_unit_test(captures_give_what_is_written_beside_them),
      cmocka_unit_test(a_capture_that_is_cut_is_malformed),
  };
  return cmocka_run_group_tests(span_captures, NULL, NULL);
}
