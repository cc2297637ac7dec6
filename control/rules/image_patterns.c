#include "always_assert.h"
#include "image_builder_internal.h"
#include <stdlib.h>
#include <string.h>

/* What all patterns of a set may expand to together, those of a usual size left out: bounds the time of a compilation. */
#define SET_EXPANSION_MAX 10000u
#define USUAL_EXPANSION 16u

struct pattern_list {
  const char **expressions;
  unsigned *flags, *ids;
  size_t *lengths;
  unsigned count;
};

static bool has_pattern(const struct image_predicate *predicate) {
  return predicate->operation == PREDICATE_MATCHES || predicate->operation == PREDICATE_NOT_MATCHES;
}

static void blame(struct image_builder *builder, const struct rule_entry *rule, const char *message) {
  builder->rule = rule;
  RULE_COMPLAIN(builder, "rule `%s`: its regular expressions cannot be compiled: %s", rule->definition.name, message);
}

/* False when the set as a whole asks for too much. */
static bool affordable(struct image_builder *builder) {
  uint64_t total = 0;
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) {
    const struct kind_builder *of_kind = &builder->kinds[kind];
    for (size_t i = 0; i < of_kind->predicate_count; i++) {
      const struct image_predicate *predicate = &of_kind->predicates[i];
      if (!has_pattern(predicate)) continue;
      const uint32_t expansion =
          pattern_expansion((struct image_text){.at = predicate->constant.text, .length = predicate->constant.length});
      if (expansion > USUAL_EXPANSION) total += expansion - USUAL_EXPANSION;
      if (total <= SET_EXPANSION_MAX) continue;
      blame(builder, of_kind->predicate_rules[i], "the bounded repeats of the whole set make too many copies");
      return false;
    }
  }
  return true;
}

/* Substrings that are scanned for beside one another; fewer, or longer ones, are searched one by one. */
#define SCANNED_LITERALS_MIN 4u
#define SCANNED_LITERAL_BYTES_MAX 512u

static bool scannable(const struct kind_builder *kind, const struct image_predicate *predicate) {
  return predicate->operation == PREDICATE_CONTAINS && !predicate->between && !kind->columns[predicate->column].column.every &&
         predicate->constant.length > 0 && predicate->constant.length <= SCANNED_LITERAL_BYTES_MAX;
}

void image_literals_choose(struct kind_builder *kind) {
  uint32_t *counts = calloc(kind->column_count + 1, sizeof *counts);
  ALWAYS_ASSERT(counts);
  for (size_t i = 0; i < kind->predicate_count; i++) counts[kind->predicates[i].column] += scannable(kind, &kind->predicates[i]);
  for (size_t i = 0; i < kind->predicate_count; i++) {
    struct image_predicate *predicate = &kind->predicates[i];
    predicate->scanned = scannable(kind, predicate) && counts[predicate->column] >= SCANNED_LITERALS_MIN;
  }
  free(counts);
}

static bool is_literal(const struct image_predicate *predicate) { return predicate->scanned; }

static hs_database_t *compile_column(struct image_builder *builder, const struct kind_builder *kind,
                                     const struct pattern_list *list, bool literals) {
  hs_compile_error_t *failure = NULL;
  hs_database_t *database = NULL;
  const hs_error_t result = literals ? hs_compile_lit_multi(list->expressions, list->flags, list->ids, list->lengths, list->count,
                                                            HS_MODE_BLOCK, NULL, &database, &failure)
                                     : hs_compile_multi(list->expressions, list->flags, list->ids, list->count, HS_MODE_BLOCK,
                                                        NULL, &database, &failure);
  if (result == HS_SUCCESS) return database;
  const unsigned which =
      failure && failure->expression >= 0 && (unsigned)failure->expression < list->count ? (unsigned)failure->expression : 0;
  blame(builder, kind->predicate_rules[list->ids[which]], failure ? failure->message : "unknown failure");
  hs_free_compile_error(failure);
  return NULL;
}

