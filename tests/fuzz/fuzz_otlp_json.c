/* OTLP/JSON: what json_spans.h says. */
#include "json_spans.h"

static const struct fixture_column columns[] = {{SCOPE_SPAN, "k"},
                                                {SCOPE_SPAN, "http.request.method"},
                                                {SCOPE_SPAN, ""},
                                                {SCOPE_RESOURCE, "service.name"},
                                                {SCOPE_RESOURCE, "k"}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct json_spans spans = {
      .decode = otlp_decode_json, .columns = columns, .column_count = sizeof columns / sizeof *columns};
  json_spans_run(&spans, bytes, length);
  return 0;
}
