#include "rules_internal.h"

/* What an early fact is asked with each span costs no walk over the spans before it: it is kept in cells. */

static uint32_t find_cell(const struct trace_story *story, uint32_t trace, const struct image_fact *fact,
                          enum story_cell_sort sort, uint64_t key) {
  uint32_t line = story->cells[story_bucket(story, trace, fact->identity, key)];
  while (line != STORY_NONE) {
    const struct story_cell *cell = story_cell(story, line);
    if (cell->key == key && cell->trace == trace && cell->fact == fact->identity && cell->sort == sort) break;
    line = cell->chain;
  }
  return line;
}

/* NULL: the trace has become partial. */
static struct story_cell *cell_for(struct trace_story *story, uint32_t trace, const struct image_fact *fact,
                                   enum story_cell_sort sort, uint64_t key) {
  uint32_t line = find_cell(story, trace, fact, sort, key);
  if (line != STORY_NONE) return story_cell(story, line);
  line = story_take_line(story, trace);
  if (line == STORY_NONE) return NULL;
  struct story_cell *cell = story_cell(story, line);
  struct story_head *head = &story->heads[trace];
  uint32_t *bucket = &story->cells[story_bucket(story, trace, fact->identity, key)];
  *cell = (struct story_cell){.key = key,
                              .trace = trace,
                              .fact = fact->identity,
                              .next = head->cells,
                              .chain = *bucket,
                              .sort = (uint8_t)sort,
                              .left_first = UINT64_MAX,
                              .right_first = UINT64_MAX};
  head->cells = line;
  *bucket = line;
  return cell;
}

static bool is_true(const struct trace_story *story, uint32_t trace, const struct image_fact *fact) {
  const uint32_t line = find_cell(story, trace, fact, CELL_FACT, 0);
  return line != STORY_NONE && story_cell(story, line)->flags & CELL_TRUE;
}

static void set_true(struct trace_story *story, uint32_t trace, const struct image_fact *fact) {
  struct story_cell *cell = cell_for(story, trace, fact, CELL_FACT, 0);
  if (!cell || cell->flags & CELL_TRUE) return;
  cell->flags |= CELL_TRUE;
  story->fresh[story->fresh_count++] = (uint16_t)(fact - story->image->story.facts);
}

static bool compare_number(const struct image_fact *fact, uint64_t number) {
  const struct value left = {.type = VALUE_INTEGER, .integer = number > INT64_MAX ? INT64_MAX : (int64_t)number};
  return story_compare(&left, fact->operation, &fact->right.constant);
}

static bool extent_holds(const struct trace_story *story, uint32_t trace, const struct image_fact *fact) {
  const struct story_head *head = &story->heads[trace];
  if (fact->left.kind == MEASURE_SPAN_COUNT) return compare_number(fact, head->node_count);
  return head->first_ns != UINT64_MAX &&
         compare_number(fact, head->last_ns > head->first_ns ? head->last_ns - head->first_ns : 0);
}

bool story_early_holds(const struct trace_story *story, uint32_t trace, const struct image_fact *fact) {
  if (story->heads[trace].flags & STORY_PARTIAL) return false;
  if (fact->sort == FACT_COMPARISON && (fact->left.kind == MEASURE_SPAN_COUNT || fact->left.kind == MEASURE_DURATION))
    return extent_holds(story, trace, fact);
  if (is_true(story, trace, fact)) return true;
  /* A count that no span has begun is 0. */
  return fact->sort == FACT_COMPARISON && fact->left.kind == MEASURE_COUNT && compare_number(fact, 0);
}

static void add_comparison(struct trace_story *story, uint32_t trace, const struct image_fact *fact,
                           const struct story_node *node) {
  struct value value;
  if (fact->left.kind == MEASURE_COUNT) {
    struct story_cell *cell = cell_for(story, trace, fact, CELL_FACT, 0);
    if (cell && compare_number(fact, ++cell->count)) set_true(story, trace, fact);
  } else if (story_node_value(story, node, fact->left.identity, &value) &&
             story_compare(&value, fact->operation, &fact->right.constant)) {
    set_true(story, trace, fact);
  }
}

static uint64_t later(uint64_t at_ns, uint64_t by_ns) { return at_ns > UINT64_MAX - by_ns ? UINT64_MAX : at_ns + by_ns; }
static uint64_t earlier(uint64_t at_ns, uint64_t by_ns) { return at_ns < by_ns ? 0 : at_ns - by_ns; }

/* Starts are kept by periods as long as the window in which the other span may start: a window meets two of them, of each only an
 * end, so the earliest and the latest start of a period tell whether one lies inside. */
