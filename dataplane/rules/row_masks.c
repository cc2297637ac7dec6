#include "rules_internal.h"

/* 64 bytes of 0 or 1 to a mask: the multiplication gathers the low bits of eight bytes without a carry. */
static uint64_t mask_of(const uint8_t hits[EVENT_BATCH_ROWS]) {
  uint64_t mask = 0;
  for (unsigned i = 0; i < EVENT_BATCH_ROWS / 8; i++) {
    uint64_t bytes;
    memcpy(&bytes, hits + 8 * i, sizeof bytes);
    mask |= (bytes * 0x0102040810204080u >> 56) << (8 * i);
  }
  return mask;
}

uint64_t rows_equal(const uint32_t numbers[EVENT_BATCH_ROWS], uint32_t wanted) {
  uint8_t hits[EVENT_BATCH_ROWS];
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) hits[row] = numbers[row] == wanted;
  return mask_of(hits);
}

uint64_t rows_of_integer(const int64_t values[EVENT_BATCH_ROWS], int64_t wanted) {
  uint8_t hits[EVENT_BATCH_ROWS];
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) hits[row] = values[row] == wanted;
  return mask_of(hits);
}

uint64_t rows_above(const int64_t values[EVENT_BATCH_ROWS], int64_t limit) {
  uint8_t hits[EVENT_BATCH_ROWS];
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) hits[row] = values[row] > limit;
  return mask_of(hits);
}
