#pragma once
/* What the keys `window`, `for`, `repeat_after`, `suppress` and `threshold` of a rule say. One rule has one window at most:
 * `threshold` and `suppress` are windows in other words. Immutable, in the region of its rule. */
#include "expression_internal.h"

#define WINDOW_OVER_NS_MIN 100000000ull /* a step is then longer than the resolution of timers */
#define WINDOW_FOR_NS_MIN 1000000ull
#define WINDOW_REPEAT_NS_MIN 100000000ull

enum window_form { WINDOW_FORM_WINDOW, WINDOW_FORM_THRESHOLD, WINDOW_FORM_SUPPRESS };

struct rule_window {
  enum window_form form;
  enum window_function function; /* WINDOW_EACH: suppress */
  bool change;
  uint32_t quantile_digits; /* of pNN as written: 99, 999 */
  double quantile;
  const struct reference *value; /* NULL: none */
  const struct reference *by[IMAGE_WINDOW_KEYS_MAX];
  uint32_t by_count;
  uint64_t over_ns;
  enum predicate_operation comparison;
  struct literal limit;
  uint64_t for_ns, repeat_after_ns;
};

/* Into `window`, which is zeroed; false when an error was added. */
bool window_parse(const struct expression_context *context, struct rule_window *window);
/* A text that is one duration from `least` to IMAGE_WINDOW_NS_MAX. */
bool window_parse_duration(const struct expression_context *context, uint64_t least_ns, uint64_t *duration_ns);
/* A text that is one positive whole number. */
bool window_parse_count(const struct expression_context *context, int64_t *count);
/* A text that is one reference, added to `by`. */
bool window_parse_key(const struct expression_context *context, struct rule_window *window);

struct growing_text;
/* The canonical text of `window:`. */
void window_print(const struct rule_window *window, struct growing_text *out);
void window_print_duration(uint64_t duration_ns, struct growing_text *out);