static uint64_t period_ns(const struct trace_story *story, const struct image_fact *fact) {
  return fact->within_ns ? later(fact->within_ns, 2 * story->sizes.tolerance_ns) : UINT64_MAX;
}

static bool any_between(const struct trace_story *story, uint32_t trace, const struct image_fact *fact, bool left,
                        uint64_t first_ns, uint64_t last_ns) {
  const uint64_t period = period_ns(story, fact);
  for (uint64_t at = first_ns / period, end = last_ns / period;; at = end) {
    const uint32_t line = find_cell(story, trace, fact, CELL_PERIOD, at);
    if (line != STORY_NONE) {
      const struct story_cell *cell = story_cell(story, line);
      const uint64_t first = left ? cell->left_first : cell->right_first, last = left ? cell->left_last : cell->right_last;
      if (first <= last && ((first >= first_ns && first <= last_ns) || (last >= first_ns && last <= last_ns))) return true;
    }
    if (at == end) return false;
  }
}

static void add_ordered(struct trace_story *story, uint32_t trace, const struct image_fact *fact, const struct story_node *node,
                        bool left, bool right) {
  const uint64_t tolerance_ns = story->sizes.tolerance_ns, start_ns = node->start_ns;
  const uint64_t ahead_ns = fact->within_ns ? later(fact->within_ns, tolerance_ns) : UINT64_MAX;
  if ((left && any_between(story, trace, fact, false, earlier(start_ns, tolerance_ns), later(start_ns, ahead_ns))) ||
      (right && any_between(story, trace, fact, true, earlier(start_ns, ahead_ns), later(start_ns, tolerance_ns)))) {
    set_true(story, trace, fact);
    return;
  }
  struct story_cell *cell = cell_for(story, trace, fact, CELL_PERIOD, start_ns / period_ns(story, fact));
  if (!cell) return;
  if (left && start_ns < cell->left_first) cell->left_first = start_ns;
  if (left && start_ns > cell->left_last) cell->left_last = start_ns;
  if (right && start_ns < cell->right_first) cell->right_first = start_ns;
  if (right && start_ns > cell->right_last) cell->right_last = start_ns;
}

/* `above` is the selector of the upper span. */
static void add_child(struct trace_story *story, uint32_t trace, const struct image_fact *fact, const struct story_node *node,
                      bool above, bool below) {
  struct story_cell *cell;
  if (above && (cell = cell_for(story, trace, fact, CELL_SPAN, node->span_id))) {
    cell->flags |= CELL_LEFT;
    if (cell->flags & CELL_RIGHT) set_true(story, trace, fact);
  }
  if (below && node->has_parent && (cell = cell_for(story, trace, fact, CELL_SPAN, node->parent_id))) {
    cell->flags |= CELL_RIGHT;
    if (cell->flags & CELL_LEFT) set_true(story, trace, fact);
  }
}

static void add_sibling(struct trace_story *story, uint32_t trace, const struct image_fact *fact, const struct story_node *node,
                        bool left, bool right) {
  if (!node->has_parent) return;
  struct story_cell *cell = cell_for(story, trace, fact, CELL_FAMILY, node->parent_id);
  if (!cell) return;
  const uint8_t others = cell->flags;
  cell->flags |= (uint8_t)((left ? CELL_LEFT : 0) | (right ? CELL_RIGHT : 0));
  if ((left && others & CELL_RIGHT) || (right && others & CELL_LEFT)) set_true(story, trace, fact);
}

/* Marks the children of `line` as under the upper selector, and theirs, each once; `row` links those whose children are still to
 * be marked. True when one of them met the lower selector. */
static bool spread(struct trace_story *story, uint32_t trace, const struct image_fact *fact, uint32_t line, uint32_t below_bit) {
  uint32_t waiting = line;
  story_node(story, line)->row = STORY_NONE;
  while (waiting != STORY_NONE) {
    const struct story_node *upper = story_node(story, waiting);
    waiting = upper->row;
    uint32_t child = story->nodes_by_parent[story_bucket(story, trace, 0, upper->span_id)];
    for (; child != STORY_NONE; child = story_node(story, child)->same_parent) {
      struct story_node *node = story_node(story, child);
      if (node->trace != trace || node->parent_id != upper->span_id) continue;
      if (story_node_has(story, node, below_bit)) return true;
      const uint32_t before = find_cell(story, trace, fact, CELL_SPAN, node->span_id);
      struct story_cell *cell = cell_for(story, trace, fact, CELL_SPAN, node->span_id);
      if (!cell) return false;
      cell->flags |= CELL_UNDER;
      if (before != STORY_NONE) continue; /* of the upper selector or under it already, so its children are marked */
      node->row = waiting;
      waiting = child;
    }
  }
  return false;
}

