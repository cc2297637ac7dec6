#pragma once
/* The image while it is being made. Everything the image points to is copied into its own region: the rule set may go first. */
#include "rule_set_internal.h"
#include "violation.h"

struct compiled_image {
  struct rule_image image; /* first: what callers hold */
  struct region region;
  const struct image_text *selector_texts; /* identity of each selector, for the bits of the next generation */
  uint32_t next_identity;                  /* of a column; higher than any that was given */
  uint32_t next_fact_identity;             /* likewise */
  const struct image_text *fact_keys;      /* of each fact, equal in every generation */
  const uint64_t *kept_since;              /* by selector bit: the generation from which it is noted with spans */
  uint32_t next_rule_identity;             /* of a trace rule; likewise */
  const struct image_text *window_texts;   /* what each window judges, for the identities of the next generation */
  uint32_t next_window_identity;
  struct match_slot *match_slots;
  uint32_t match_slot_count;            /* given so far, to rules that are there or gone */
  struct text_index match_slot_by_rule; /* of those there */
};

struct window_builder {
  struct image_window window;
  struct image_text text;
};

struct match_slot {
  struct image_text key; /* length 0: free */
  bool fresh;            /* given in this generation */
};

struct column_builder {
  struct image_column column;
  const struct reference *reference; /* of the set: only while building */
  struct text_index constant_ids;
  struct image_text *constants;
  size_t constant_count, constant_capacity;
};

struct kind_builder {
  struct column_builder *columns;
  size_t column_count, column_capacity;
  struct text_index column_by_spelling;
  bool too_many_columns, too_many_predicates; /* said once */
  struct image_predicate *predicates;
  size_t predicate_count, predicate_capacity;
  struct rule_entry const **predicate_rules; /* the first rule with it, for errors */
  size_t predicate_rule_capacity;
  struct text_index predicate_by_key;
  struct image_rule *rules;
  size_t rule_count, rule_capacity;
};

struct selector_builder {
  struct image_text text;
  const struct expression *condition; /* of the set: only while building */
  const struct rule_entry *rule;      /* the first with it, for errors */
  struct image_selector selector;
};

struct fact_builder {
  struct image_text key;
  struct image_fact fact;
};

struct fact_pair {
  uint32_t key;
  uint16_t number;
};

struct fact_pairs {
  struct fact_pair *items;
  size_t count, capacity;
};

struct image_builder {
  struct compiled_image *compiled;
  struct region *region;                 /* of the image */
  const struct compiled_image *previous; /* NULL: none */
  struct rule_errors *errors;
  const struct rule_entry *rule; /* the one at hand */
  struct kind_builder kinds[EVENT_KINDS];
  struct selector_builder *selectors;
  size_t selector_count, selector_capacity;
  struct text_index selector_by_text;
  struct image_rule *trace_rules;
  size_t trace_rule_count, trace_rule_capacity;
  struct window_builder *windows;
  size_t window_count, window_capacity;
  struct text_index window_by_text; /* those of `previous` */
  struct fact_builder *facts;
  size_t fact_count, fact_capacity;
  struct text_index fact_by_key, previous_facts;
  bool too_many_facts;                     /* said once */
  struct fact_pairs fact_rules;            /* rules to judge when a fact becomes true */
  struct fact_pairs within_rules;          /* by selector bit */
  uint64_t kept[IMAGE_SELECTORS_MAX / 64]; /* selectors that are noted with spans */
  uint64_t kept_since[IMAGE_SELECTORS_MAX];
  struct image_zone *zones;
  size_t zone_count, zone_capacity;
  struct parsed_rule const **trace_parsed; /* by the same index */
  size_t trace_parsed_capacity;
  struct text_index previous_trace_rules; /* by name: index among those of `previous` */
  uint32_t *program;                      /* the one being written */
  size_t program_count, program_capacity;
};

#define RULE_COMPLAIN(builder, ...)                                                                                              \
  rule_errors_add_file((builder)->errors, (builder)->rule->definition.file, (builder)->rule->definition.line, __VA_ARGS__)

/* Index of the column that holds the reference, made when new. Beyond RULE_COLUMNS_MAX: 0 and an error. */
uint16_t image_column_of(struct image_builder *builder, enum event_kind kind, const struct reference *reference);
/* Index of the time zone, made when new; without a name, of UTC. 0 and an error when there is no such zone any more. */
uint16_t image_zone_of(struct image_builder *builder, struct image_text name);
void image_zones_finish(struct image_builder *builder);
/* Id of a string constant of a column, made when new. */
uint32_t image_constant_of(struct image_builder *builder, struct column_builder *column, struct image_text text);
/* A power of two at least twice the items, so that a search always meets an empty slot. */
uint32_t image_slots_for(size_t items);
/* Index of the predicate, made when new. */
uint32_t image_predicate_of(struct image_builder *builder, enum event_kind kind, const struct expression *predicate);
struct image_program image_program_of(struct image_builder *builder, enum event_kind kind, const struct expression *expression);

/* All selectors of the enabled trace rules get their bits, then their programs. */
void image_selectors_collect(struct image_builder *builder, const struct expression *expression);
void image_selectors_assign(struct image_builder *builder, const struct compiled_image *previous);
const struct image_selector *image_selector_of(const struct image_builder *builder, const struct expression *selector);

/* Takes the rule at hand among the trace rules. */
void image_trace_rule_add(struct image_builder *builder, struct image_rule made);
/* The trace rules into the image, with what finds them. Selectors and columns are finished. */
void image_traces_finish(struct image_builder *builder);

/* window_image.c. The window of the rule at hand, which is to be rule `index` of its kind: what image_rule.window is. */
uint32_t window_image_add(struct image_builder *builder, enum event_kind kind, uint32_t index);
/* Before the first: what the previous generation has keeps its identity. */
void window_image_remember(struct image_builder *builder);
void window_image_finish(struct image_builder *builder);

/* Every enabled rule gets a place where its matches are counted: the one it has, else one that no rule of the generation before
 * has. False when there is none. */
bool image_match_slots_assign(struct image_builder *builder, const struct rule_set *set);
uint32_t image_match_slot_of(const struct image_builder *builder, const struct rule_definition *rule);

/* Operand of a fact about a trace, made when new. */
uint32_t image_fact_of(struct image_builder *builder, const struct expression *fact);
/* What a trace rule, its programs and number made, asks of the spans. Decides when its never is judged, if it asks anything. */
void image_rule_facts(struct image_builder *builder, const struct parsed_rule *parsed, struct image_rule *made);
/* Facts and what is noted of spans into the image; dates the rules by them. All trace rules are made, none is taken yet. */
void image_story_finish(struct image_builder *builder);
void image_pair_note(struct fact_pairs *pairs, uint32_t key, uint32_t number);
void image_story_free(struct image_builder *builder);

void image_paths_finish(struct image_builder *builder, const struct kind_builder *from, struct image_kind *into);

/* Which of these programs over the kind's predicates can be true of a batch. The kind is finished. */
struct image_candidates image_candidates_of(struct image_builder *builder, const struct image_kind *kind,
                                            const struct image_program *const *programs, uint32_t count);

/* Columns, predicates, rules, dictionaries, lookup and paths of one kind into the image. */
void image_kind_finish(struct image_builder *builder, enum event_kind kind);
/* Which substrings are scanned for: of a column that has many. Before the kind is finished. */
void image_literals_choose(struct kind_builder *kind);
/* The Hyperscan databases of the columns; the scratches of all shards. Errors are added. */
void image_patterns_compile(struct image_builder *builder, uint32_t shards);
