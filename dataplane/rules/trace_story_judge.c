#include "rules_internal.h"

/* A trace is not asked again before this long a time for each of its spans: whoever sets many deadlines close together does not
 * have all of them looked at one by one. */
#define WAKE_NS_PER_SPAN 1000u

struct rule_view {
  struct trace_story *story;
  const struct story_question *question;
  const struct image_rule *rule;
  uint64_t limit_ns; /* STORY_NEVER: spans count whenever they start */
};

static uint64_t later(uint64_t at_ns, uint64_t by_ns) { return at_ns > UINT64_MAX - by_ns ? UINT64_MAX : at_ns + by_ns; }

static bool any_row(struct trace_story *story, uint32_t bit) {
  const struct story_rows *rows = &story->rows;
  for (uint32_t row = 0; row < rows->count; row++)
    if (story_node_has(story, story_node(story, rows->nodes[row]), bit)) return true;
  return false;
}

static bool fact_operand(const struct rule_view *view, const struct image_fact *fact) {
  struct trace_story *story = view->story;
  const struct story_question *question = view->question;
  if (question->moment == STORY_SPAN) return story_early_holds(story, question->trace, fact);
  const uint64_t matured_ns = question->moment == STORY_DEADLINE ? question->now_ns : STORY_NEVER;
  return story_rows_load(story, question->trace, view->limit_ns, matured_ns) && story_fact_holds(story, fact);
}

static bool selector_operand(const struct rule_view *view, uint32_t bit) {
  struct trace_story *story = view->story;
  const struct story_question *question = view->question;
  if (!question->met(question->context, bit)) return false;
  if (view->limit_ns == STORY_NEVER) return true;
  const uint64_t matured_ns = question->moment == STORY_DEADLINE ? question->now_ns : STORY_NEVER;
  return story_rows_load(story, question->trace, view->limit_ns, matured_ns) &&
         story_spend(story, question->trace, story->rows.count) && any_row(story, bit);
}

static bool operand_holds(const void *context, uint32_t operand) {
  const struct rule_view *view = context;
  if (!(operand & PROGRAM_FACT)) return selector_operand(view, operand);
  return fact_operand(view, &view->story->image->story.facts[operand & ~PROGRAM_FACT]);
}

static bool program_of_view(const struct rule_view *view, const struct image_program *program) {
  return program_holds_by(program, operand_holds, view);
}

static bool is_anchor(const struct trace_story *story, const struct story_node *node, const struct image_rule *rule) {
  struct story_bits bits = story_bits_of(node);
  for (uint32_t bit; story_bits_next(story, &bits, &bit);) {
    uint32_t from = 0, to = rule->anchor_count;
    while (from < to) {
      const uint32_t middle = from + (to - from) / 2;
      if (rule->anchors[middle] < bit)
        from = middle + 1;
      else
        to = middle;
    }
    if (from < rule->anchor_count && rule->anchors[from] == bit) return true;
  }
  return false;
}

struct anchor {
  uint64_t start_ns, arrival_ns; /* the earliest of each; STORY_NEVER: no span met `when` yet */
};

static struct anchor anchor_of(struct trace_story *story, uint32_t trace, const struct image_rule *rule) {
  struct anchor anchor = {STORY_NEVER, STORY_NEVER};
  if (!story_spend(story, trace, 2ull * story->heads[trace].node_count)) return anchor;
  for (uint32_t line = story->heads[trace].nodes; line != STORY_NONE; line = story_node(story, line)->next) {
    const struct story_node *node = story_node(story, line);
    if (!is_anchor(story, node, rule)) continue;
    if (node->start_ns < anchor.start_ns) anchor.start_ns = node->start_ns;
    if (node->arrival_ns < anchor.arrival_ns) anchor.arrival_ns = node->arrival_ns;
  }
  return anchor;
}

static uint64_t end_of(const struct trace_story *story, const struct image_rule *rule, uint64_t start_ns) {
  return later(later(start_ns, rule->within_ns), story->sizes.tolerance_ns);
}

static bool is_partial(const struct trace_story *story, uint32_t trace) { return story->heads[trace].flags & STORY_PARTIAL; }

static bool holds_when(struct rule_view *view) {
  view->limit_ns = STORY_NEVER;
  return program_of_view(view, &view->rule->when);
}

/* Of a trace that became partial on the way nothing is said. */
static bool broken(struct rule_view *view, bool never_alone) {
  struct trace_story *story = view->story;
  const struct image_rule *rule = view->rule;
  const uint32_t trace = view->question->trace;
  if (!holds_when(view)) return false;
  if (rule->within_ns) view->limit_ns = end_of(story, rule, anchor_of(story, trace, rule).start_ns);
  const bool never = rule->never.count && program_of_view(view, &rule->never);
  const bool always = !never_alone && rule->always.count && !program_of_view(view, &rule->always);
  return (never || always) && !is_partial(story, trace);
}

bool trace_story_breaks(struct trace_story *story, const struct story_question *question, const struct image_rule *rule) {
  struct rule_view view = {.story = story, .question = question, .rule = rule, .limit_ns = STORY_NEVER};
  if (rule->since_generation > question->opened_generation) return false;
  const bool never_alone = question->moment != STORY_COMPLETE;
  if (question->moment == STORY_SPAN && !rule->monotone_never) return false;
  const bool result = !is_partial(story, question->trace) && broken(&view, never_alone);
  if (is_partial(story, question->trace) && question->moment == STORY_COMPLETE) story->counters->rules_unjudged++;
  return result;
}

