#include "engine_side.h"
#include "heap_arena.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *taken) {
  if (!taken) abort();
  return taken;
}

void side_open(struct engine_side *side, unsigned shards, const struct side_limits *limits, uint64_t now_ns) {
  *side = (struct engine_side){.heap = heap_arena_create(), .shards = shards};
  struct arena *arena = heap_arena_arena(side->heap);
  for (unsigned from = 0; from < shards; from++) {
    side->records[from] = must(record_ring_create(arena, limits->record_bytes));
    for (unsigned to = 0; to < shards; to++) side->digests[from][to] = must(line_ring_create(arena, limits->digest_lines));
  }
  for (unsigned i = 0; i < shards; i++) {
    struct engine_config config = {.shard = (uint16_t)i,
                                   .shards = (uint16_t)shards,
                                   .trace_key = {7, 9},
                                   .uuids = {.key = {1, i}, .origin = i},
                                   .records = side->records[i],
                                   .column_capacity = RULE_COLUMNS_MAX,
                                   .traces_max = limits->traces,
                                   .captures_max = limits->captures,
                                   .spills_max = 16384,
                                   .story_lines = limits->captures,
                                   .window_keys_max = limits->window_keys,
                                   .window_blocks_max = 12 * limits->window_keys,
                                   .idle_ns = limits->idle_ns,
                                   .limits = limits->trace};
    for (unsigned to = 0; to < shards; to++) config.digests_to[to] = side->digests[i][to];
    side->engines[i] = must(engine_create(arena, &config, now_ns));
  }
}

bool side_load(struct engine_side *side, const char *text, size_t length) {
  struct rule_errors errors = {0};
  struct rule_image *image = NULL;
  struct rule_set *set = rule_set_parse("case.yaml", text, length, &errors);
  if (set) {
    rule_set_adopt_versions(set, side->set);
    image = rule_image_compile(set, side->generation + 1, side->image, side->shards, &errors);
  }
  if (errors.count) rule_errors_print(&errors, stdout);
  rule_errors_free(&errors);
  if (!image || !engine_image_fits(image, RULE_COLUMNS_MAX) || side->older_count == 8) {
    rule_image_free(image);
    rule_set_free(set);
    return false;
  }
  if (side->image) side->older[side->older_count++] = side->image;
  rule_set_free(side->set);
  side->set = set;
  side->image = image;
  side->generation++;
  return true;
}

void side_adopt(struct engine_side *side, unsigned shard) { engine_adopt(side->engines[shard], side->image); }

bool side_has_adopted(const struct engine_side *side, unsigned shard) {
  return engine_generation(side->engines[shard]) == side->generation;
}

void side_forget_older(struct engine_side *side) {
  for (unsigned i = 0; i < side->shards; i++)
    if (!side_has_adopted(side, i)) return;
  while (side->older_count > 0) rule_image_free(side->older[--side->older_count]);
}

void side_close(struct engine_side *side) {
  while (side->older_count > 0) rule_image_free(side->older[--side->older_count]);
  rule_image_free(side->image);
  rule_set_free(side->set);
  heap_arena_destroy(side->heap);
}

enum event_kind side_kind(enum subject subject) {
  static const enum event_kind kinds[] = {EVENT_SPAN, EVENT_WEBHOOK, EVENT_ALERT};
  return kinds[subject];
}

static void put_id(uint8_t *id, unsigned bytes, uint64_t number) {
  for (unsigned i = 0; i < 8; i++) id[bytes - 1 - i] = (uint8_t)(number >> 8 * i);
}

uint64_t side_number_of_id(const uint8_t *id, unsigned bytes) {
  uint64_t number = 0;
  for (unsigned i = bytes - 8; i < bytes; i++) number = number << 8 | id[i];
  return number;
}

static struct event_text text_of(const struct plain *value) {
  return value->type == PLAIN_TEXT ? (struct event_text){value->text, value->length} : (struct event_text){NULL, 0};
}

static struct value value_of(const struct plain *plain) {
  struct value value = {.type = VALUE_NULL};
  switch (plain->type) {
  case PLAIN_NULL:
    break;
  case PLAIN_BOOLEAN:
    value.type = VALUE_BOOL;
    value.boolean = plain->boolean;
    break;
  case PLAIN_INTEGER:
    value.type = VALUE_INTEGER;
    value.integer = plain->integer;
    break;
  case PLAIN_REAL:
    value.type = VALUE_DOUBLE;
    value.real = plain->real;
    break;
  case PLAIN_TEXT:
    value.type = VALUE_STRING;
    value.text = plain->text;
    value.length = plain->length;
    break;
  case PLAIN_OTHER:
    value.type = VALUE_OTHER;
    break;
  }
  return value;
}

