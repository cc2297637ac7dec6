/* Capture files: whatever frames and streams are in them, every frame is accounted for, bodies are within bounds, and the same
 * file reads the same twice. */
#include "always_assert.h"
#include "trial_input_internal.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct taken {
  uint64_t bodies, bytes, last_ns;
};

static void take(void *context, uint64_t arrived_ns, const struct trial_body *body, struct trial_answer *answer) {
  struct taken *taken = context;
  ALWAYS_ASSERT(arrived_ns >= taken->last_ns && body->length <= TRIAL_BODY_BYTES_MAX && body->format < TRIAL_FORMATS);
  taken->last_ns = arrived_ns;
  taken->bodies++;
  /* All of it can be read. */
  for (size_t i = 0; i < body->length; i++) taken->bytes += ((const uint8_t *)body->bytes)[i];
  *answer = (struct trial_answer){.refusal = taken->bodies % 2 ? TRIAL_TAKEN : TRIAL_MALFORMED};
}

static bool read_once(const uint8_t *bytes, size_t length, struct taken *taken, struct trial_report *report) {
  struct rule_errors errors = {0};
  const struct trial_reader reader = {.context = taken, .body = take};
  *taken = (struct taken){0};
  *report = (struct trial_report){0};
  FILE *file = fmemopen((void *)(uintptr_t)bytes, length, "rb");
  if (!file) abort();
  const bool good = trial_capture_read_file(file, "fuzz", &reader, report, &errors);
  ALWAYS_ASSERT(good == (errors.count == 0));
  rule_errors_free(&errors);
  return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct taken first, second;
  struct trial_report report, again;
  if (length == 0 || length > 65536) return 0;
  if (!read_once(bytes, length, &first, &report)) return 0;
  uint64_t accounted = report.frames_read;
  for (int i = UNREAD_NOT_IP; i <= UNREAD_FRAGMENT; i++) accounted += report.unread[i];
  ALWAYS_ASSERT(accounted == report.frames && first.bodies == report.requests + report.datagrams);
  ALWAYS_ASSERT(read_once(bytes, length, &second, &again));
  ALWAYS_ASSERT(memcmp(&first, &second, sizeof first) == 0 && memcmp(&report, &again, sizeof report) == 0);
  return 0;
}
