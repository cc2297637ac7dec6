/* Any bytes as a rule file: refused with errors, or a set whose canonical text reads back as itself and that compiles to an
 * image that a shard takes and runs. */
#include "always_assert.h"
#include "engine.h"
#include "image_run.h"
#include "rule_set.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_round_trip(const struct rule_set *set) {
  struct rule_errors errors = {0};
  size_t text_length, again_length;
  char *text = rule_set_text(set, &text_length);
  struct rule_set *again = rule_set_parse("again.yaml", text, text_length, &errors);
  ALWAYS_ASSERT(again != NULL);
  char *again_text = rule_set_text(again, &again_length);
  ALWAYS_ASSERT(again_length == text_length && memcmp(text, again_text, text_length) == 0);
  free(text);
  free(again_text);
  rule_set_free(again);
  rule_errors_free(&errors);
}

static void check_errors(const struct rule_errors *errors) {
  ALWAYS_ASSERT(errors->count > 0);
  char *printed;
  size_t printed_length;
  FILE *out = open_memstream(&printed, &printed_length);
  ALWAYS_ASSERT(out != NULL);
  rule_errors_print(errors, out);
  fclose(out);
  for (size_t i = 0; i < printed_length; i++)
    ALWAYS_ASSERT(printed[i] == '\n' || printed[i] == '\t' || (uint8_t)printed[i] >= ' ');
  free(printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("fuzz.yaml", (const char *)bytes, length, &errors);
  if (set) {
    ALWAYS_ASSERT(errors.count == 0);
    check_round_trip(set);
    struct rule_image *image = rule_image_compile(set, 1, NULL, 1, &errors);
    ALWAYS_ASSERT(image ? engine_image_fits(image, RULE_COLUMNS_MAX) : errors.count > 0);
    if (image) image_run(image, length);
    rule_image_free(image);
    rule_set_free(set);
  } else {
    check_errors(&errors);
  }
  rule_errors_free(&errors);
  return 0;
}
