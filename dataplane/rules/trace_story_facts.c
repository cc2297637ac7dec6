#include "rules_internal.h"

bool story_compare(const struct value *left, uint8_t operation, const struct value *right) {
  const int order = value_compare(left, right);
  if (order == 2) return operation == PREDICATE_NOT_EQUAL && left->type != VALUE_NULL && right->type != VALUE_NULL;
  switch (operation) {
  case PREDICATE_EQUAL:
    return order == 0;
  case PREDICATE_NOT_EQUAL:
    return order != 0;
  case PREDICATE_LESS:
    return order < 0;
  case PREDICATE_LESS_OR_EQUAL:
    return order <= 0;
  case PREDICATE_GREATER:
    return order > 0;
  default:
    return order >= 0;
  }
}

static struct value integer(uint64_t number) {
  return (struct value){.type = VALUE_INTEGER, .integer = number > INT64_MAX ? INT64_MAX : (int64_t)number};
}

/* Integers are added exactly; doubles in the order of the span ids, so that the order of arrival does not show. */
struct sum {
  __int128 integers;
  double reals;
  uint32_t count;
  bool real;
};

static struct sum sum_of(struct trace_story *story, const struct image_measure *measure, const uint8_t *marks) {
  struct story_rows *rows = &story->rows;
  struct sum sum = {.integers = 0};
  struct value value;
  uint32_t reals = 0;
  for (uint32_t row = 0; row < rows->count; row++) {
    const struct story_node *node = story_node(story, rows->nodes[row]);
    if (!marks[row] || !story_node_value(story, node, measure->identity, &value)) continue;
    sum.count++;
    if (value.type == VALUE_INTEGER)
      sum.integers += value.integer;
    else
      rows->sorted[reals++] = (struct story_sort_item){.key = __builtin_bswap64(node->span_id), .row = row};
  }
  story_sort(rows->sorted, rows->spare, reals);
  for (uint32_t i = 0; i < reals; i++) {
    story_node_value(story, story_node(story, rows->nodes[rows->sorted[i].row]), measure->identity, &value);
    sum.reals += value.real;
  }
  sum.real = reals > 0;
  return sum;
}

static struct value total_of(const struct sum *sum) {
  const bool fits = sum->integers >= INT64_MIN && sum->integers <= INT64_MAX;
  if (!sum->real && fits) return (struct value){.type = VALUE_INTEGER, .integer = (int64_t)sum->integers};
  return (struct value){.type = VALUE_DOUBLE, .real = (double)sum->integers + sum->reals};
}

static struct value extreme_of(const struct trace_story *story, const struct image_measure *measure, const uint8_t *marks) {
  const struct story_rows *rows = &story->rows;
  const int wanted = measure->kind == MEASURE_MINIMUM ? -1 : 1;
  struct value most = {.type = VALUE_NULL}, value;
  for (uint32_t row = 0; row < rows->count; row++)
    if (marks[row] && story_node_value(story, story_node(story, rows->nodes[row]), measure->identity, &value) &&
        (most.type == VALUE_NULL || value_compare(&value, &most) == wanted))
      most = value;
  return most;
}

static struct value times_of(const struct trace_story *story) {
  const struct story_rows *rows = &story->rows;
  const struct story_head *head = &story->heads[rows->trace];
  if (head->first_ns == UINT64_MAX) return (struct value){.type = VALUE_NULL};
  return integer(head->last_ns > head->first_ns ? head->last_ns - head->first_ns : 0);
}

static struct value measure_value(struct trace_story *story, const struct image_measure *measure) {
  struct story_rows *rows = &story->rows;
  uint8_t *marks = rows->left;
  uint64_t count = 0;
  if (measure->kind == MEASURE_CONSTANT) return measure->constant;
  if (measure->kind == MEASURE_SPAN_COUNT) return integer(rows->count);
  if (measure->kind == MEASURE_DURATION) return times_of(story);
  story_rows_mark(story, measure->bit, marks);
  if (measure->kind == MEASURE_COUNT) {
    for (uint32_t row = 0; row < rows->count; row++) count += marks[row];
    return integer(count);
  }
  if (measure->kind == MEASURE_MINIMUM || measure->kind == MEASURE_MAXIMUM) return extreme_of(story, measure, marks);
  const struct sum sum = sum_of(story, measure, marks);
  if (measure->kind == MEASURE_SUM) return total_of(&sum);
  if (sum.count == 0) return (struct value){.type = VALUE_NULL};
  return (struct value){.type = VALUE_DOUBLE, .real = ((double)sum.integers + sum.reals) / (double)sum.count};
}

