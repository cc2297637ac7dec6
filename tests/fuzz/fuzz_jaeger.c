/* Jaeger's compact datagrams: no over-read, texts inside the datagram, a verdict that does not depend on what rules read, and
 * nothing taken from what is no call of emitBatch, or from less or more than the whole of one. */
#include "decode_invariants.h"
#include "jaeger.h"
#include <stdlib.h>
#include <string.h>

static const struct fixture_column columns[] = {
    {SCOPE_SPAN, "k"}, {SCOPE_SPAN, "error"}, {SCOPE_SPAN, ""}, {SCOPE_RESOURCE, "service.name"}, {SCOPE_RESOURCE, "k"}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct span_result decode(const uint8_t *source, size_t length, struct image_fixture *fixture, uint32_t refuse_after) {
  /* A copy of its own size: one byte beyond it is found. */
  uint8_t *datagram = malloc(length ? length : 1);
  if (!datagram) abort();
  if (length) memcpy(datagram, source, length);
  struct decode_memory memory = {
      .body = (const char *)datagram, .body_end = (const char *)datagram + length, .refuse_after = refuse_after};
  const struct event_sink sink = {.context = &memory, .evaluate = assert_batch_is_sound};
  struct span_result result;
  jaeger_decode_compact(datagram, (uint32_t)length, &fixture->batch, &sink, &result);
  assert_result_is_sound(&memory, &fixture->batch, &result, length);
  if (jaeger_message_of(datagram, (uint32_t)length) != JAEGER_BATCH) ALWAYS_ASSERT(result.outcome == SPANS_MALFORMED);
  free(datagram);
  return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct image_fixture *reading, *passing;
  if (length > 65507) return 0;
  if (!reading) {
    reading = image_fixture_create(EVENT_SPAN, columns, sizeof columns / sizeof *columns);
    passing = image_fixture_create(EVENT_SPAN, NULL, 0);
  }
  const struct span_result read = decode(bytes, length, reading, UINT32_MAX);
  const struct span_result passed = decode(bytes, length, passing, UINT32_MAX);
  ALWAYS_ASSERT(same_result(&read, &passed));
  decode(bytes, length, reading, 0);
  if (read.outcome != SPANS_DECODED) return 0;
  uint8_t *longer = calloc(1, length + 1);
  if (!longer) abort();
  memcpy(longer, bytes, length);
  const struct span_result more = decode(longer, length + 1, reading, UINT32_MAX);
  const struct span_result less = decode(bytes, length - 1, reading, UINT32_MAX);
  ALWAYS_ASSERT(more.outcome == SPANS_MALFORMED && less.outcome == SPANS_MALFORMED);
  free(longer);
  return 0;
}