static void add_pattern(struct pattern_list *list, const struct image_predicate *predicate, uint32_t id, bool literals) {
  list->expressions[list->count] = predicate->constant.text;
  list->lengths[list->count] = predicate->constant.length;
  list->flags[list->count] = HS_FLAG_SINGLEMATCH | (literals ? 0 : HS_FLAG_UTF8 | HS_FLAG_ALLOWEMPTY);
  list->ids[list->count++] = id;
}

/* The predicates of one sort by column, each column's into one database. */
static void compile_kind(struct image_builder *builder, enum event_kind kind, bool literals) {
  const struct kind_builder *from = &builder->kinds[kind];
  const struct image_kind *into = &builder->compiled->image.kinds[kind];
  bool (*const chosen)(const struct image_predicate *) = literals ? is_literal : has_pattern;
  const size_t room = from->predicate_count ? from->predicate_count : 1;
  struct pattern_list list = {
      .expressions = calloc(room, sizeof *list.expressions),
      .flags = calloc(room, sizeof *list.flags),
      .ids = calloc(room, sizeof *list.ids),
      .lengths = calloc(room, sizeof *list.lengths),
  };
  uint32_t *by_column = calloc(into->column_count + 2, sizeof *by_column), *order = calloc(room, sizeof *order);
  ALWAYS_ASSERT(list.expressions && list.flags && list.ids && list.lengths && by_column && order);
  for (uint32_t i = 0; i < from->predicate_count; i++)
    if (chosen(&from->predicates[i])) by_column[from->predicates[i].column + 1]++;
  for (uint32_t i = 0; i < into->column_count; i++) by_column[i + 1] += by_column[i];
  /* by_column[c] now counts the patterns of columns before c; filling moves it to the end of c's own. */
  for (uint32_t i = 0; i < from->predicate_count; i++)
    if (chosen(&from->predicates[i])) order[by_column[from->predicates[i].column]++] = i;
  for (uint32_t c = 0, start = 0; c < into->column_count; start = by_column[c++]) {
    list.count = 0;
    for (uint32_t at = start; at < by_column[c]; at++) add_pattern(&list, &from->predicates[order[at]], order[at], literals);
    if (list.count == 0) continue;
    /* The image is not published yet: its columns are still the builder's to complete. */
    struct image_column *column = (struct image_column *)(uintptr_t)&into->columns[c];
    *(literals ? &column->literals : &column->patterns) = compile_column(builder, from, &list, literals);
  }
  free(list.expressions);
  free(list.flags);
  free(list.ids);
  free(list.lengths);
  free(by_column);
  free(order);
}

/* Scratch that does for the database too. */
static bool widen_scratch(const hs_database_t *database, hs_scratch_t **scratch) {
  return !database || hs_alloc_scratch(database, scratch) == HS_SUCCESS;
}

static bool allocate_scratch(struct rule_image *image, uint32_t shards) {
  hs_scratch_t **scratch = image->scratch;
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++)
    for (uint32_t c = 0; c < image->kinds[kind].column_count; c++) {
      const struct image_column *column = &image->kinds[kind].columns[c];
      if (!widen_scratch(column->patterns, &scratch[0]) || !widen_scratch(column->literals, &scratch[0])) return false;
    }
  for (uint32_t shard = 1; shard < shards && scratch[0]; shard++)
    if (hs_clone_scratch(scratch[0], &scratch[shard]) != HS_SUCCESS) return false;
  return true;
}

void image_patterns_compile(struct image_builder *builder, uint32_t shards) {
  if (!affordable(builder)) return;
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) {
    compile_kind(builder, (enum event_kind)kind, false);
    compile_kind(builder, (enum event_kind)kind, true);
  }
  if (shards > 0 && !allocate_scratch(&builder->compiled->image, shards))
    rule_errors_add_file(builder->errors, "", 0, "no memory for the scratch of the regular expressions");
}
