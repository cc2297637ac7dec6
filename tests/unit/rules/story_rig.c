#include "story_rig.h"
#include <stdio.h>
#include <stdlib.h>

void tale_open(struct tale *tale, const char *rules, uint64_t tolerance_ns, uint32_t lines, uint32_t steps) {
  static const char head[] =
      "rules:\n  - name: letters\n    when: '{name = \"a\"} && {name = \"b\"} && {name = \"c\"} && {name = "
      "\"d\"} && {name = \"e\"} && {name = \"f\"} && {name = \"g\"} && {name = \"h\"}'\n    never: '{span.v "
      "= 1}'\n";
  struct rule_errors errors = {0};
  char *text = malloc(sizeof head + strlen(rules));
  strcpy(stpcpy(text, head), rules);
  struct rule_set *set = rule_set_parse("tale.yaml", text, strlen(text), &errors);
  if (errors.count) rule_errors_print(&errors, stderr);
  assert_non_null(set);
  *tale = (struct tale){.heap = heap_arena_create(), .image = rule_image_compile(set, 1, NULL, 1, &errors), .now_ns = 1000};
  assert_non_null(tale->image);
  assert_true(engine_image_fits(tale->image, 64));
  rule_set_free(set);
  free(text);
  for (uint32_t i = 0; i < TALE_LETTERS; i++) tale->bits[i] = (uint16_t)tale->image->selectors[i].bit;
  const int column = event_column_find(tale->image, EVENT_SPAN, SCOPE_SPAN, "v", 1);
  tale->value_identity = tale->image->kinds[EVENT_SPAN].columns[column].identity;
  const struct story_sizes sizes = {
      .traces = 16, .lines = lines, .spans_max = 10000, .steps_max = steps, .tolerance_ns = tolerance_ns, .key = {1, 2}};
  struct arena *arena = heap_arena_arena(tale->heap);
  tale->story = ARENA_NEW(arena, struct trace_story);
  assert_true(trace_story_create(tale->story, arena, &sizes, &tale->counters));
  trace_story_adopt(tale->story, tale->image);
}

void tale_close(struct tale *tale) {
  for (uint32_t trace = 0; trace < 16; trace++) trace_story_forget(tale->story, trace);
  assert_int_equal(tale->counters.lines_used, 0);
  for (uint32_t i = 0; i <= tale->story->bucket_mask; i++)
    assert_true(tale->story->nodes_by_span[i] == STORY_NONE && tale->story->nodes_by_parent[i] == STORY_NONE &&
                tale->story->cells[i] == STORY_NONE);
  rule_image_free(tale->image);
  heap_arena_destroy(tale->heap);
}

void tale_restart(struct tale *tale) {
  trace_story_forget(tale->story, TALE_TRACE);
  tale->met = 0;
}

uint32_t tale_read(const char *text, struct tale_span spans[TALE_SPANS_MAX]) {
  uint32_t count = 0;
  for (char *at = (char *)(uintptr_t)text; *at;) {
    struct tale_span *span = &spans[count];
    *span = (struct tale_span){.value = {.type = VALUE_NULL}};
    while (*at == ' ') at++;
    for (; *at >= 'a' && *at <= 'h'; at++) span->letters |= (uint8_t)(1u << (*at - 'a'));
    if (*at == '-') at++; /* no letter */
    span->id = strtoull(at, &at, 10);
    assert_true(span->id > 0);
    if (*at == '<') span->parent = strtoull(at + 1, &at, 10);
    if (*at == '@') span->start_ns = strtoull(at + 1, &at, 10);
    span->end_ns = span->start_ns + 10;
    if (*at == '=') {
      char *end;
      span->has_value = true;
      span->value = (struct value){.type = VALUE_INTEGER, .integer = strtoll(at + 1, &end, 10)};
      if (*end == '.') span->value = (struct value){.type = VALUE_DOUBLE, .real = strtod(at + 1, &end)};
      at = end;
    }
    assert_true(*at == ' ' || *at == '\0');
    assert_true(++count < TALE_SPANS_MAX);
  }
  return count;
}

struct values {
  const struct tale *tale;
  const struct tale_span *span;
};

static bool value_of(const void *context, uint32_t identity, struct value *value) {
  const struct values *values = context;
  if (identity != values->tale->value_identity || !values->span->has_value) return false;
  *value = values->span->value;
  return true;
}

bool tale_tell_of(struct tale *tale, uint32_t trace, const struct tale_span *span) {
  uint16_t bits[TALE_LETTERS];
  const struct values values = {tale, span};
  struct story_span told = {.span_id = span->id,
                            .parent_id = span->parent,
                            .has_parent = span->parent != 0,
                            .start_ns = span->start_ns,
                            .end_ns = span->end_ns,
                            .arrival_ns = tale->now_ns,
                            .bits = bits,
                            .value = value_of,
                            .context = &values};
  for (uint32_t i = 0; i < TALE_LETTERS; i++)
    if (span->letters >> i & 1) bits[told.bit_count++] = tale->bits[i];
  tale->met |= span->letters;
  return trace_story_add(tale->story, trace, &told);
}

bool tale_tell(struct tale *tale, const struct tale_span *span) { return tale_tell_of(tale, TALE_TRACE, span); }

const struct image_rule *tale_rule(const struct tale *tale, uint32_t number) {
  char name[16];
  snprintf(name, sizeof name, "r%u", number);
  for (uint32_t i = 0; i < tale->image->trace_rule_count; i++) {
    const struct image_rule *rule = &tale->image->trace_rules[i];
    if (rule->name.length == strlen(name) && memcmp(rule->name.at, name, rule->name.length) == 0) return rule;
  }
  fail_msg("no rule %s", name);
  return NULL;
}

static bool was_met(const void *context, uint32_t bit) {
  const struct tale *tale = context;
  for (uint32_t i = 0; i < TALE_LETTERS; i++)
    if (tale->bits[i] == bit) return tale->met >> i & 1;
  return false;
}

static struct story_question question_of(const struct tale *tale, enum story_moment moment) {
  return (struct story_question){
      .trace = TALE_TRACE, .moment = moment, .now_ns = tale->now_ns, .opened_generation = 1, .met = was_met, .context = tale};
}

bool tale_breaks(struct tale *tale, enum story_moment moment, uint32_t number) {
  const struct story_question question = question_of(tale, moment);
  return trace_story_breaks(tale->story, &question, tale_rule(tale, number));
}

uint32_t tale_mature(struct tale *tale) {
  const struct story_question question = question_of(tale, STORY_DEADLINE);
  const uint32_t count = trace_story_mature(tale->story, &question);
  uint32_t broken = 0;
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t number = 0; number < 32 && tale->image->trace_rule_count > number + 1; number++)
      if (tale_rule(tale, number)->trace_rule == tale->story->broken[i]) broken |= 1u << number;
  return broken;
}
