#include "rules_internal.h"

#define RECLAIMED_AT_ONCE 16u

static struct story_head *head_of(struct trace_story *story, uint32_t trace) { return &story->heads[trace]; }

static void head_reset(struct trace_story *story, struct story_head *head) {
  *head = (struct story_head){.first_ns = UINT64_MAX,
                              .wake_ns = STORY_NEVER,
                              .nodes = STORY_NONE,
                              .cells = STORY_NONE,
                              .steps_left = story->sizes.steps_max,
                              .older = STORY_NONE,
                              .newer = STORY_NONE};
}

static bool create_rows(struct story_rows *rows, struct arena *arena, uint32_t spans) {
  rows->trace = STORY_NONE;
  rows->nodes = ARENA_ARRAY(arena, uint32_t, spans);
  rows->parents = ARENA_ARRAY(arena, uint32_t, spans);
  rows->left = ARENA_ARRAY(arena, uint8_t, spans);
  rows->right = ARENA_ARRAY(arena, uint8_t, spans);
  rows->marks = ARENA_ARRAY(arena, uint8_t, spans);
  rows->sorted = ARENA_ARRAY(arena, struct story_sort_item, spans);
  rows->spare = ARENA_ARRAY(arena, struct story_sort_item, spans);
  return rows->nodes && rows->parents && rows->left && rows->right && rows->marks && rows->sorted && rows->spare;
}

bool trace_story_create(struct trace_story *story, struct arena *arena, const struct story_sizes *sizes,
                        struct story_counters *counters) {
  uint32_t buckets = 16;
  while (buckets < sizes->lines) buckets *= 2;
  *story = (struct trace_story){
      .sizes = *sizes, .counters = counters, .bucket_mask = buckets - 1, .oldest = STORY_NONE, .newest = STORY_NONE};
  if (story->sizes.spans_max > sizes->lines) story->sizes.spans_max = sizes->lines;
  story->lines = ARENA_ARRAY(arena, union story_line, sizes->lines);
  story->heads = ARENA_ARRAY(arena, struct story_head, sizes->traces);
  story->nodes_by_span = ARENA_ARRAY(arena, uint32_t, buckets);
  story->nodes_by_parent = ARENA_ARRAY(arena, uint32_t, buckets);
  story->cells = ARENA_ARRAY(arena, uint32_t, buckets);
  story->known = ARENA_ARRAY(arena, struct story_known, IMAGE_FACTS_MAX);
  story->bit_stamps = ARENA_ARRAY(arena, uint64_t, IMAGE_SELECTORS_MAX);
  story->bits_met = ARENA_ARRAY(arena, uint16_t, IMAGE_SELECTORS_MAX);
  story->fresh = ARENA_ARRAY(arena, uint16_t, IMAGE_FACTS_MAX);
  story->broken = ARENA_ARRAY(arena, uint16_t, IMAGE_TRACE_RULES_MAX);
  if (!story->lines || !story->heads || !story->nodes_by_span || !story->nodes_by_parent || !story->cells || !story->known ||
      !story->bit_stamps || !story->bits_met || !story->fresh || !story->broken ||
      !create_rows(&story->rows, arena, story->sizes.spans_max))
    return false;
  memset(story->nodes_by_span, 0xff, (size_t)buckets * sizeof(uint32_t));
  memset(story->nodes_by_parent, 0xff, (size_t)buckets * sizeof(uint32_t));
  memset(story->cells, 0xff, (size_t)buckets * sizeof(uint32_t));
  story->free_lines = STORY_NONE;
  for (uint32_t i = sizes->lines; i-- > 0;) {
    story->lines[i].free = story->free_lines;
    story->free_lines = i;
  }
  for (uint32_t i = 0; i < sizes->traces; i++) head_reset(story, &story->heads[i]);
  return true;
}

void trace_story_adopt(struct trace_story *story, const struct rule_image *image) {
  story->image = image;
  story->rows.trace = STORY_NONE;
}

uint32_t story_bucket(const struct trace_story *story, uint32_t trace, uint32_t of, uint64_t key) {
  const uint64_t words[2] = {(uint64_t)trace << 32 | of, key};
  return (uint32_t)siphash(&story->sizes.key, words, sizeof words) & story->bucket_mask;
}

static void give_line(struct trace_story *story, uint32_t line) {
  story->lines[line].free = story->free_lines;
  story->free_lines = line;
  story->counters->lines_used--;
}