static bool comparison_holds(struct trace_story *story, const struct image_fact *fact) {
  const struct value left = measure_value(story, &fact->left), right = measure_value(story, &fact->right);
  return story_compare(&left, fact->operation, &right);
}

static uint64_t later(uint64_t at_ns, uint64_t by_ns) { return at_ns > UINT64_MAX - by_ns ? UINT64_MAX : at_ns + by_ns; }

/* Each left span, by start, with the right spans in its window moving along: a span is in its own window, but does not follow
 * itself. `each` ends the walk by returning true. */
struct ordered_walk {
  struct trace_story *story;
  const struct image_fact *fact;
  struct story_waits waits;
  bool holds;
};

static uint64_t due_ns(const struct ordered_walk *walk, uint32_t row) {
  const uint64_t arrival_ns = story_node(walk->story, walk->story->rows.nodes[row])->arrival_ns;
  return later(later(arrival_ns, walk->fact->within_ns), walk->story->sizes.tolerance_ns);
}

static bool judge_left(struct ordered_walk *walk, uint32_t row, bool followed) {
  walk->holds = walk->fact->negated ? !followed && due_ns(walk, row) <= walk->story->rows.matured_ns : followed;
  return walk->holds;
}

static bool wait_for_left(struct ordered_walk *walk, uint32_t row, bool followed) {
  const uint64_t at_ns = due_ns(walk, row);
  if (followed || at_ns <= walk->story->rows.matured_ns) return false;
  if (at_ns < walk->waits.next_ns) walk->waits.next_ns = at_ns;
  if (at_ns > walk->waits.last_ns) walk->waits.last_ns = at_ns;
  return false;
}

static void walk_ordered(struct ordered_walk *walk, bool (*each)(struct ordered_walk *walk, uint32_t row, bool followed)) {
  struct trace_story *story = walk->story;
  struct story_rows *rows = &story->rows;
  struct story_sort_item *sorted = rows->sorted;
  const uint64_t tolerance_ns = story->sizes.tolerance_ns, within_ns = walk->fact->within_ns;
  for (uint32_t row = 0; row < rows->count; row++)
    sorted[row] = (struct story_sort_item){.key = story_node(story, rows->nodes[row])->start_ns, .row = row};
  story_sort(sorted, rows->spare, rows->count);
  uint32_t from = 0, to = 0, inside = 0; /* the right spans among sorted[from] up to, without, sorted[to] */
  for (uint32_t at = 0; at < rows->count; at++) {
    const uint64_t start_ns = sorted[at].key;
    const uint64_t last_ns = within_ns ? later(later(start_ns, within_ns), tolerance_ns) : UINT64_MAX;
    while (to < rows->count && sorted[to].key <= last_ns) inside += rows->right[sorted[to++].row];
    while (later(sorted[from].key, tolerance_ns) < start_ns) inside -= rows->right[sorted[from++].row];
    const uint32_t row = sorted[at].row;
    if (rows->left[row] && each(walk, row, inside > rows->right[row])) return;
  }
}

/* Whether some left span is followed; of `not followed by`, whether one whose time has passed is not. */
static bool ordered_holds(struct trace_story *story, const struct image_fact *fact) {
  struct ordered_walk walk = {.story = story, .fact = fact};
  walk_ordered(&walk, judge_left);
  return walk.holds;
}

enum { UNDER_UNKNOWN, UNDER_YES, UNDER_NO, UNDER_ASKED };

/* Which rows have a left one among their ancestors. Each row is walked over twice at most: what was found is noted along the way,
 * and a walk that comes upon itself has gone round a cycle without a left row in it. */
static void mark_descendants(struct story_rows *rows) {
  memset(rows->marks, UNDER_UNKNOWN, rows->count);
  for (uint32_t row = 0; row < rows->count; row++) {
    uint8_t answer = UNDER_UNKNOWN;
    for (uint32_t at = row; answer == UNDER_UNKNOWN; at = rows->parents[at]) {
      if (rows->marks[at] != UNDER_UNKNOWN) {
        answer = rows->marks[at] == UNDER_ASKED ? UNDER_NO : rows->marks[at];
        break;
      }
      rows->marks[at] = UNDER_ASKED;
      if (rows->parents[at] == STORY_NONE)
        answer = UNDER_NO;
      else if (rows->left[rows->parents[at]])
        answer = UNDER_YES;
    }
    for (uint32_t at = row; at != STORY_NONE && rows->marks[at] == UNDER_ASKED; at = rows->parents[at]) rows->marks[at] = answer;
  }
  for (uint32_t row = 0; row < rows->count; row++) rows->marks[row] = rows->marks[row] == UNDER_YES;
}

