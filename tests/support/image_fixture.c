#include "image_fixture.h"
#include <stdlib.h>
#include <string.h>

static void *take(size_t bytes) {
  void *memory = calloc(1, bytes ? bytes : 1);
  if (!memory) abort();
  return memory;
}

struct image_fixture *image_fixture_create(enum event_kind kind, const struct fixture_column *columns, uint32_t count) {
  struct image_fixture *fixture = take(sizeof *fixture);
  struct image_kind *of_kind = &fixture->image.kinds[kind];
  struct image_column *copies = take(count * sizeof *copies);
  uint32_t slots = 0;
  if (count > 0) {
    for (slots = 4; slots < 2 * count; slots *= 2) {
    }
  }
  uint16_t *lookup = take(slots * sizeof *lookup);
  memset(lookup, 0xff, slots * sizeof *lookup);
  for (uint32_t i = 0; i < count; i++) {
    copies[i].scope = columns[i].scope;
    copies[i].key = (struct image_text){.at = columns[i].key, .length = (uint32_t)strlen(columns[i].key)};
    copies[i].reference = copies[i].key;
    uint32_t at = image_key_hash(columns[i].scope, copies[i].key.at, copies[i].key.length) & (slots - 1);
    while (lookup[at] != 0xffff) at = (at + 1) & (slots - 1);
    lookup[at] = (uint16_t)i;
  }
  fixture->image.generation = 1;
  of_kind->columns = copies;
  of_kind->column_count = count;
  of_kind->lookup = lookup;
  of_kind->lookup_slots = slots;
  struct event_batch *batch = &fixture->batch;
  batch->image = &fixture->image;
  batch->kind = kind;
  batch->column_capacity = count;
  batch->present = take((size_t)count * sizeof *batch->present);
  batch->columns = take((size_t)count * EVENT_BATCH_ROWS * sizeof *batch->columns);
  batch->interned = take((size_t)count * EVENT_BATCH_ROWS * sizeof *batch->interned);
  return fixture;
}

void image_fixture_destroy(struct image_fixture *fixture) {
  const struct image_kind *kind = &fixture->image.kinds[fixture->batch.kind];
  free((void *)(uintptr_t)kind->columns);
  free((void *)(uintptr_t)kind->lookup);
  free(fixture->batch.present);
  free(fixture->batch.columns);
  free(fixture->batch.interned);
  free(fixture);
}
