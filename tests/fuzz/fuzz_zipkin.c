/* Zipkin v2 JSON: no over-read, texts inside body or scratch, scratch of the body's length always enough, and a verdict that does
 * not depend on what rules read. */
#include "decode_invariants.h"
#include "json.h"
#include "zipkin.h"
#include <stdlib.h>
#include <string.h>

static const struct fixture_column columns[] = {
    {SCOPE_SPAN, "k"}, {SCOPE_SPAN, "error"}, {SCOPE_SPAN, ""}, {SCOPE_SPAN, "peer.service"}, {SCOPE_RESOURCE, "service.name"}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct span_result decode(const uint8_t *body, size_t length, struct image_fixture *fixture, uint32_t refuse_after) {
  char *scratch = malloc(length ? length : 1);
  if (!scratch) abort();
  struct decode_memory memory = {.body = (const char *)body,
                                 .body_end = (const char *)body + length,
                                 .scratch = scratch,
                                 .scratch_end = scratch + length,
                                 .refuse_after = refuse_after};
  const struct event_sink sink = {.context = &memory, .evaluate = assert_batch_is_sound};
  struct span_result result;
  zipkin_decode_json(body, (uint32_t)length, scratch, (uint32_t)length, &fixture->batch, &sink, &result);
  assert_result_is_sound(&memory, &fixture->batch, &result, length);
  if (result.error) ALWAYS_ASSERT(strstr(result.error, "no room") == NULL);
  free(scratch);
  return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct image_fixture *reading, *passing;
  if (!reading) {
    reading = image_fixture_create(EVENT_SPAN, columns, sizeof columns / sizeof *columns);
    passing = image_fixture_create(EVENT_SPAN, NULL, 0);
  }
  uint8_t *body = malloc(length ? length : 1);
  if (!body) abort();
  if (length) memcpy(body, bytes, length);
  const struct span_result read = decode(body, length, reading, UINT32_MAX);
  const struct span_result passed = decode(body, length, passing, UINT32_MAX);
  ALWAYS_ASSERT(same_result(&read, &passed));
  decode(body, length, reading, 0);
  /* What decodes is valid JSON. */
  struct json_reader reader;
  json_begin(&reader, body, (uint32_t)length, NULL, 0);
  const bool valid = json_skip(&reader) && json_finish(&reader);
  ALWAYS_ASSERT(valid || read.outcome == SPANS_MALFORMED);
  free(body);
  return 0;
}
