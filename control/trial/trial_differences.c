/* What was raised beside what was expected, said so that one sees what to change. */
#include "trial_test_internal.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AT_TOLERANCE_NS 50000000 /* time moves in steps */

static char *value_text(const struct trial_names *names, const json_t *value) {
  const char *name = json_is_string(value) ? trial_names_find(names, json_string_value(value)) : NULL;
  char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("missing");
  char *both = NULL;
  if (!name || !text || strcmp(name, json_string_value(value)) == 0) return text;
  if (asprintf(&both, "%s (%s)", text, name) < 0) both = NULL;
  free(text);
  return both;
}

static bool same(const json_t *wanted, const json_t *actual);

/* Members that are wanted; others may be there. */
static bool same_members(const json_t *wanted, const json_t *actual) {
  const char *key;
  json_t *value;
  if (!json_is_object(actual)) return false;
  json_object_foreach((json_t *)(uintptr_t)wanted, key, value) {
    const json_t *found = json_object_get(actual, key);
    if (!same(value, found) && !(json_is_null(value) && !found)) return false;
  }
  return true;
}

static bool same(const json_t *wanted, const json_t *actual) {
  int64_t duration_ns;
  if (!actual) return false;
  if (json_is_object(wanted)) return same_members(wanted, actual);
  if (json_is_array(wanted)) {
    bool equal = json_is_array(actual) && json_array_size(wanted) == json_array_size(actual);
    for (size_t i = 0; equal && i < json_array_size(wanted); i++)
      equal = same(json_array_get(wanted, i), json_array_get(actual, i));
    return equal;
  }
  if (json_is_integer(wanted) && json_is_integer(actual)) return json_integer_value(wanted) == json_integer_value(actual);
  if (json_is_number(wanted) && json_is_number(actual)) return json_number_value(wanted) == json_number_value(actual);
  if (json_is_string(wanted) && json_is_integer(actual))
    return trial_duration_parse(json_string_value(wanted), &duration_ns) && duration_ns == json_integer_value(actual);
  return json_equal((json_t *)(uintptr_t)wanted, (json_t *)(uintptr_t)actual);
}

static bool in_time(const struct trial_expectation *expectation, const json_t *violation) {
  const int64_t late_ns = json_integer_value(json_object_get(violation, "at_ns")) - expectation->at_ns;
  return !expectation->timed || (late_ns >= 0 && late_ns < AT_TOLERANCE_NS);
}

static size_t fields_wrong(const struct trial_expectation *expectation, const json_t *violation) {
  size_t wrong = in_time(expectation, violation) ? 0 : 1;
  const char *key;
  json_t *value;
  json_object_foreach(expectation->fields, key, value) {
    if (!same(value, json_object_get(violation, key))) wrong++;
  }
  return wrong;
}

static bool of_rule(const struct trial_expectation *expectation, const json_t *violation) {
  const char *rule = json_string_value(json_object_get(violation, "rule"));
  return rule && strcmp(rule, expectation->rule) == 0;
}

__attribute__((format(printf, 2, 3))) static void say(json_t *list, const char *format, ...) {
  va_list arguments;
  char *text = NULL;
  va_start(arguments, format);
  if (vasprintf(&text, format, arguments) >= 0) json_array_append_new(list, json_string(text));
  va_end(arguments);
  free(text);
}

static void say_time(char text[32], int64_t ns) {
  if (ns % 1000000000 == 0)
    snprintf(text, 32, "%" PRId64 "s", ns / 1000000000);
  else if (ns % 1000000 == 0)
    snprintf(text, 32, "%" PRId64 "ms", ns / 1000000);
  else
    snprintf(text, 32, "%" PRId64 "ns", ns);
}

static void say_field(json_t *details, const struct trial_names *names, const char *key, const json_t *wanted,
                      const json_t *actual) {
  char *a = value_text(names, wanted), *b = value_text(names, actual);
  if (a && b) say(details, "%s: expected %s, was %s", key, a, b);
  free(a);
  free(b);
}

static void say_wrong_fields(json_t *details, const struct trial_names *names, const struct trial_expectation *expectation,
                             const json_t *violation) {
  const char *key, *member;
  json_t *value, *wanted;
  json_object_foreach(expectation->fields, key, value) {
    const json_t *actual = json_object_get(violation, key);
    if (same(value, actual)) continue;
    if (!json_is_object(value)) say_field(details, names, key, value, actual);
    json_object_foreach(value, member, wanted) {
      char name[160];
      const json_t *found = json_object_get(actual, member);
      snprintf(name, sizeof name, "%s.%.120s", key, member);
      if (!same(wanted, found) && !(json_is_null(wanted) && !found)) say_field(details, names, name, wanted, found);
    }
  }
  if (!in_time(expectation, violation)) {
    char wanted_at[32], was[32];
    say_time(wanted_at, expectation->at_ns);
    say_time(was, json_integer_value(json_object_get(violation, "at_ns")));
    say(details, "at: expected %s, was %s", wanted_at, was);
  }
}