/* The time for which the trace is still held by one thing, and whether that must be looked at when it has passed. */
static void note_deadline(struct story_head *head, uint64_t at_ns, uint64_t now_ns, bool wakes) {
  if (at_ns <= now_ns || at_ns == STORY_NEVER) return;
  if (at_ns > head->hold_ns) head->hold_ns = at_ns;
  if (wakes && at_ns < head->wake_ns) head->wake_ns = at_ns;
}

static void add_broken(struct trace_story *story, uint32_t *count, uint16_t rule) {
  for (uint32_t i = 0; i < *count; i++)
    if (story->broken[i] == rule) return;
  story->broken[(*count)++] = rule;
}

/* `always` may be met, and what `never` counts may come, until the end of the rule's time. The trace is looked at then also when
 * nothing is to be waited for yet: until then spans may come that break the rule. */
static void mature_rule(struct trace_story *story, const struct story_question *question, const struct image_rule *rule,
                        uint32_t *count) {
  struct rule_view view = {.story = story, .question = question, .rule = rule, .limit_ns = STORY_NEVER};
  struct story_head *head = &story->heads[question->trace];
  if (rule->since_generation > question->opened_generation) return;
  const struct anchor anchor = anchor_of(story, question->trace, rule);
  if (anchor.start_ns == STORY_NEVER || is_partial(story, question->trace)) return;
  const uint64_t at_ns = end_of(story, rule, anchor.arrival_ns);
  if (at_ns <= question->now_ns) {
    if (broken(&view, false)) add_broken(story, count, (uint16_t)rule->trace_rule);
    return;
  }
  if (at_ns < head->wake_ns) head->wake_ns = at_ns;
  if (!holds_when(&view)) return;
  view.limit_ns = end_of(story, rule, anchor.start_ns);
  if (rule->never.count || !program_of_view(&view, &rule->always)) note_deadline(head, at_ns, question->now_ns, false);
}

/* The next arrival deadline of a left span that is not followed yet; of `then`, the last one, unless some is followed. */
static void mature_fact(struct trace_story *story, const struct story_question *question, const struct image_fact *fact,
                        uint32_t *count) {
  const struct image_story *asked = &story->image->story;
  const uint32_t trace = question->trace, index = (uint32_t)(fact - asked->facts);
  if (!story_rows_load(story, trace, STORY_NEVER, question->now_ns)) return;
  const bool holds = story_fact_holds(story, fact);
  if (is_partial(story, trace) || (holds && !fact->negated)) return;
  for (uint32_t i = asked->rules.first[index]; holds && i < asked->rules.first[index + 1]; i++) {
    const struct image_rule *rule = &story->image->trace_rules[asked->rules.numbers[i]];
    if (rule->matures && trace_story_breaks(story, question, rule)) add_broken(story, count, (uint16_t)rule->trace_rule);
  }
  struct story_waits waits;
  if (!story_rows_load(story, trace, STORY_NEVER, question->now_ns) || !story_ordered_waits(story, fact, &waits)) return;
  note_deadline(&story->heads[trace], waits.last_ns, question->now_ns, false);
  if (fact->negated) note_deadline(&story->heads[trace], waits.next_ns, question->now_ns, true);
}

static void mature_bit(struct trace_story *story, const struct story_question *question, uint32_t bit, uint32_t *count) {
  const struct image_story *asked = &story->image->story;
  for (uint32_t i = asked->timed.first[bit]; i < asked->timed.first[bit + 1] && !is_partial(story, question->trace); i++)
    mature_fact(story, question, &asked->facts[asked->timed.numbers[i]], count);
  for (uint32_t i = asked->within.first[bit]; i < asked->within.first[bit + 1] && !is_partial(story, question->trace); i++)
    mature_rule(story, question, &story->image->trace_rules[asked->within.numbers[i]], count);
}

uint32_t trace_story_mature(struct trace_story *story, const struct story_question *question) {
  struct story_head *head = &story->heads[question->trace];
  uint32_t count = 0;
  head->wake_ns = STORY_NEVER;
  head->hold_ns = 0;
  if (!story->image || is_partial(story, question->trace)) return 0;
  story->bit_stamp++;
  const uint32_t bits_end = story->image->story.bits;
  uint32_t met_count = 0;
  for (uint32_t line = head->nodes; line != STORY_NONE; line = story_node(story, line)->next) {
    struct story_bits bits = story_bits_of(story_node(story, line));
    for (uint32_t bit; story_bits_next(story, &bits, &bit);) {
      if (bit >= bits_end || story->bit_stamps[bit] == story->bit_stamp) continue;
      story->bit_stamps[bit] = story->bit_stamp;
      story->bits_met[met_count++] = (uint16_t)bit;
    }
  }
  for (uint32_t i = 0; i < met_count && !is_partial(story, question->trace); i++)
    mature_bit(story, question, story->bits_met[i], &count);
  if (is_partial(story, question->trace)) return 0;
  const uint64_t soonest_ns = later(question->now_ns, (uint64_t)head->node_count * WAKE_NS_PER_SPAN);
  if (head->wake_ns != STORY_NEVER && head->wake_ns < soonest_ns) head->wake_ns = soonest_ns;
  return count;
}