struct plain side_plain(const struct value *value) {
  switch (value->type) {
  case VALUE_BOOL:
    return plain_boolean(value->boolean);
  case VALUE_INTEGER:
    return plain_integer(value->integer);
  case VALUE_DOUBLE:
    return plain_real(value->real);
  case VALUE_STRING:
    return (struct plain){.type = PLAIN_TEXT, .text = value->text, .length = value->length};
  case VALUE_OTHER:
    return (struct plain){.type = PLAIN_OTHER};
  case VALUE_NULL:
    break;
  }
  return plain_null();
}

static int slot_of(const struct event_batch *batch, const struct reference_fact *fact) {
  static const enum column_scope scopes[] = {[GROUP_SPAN] = SCOPE_SPAN,
                                             [GROUP_RESOURCE] = SCOPE_RESOURCE,
                                             [GROUP_LABEL] = SCOPE_LABEL,
                                             [GROUP_ANNOTATION] = SCOPE_ANNOTATION,
                                             [GROUP_BODY] = SCOPE_BODY};
  if (fact->group != GROUP_BODY)
    return event_column_find(batch->image, batch->kind, scopes[fact->group], fact->key, (uint32_t)strlen(fact->key));
  int node = 0;
  for (unsigned i = 0; i < PATH_MEMBERS && fact->path[i] && node >= 0; i++)
    node = event_path_child(batch->image, batch->kind, node, fact->path[i], (uint32_t)strlen(fact->path[i]));
  return event_path_slot(batch->image, batch->kind, node);
}

/* As a decoder walks a body. */
static void fill_body(struct event_batch *batch, uint32_t row, int at, const struct body_node *node) {
  if (node->is_array && !event_path_has_elements(batch->image, batch->kind, at)) return;
  for (unsigned i = 0; i < node->child_count; i++) {
    const struct body_node *child = &node->children[i];
    const int below = node->is_array ? event_path_element(batch->image, batch->kind, at, i)
                                     : event_path_child(batch->image, batch->kind, at, child->key, (uint32_t)strlen(child->key));
    if (below < 0) continue;
    const struct value value = value_of(&child->value);
    event_path_set(batch, row, below, &value);
    fill_body(batch, row, below, child);
  }
}

static void fill(struct event_batch *batch, const struct sample *sample, struct test_random *random) {
  const uint32_t row = event_batch_add(batch);
  struct event_fields *fields = &batch->fields[row];
  put_id(fields->trace_id, 16, sample->trace);
  put_id(fields->span_id, 8, sample->span);
  put_id(fields->parent_id, 8, sample->parent);
  fields->has_parent = sample->has_parent;
  fields->firing = sample->firing;
  fields->kind = (uint8_t)sample->kind;
  fields->status = (uint8_t)sample->status;
  fields->name = text_of(&sample->name);
  fields->service = text_of(&sample->service);
  fields->start_ns = sample->start_ns;
  fields->end_ns = sample->end_ns;
  if (sample->body) fill_body(batch, row, 0, sample->body);
  for (unsigned i = REF_INTRINSICS; i < element_references_from; i++) {
    if (!(reference_facts[i].subjects >> sample->subject & 1)) continue;
    const int slot = slot_of(batch, &reference_facts[i]);
    if (slot < 0) continue;
    const unsigned noise = random_below(random, 32);
    const struct value value = value_of(&sample->values[i]), before = value_of(&sample->values[REF_INTRINSICS + noise % 4]);
    if (noise < 4) event_batch_set(batch, row, slot, &before);
    if (value.type == VALUE_NULL && noise >= 8) continue;
    if (noise % 2) {
      event_batch_set(batch, row, slot, &value);
    } else {
      event_batch_set_run(batch, row, slot, &value, event_batch_intern(batch, slot, &value));
    }
  }
}

void side_add(struct event_batch *batch, const struct sample *sample, struct test_random *random) {
  fill(batch, sample, random);
  if (random_below(random, 16)) return;
  event_batch_remove_last(batch);
  fill(batch, sample, random);
}

bool side_next_violation(struct engine_side *side, unsigned shard, struct violation *violation, bool *advance) {
  uint32_t bytes;
  if (*advance) record_ring_advance(side->records[shard]);
  const void *record = record_ring_peek(side->records[shard], &bytes);
  *advance = record != NULL;
  if (!record) return false;
  if (!violation_decode(record, bytes, violation)) {
    printf("a record of shard %u is no violation\n", shard);
    abort();
  }
  return true;
}
