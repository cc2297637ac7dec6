#include "rules_internal.h"

#ifdef __SSE4_2__
#include <nmmintrin.h>

static __m128i load(const void *at) { return _mm_loadu_si128((const __m128i *)at); }

/* All ones or all zeros in each element of 16, to 16 bits. */
static uint64_t bits_of_32(__m128i a, __m128i b, __m128i c, __m128i d) {
  return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d)));
}

static uint64_t bits_of_64(const __m128i hits[8]) {
  return bits_of_32(_mm_packs_epi32(hits[0], hits[1]), _mm_packs_epi32(hits[2], hits[3]), _mm_packs_epi32(hits[4], hits[5]),
                    _mm_packs_epi32(hits[6], hits[7]));
}

uint64_t rows_equal(const uint32_t numbers[EVENT_BATCH_ROWS], uint32_t wanted) {
  const __m128i all = _mm_set1_epi32((int)wanted);
  uint64_t mask = 0;
  for (unsigned at = 0; at < EVENT_BATCH_ROWS; at += 16)
    mask |= bits_of_32(_mm_cmpeq_epi32(load(numbers + at), all), _mm_cmpeq_epi32(load(numbers + at + 4), all),
                       _mm_cmpeq_epi32(load(numbers + at + 8), all), _mm_cmpeq_epi32(load(numbers + at + 12), all))
            << at;
  return mask;
}

uint64_t rows_of_integer(const int64_t values[EVENT_BATCH_ROWS], int64_t wanted) {
  const __m128i all = _mm_set1_epi64x(wanted);
  uint64_t mask = 0;
  for (unsigned at = 0; at < EVENT_BATCH_ROWS; at += 16) {
    __m128i hits[8];
    for (unsigned i = 0; i < 8; i++) hits[i] = _mm_cmpeq_epi64(load(values + at + 2 * i), all);
    mask |= bits_of_64(hits) << at;
  }
  return mask;
}

uint64_t rows_above(const int64_t values[EVENT_BATCH_ROWS], int64_t limit) {
  const __m128i all = _mm_set1_epi64x(limit);
  uint64_t mask = 0;
  for (unsigned at = 0; at < EVENT_BATCH_ROWS; at += 16) {
    __m128i hits[8];
    for (unsigned i = 0; i < 8; i++) hits[i] = _mm_cmpgt_epi64(load(values + at + 2 * i), all);
    mask |= bits_of_64(hits) << at;
  }
  return mask;
}

uint64_t rows_above_each(const int64_t values[EVENT_BATCH_ROWS], const int64_t limits[EVENT_BATCH_ROWS]) {
  uint64_t mask = 0;
  for (unsigned at = 0; at < EVENT_BATCH_ROWS; at += 16) {
    __m128i hits[8];
    for (unsigned i = 0; i < 8; i++) hits[i] = _mm_cmpgt_epi64(load(values + at + 2 * i), load(limits + at + 2 * i));
    mask |= bits_of_64(hits) << at;
  }
  return mask;
}

uint64_t rows_equal_each(const int64_t values[EVENT_BATCH_ROWS], const int64_t wanted[EVENT_BATCH_ROWS]) {
  uint64_t mask = 0;
  for (unsigned at = 0; at < EVENT_BATCH_ROWS; at += 16) {
    __m128i hits[8];
    for (unsigned i = 0; i < 8; i++) hits[i] = _mm_cmpeq_epi64(load(values + at + 2 * i), load(wanted + at + 2 * i));
    mask |= bits_of_64(hits) << at;
  }
  return mask;
}

#else

uint64_t rows_equal(const uint32_t numbers[EVENT_BATCH_ROWS], uint32_t wanted) { return rows_equal_scalar(numbers, wanted); }
uint64_t rows_of_integer(const int64_t values[EVENT_BATCH_ROWS], int64_t wanted) {
  return rows_of_integer_scalar(values, wanted);
}
uint64_t rows_above(const int64_t values[EVENT_BATCH_ROWS], int64_t limit) { return rows_above_scalar(values, limit); }
uint64_t rows_above_each(const int64_t values[EVENT_BATCH_ROWS], const int64_t limits[EVENT_BATCH_ROWS]) {
  return rows_above_each_scalar(values, limits);
}
uint64_t rows_equal_each(const int64_t values[EVENT_BATCH_ROWS], const int64_t wanted[EVENT_BATCH_ROWS]) {
  return rows_equal_each_scalar(values, wanted);
}

#endif

uint64_t rows_equal_scalar(const uint32_t numbers[EVENT_BATCH_ROWS], uint32_t wanted) {
  uint64_t mask = 0;
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) mask |= (uint64_t)(numbers[row] == wanted) << row;
  return mask;
}

uint64_t rows_of_integer_scalar(const int64_t values[EVENT_BATCH_ROWS], int64_t wanted) {
  uint64_t mask = 0;
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) mask |= (uint64_t)(values[row] == wanted) << row;
  return mask;
}

uint64_t rows_above_scalar(const int64_t values[EVENT_BATCH_ROWS], int64_t limit) {
  uint64_t mask = 0;
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) mask |= (uint64_t)(values[row] > limit) << row;
  return mask;
}

uint64_t rows_above_each_scalar(const int64_t values[EVENT_BATCH_ROWS], const int64_t limits[EVENT_BATCH_ROWS]) {
  uint64_t mask = 0;
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) mask |= (uint64_t)(values[row] > limits[row]) << row;
  return mask;
}

uint64_t rows_equal_each_scalar(const int64_t values[EVENT_BATCH_ROWS], const int64_t wanted[EVENT_BATCH_ROWS]) {
  uint64_t mask = 0;
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) mask |= (uint64_t)(values[row] == wanted[row]) << row;
  return mask;
}
