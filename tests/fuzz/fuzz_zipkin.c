/* Zipkin v2 JSON: what json_spans.h says. */
#include "json_spans.h"
#include "zipkin.h"

static const struct fixture_column columns[] = {
    {SCOPE_SPAN, "k"}, {SCOPE_SPAN, "error"}, {SCOPE_SPAN, ""}, {SCOPE_SPAN, "peer.service"}, {SCOPE_RESOURCE, "service.name"}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct json_spans spans = {
      .decode = zipkin_decode_json, .columns = columns, .column_count = sizeof columns / sizeof *columns};
  json_spans_run(&spans, bytes, length);
  return 0;
}