static void say_violation(json_t *details, const struct trial_names *names, const json_t *violation) {
  char at[32];
  const json_t *trace_id = json_object_get(violation, "trace_id");
  const char *trace = json_is_string(trace_id) ? trial_names_find(names, json_string_value(trace_id)) : NULL;
  say_time(at, json_integer_value(json_object_get(violation, "at_ns")));
  say(details, "raised: %s at %s%s%s%s: \"%s\"", json_string_value(json_object_get(violation, "rule")), at,
      json_is_string(trace_id) ? ", trace " : "", json_is_string(trace_id) && !trace ? json_string_value(trace_id) : "",
      trace ? trace : "", json_string_value(json_object_get(violation, "message")));
}

static void add(json_t *list, const yaml_node_t *node, char *message, json_t *details) {
  if (message)
    json_array_append_new(list, json_pack("{s:i, s:i, s:s, s:o}", "line", (int)node->start_mark.line + 1, "column",
                                          (int)node->start_mark.column + 1, "message", message, "details", details));
  else
    json_decref(details);
  free(message);
}

static void miss(json_t *list, const struct trial_names *names, const struct trial_expectation *expectation, uint64_t found,
                 json_t *violations, const bool *taken) {
  char *message = NULL;
  json_t *details = json_array(), *closest = NULL;
  size_t least = SIZE_MAX;
  for (size_t i = 0; i < json_array_size(violations); i++) {
    json_t *violation = json_array_get(violations, i);
    if (taken[i] || !of_rule(expectation, violation)) continue;
    const size_t wrong = fields_wrong(expectation, violation);
    if (wrong < least) closest = violation;
    if (wrong < least) least = wrong;
  }
  if (closest) say_wrong_fields(details, names, expectation, closest);
  if (expectation->times == 1) {
    if (asprintf(&message, "%s was expected to fire%s", expectation->rule, closest ? " like this" : " and did not") < 0)
      message = NULL;
  } else if (asprintf(&message, "%s was expected to fire %" PRIu64 " times like this, and did %" PRIu64 " times",
                      expectation->rule, expectation->times, found) < 0) {
    message = NULL;
  }
  add(list, expectation->node, message, details);
}

/* Those that say most choose first, so that one that says little leaves them what they need. */
static void order(const struct trial_expectation *expectations, size_t count, size_t *by_detail) {
  for (size_t i = 0; i < count; i++) {
    size_t at = i;
    const size_t size = json_object_size(expectations[i].fields) + expectations[i].timed;
    for (; at > 0; at--) {
      const struct trial_expectation *before = &expectations[by_detail[at - 1]];
      if (json_object_size(before->fields) + before->timed >= size) break;
      by_detail[at] = by_detail[at - 1];
    }
    by_detail[at] = i;
  }
}

static void match(json_t *list, const struct trial_names *names, const struct trial_expectation *expectations, size_t count,
                  json_t *violations, bool *taken, size_t *by_detail) {
  order(expectations, count, by_detail);
  for (size_t i = 0; i < count; i++) {
    const struct trial_expectation *expectation = &expectations[by_detail[i]];
    uint64_t found = 0;
    for (size_t v = 0; v < json_array_size(violations) && found < expectation->times; v++) {
      const json_t *violation = json_array_get(violations, v);
      if (taken[v] || !of_rule(expectation, violation) || fields_wrong(expectation, violation) > 0) continue;
      taken[v] = true;
      found++;
    }
    if (found < expectation->times) miss(list, names, expectation, found, violations, taken);
  }
}

static void check_silent(json_t *list, struct trial_document *document, const struct trial_names *names,
                         const yaml_node_t *silent, json_t *violations, const bool *taken) {
  for (size_t i = 0; silent && i < trial_list_count(silent); i++) {
    const yaml_node_t *node = trial_list_at(document, silent, i);
    const struct trial_expectation rule = {.rule = (const char *)node->data.scalar.value};
    json_t *details = json_array();
    char *message = NULL;
    for (size_t v = 0; v < json_array_size(violations); v++)
      if (!taken[v] && of_rule(&rule, json_array_get(violations, v)))
        say_violation(details, names, json_array_get(violations, v));
    const size_t fired = json_array_size(details);
    if (fired == 0 || asprintf(&message, "%s was expected to stay silent and fired", rule.rule) < 0) {
      json_decref(details);
      continue;
    }
    add(list, node, message, details);
  }
}

static void check_unexpected(json_t *list, const struct trial_names *names, const yaml_node_t *test, json_t *violations,
                             const bool *taken) {
  json_t *details = json_array();
  for (size_t v = 0; v < json_array_size(violations); v++)
    if (!taken[v]) say_violation(details, names, json_array_get(violations, v));
  if (json_array_size(details) == 0)
    json_decref(details);
  else
    add(list, test, strdup("fired and was not expected to"), details);
}

json_t *trial_differences(struct trial_document *document, const struct trial_names *names,
                          const struct trial_expectation *expectations, size_t count, bool strict, const yaml_node_t *silent,
                          const yaml_node_t *test, json_t *violations) {
  json_t *list = json_array();
  bool *taken = calloc(json_array_size(violations) + 1, sizeof *taken);
  size_t *by_detail = calloc(count + 1, sizeof *by_detail);
  if (list && taken && by_detail) {
    match(list, names, expectations, count, violations, taken, by_detail);
    check_silent(list, document, names, silent, violations, taken);
    if (strict) check_unexpected(list, names, test, violations, taken);
  }
  free(taken);
  free(by_detail);
  return list;
}
