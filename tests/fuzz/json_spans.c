#include "json_spans.h"
#include "json.h"
#include <stdlib.h>
#include <string.h>

static struct span_result decode(const struct json_spans *spans, struct image_fixture *fixture, const uint8_t *body,
                                 size_t length, uint32_t refuse_after) {
  char *scratch = malloc(length ? length : 1);
  if (!scratch) abort();
  struct decode_memory memory = {.body = (const char *)body,
                                 .body_end = (const char *)body + length,
                                 .scratch = scratch,
                                 .scratch_end = scratch + length,
                                 .refuse_after = refuse_after};
  const struct event_sink sink = {.context = &memory, .evaluate = assert_batch_is_sound};
  struct span_result result;
  spans->decode(body, (uint32_t)length, scratch, (uint32_t)length, &fixture->batch, &sink, &result);
  assert_result_is_sound(&memory, &fixture->batch, &result, length);
  if (result.error) ALWAYS_ASSERT(strstr(result.error, "no room") == NULL);
  free(scratch);
  return result;
}

void json_spans_run(struct json_spans *spans, const uint8_t *bytes, size_t length) {
  if (!spans->reading) {
    spans->reading = image_fixture_create(EVENT_SPAN, spans->columns, (uint32_t)spans->column_count);
    spans->passing = image_fixture_create(EVENT_SPAN, NULL, 0);
  }
  uint8_t *body = malloc(length ? length : 1); /* of its very length, so that an over-read shows */
  if (!body) abort();
  if (length) memcpy(body, bytes, length);
  const struct span_result read = decode(spans, spans->reading, body, length, UINT32_MAX);
  const struct span_result passed = decode(spans, spans->passing, body, length, UINT32_MAX);
  ALWAYS_ASSERT(same_result(&read, &passed));
  decode(spans, spans->reading, body, length, 0);
  struct json_reader reader;
  json_begin(&reader, body, (uint32_t)length, NULL, 0);
  const bool valid = json_skip(&reader) && json_finish(&reader);
  ALWAYS_ASSERT(valid || read.outcome == SPANS_MALFORMED);
  free(body);
}
