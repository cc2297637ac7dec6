#include "rule_yaml_internal.h"
#include <stdlib.h>
#include <string.h>

#define NODE_DEPTH_MAX 8u

static bool one_more(struct loader *loader) {
  if (loader->load->value_count++ < LOAD_VALUES_MAX) return true;
  COMPLAIN(loader, "more than %u values in lists, exceptions and examples", LOAD_VALUES_MAX);
  loader->stopped = true;
  return false;
}

static struct raw_node *read_node(struct loader *loader, struct region *region, unsigned depth);

static bool read_members(struct loader *loader, struct region *region, unsigned depth, struct raw_node *parent) {
  struct raw_node **end = &parent->first;
  const yaml_event_type_t last = parent->kind == RAW_MAPPING ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
  bool good = true;
  while (yaml_next(loader) && loader->event.type != last) {
    struct source_scalar key = {0};
    if (parent->kind == RAW_MAPPING) {
      if (!yaml_read_text(loader, "a key", region, &key)) good = false;
      if (!yaml_next(loader)) return false;
    }
    struct raw_node *member = read_node(loader, region, depth + 1);
    if (!member) good = false;
    if (!member) continue;
    member->key = key;
    *end = member;
    end = &member->next;
    parent->count++;
  }
  return good && !loader->stopped;
}

static struct raw_node *read_node(struct loader *loader, struct region *region, unsigned depth) {
  struct raw_node *node = region_take(region, sizeof *node);
  const yaml_event_type_t type = loader->event.type;
  if (depth > NODE_DEPTH_MAX) {
    COMPLAIN(loader, "nested more than %u deep", NODE_DEPTH_MAX);
    yaml_skip_node(loader);
    return NULL;
  }
  if (!one_more(loader)) return NULL;
  node->scalar.line = (uint32_t)loader->event.start_mark.line;
  node->scalar.column = (uint32_t)loader->event.start_mark.column;
  node->scalar.value = "";
  if (type == YAML_SCALAR_EVENT) {
    node->kind = RAW_SCALAR;
    node->scalar = yaml_scalar_of(&loader->event, region);
    if (!memchr(node->scalar.value, '\0', node->scalar.length)) return node;
    COMPLAIN(loader, "this text holds the character U+0000");
    return NULL;
  }
  if (type != YAML_SEQUENCE_START_EVENT && type != YAML_MAPPING_START_EVENT) {
    yaml_skip_node(loader);
    return NULL;
  }
  node->kind = type == YAML_SEQUENCE_START_EVENT ? RAW_LIST : RAW_MAPPING;
  return read_members(loader, region, depth, node) ? node : NULL;
}

struct raw_node *yaml_read_node(struct loader *loader, struct region *region) {
  return read_node(loader, region, 0);
}

static void read_items(struct loader *loader, struct shared_name *list) {
  struct region *region = &loader->file->region;
  struct source_scalar *items = NULL;
  size_t count = 0, capacity = 0;
  if (loader->event.type != YAML_SEQUENCE_START_EVENT) {
    COMPLAIN(loader, "a list is written [a, b] or with one `- a` a line");
    yaml_skip_node(loader);
    return;
  }
  while (yaml_next(loader) && loader->event.type != YAML_SEQUENCE_END_EVENT) {
    struct source_scalar item;
    if (!one_more(loader)) break;
    if (!yaml_read_text(loader, "a member of a list", region, &item)) continue;
    items = growing_list_reserve(items, count, &capacity, sizeof *items);
    items[count++] = item;
  }
  if (!list) return free(items);
  if (count == 0 && !loader->stopped) COMPLAIN(loader, "the list `%s` is empty", list->key.value);
  list->items = region_take(region, count * sizeof *items);
  if (count) memcpy(list->items, items, count * sizeof *items);
  list->item_count = count;
  free(items);
}

static void read_pair(struct loader *loader, bool lists) {
  struct source_scalar key;
  struct shared_name *made = NULL, quiet = {0};
  if (yaml_read_text(loader, "a name", &loader->file->region, &key))
    made = shared_names_add(&loader->load->shared, loader->source, &key, lists, loader->errors);
  if (!yaml_next(loader)) return;
  if (lists) {
    read_items(loader, made);
    return;
  }
  if (!made) made = &quiet;
  if (loader->event.type == YAML_MAPPING_START_EVENT && loader->event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE) {
    COMPLAIN(loader, "YAML takes this { for a mapping: quote the condition, or write it as a block (`|`)");
    yaml_skip_node(loader);
    return;
  }
  if (!yaml_read_text(loader, "a macro", &loader->file->region, &made->text)) return;
  if (made->text.length > EXPRESSION_BYTES_MAX)
    COMPLAIN(loader, "a macro has at most %u bytes; this has %zu", EXPRESSION_BYTES_MAX, made->text.length);
}

void yaml_read_shared(struct loader *loader, bool lists) {
  if (loader->event.type != YAML_MAPPING_START_EVENT) {
    COMPLAIN(loader, "`%s` must be a mapping from names to %s", lists ? "lists" : "macros", lists ? "lists" : "conditions");
    yaml_skip_node(loader);
    return;
  }
  while (yaml_next(loader) && loader->event.type != YAML_MAPPING_END_EVENT) read_pair(loader, lists);
}
