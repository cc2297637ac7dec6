/* OTLP protobuf: no over-read, texts inside the body, and the same verdict whether rules read attributes or not - but for what is
 * wrong inside attributes, which only shows when they are read. */
#include "decode_invariants.h"
#include <stdlib.h>
#include <string.h>

static const struct fixture_column columns[] = {{SCOPE_SPAN, "k"},
                                                {SCOPE_SPAN, "http.request.method"},
                                                {SCOPE_SPAN, ""},
                                                {SCOPE_RESOURCE, "service.name"},
                                                {SCOPE_RESOURCE, "k"}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct span_result decode(const uint8_t *body, size_t length, struct image_fixture *fixture, uint32_t refuse_after) {
  struct decode_memory memory = {
      .body = (const char *)body, .body_end = (const char *)body + length, .refuse_after = refuse_after};
  const struct event_sink sink = {.context = &memory, .evaluate = assert_batch_is_sound};
  struct span_result result;
  otlp_decode_protobuf(body, (uint32_t)length, &fixture->batch, &sink, &result);
  assert_result_is_sound(&memory, &fixture->batch, &result, length);
  return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct image_fixture *reading, *passing;
  if (!reading) {
    reading = image_fixture_create(EVENT_SPAN, columns, sizeof columns / sizeof *columns);
    passing = image_fixture_create(EVENT_SPAN, NULL, 0);
  }
  /* A copy of its own size: one byte beyond it is found. */
  uint8_t *body = malloc(length ? length : 1);
  if (!body) abort();
  if (length) memcpy(body, bytes, length);
  const struct span_result read = decode(body, length, reading, UINT32_MAX);
  const struct span_result passed = decode(body, length, passing, UINT32_MAX);
  if (read.outcome == SPANS_DECODED) ALWAYS_ASSERT(same_result(&read, &passed));
  decode(body, length, reading, 0);
  free(body);
  return 0;
}