static void add_descendant(struct trace_story *story, uint32_t trace, const struct image_fact *fact, uint32_t line,
                           uint32_t above_bit, uint32_t below_bit) {
  const struct story_node *node = story_node(story, line);
  const bool above = story_node_has(story, node, above_bit);
  const bool under = node->has_parent && find_cell(story, trace, fact, CELL_SPAN, node->parent_id) != STORY_NONE;
  if (under && story_node_has(story, node, below_bit)) {
    set_true(story, trace, fact);
    return;
  }
  if (!above && !under) return;
  struct story_cell *cell = cell_for(story, trace, fact, CELL_SPAN, node->span_id);
  if (!cell) return;
  cell->flags |= (uint8_t)((above ? CELL_LEFT : 0) | (under ? CELL_UNDER : 0));
  if (spread(story, trace, fact, line, below_bit)) set_true(story, trace, fact);
}

static void add_related(struct trace_story *story, uint32_t trace, const struct image_fact *fact, uint32_t line) {
  const struct story_node *node = story_node(story, line);
  const bool left = story_node_has(story, node, fact->left_bit), right = story_node_has(story, node, fact->right_bit);
  switch (fact->relation) {
  case RELATION_CHILD:
    add_child(story, trace, fact, node, left, right);
    break;
  case RELATION_PARENT:
    add_child(story, trace, fact, node, right, left);
    break;
  case RELATION_DESCENDANT:
    add_descendant(story, trace, fact, line, fact->left_bit, fact->right_bit);
    break;
  case RELATION_ANCESTOR:
    add_descendant(story, trace, fact, line, fact->right_bit, fact->left_bit);
    break;
  default:
    add_sibling(story, trace, fact, node, left, right);
  }
}

/* Selectors told later of the same span would make it its own companion: then the verdict waits for the end of the trace. */
static bool must_wait(const struct image_fact *fact, bool continued) {
  return continued && (fact->sort == FACT_ORDERED || (fact->sort == FACT_RELATED && fact->relation == RELATION_SIBLING));
}

static void add_to_fact(struct trace_story *story, uint32_t trace, const struct image_fact *fact, uint32_t line, bool continued) {
  const struct story_node *node = story_node(story, line);
  if (must_wait(fact, continued) || is_true(story, trace, fact)) return;
  if (fact->sort == FACT_COMPARISON)
    add_comparison(story, trace, fact, node);
  else if (fact->sort == FACT_RELATED)
    add_related(story, trace, fact, line);
  else
    add_ordered(story, trace, fact, node, story_node_has(story, node, fact->left_bit),
                story_node_has(story, node, fact->right_bit));
}

static bool is_of_two(const struct image_fact *fact) { return fact->sort != FACT_COMPARISON; }

static bool is_of_all(const struct image_fact *fact) {
  return is_of_two(fact) && fact->sort == FACT_RELATED &&
         (fact->relation == RELATION_DESCENDANT || fact->relation == RELATION_ANCESTOR);
}

void story_early_add(struct trace_story *story, uint32_t trace, uint32_t line, const uint16_t *bits, uint32_t bit_count,
                     bool continued) {
  const struct image_story *asked = &story->image->story;
  const struct story_head *head = &story->heads[trace];
  for (uint32_t i = 0; i < asked->early_of_all_count && !(head->flags & STORY_PARTIAL); i++) {
    const struct image_fact *fact = &asked->facts[asked->early_of_all[i]];
    if (fact->sort == FACT_COMPARISON) {
      /* A count is among these when 0 is enough for it. */
      const bool holds = fact->left.kind == MEASURE_COUNT ? compare_number(fact, 0) : extent_holds(story, trace, fact);
      if (holds) set_true(story, trace, fact);
    } else if (line != STORY_NONE) {
      add_to_fact(story, trace, fact, line, continued);
    }
  }
  for (uint32_t i = 0; i < bit_count; i++)
    for (uint32_t at = asked->early.first[bits[i]]; at < asked->early.first[bits[i] + 1]; at++) {
      const struct image_fact *fact = &asked->facts[asked->early.numbers[at]];
      if (head->flags & STORY_PARTIAL) return;
      /* Of a fact with two selectors once, though the span met both. */
      bool again = is_of_all(fact);
      for (uint32_t before = 0; before < i && is_of_two(fact); before++)
        again |= bits[before] == fact->left_bit || bits[before] == fact->right_bit;
      if (!again) add_to_fact(story, trace, fact, line, continued);
    }
}
