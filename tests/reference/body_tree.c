#include "body_tree.h"
#include "sample.h"
#include <stdlib.h>
#include <string.h>

/* What stands in a place: mostly what is looked for there, sometimes something else altogether. */
static void make_scalar(struct body_node *node, struct test_random *random) { node->value = pool_value(random); }

static void make_array(struct body_node *node, unsigned count, struct yard *yard) {
  node->value = (struct plain){.type = PLAIN_OTHER};
  node->is_array = true;
  node->child_count = count;
  node->children = YARD_ARRAY(yard, struct body_node, count);
}

static void make_item(struct body_node *node, struct test_random *random, struct yard *yard) {
  static const char *const members[] = {"sku", "price", "other"};
  if (random_below(random, 6) == 0) {
    make_scalar(node, random);
    return;
  }
  node->value = (struct plain){.type = PLAIN_OTHER};
  node->children = YARD_ARRAY(yard, struct body_node, 3);
  for (unsigned i = 0; i < 3; i++) {
    if (random_below(random, 5) == 0) continue;
    struct body_node *member = &node->children[node->child_count++];
    member->key = members[i];
    make_scalar(member, random);
  }
}

static unsigned pick_count(struct test_random *random) {
  if (random_below(random, 100) == 0) return BODY_VALUES_MAX - 2 + random_below(random, 6);
  return random_below(random, random_below(random, 4) ? 4 : 12);
}

static void make_items(struct body_node *node, struct test_random *random, struct yard *yard) {
  if (random_below(random, 10) == 0) {
    make_item(node, random, yard);
    return;
  }
  make_array(node, pick_count(random), yard);
  for (unsigned i = 0; i < node->child_count; i++) make_item(&node->children[i], random, yard);
}

static void make_tags(struct body_node *node, struct test_random *random, struct yard *yard) {
  make_array(node, pick_count(random), yard);
  for (unsigned i = 0; i < node->child_count; i++) {
    make_scalar(&node->children[i], random);
    /* Only what lies about the bound tells whether it is kept. */
    if (node->child_count > 16 && i > 0 && i < BODY_VALUES_MAX - 2) node->children[i].value = node->children[0].value;
  }
}

static void make_grid(struct body_node *node, struct test_random *random, struct yard *yard) {
  make_array(node, random_below(random, 4), yard);
  for (unsigned i = 0; i < node->child_count; i++) {
    if (random_below(random, 8)) {
      make_tags(&node->children[i], random, yard);
    } else {
      make_scalar(&node->children[i], random);
    }
  }
}

const struct body_node *body_make(struct test_random *random, struct yard *yard) {
  struct body_node *body = YARD_NEW(yard, struct body_node);
  body->children = YARD_ARRAY(yard, struct body_node, 3);
  struct body_node *items = &body->children[body->child_count++], *tags = &body->children[body->child_count++];
  items->key = "items";
  tags->key = "tags";
  make_items(items, random, yard);
  make_tags(tags, random, yard);
  if (random_below(random, 3)) return body;
  struct body_node *grid = &body->children[body->child_count++];
  grid->key = "grid";
  make_grid(grid, random, yard);
  return body;
}

static bool leads_to(const char *segment, const struct body_node *parent, unsigned child) {
  if (segment[0] != '[') return !parent->is_array && strcmp(parent->children[child].key, segment) == 0;
  return parent->is_array && (segment[1] == '*' || strtoul(segment + 1, NULL, 10) == child);
}

static unsigned collect(const struct body_node *node, const char *const *segments, unsigned left, struct plain *values,
                        unsigned count) {
  if (left == 0 || !segments[0]) {
    if (node->value.type != PLAIN_NULL && count < BODY_VALUES_MAX) values[count++] = node->value;
    return count;
  }
  for (unsigned i = 0; i < node->child_count; i++)
    if (leads_to(segments[0], node, i)) count = collect(&node->children[i], segments + 1, left - 1, values, count);
  return count;
}

unsigned body_values(const struct body_node *body, const struct reference_fact *fact, struct plain values[BODY_VALUES_MAX]) {
  return collect(body, fact->path, PATH_MEMBERS, values, 0);
}

unsigned body_size(const struct body_node *body) {
  unsigned size = 1;
  for (unsigned i = 0; i < body->child_count; i++) size += body_size(&body->children[i]);
  return size;
}