static void mark_ancestors(struct story_rows *rows) {
  memset(rows->marks, 0, rows->count);
  for (uint32_t row = 0; row < rows->count; row++)
    for (uint32_t at = rows->left[row] ? rows->parents[row] : STORY_NONE; at != STORY_NONE && !rows->marks[at];
         at = rows->parents[at])
      rows->marks[at] = 1;
}

static void mark_siblings(struct trace_story *story) {
  struct story_rows *rows = &story->rows;
  uint32_t count = 0;
  memset(rows->marks, 0, rows->count);
  for (uint32_t row = 0; row < rows->count; row++) {
    const struct story_node *node = story_node(story, rows->nodes[row]);
    if (node->has_parent) rows->sorted[count++] = (struct story_sort_item){.key = node->parent_id, .row = row};
  }
  story_sort(rows->sorted, rows->spare, count);
  for (uint32_t start = 0, end; start < count; start = end) {
    uint32_t lefts = 0;
    for (end = start; end < count && rows->sorted[end].key == rows->sorted[start].key; end++)
      lefts += rows->left[rows->sorted[end].row];
    for (uint32_t i = start; i < end; i++) {
      const uint32_t row = rows->sorted[i].row;
      rows->marks[row] = lefts > rows->left[row];
    }
  }
}

/* Marks the rows that have the relation to some left one; then asks for a right one with a mark, or without. */
static bool related_holds(struct trace_story *story, const struct image_fact *fact) {
  struct story_rows *rows = &story->rows;
  switch (fact->relation) {
  case RELATION_CHILD:
    for (uint32_t row = 0; row < rows->count; row++)
      rows->marks[row] = rows->parents[row] != STORY_NONE && rows->left[rows->parents[row]];
    break;
  case RELATION_PARENT:
    memset(rows->marks, 0, rows->count);
    for (uint32_t row = 0; row < rows->count; row++)
      if (rows->left[row] && rows->parents[row] != STORY_NONE) rows->marks[rows->parents[row]] = 1;
    break;
  case RELATION_DESCENDANT:
    mark_descendants(rows);
    break;
  case RELATION_ANCESTOR:
    mark_ancestors(rows);
    break;
  default:
    mark_siblings(story);
  }
  for (uint32_t row = 0; row < rows->count; row++)
    if (rows->right[row] && rows->marks[row] != fact->negated) return true;
  return false;
}

/* What a fact costs at most, a row: the passes over it, and sorting. */
static uint64_t steps_of(const struct trace_story *story, const struct image_fact *fact) {
  const uint64_t count = story->rows.count, passes = fact->sort == FACT_COMPARISON ? 4 : 6;
  return count * (passes + (count > 1 ? 64u - (uint32_t)__builtin_clzll(count) : 0)) + 1;
}

bool story_ordered_waits(struct trace_story *story, const struct image_fact *fact, struct story_waits *waits) {
  struct ordered_walk walk = {.story = story, .fact = fact, .waits = {STORY_NEVER, 0}};
  if (!story_spend(story, story->rows.trace, steps_of(story, fact))) return false;
  story_rows_mark(story, fact->left_bit, story->rows.left);
  story_rows_mark(story, fact->right_bit, story->rows.right);
  walk_ordered(&walk, wait_for_left);
  *waits = walk.waits;
  return true;
}

bool story_fact_holds(struct trace_story *story, const struct image_fact *fact) {
  struct story_rows *rows = &story->rows;
  struct story_known *known = &story->known[fact - story->image->story.facts];
  if (known->stamp == rows->stamp) return known->truth;
  const uint32_t trace = rows->trace;
  if (trace == STORY_NONE || !story_spend(story, trace, steps_of(story, fact))) return false;
  if (fact->sort != FACT_COMPARISON) {
    story_rows_mark(story, fact->left_bit, rows->left);
    story_rows_mark(story, fact->right_bit, rows->right);
  }
  known->truth = fact->sort == FACT_COMPARISON ? comparison_holds(story, fact)
                 : fact->sort == FACT_ORDERED  ? ordered_holds(story, fact)
                                               : related_holds(story, fact);
  known->stamp = rows->stamp;
  return known->truth;
}
