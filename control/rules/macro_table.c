#include "macro_internal.h"
#include <stdlib.h>
#include <string.h>

#define SHARED_NAME_BYTES_MAX 64u

/* Bare words that mean something in an expression. References are asked for apart. */
static const char *const reserved[] = {
    "and",       "or",       "not",         "in",       "cidr",   "contains", "startsWith", "endsWith", "matches",
    "exists",    "true",     "false",       "null",     "nil",    "then",     "followed",   "by",       "within",
    "count",     "sum",      "min",         "max",      "avg",    "trace",    "ok",         "unset",    "error",
    "firing",    "resolved", "internal",    "server",   "client", "producer", "consumer",   "monday",   "tuesday",
    "wednesday", "thursday", "friday",      "saturday", "sunday", "for",      "over",       "absent",   "rate",
    "change",    "distinct", "unspecified", "when",     "always", "never",    "where",      NULL};

struct source_place shared_name_place(const struct shared_name *shared) {
  return rule_source_place(shared->source, &shared->key, 0);
}

static bool name_is_good(const struct source_scalar *key) {
  if (key->length == 0 || key->length > SHARED_NAME_BYTES_MAX || (key->value[0] >= '0' && key->value[0] <= '9')) return false;
  for (size_t i = 0; i < key->length; i++) {
    const char character = key->value[i];
    const bool good = (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
                      (character >= '0' && character <= '9') || character == '_';
    if (!good) return false;
  }
  return true;
}

static bool is_reserved(struct image_text name) {
  for (size_t i = 0; reserved[i]; i++)
    if (image_text_is(name, reserved[i])) return true;
  return reference_is_intrinsic(name) || reference_is_scope(name);
}

struct shared_name *shared_names_find(const struct shared_names *names, struct image_text name) {
  const uint32_t at = text_index_find(&names->by_name, name);
  return at == TEXT_INDEX_NONE ? NULL : &names->items[at];
}

struct shared_name *shared_names_add(struct shared_names *names, struct rule_source *source, const struct source_scalar *key,
                                     bool is_list, struct rule_errors *errors) {
  const struct source_place place = rule_source_place(source, key, 0);
  const char *const kind = is_list ? "list" : "macro";
  if (!name_is_good(key)) {
    rule_errors_add(errors, source, place, "the name of a %s has 1 to %u letters, digits and `_`, and begins with no digit", kind,
                    SHARED_NAME_BYTES_MAX);
    return NULL;
  }
  const struct image_text name = {.at = key->value, .length = (uint32_t)key->length};
  const struct shared_name *first = shared_names_find(names, name);
  if (is_reserved(name)) {
    rule_errors_add(errors, source, place, "`%s` means something in expressions already: a %s needs another name", key->value,
                    kind);
    return NULL;
  }
  if (first) {
    const struct source_place defined = shared_name_place(first);
    rule_errors_add(errors, source, place, "a %s named `%s` is already defined at %s:%u:%u", shared_kind_word(first), key->value,
                    first->source->name, defined.line, defined.column);
    return NULL;
  }
  if (names->count == SHARED_NAMES_MAX) {
    rule_errors_add(errors, source, place, "more than %u macros and lists", SHARED_NAMES_MAX);
    return NULL;
  }
  names->items = growing_list_reserve(names->items, names->count, &names->capacity, sizeof *names->items);
  struct shared_name *made = &names->items[names->count];
  *made = (struct shared_name){.is_list = is_list, .source = source, .key = *key};
  made->key.value = region_copy(&names->region, key->value, key->length);
  /* Until there is a text, and when there is none that can be read, one that no further error follows from. */
  made->text = (struct source_scalar){.value = "true", .length = 4, .line = key->line, .column = key->column};
  made->name = (struct image_text){.at = made->key.value, .length = name.length};
  text_index_add(&names->by_name, made->name, (uint32_t)names->count++);
  return made;
}

const char *shared_names_suggest(struct shared_names *names, struct image_text word) {
  if (!names->words) {
    names->words = region_take(&names->region, (names->count + 1) * sizeof *names->words);
    for (size_t i = 0; i < names->count; i++) names->words[i] = names->items[i].name.at;
  }
  return suggest(word, names->words);
}

void shared_names_free(struct shared_names *names) {
  free(names->items);
  text_index_free(&names->by_name);
  region_free(&names->region);
  *names = (struct shared_names){0};
}
