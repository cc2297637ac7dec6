/* Webhooks: the first byte names the kind, then a signature header up to a newline, then the body. No over-read, nothing handed
 * over of a refused body, as many alerts read as were counted, and no signature but ours is genuine. */
#include "always_assert.h"
#include "image_fixture.h"
#include "webhook.h"
#include <stdlib.h>
#include <string.h>

static const struct fixture_column columns[] = {{SCOPE_LABEL, "k"}, {SCOPE_ANNOTATION, "k"}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct seen {
  uint32_t webhooks, alerts;
};

static bool count_rows(void *context, struct event_batch *batch) {
  struct seen *seen = context;
  volatile char last = 0;
  for (uint32_t row = 0; row < batch->count; row++) {
    const struct event_text name = batch->fields[row].name;
    if (name.length) last = name.at[name.length - 1];
  }
  (void)last;
  *(batch->kind == EVENT_ALERT ? &seen->alerts : &seen->webhooks) += batch->count;
  batch->count = 0;
  return true;
}

static void decode(const struct webhook_source *source, const uint8_t *body, uint32_t bytes) {
  static struct image_fixture *webhooks, *alerts;
  if (!webhooks) {
    webhooks = image_fixture_create(EVENT_WEBHOOK, NULL, 0);
    alerts = image_fixture_create(EVENT_ALERT, columns, sizeof columns / sizeof *columns);
  }
  char *scratch = malloc(bytes ? bytes : 1);
  if (!scratch) abort();
  struct seen seen = {0};
  const struct event_sink sink = {.context = &seen, .evaluate = count_rows};
  struct webhook_result result;
  webhook_decode(source, body, bytes, scratch, bytes, 1, &webhooks->batch, &alerts->batch, &sink, &result);
  if (result.outcome == WEBHOOK_DECODED) {
    ALWAYS_ASSERT(seen.webhooks == 1 && seen.alerts == result.alerts);
  } else {
    ALWAYS_ASSERT(result.error && seen.webhooks == 0 && seen.alerts == 0 && result.outcome != WEBHOOK_NO_ROOM);
  }
  free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static const char secret[] = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  if (length < 1) return 0;
  struct webhook_source source = {.name = "s", .kind = (enum webhook_kind)(bytes[0] % 4)};
  const uint8_t *end = memchr(bytes + 1, '\n', length - 1);
  const uint32_t header_bytes = end ? (uint32_t)(end - bytes - 1) : 0;
  const size_t body_at = end ? header_bytes + 2u : 1;
  const uint32_t body_bytes = (uint32_t)(length - body_at);
  char *header = malloc(header_bytes ? header_bytes : 1);
  uint8_t *body = malloc(body_bytes ? body_bytes : 1);
  if (!header || !body) abort();
  if (header_bytes) memcpy(header, bytes + 1, header_bytes);
  if (body_bytes) memcpy(body, bytes + body_at, body_bytes);
  ALWAYS_ASSERT(webhook_secret_prepare(source.kind, secret, sizeof secret - 1, &source.secrets[0]) == 0);
  source.secret_count = 1;
  const struct webhook_headers headers = {.signature = {header, header_bytes}, .id = {"id", 2}, .timestamp = {"0", 1}};
  const enum webhook_verdict verdict = webhook_authenticate(&source, &headers, body, body_bytes, 0, NULL);
  ALWAYS_ASSERT(verdict == WEBHOOK_BAD_SIGNATURE);
  decode(&source, body, body_bytes);
  free(header);
  free(body);
  return 0;
}
