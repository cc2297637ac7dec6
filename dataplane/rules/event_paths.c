#include "always_assert.h"
#include "event.h"
#include "image.h"
#include <string.h>

static const struct image_path_node *node_of(const struct rule_image *image, enum event_kind kind, int node) {
  if (!image || node < 0 || (uint32_t)node >= image->kinds[kind].path_count) return NULL;
  return &image->kinds[kind].paths[node];
}

int event_path_child(const struct rule_image *image, enum event_kind kind, int node, const char *key, uint32_t key_length) {
  const struct image_path_node *from = node_of(image, kind, node);
  if (!from) return -1;
  const struct image_path_edge *edges = image->kinds[kind].path_edges + from->first_member;
  for (uint32_t i = 0; i < from->member_count; i++)
    if (edges[i].key.length == key_length && memcmp(edges[i].key.at, key, key_length) == 0) return edges[i].node;
  return -1;
}

int event_path_element(const struct rule_image *image, enum event_kind kind, int node, uint32_t element) {
  const struct image_path_node *from = node_of(image, kind, node);
  if (!from) return -1;
  const struct image_path_edge *edges = image->kinds[kind].path_edges + from->first_element;
  for (uint32_t i = 0; i < from->element_count; i++)
    if (edges[i].element == element) return edges[i].node;
  return from->every;
}

bool event_path_has_elements(const struct rule_image *image, enum event_kind kind, int node) {
  const struct image_path_node *from = node_of(image, kind, node);
  return from && (from->element_count > 0 || from->every >= 0);
}

int event_path_slot(const struct rule_image *image, enum event_kind kind, int node) {
  const struct image_path_node *at = node_of(image, kind, node);
  return at && at->slot_count ? image->kinds[kind].path_slots[at->first_slot] : -1;
}

/* The first value also stands in the column, for messages. */
static void add_element(struct event_batch *batch, uint32_t row, uint16_t slot, const struct value *value) {
  if (value->type == VALUE_NULL) return;
  const bool first_of_slot = batch->present[slot] == 0, first_of_row = !(batch->present[slot] >> row & 1);
  const uint32_t before = first_of_slot ? BATCH_ELEMENTS_MAX : batch->last_element[slot];
  const uint32_t ordinal = first_of_row ? 0 : batch->elements[before].ordinal + 1u;
  if (ordinal == EVENT_ELEMENTS_MAX || batch->element_count == BATCH_ELEMENTS_MAX) {
    batch->elements_left_out++;
    return;
  }
  if (first_of_row) event_batch_set(batch, row, slot, value);
  batch->elements[batch->element_count] = (struct event_element){.value = *value,
                                                                 .interned = event_batch_intern(batch, slot, value),
                                                                 .before = before,
                                                                 .slot = slot,
                                                                 .ordinal = (uint16_t)ordinal,
                                                                 .row = (uint8_t)row};
  batch->last_element[slot] = batch->element_count++;
}

void event_path_set(struct event_batch *batch, uint32_t row, int node, const struct value *value) {
  const struct image_path_node *at = node_of(batch->image, batch->kind, node);
  ALWAYS_ASSERT(at);
  const struct image_kind *kind = &batch->image->kinds[batch->kind];
  for (uint32_t i = 0; i < at->slot_count; i++) {
    const uint16_t slot = kind->path_slots[at->first_slot + i];
    if (!kind->columns[slot].every)
      event_batch_set(batch, row, slot, value);
    else if (batch->elements)
      add_element(batch, row, slot, value);
  }
}