static void unlink_node(struct trace_story *story, uint32_t line) {
  const struct story_node *node = story_node(story, line);
  uint32_t *link = &story->nodes_by_span[story_bucket(story, node->trace, 0, node->span_id)];
  while (*link != line) link = &story_node(story, *link)->same_span;
  *link = node->same_span;
  if (!node->has_parent) return;
  link = &story->nodes_by_parent[story_bucket(story, node->trace, 0, node->parent_id)];
  while (*link != line) link = &story_node(story, *link)->same_parent;
  *link = node->same_parent;
}

static void unlink_cell(struct trace_story *story, uint32_t line) {
  const struct story_cell *cell = story_cell(story, line);
  uint32_t *link = &story->cells[story_bucket(story, cell->trace, cell->fact, cell->key)];
  while (*link != line) link = &story_cell(story, *link)->chain;
  *link = cell->chain;
}

static void give_lines(struct trace_story *story, struct story_head *head) {
  while (head->nodes != STORY_NONE) {
    const uint32_t line = head->nodes;
    const struct story_node *node = story_node(story, line);
    head->nodes = node->next;
    unlink_node(story, line);
    for (uint32_t more = node->more; more != STORY_NONE;) {
      const uint32_t next = story->lines[more].more.next;
      give_line(story, more);
      more = next;
    }
    give_line(story, line);
  }
  while (head->cells != STORY_NONE) {
    const uint32_t line = head->cells;
    head->cells = story_cell(story, line)->next;
    unlink_cell(story, line);
    give_line(story, line);
  }
  head->node_count = 0;
  story->rows.trace = STORY_NONE;
}

static void unlist(struct trace_story *story, struct story_head *head) {
  if (!(head->flags & STORY_LISTED)) return;
  *(head->older == STORY_NONE ? &story->oldest : &story->heads[head->older].newer) = head->newer;
  *(head->newer == STORY_NONE ? &story->newest : &story->heads[head->newer].older) = head->older;
  head->older = head->newer = STORY_NONE;
  head->flags &= ~(uint32_t)STORY_LISTED;
}

static void make_partial(struct trace_story *story, uint32_t trace) {
  struct story_head *head = head_of(story, trace);
  give_lines(story, head);
  unlist(story, head);
  head->flags |= STORY_PARTIAL;
  head->wake_ns = STORY_NEVER;
  head->hold_ns = 0;
}

/* The trace at hand is never the one that gives way: it is at work. */
static bool reclaim(struct trace_story *story, uint32_t trace) {
  for (uint32_t i = 0; i < RECLAIMED_AT_ONCE && story->free_lines == STORY_NONE; i++) {
    uint32_t oldest = story->oldest;
    if (oldest == trace) oldest = story->heads[oldest].newer;
    if (oldest == STORY_NONE) return false;
    make_partial(story, oldest);
    story->counters->reclaimed++;
  }
  return story->free_lines != STORY_NONE;
}

uint32_t story_take_line(struct trace_story *story, uint32_t trace) {
  if (story->heads[trace].flags & STORY_PARTIAL) return STORY_NONE;
  if (story->free_lines == STORY_NONE && !reclaim(story, trace)) {
    make_partial(story, trace);
    story->counters->partial_full++;
    return STORY_NONE;
  }
  const uint32_t line = story->free_lines;
  story->free_lines = story->lines[line].free;
  story->counters->lines_used++;
  memset(&story->lines[line], 0, sizeof story->lines[line]);
  return line;
}

bool story_spend(struct trace_story *story, uint32_t trace, uint64_t steps) {
  struct story_head *head = head_of(story, trace);
  if (head->flags & STORY_PARTIAL) return false;
  if (steps > head->steps_left) {
    make_partial(story, trace);
    story->counters->partial_steps++;
    return false;
  }
  head->steps_left -= (uint32_t)steps;
  return true;
}

uint32_t story_find_node(const struct trace_story *story, uint32_t trace, uint64_t span_id) {
  uint32_t line = story->nodes_by_span[story_bucket(story, trace, 0, span_id)];
  while (line != STORY_NONE) {
    const struct story_node *node = story_node(story, line);
    if (node->span_id == span_id && node->trace == trace) break;
    line = node->same_span;
  }
  return line;
}

struct story_bits story_bits_of(const struct story_node *node) {
  const uint32_t inside = sizeof node->bits / sizeof node->bits[0];
  return (struct story_bits){.at = node->bits, .left = node->bit_count < inside ? node->bit_count : inside, .more = node->more};
}

bool story_bits_next(const struct trace_story *story, struct story_bits *bits, uint32_t *bit) {
  while (bits->left == 0) {
    if (bits->more == STORY_NONE) return false;
    const struct story_more *more = &story->lines[bits->more].more;
    *bits = (struct story_bits){.at = more->bits, .left = more->bit_count, .more = more->next};
  }
  bits->left--;
  *bit = *bits->at++;
  return true;
}

