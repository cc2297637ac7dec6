#define PCRE2_CODE_UNIT_WIDTH 8
#include "pattern_pool.h"
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATTERNS_MAX 512u
#define PATTERN_BYTES 96u

struct pattern {
  char text[PATTERN_BYTES];
  pcre2_code *code;
};

static struct pattern patterns[PATTERNS_MAX];
static unsigned pattern_count;
static pcre2_match_data *found;

static const char *const chosen[] = {"^ab",
                                     "b$",
                                     "",
                                     "[0-9]+",
                                     "^$",
                                     "a.*b",
                                     "[12]$",
                                     "x",
                                     "^/orders/",
                                     "(?i)CHECKOUT",
                                     "^(a|b)+$",
                                     "\\d{2,4}",
                                     "\\bb",
                                     "\\w+-\\w+",
                                     "é",
                                     "^.$",
                                     "^..$",
                                     "[^a-z]",
                                     "(ab|ba)c?$",
                                     "^[[:alpha:]]",
                                     "\\.",
                                     "^\\d+\\.\\d+",
                                     "\\x{e9}t",
                                     "t$|^p",
                                     "\\s",
                                     "[\\x{3040}-\\x{9fff}]",
                                     "^(?:GET|POST) ",
                                     "a\\nb",
                                     "\\t",
                                     "[a-c]{3}"};

static const char *random_atom(struct test_random *random) {
  static const char *const atoms[] = {"a", "b", "c", "x", "1", "2", "/", "t", ".", "[ab]", "[^a]", "\\d", "\\w", "é", "[0-9a-f]"};
  return atoms[random_below(random, sizeof atoms / sizeof atoms[0])];
}

static void random_text(struct test_random *random, char text[PATTERN_BYTES]) {
  static const char *const counts[] = {"", "", "", "", "?", "*", "+", "{2}", "{1,3}"};
  size_t length = 0;
  const bool group = random_below(random, 4) == 0;
  if (random_below(random, 3) == 0) length += (size_t)sprintf(text + length, "^");
  if (group) length += (size_t)sprintf(text + length, "(");
  for (unsigned i = 1 + random_below(random, 4); i > 0; i--) {
    length += (size_t)sprintf(text + length, "%s%s", random_atom(random), counts[random_below(random, 9)]);
    if (group && i > 1 && random_below(random, 3) == 0) length += (size_t)sprintf(text + length, "|");
  }
  if (group) length += (size_t)sprintf(text + length, ")%s", counts[random_below(random, 7)]);
  if (random_below(random, 3) == 0) sprintf(text + length, "$");
}

static void add(const char *text) {
  struct pattern *pattern = &patterns[pattern_count];
  int error;
  PCRE2_SIZE offset;
  snprintf(pattern->text, sizeof pattern->text, "%s", text);
  pattern->code = pcre2_compile((PCRE2_SPTR)pattern->text, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &offset, NULL);
  if (!pattern->code) {
    fprintf(stderr, "not a pattern: %s\n", text);
    abort();
  }
  pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
  pattern_count++;
}

void pattern_pool_open(void) {
  struct test_random random = {.state = 77};
  char text[PATTERN_BYTES];
  found = pcre2_match_data_create(1, NULL);
  if (!found) abort();
  for (size_t i = 0; i < sizeof chosen / sizeof chosen[0]; i++) add(chosen[i]);
  while (pattern_count < PATTERNS_MAX) {
    random_text(&random, text);
    add(text);
  }
}

void pattern_pool_close(void) {
  while (pattern_count > 0) pcre2_code_free(patterns[--pattern_count].code);
  pcre2_match_data_free(found);
}

const struct pattern *pattern_pick(struct test_random *random) {
  return &patterns[random_below(random, random_below(random, 4) ? sizeof chosen / sizeof chosen[0] : pattern_count)];
}

const char *pattern_text(const struct pattern *pattern) { return pattern->text; }

bool pattern_found(const struct pattern *pattern, const struct plain *text) {
  return pcre2_match(pattern->code, (PCRE2_SPTR)text->text, text->length, 0, PCRE2_NO_UTF_CHECK, found, NULL) >= 0;
}
