#pragma once
/* A rule image with nothing but attribute columns, and a batch bound to it: what a decoder needs of the engine. On the heap, each
 * array its own allocation, so that sanitizers see overruns. */
#include "image.h"

struct fixture_column {
  enum column_scope scope;
  const char *key;
};

struct image_fixture {
  struct rule_image image;
  struct event_batch batch;
};

/* Column i of the kind has slot i. */
struct image_fixture *image_fixture_create(enum event_kind kind, const struct fixture_column *columns, uint32_t count);
void image_fixture_destroy(struct image_fixture *fixture);