bool story_node_has(const struct trace_story *story, const struct story_node *node, uint32_t bit) {
  struct story_bits bits = story_bits_of(node);
  for (uint32_t met; story_bits_next(story, &bits, &met);)
    if (met == bit) return true;
  return false;
}

bool story_node_value(const struct trace_story *story, const struct story_node *node, uint32_t identity, struct value *value) {
  for (uint32_t line = node->more; line != STORY_NONE; line = story->lines[line].more.next) {
    const struct story_more *more = &story->lines[line].more;
    for (uint32_t i = 0; i < more->value_count; i++) {
      if (more->values[i].identity != identity) continue;
      *value = (struct value){.type = (enum value_type)more->values[i].type};
      memcpy(&value->integer, &more->values[i].number, sizeof value->integer);
      return true;
    }
  }
  return false;
}

/* A line of more selectors, or of more values, with room in it. */
static struct story_more *more_for(struct trace_story *story, uint32_t trace, struct story_node *node, bool values) {
  for (uint32_t line = node->more; line != STORY_NONE; line = story->lines[line].more.next) {
    struct story_more *more = &story->lines[line].more;
    if (values ? more->value_count && more->value_count < 3 : more->bit_count && more->bit_count < 28) return more;
  }
  const uint32_t line = story_take_line(story, trace);
  if (line == STORY_NONE) return NULL;
  struct story_more *more = &story->lines[line].more;
  more->next = node->more;
  node->more = line;
  return more;
}

static bool add_bit(struct trace_story *story, uint32_t trace, struct story_node *node, uint16_t bit) {
  if (node->bit_count < sizeof node->bits / sizeof node->bits[0]) {
    node->bits[node->bit_count++] = bit;
    return true;
  }
  struct story_more *more = more_for(story, trace, node, false);
  if (!more) return false;
  more->bits[more->bit_count++] = bit;
  node->bit_count++;
  return true;
}

static bool add_values(struct trace_story *story, const struct story_span *span, uint32_t trace, struct story_node *node,
                       uint32_t bit) {
  const struct image_fact_list *measured = &story->image->story.measured;
  for (uint32_t i = measured->first[bit]; i < measured->first[bit + 1]; i++) {
    const uint32_t identity = story->image->kinds[EVENT_SPAN].columns[measured->numbers[i]].identity;
    struct value value, before;
    if (story_node_value(story, node, identity, &before) || !span->value(span->context, identity, &value)) continue;
    if (value.type != VALUE_INTEGER && (value.type != VALUE_DOUBLE || value.real != value.real)) continue;
    struct story_more *more = more_for(story, trace, node, true);
    if (!more) return false;
    more->values[more->value_count].identity = identity;
    more->values[more->value_count].type = value.type;
    memcpy(&more->values[more->value_count++].number, &value.integer, sizeof value.integer);
  }
  return true;
}

static bool is_kept(const struct image_story *asked, uint32_t bit) { return bit < asked->bits && bit_get(asked->kept, bit); }

static bool any_kept(const struct image_story *asked, const struct story_span *span) {
  for (uint32_t i = 0; i < span->bit_count; i++)
    if (is_kept(asked, span->bits[i])) return true;
  return false;
}

static uint64_t add_times(uint64_t at_ns, uint64_t first_ns, uint64_t second_ns) {
  uint64_t sum;
  if (__builtin_add_overflow(at_ns, first_ns, &sum) || __builtin_add_overflow(sum, second_ns, &sum)) return STORY_NEVER - 1;
  return sum;
}

/* Generous: what has been met meanwhile is seen when the time has come. */
static void note_deadlines(struct trace_story *story, struct story_head *head, uint32_t bit, uint64_t arrival_ns) {
  const struct image_story *asked = &story->image->story;
  uint64_t wake_ns = STORY_NEVER, hold_ns = 0;
  for (uint32_t i = asked->timed.first[bit]; i < asked->timed.first[bit + 1]; i++) {
    const struct image_fact *fact = &asked->facts[asked->timed.numbers[i]];
    const uint64_t at_ns = add_times(arrival_ns, fact->within_ns, story->sizes.tolerance_ns);
    if (at_ns > hold_ns) hold_ns = at_ns;
    if (fact->negated && at_ns < wake_ns) wake_ns = at_ns;
  }
  for (uint32_t i = asked->within.first[bit]; i < asked->within.first[bit + 1]; i++) {
    const uint64_t within_ns = story->image->trace_rules[asked->within.numbers[i]].within_ns;
    const uint64_t at_ns = add_times(arrival_ns, within_ns, story->sizes.tolerance_ns);
    if (at_ns > hold_ns) hold_ns = at_ns;
    if (at_ns < wake_ns) wake_ns = at_ns;
  }
  if (head->flags & STORY_REMEMBERED) return;
  if (hold_ns > head->hold_ns) head->hold_ns = hold_ns;
  if (wake_ns < head->wake_ns) head->wake_ns = wake_ns;
}

