#include "rules_internal.h"

static void merge(const struct story_sort_item *from, struct story_sort_item *to, uint32_t start, uint32_t middle, uint32_t end) {
  uint32_t left = start, right = middle;
  for (uint32_t at = start; at < end; at++)
    to[at] = right == end || (left < middle && from[left].key <= from[right].key) ? from[left++] : from[right++];
}

void story_sort(struct story_sort_item *items, struct story_sort_item *spare, uint32_t count) {
  struct story_sort_item *from = items, *to = spare;
  for (uint32_t width = 1; width < count; width *= 2) {
    for (uint32_t start = 0; start < count; start += 2 * width) {
      const uint32_t middle = count - start < width ? count : start + width;
      const uint32_t end = count - middle < width ? count : middle + width;
      merge(from, to, start, middle, end);
    }
    struct story_sort_item *swap = from;
    from = to;
    to = swap;
  }
  if (from != items && count) memcpy(items, from, count * sizeof *items);
}

bool story_rows_load(struct trace_story *story, uint32_t trace, uint64_t limit_ns, uint64_t matured_ns) {
  struct story_rows *rows = &story->rows;
  const struct story_head *head = &story->heads[trace];
  if (head->flags & STORY_PARTIAL) return false;
  if (rows->trace == trace && rows->limit_ns == limit_ns && rows->matured_ns == matured_ns) return true;
  if (!story_spend(story, trace, 2ull * head->node_count + 1)) return false;
  rows->count = 0;
  rows->trace = trace;
  rows->limit_ns = limit_ns;
  rows->matured_ns = matured_ns;
  rows->stamp++;
  for (uint32_t line = head->nodes; line != STORY_NONE; line = story_node(story, line)->next) {
    struct story_node *node = story_node(story, line);
    node->row = STORY_NONE;
    if (node->start_ns > limit_ns) continue;
    ALWAYS_ASSERT(rows->count < story->sizes.spans_max);
    node->row = rows->count;
    rows->nodes[rows->count++] = line;
  }
  for (uint32_t row = 0; row < rows->count; row++) {
    const struct story_node *node = story_node(story, rows->nodes[row]);
    const uint32_t parent = node->has_parent ? story_find_node(story, trace, node->parent_id) : STORY_NONE;
    rows->parents[row] = parent == STORY_NONE ? STORY_NONE : story_node(story, parent)->row;
  }
  return true;
}

void story_rows_mark(struct trace_story *story, uint32_t bit, uint8_t *marks) {
  const struct story_rows *rows = &story->rows;
  for (uint32_t row = 0; row < rows->count; row++) marks[row] = story_node_has(story, story_node(story, rows->nodes[row]), bit);
}
