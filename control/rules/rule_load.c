#include "always_assert.h"
#include "rule_load_internal.h"
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES offsetof(struct raw_rule, present)
_Static_assert(offsetof(struct raw_rule, fields) + sizeof(((struct raw_rule *)NULL)->fields) == sizeof(struct raw_rule),
               "only the head is kept whole");

void rule_load_begin(struct rule_load *load, struct rule_errors *errors) {
  *load = (struct rule_load){.set = rule_set_create(),
                             .errors = errors,
                             .errors_before = rule_errors_total(errors),
                             .errors_kept_before = errors->count};
  load->appended_end = &load->appended;
}

void rule_load_add(struct rule_load *load, const char *name, const char *text, size_t length, char *owned) {
  struct rule_file *file = calloc(1, sizeof *file);
  ALWAYS_ASSERT(file != NULL);
  file->source = (struct rule_source){.name = name, .text = text, .length = length};
  file->text = owned;
  file->end = &file->first;
  load->files = growing_list_reserve(load->files, load->file_count, &load->file_capacity, sizeof *load->files);
  load->files[load->file_count++] = file;
  load->bytes += length;
  if (load->bytes > LOAD_BYTES_MAX)
    rule_errors_add_file(load->errors, name, 0, "rule files that are read together have at most %u MiB", LOAD_BYTES_MAX >> 20);
  else
    rule_yaml_read(load, file);
}

void rule_load_keep(struct rule_load *load, struct rule_file *file, const struct raw_rule *raw) {
  uint32_t count = 0;
  for (int field = 0; field < RULE_FIELDS; field++) count += raw->present[field];
  struct packed_rule *packed = region_take(&file->region, sizeof *packed + count * sizeof packed->fields[0]);
  packed->file = file;
  packed->head = region_take(&file->region, HEAD_BYTES);
  memcpy(packed->head, raw, HEAD_BYTES);
  for (int field = 0; field < RULE_FIELDS; field++)
    if (raw->present[field])
      packed->fields[packed->field_count++] =
          (struct packed_field){.field = (enum rule_field)field, .scalar = raw->fields[field]};
  if (raw->present[FIELD_APPEND]) {
    *load->appended_end = packed;
    load->appended_end = &packed->next;
  } else {
    *file->end = packed;
    file->end = &packed->next;
  }
}

static void unpack(const struct packed_rule *packed, struct raw_rule *raw) {
  memset(raw, 0, sizeof *raw);
  memcpy(raw, packed->head, HEAD_BYTES);
  for (uint32_t i = 0; i < packed->field_count; i++) {
    raw->present[packed->fields[i].field] = true;
    raw->fields[packed->fields[i].field] = packed->fields[i].scalar;
  }
}

static const struct source_scalar *field_of(const struct packed_rule *packed, enum rule_field field) {
  for (uint32_t i = 0; i < packed->field_count; i++)
    if (packed->fields[i].field == field && packed->fields[i].scalar.value) return &packed->fields[i].scalar;
  return NULL;
}

/* The name that a rule will be built with. */
static struct image_text name_of(const struct packed_rule *packed) {
  struct raw_rule raw;
  unpack(packed, &raw);
  const struct source_scalar *name = rule_name_scalar(&raw);
  return name ? (struct image_text){.at = name->value, .length = (uint32_t)name->length} : (struct image_text){0};
}

struct by_name {
  struct text_index index;
  struct packed_rule **rules;
  const char **words;
  size_t count, capacity;
};

static struct by_name index_rules(const struct rule_load *load) {
  struct by_name names = {0};
  for (size_t i = 0; i < load->file_count; i++)
    for (struct packed_rule *rule = load->files[i]->first; rule; rule = rule->next) {
      const struct image_text name = name_of(rule);
      if (!name.at || text_index_find(&names.index, name) != TEXT_INDEX_NONE) continue;
      names.rules = growing_list_reserve(names.rules, names.count, &names.capacity, sizeof *names.rules);
      names.rules[names.count] = rule;
      text_index_add(&names.index, name, (uint32_t)names.count++);
    }
  return names;
}

static void complain_no_base(struct rule_load *load, struct by_name *names, struct packed_rule *addition,
                             const struct source_scalar *name) {
  if (!names->words) {
    names->words = calloc(names->count + 1, sizeof *names->words);
    ALWAYS_ASSERT(names->words != NULL);
    for (size_t i = 0; i < names->count; i++) names->words[i] = name_of(names->rules[i]).at;
  }
  const struct image_text word = {.at = name->value, .length = (uint32_t)(name->length < 64 ? name->length : 64)};
  const char *meant = suggest(word, names->words);
  rule_errors_add(load->errors, &addition->file->source, rule_source_place(&addition->file->source, name, 0),
                  "no rule named `%.*s` is read together with this%s%s%s", (int)word.length, word.at,
                  meant ? "; did you mean `" : "", meant ? meant : "", meant ? "`?" : "");
}