static uint32_t new_node(struct trace_story *story, uint32_t trace, const struct story_span *span) {
  struct story_head *head = head_of(story, trace);
  if (head->node_count == story->sizes.spans_max) {
    make_partial(story, trace);
    story->counters->partial_large++;
    return STORY_NONE;
  }
  const uint32_t line = story_take_line(story, trace);
  if (line == STORY_NONE) return STORY_NONE;
  struct story_node *node = story_node(story, line);
  *node = (struct story_node){.span_id = span->span_id,
                              .parent_id = span->parent_id,
                              .start_ns = span->start_ns,
                              .arrival_ns = span->arrival_ns,
                              .trace = trace,
                              .next = head->nodes,
                              .more = STORY_NONE,
                              .has_parent = span->has_parent};
  head->nodes = line;
  head->node_count++;
  uint32_t *bucket = &story->nodes_by_span[story_bucket(story, trace, 0, span->span_id)];
  node->same_span = *bucket;
  *bucket = line;
  if (span->has_parent) {
    bucket = &story->nodes_by_parent[story_bucket(story, trace, 0, span->parent_id)];
    node->same_parent = *bucket;
    *bucket = line;
  }
  story->counters->spans++;
  return line;
}

/* Selectors that the node has already are skipped; the others are moved to the front of `fresh`. */
static bool fill_node(struct trace_story *story, uint32_t trace, uint32_t line, const struct story_span *span, uint16_t *fresh,
                      uint32_t *fresh_count) {
  for (uint32_t i = 0; i < span->bit_count; i++) {
    struct story_node *node = story_node(story, line);
    const uint16_t bit = span->bits[i];
    if (!is_kept(&story->image->story, bit) || story_node_has(story, node, bit)) continue;
    if (!add_bit(story, trace, node, bit) || !add_values(story, span, trace, node, bit)) return false;
    note_deadlines(story, head_of(story, trace), bit, span->arrival_ns);
    fresh[(*fresh_count)++] = bit;
  }
  return true;
}

bool trace_story_add(struct trace_story *story, uint32_t trace, const struct story_span *span) {
  story->fresh_count = 0;
  if (!story->image || !story->image->story.needed) return true;
  const struct image_story *asked = &story->image->story;
  struct story_head *head = head_of(story, trace);
  if (head->flags & STORY_PARTIAL) return true;
  uint32_t line = STORY_NONE;
  uint16_t fresh[DIGEST_SELECTORS_MAX];
  uint32_t fresh_count = 0;
  ALWAYS_ASSERT(span->bit_count <= DIGEST_SELECTORS_MAX);
  if (asked->every_span || any_kept(asked, span)) {
    line = story_find_node(story, trace, span->span_id);
    if (line != STORY_NONE && !span->continued) {
      story->counters->duplicates++;
      return false;
    }
    if (line == STORY_NONE) line = new_node(story, trace, span);
    if (line == STORY_NONE || !fill_node(story, trace, line, span, fresh, &fresh_count)) return true;
  }
  story->rows.trace = STORY_NONE; /* a span that is not kept may be the first or the last */
  if (span->start_ns < head->first_ns) head->first_ns = span->start_ns;
  if (span->end_ns > head->last_ns) head->last_ns = span->end_ns;
  if (head->flags & STORY_REMEMBERED && !(head->flags & STORY_LISTED) && line != STORY_NONE) trace_story_remember(story, trace);
  story_early_add(story, trace, line, fresh, fresh_count, span->continued);
  return true;
}

void trace_story_remember(struct trace_story *story, uint32_t trace) {
  struct story_head *head = head_of(story, trace);
  head->flags |= STORY_REMEMBERED;
  head->wake_ns = STORY_NEVER;
  head->hold_ns = 0;
  if (head->flags & (STORY_LISTED | STORY_PARTIAL) || (head->nodes == STORY_NONE && head->cells == STORY_NONE)) return;
  head->flags |= STORY_LISTED;
  head->older = story->newest;
  head->newer = STORY_NONE;
  *(story->newest == STORY_NONE ? &story->oldest : &story->heads[story->newest].newer) = trace;
  story->newest = trace;
}

void trace_story_forget(struct trace_story *story, uint32_t trace) {
  struct story_head *head = head_of(story, trace);
  give_lines(story, head);
  unlist(story, head);
  head_reset(story, head);
}
