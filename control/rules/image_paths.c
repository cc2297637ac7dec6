/* The paths into a body that rules read, as an automaton: `[0]` and `[*]` of one array both lead on from its first element, so a
 * state stands for all places of the tree of paths that a walk down a body may be at. */
#include "always_assert.h"
#include "image_builder_internal.h"
#include <stdlib.h>
#include <string.h>

#define STATES_MAX 32768u /* more than places in the tree of RULE_COLUMNS_MAX paths */
#define EDGES_MAX (4u * STATES_MAX)

/* The tree of paths; place 0 is the root. */
struct place {
  const struct reference_segment *segment;
  int32_t first_child, next_sibling; /* -1: none */
  int32_t slot;
};

struct place_set { /* ascending */
  uint32_t *items;
  size_t count, capacity;
};

struct path_builder {
  struct image_builder *builder;
  struct place *places;
  size_t place_count, place_capacity;
  struct place_set *sets; /* of each state */
  size_t state_count, set_capacity;
  struct text_index state_by_set;
  struct image_path_node *nodes;
  size_t node_capacity;
  struct image_path_edge *edges;
  size_t edge_count, edge_capacity;
  uint16_t *slots;
  size_t slot_count, slot_capacity;
  bool too_many;
};

static bool same_text(struct image_text a, struct image_text b) {
  return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

static bool same_segment(const struct reference_segment *a, const struct reference_segment *b) {
  return a->sort == b->sort && a->element == b->element && same_text(a->key, b->key);
}

static uint32_t child_of(struct path_builder *paths, uint32_t parent, const struct reference_segment *segment) {
  int32_t last = -1;
  for (int32_t child = paths->places[parent].first_child; child >= 0; child = paths->places[child].next_sibling) {
    if (same_segment(paths->places[child].segment, segment)) return (uint32_t)child;
    last = child;
  }
  paths->places = growing_list_reserve(paths->places, paths->place_count, &paths->place_capacity, sizeof *paths->places);
  const uint32_t made = (uint32_t)paths->place_count++;
  paths->places[made] = (struct place){.segment = segment, .first_child = -1, .next_sibling = -1, .slot = -1};
  *(last < 0 ? &paths->places[parent].first_child : &paths->places[last].next_sibling) = (int32_t)made;
  return made;
}

static void collect_places(struct path_builder *paths, const struct kind_builder *from) {
  paths->places = growing_list_reserve(paths->places, 0, &paths->place_capacity, sizeof *paths->places);
  paths->places[paths->place_count++] = (struct place){.first_child = -1, .next_sibling = -1, .slot = -1};
  for (size_t i = 0; i < from->column_count; i++) {
    const struct reference *reference = from->columns[i].reference;
    if (reference->scope != SCOPE_BODY) continue;
    uint32_t place = 0;
    for (uint32_t s = 0; s < reference->segment_count; s++) place = child_of(paths, place, &reference->segments[s]);
    paths->places[place].slot = (int32_t)i;
  }
}

static void add_place(struct place_set *set, uint32_t place) {
  set->items = growing_list_reserve(set->items, set->count, &set->capacity, sizeof *set->items);
  size_t at = set->count++;
  for (; at > 0 && set->items[at - 1] > place; at--) set->items[at] = set->items[at - 1];
  set->items[at] = place;
}

/* The state of a set, made when new; takes the set over. */
static int32_t state_of(struct path_builder *paths, struct place_set *set) {
  const struct image_text key = {.at = (const char *)set->items, .length = (uint32_t)(set->count * sizeof *set->items)};
  const uint32_t known = text_index_find(&paths->state_by_set, key);
  if (known != TEXT_INDEX_NONE || paths->state_count == STATES_MAX) {
    paths->too_many |= known == TEXT_INDEX_NONE;
    free(set->items);
    return known == TEXT_INDEX_NONE ? 0 : (int32_t)known;
  }
  paths->sets = growing_list_reserve(paths->sets, paths->state_count, &paths->set_capacity, sizeof *paths->sets);
  paths->sets[paths->state_count] = *set;
  text_index_add(&paths->state_by_set, key, (uint32_t)paths->state_count);
  return (int32_t)paths->state_count++;
}

/* Where all places of a state lead by a segment; those of `[*]` go along with each element. */
static struct place_set follow(const struct path_builder *paths, size_t state, const struct reference_segment *segment) {
  struct place_set reached = {0};
  const struct place_set *set = &paths->sets[state];
  for (size_t i = 0; i < set->count; i++)
    for (int32_t child = paths->places[set->items[i]].first_child; child >= 0; child = paths->places[child].next_sibling) {
      const struct reference_segment *own = paths->places[child].segment;
      if (same_segment(own, segment) || (own->sort == SEGMENT_EVERY && segment->sort == SEGMENT_ELEMENT))
        add_place(&reached, (uint32_t)child);
    }
  return reached;
}

static bool has_edge(const struct path_builder *paths, uint32_t first, const struct reference_segment *segment) {
  for (size_t i = first; i < paths->edge_count; i++) {
    const struct image_path_edge *edge = &paths->edges[i];
    if (edge->element == segment->element && same_text(edge->key, segment->key)) return true;
  }
  return false;
}

/* The edges of one sort out of a state. Returns how many. */
static uint32_t add_edges(struct path_builder *paths, size_t state, int sort) {
  const uint32_t first = (uint32_t)paths->edge_count;
  for (size_t i = 0; i < paths->sets[state].count; i++)
    for (int32_t child = paths->places[paths->sets[state].items[i]].first_child; child >= 0 && !paths->too_many;
         child = paths->places[child].next_sibling) {
      const struct reference_segment *segment = paths->places[child].segment;
      if ((int)segment->sort != sort || has_edge(paths, first, segment)) continue;
      struct place_set reached = follow(paths, state, segment);
      const struct image_path_edge edge = {
          .key = sort == SEGMENT_MEMBER ? region_image_text(paths->builder->region, segment->key.at, segment->key.length)
                                        : (struct image_text){0},
          .element = segment->element,
          .node = state_of(paths, &reached)};
      paths->too_many |= paths->edge_count == EDGES_MAX;
      paths->edges = growing_list_reserve(paths->edges, paths->edge_count, &paths->edge_capacity, sizeof *paths->edges);
      paths->edges[paths->edge_count++] = edge;
    }
  return (uint32_t)paths->edge_count - first;
}

static void finish_state(struct path_builder *paths, size_t state) {
  static const struct reference_segment every = {.sort = SEGMENT_EVERY, .key = {.at = ""}};
  struct image_path_node node = {
      .first_slot = (uint32_t)paths->slot_count, .first_member = (uint32_t)paths->edge_count, .every = -1};
  for (size_t i = 0; i < paths->sets[state].count; i++) {
    const int32_t slot = paths->places[paths->sets[state].items[i]].slot;
    if (slot < 0) continue;
    paths->slots = growing_list_reserve(paths->slots, paths->slot_count, &paths->slot_capacity, sizeof *paths->slots);
    paths->slots[paths->slot_count++] = (uint16_t)slot;
    node.slot_count++;
  }
  node.member_count = add_edges(paths, state, SEGMENT_MEMBER);
  node.first_element = (uint32_t)paths->edge_count;
  node.element_count = add_edges(paths, state, SEGMENT_ELEMENT);
  struct place_set others = follow(paths, state, &every);
  if (others.count) node.every = state_of(paths, &others);
  paths->nodes = growing_list_reserve(paths->nodes, state, &paths->node_capacity, sizeof *paths->nodes);
  paths->nodes[state] = node;
}

static void *own(struct image_builder *builder, const void *items, size_t bytes) {
  void *copy = region_take(builder->region, bytes);
  if (bytes) memcpy(copy, items, bytes);
  return copy;
}

/* States are numbered by depth: edges lead forward only. */
void image_paths_finish(struct image_builder *builder, const struct kind_builder *from, struct image_kind *into) {
  struct path_builder paths = {.builder = builder};
  collect_places(&paths, from);
  if (paths.place_count > 1) {
    struct place_set root = {0};
    add_place(&root, 0);
    state_of(&paths, &root);
    for (size_t state = 0; state < paths.state_count && !paths.too_many; state++) finish_state(&paths, state);
    if (paths.too_many) rule_errors_add_file(builder->errors, "", 0, "the rules mix [N] and [*] in body paths in too many ways");
    into->path_count = paths.too_many ? 0 : (uint32_t)paths.state_count;
    into->paths = own(builder, paths.nodes, into->path_count * sizeof *paths.nodes);
    into->path_edges = own(builder, paths.edges, paths.edge_count * sizeof *paths.edges);
    into->path_edge_count = (uint32_t)paths.edge_count;
    into->path_slots = own(builder, paths.slots, paths.slot_count * sizeof *paths.slots);
    into->path_slot_count = (uint32_t)paths.slot_count;
  }
  for (size_t i = 0; i < paths.state_count; i++) free(paths.sets[i].items);
  text_index_free(&paths.state_by_set);
  free(paths.places);
  free(paths.sets);
  free(paths.nodes);
  free(paths.edges);
  free(paths.slots);
}