static void complain_at(struct rule_load *load, const struct packed_rule *rule, const char *message) {
  const struct source_place place = {.line = rule->head->line, .column = rule->head->column};
  rule_errors_add(load->errors, &rule->file->source, place, "%s", message);
}

/* `append: true` adds exceptions to a rule of the same load and nothing else. */
static bool addition_is_good(struct rule_load *load, const struct packed_rule *addition) {
  const struct source_scalar *flag = field_of(addition, FIELD_APPEND);
  for (uint32_t i = 0; i < addition->field_count; i++) {
    const enum rule_field field = addition->fields[i].field;
    if (field == FIELD_APPEND || field == FIELD_NAME || field == FIELD_ID || field == FIELD_EXCEPTIONS) continue;
    complain_at(load, addition, "what is appended has `name`, `append: true` and `exceptions`, and nothing else");
    return false;
  }
  if (!flag || flag->style != SCALAR_PLAIN || strcmp(flag->value, "true") != 0) {
    complain_at(load, addition, "`append` is true, or not given");
    return false;
  }
  if (!addition->head->exceptions) {
    complain_at(load, addition, "`append: true` without `exceptions`");
    return false;
  }
  return true;
}

static void append(struct rule_load *load, struct by_name *names, struct packed_rule *addition) {
  const struct source_scalar *name = field_of(addition, FIELD_NAME);
  if (!addition_is_good(load, addition)) return;
  if (!name) {
    complain_at(load, addition, "`append: true` needs the `name` of a rule");
    return;
  }
  const uint32_t at = text_index_find(&names->index, (struct image_text){.at = name->value, .length = (uint32_t)name->length});
  if (at == TEXT_INDEX_NONE) {
    complain_no_base(load, names, addition, name);
    return;
  }
  struct raw_nodes *nodes = region_take(&addition->file->region, sizeof *nodes);
  *nodes = (struct raw_nodes){.node = addition->head->exceptions, .source = &addition->file->source};
  const struct raw_nodes **end = &names->rules[at]->head->appended;
  while (*end) end = (const struct raw_nodes **)(uintptr_t) & (*end)->next;
  *end = nodes;
}

static void append_all(struct rule_load *load) {
  if (!load->appended) return;
  struct by_name names = index_rules(load);
  for (struct packed_rule *addition = load->appended; addition; addition = addition->next) append(load, &names, addition);
  text_index_free(&names.index);
  free(names.rules);
  free(names.words);
}

static void build(struct rule_load *load, struct rule_file *file, const struct raw_rule *raw) {
  struct parsed_rule *parsed = rule_build(raw, &file->source, &load->shared, load->errors);
  if (!parsed) return;
  const struct rule_entry *first = rule_set_entry(load->set, parsed->definition.name);
  if (first) {
    rule_errors_add(load->errors, &file->source, rule_source_place(&file->source, rule_name_scalar(raw), 0),
                    "a rule named `%s` is already defined at %s:%u", parsed->definition.name, first->definition.file,
                    first->definition.line);
    parsed_rule_release(parsed);
    return;
  }
  rule_set_append(load->set, parsed, parsed->definition.version);
}

static void build_all(struct rule_load *load, bool all) {
  struct raw_rule raw;
  for (size_t i = 0; i < load->file_count; i++)
    for (const struct packed_rule *rule = load->files[i]->first; rule && (all || !rule_errors_full(load->errors));
         rule = rule->next) {
      unpack(rule, &raw);
      build(load, load->files[i], &raw);
    }
}

static size_t file_order(const struct rule_load *load, const struct rule_error *error) {
  for (size_t i = 0; i < load->file_count; i++)
    if (strncmp(load->files[i]->source.name, error->file, sizeof error->file - 1) == 0) return i;
  return load->file_count;
}

static bool later(const struct rule_load *load, const struct rule_error *a, const struct rule_error *b) {
  const size_t a_file = file_order(load, a), b_file = file_order(load, b);
  if (a_file != b_file) return a_file > b_file;
  return a->line != b->line ? a->line > b->line : a->column > b->column;
}

/* Rules are built when all is read, keys are judged when all are known; errors still come in the order of the text. */
static void sort_errors(struct rule_load *load) {
  struct rule_error *items = load->errors->items;
  for (size_t i = load->errors_kept_before + 1; i < load->errors->count; i++) {
    const struct rule_error moved = items[i];
    size_t at = i;
    for (; at > load->errors_kept_before && later(load, &items[at - 1], &moved); at--) items[at] = items[at - 1];
    items[at] = moved;
  }
}

struct rule_set *rule_load_finish(struct rule_load *load, bool keep_good) {
  append_all(load);
  build_all(load, keep_good);
  macro_check_unused(&load->shared, load->errors);
  sort_errors(load);
  for (size_t i = 0; i < load->file_count; i++) {
    rule_source_free(&load->files[i]->source);
    region_free(&load->files[i]->region);
    free(load->files[i]->text);
    free(load->files[i]);
  }
  free(load->files);
  shared_names_free(&load->shared);
  if (keep_good || rule_errors_total(load->errors) == load->errors_before) return load->set;
  rule_set_free(load->set);
  return NULL;
}
