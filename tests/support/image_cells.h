#pragma once
/* The numbers inside a compiled image, each with its place, so that a test can damage them one by one. Pointers and the lengths
 * of arrays are not among them: those the verifier takes as true. */
#include "image.h"
#include <stddef.h>

struct image_cell {
  void *at;
  uint8_t bytes; /* 1, 2, 4 or 8 */
  bool boolean;  /* only 0 and 1 */
};

struct image_cells {
  struct image_cell *items;
  size_t count, capacity;
};

void image_cells_collect(struct image_cells *cells, const struct rule_image *image);
void image_cells_free(struct image_cells *cells);
uint64_t image_cell_read(const struct image_cell *cell);
void image_cell_write(const struct image_cell *cell, uint64_t value);
