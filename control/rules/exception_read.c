#include "exception_internal.h"
#include <stdlib.h>
#include <string.h>

struct reading {
  struct exceptions *exceptions;
  struct rule_source *source; /* of what is being read */
  struct rule_errors *errors;
};

static bool complain(struct reading *reading, const struct raw_node *node, const char *message) {
  const struct source_place place = {.line = node->scalar.line + 1, .column = node->scalar.column + 1};
  rule_errors_add(reading->errors, reading->source, place, "%s", message);
  return false;
}

static bool is_text(const struct raw_node *node) { return node->kind == RAW_SCALAR && node->scalar.length > 0; }

static bool all_texts(const struct raw_node *list) {
  if (list->kind == RAW_SCALAR) return is_text(list);
  for (const struct raw_node *member = list->first; member; member = member->next)
    if (!is_text(member)) return false;
  return list->kind == RAW_LIST && list->count > 0;
}

/* The members of the mapping that an exception is. */
struct members {
  const struct raw_node *name, *fields, *comparisons, *values;
};

static bool read_members(struct reading *reading, const struct raw_node *node, struct members *members) {
  static const char *const words[] = {"name", "fields", "comps", "values", NULL};
  const struct raw_node **const into[] = {&members->name, &members->fields, &members->comparisons, &members->values};
  bool good = true;
  if (node->kind != RAW_MAPPING)
    return complain(reading, node, "an exception is a mapping with `name`, `fields`, `comps`, `values`");
  for (const struct raw_node *member = node->first; member; member = member->next) {
    const struct image_text key = {.at = member->key.value,
                                   .length = (uint32_t)(member->key.length < 64 ? member->key.length : 64)};
    int at = 0;
    while (words[at] && strcmp(words[at], member->key.value) != 0) at++;
    if (words[at] && !*into[at]) {
      *into[at] = member;
      continue;
    }
    const char *meant = words[at] ? NULL : suggest(key, words);
    rule_errors_add(reading->errors, reading->source, rule_source_place(reading->source, &member->key, 0),
                    words[at] ? "`%.*s` is given twice in this exception%s%s%s" : "unknown key `%.*s` in an exception%s%s%s",
                    (int)key.length, key.at, meant ? "; did you mean `" : "", meant ? meant : "", meant ? "`?" : "");
    good = false;
  }
  return good;
}

static bool check_members(struct reading *reading, const struct raw_node *node, const struct members *members) {
  if (!members->name || !is_text(members->name)) return complain(reading, node, "this exception has no `name`");
  if (members->fields && (!all_texts(members->fields) || members->fields->count > EXCEPTION_FIELDS_MAX))
    return complain(reading, members->fields, "`fields` is a reference, or a list of 1 to 16");
  if (members->comparisons && !all_texts(members->comparisons))
    return complain(reading, members->comparisons, "`comps` is a comparison, or a list of them");
  if (members->comparisons && !members->fields) return complain(reading, members->comparisons, "`comps` goes with `fields`");
  if (members->comparisons &&
      (members->comparisons->kind != members->fields->kind || members->comparisons->count != members->fields->count))
    return complain(reading, members->comparisons, "there is one of `comps` for each of `fields`");
  if (members->values && members->values->kind != RAW_LIST) return complain(reading, members->values, "`values` is a list");
  return true;
}

static struct exception *find(struct exceptions *exceptions, const struct raw_node *name) {
  for (size_t i = 0; i < exceptions->count; i++)
    if (strcmp(exceptions->items[i].name->scalar.value, name->scalar.value) == 0) return &exceptions->items[i];
  return NULL;
}

static void add_values(struct reading *reading, struct exception *exception, const struct raw_node *values) {
  struct raw_nodes *more = region_take(&reading->exceptions->region, sizeof *more);
  *more = (struct raw_nodes){.node = values, .source = reading->source};
  const struct raw_nodes **end = &exception->values;
  while (*end) end = (const struct raw_nodes **)(uintptr_t) & (*end)->next;
  *end = more;
  reading->exceptions->any_values |= values->count > 0;
}

static bool read_one(struct reading *reading, const struct raw_node *node) {
  struct exceptions *exceptions = reading->exceptions;
  struct members members = {0};
  if (!read_members(reading, node, &members) || !check_members(reading, node, &members)) return false;
  struct exception *exception = find(exceptions, members.name);
  if (exception && members.fields)
    return complain(reading, members.fields,
                    "an exception of this name is there already: what is appended to it has `values` alone");
  if (!exception && !members.fields) return complain(reading, node, "this exception has no `fields`");
  if (!exception) {
    if (exceptions->count == EXCEPTIONS_MAX) return complain(reading, node, "more than 256 exceptions");
    exceptions->items =
        growing_list_reserve(exceptions->items, exceptions->count, &exceptions->capacity, sizeof *exceptions->items);
    exception = &exceptions->items[exceptions->count++];
    *exception = (struct exception){.node = node,
                                    .source = reading->source,
                                    .name = members.name,
                                    .fields = members.fields,
                                    .comparisons = members.comparisons};
  }
  if (members.values) add_values(reading, exception, members.values);
  return true;
}

static bool read_list(struct reading *reading, const struct raw_node *list) {
  bool good = true;
  if (list->kind != RAW_LIST) return complain(reading, list, "`exceptions` must be a list");
  for (const struct raw_node *node = list->first; node; node = node->next) good &= read_one(reading, node);
  return good;
}

bool exceptions_read(const struct raw_rule *raw, struct rule_source *source, struct rule_errors *errors,
                     struct exceptions *exceptions) {
  struct reading reading = {.exceptions = exceptions, .source = source, .errors = errors};
  bool good = !raw->exceptions || read_list(&reading, raw->exceptions);
  for (const struct raw_nodes *more = raw->appended; more; more = more->next) {
    reading.source = more->source;
    good &= read_list(&reading, more->node);
  }
  return good;
}

void exceptions_free(struct exceptions *exceptions) {
  free(exceptions->items);
  region_free(&exceptions->region);
  *exceptions = (struct exceptions){0};
}
