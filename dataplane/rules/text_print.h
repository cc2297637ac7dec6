#pragma once
/* The hash of texts, part of the image format: compiler and engine share it. */
#include <stdint.h>
#include <string.h>

/* The end of a text, all of it up to 16 bytes, and its hash: texts of that length with equal prints and lengths are equal. */
struct text_print {
  uint64_t low, high;
  uint32_t hash;
};

/* A multiply-and-fold hash, not keyed: the tables hold only what rules name, so hostile text can cost one probe run of a
 * table that the operator filled, never grow it. */
static inline uint64_t text_print_fold(uint64_t a, uint64_t b) {
  const unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t text_print_load64(const char *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static inline uint64_t text_print_load32(const char *at) {
  uint32_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static inline struct text_print text_print_seeded(uint64_t seed, const char *text, uint32_t length) {
  const uint64_t odd_a = 0x9e3779b97f4a7c15u, odd_b = 0xd1b54a32d192ed03u;
  uint64_t state = seed ^ text_print_fold(length + odd_b, odd_a);
  struct text_print print = {.low = 0, .high = 0};
  if (length >= 8) {
    const char *at = text;
    for (uint32_t left = length; left > 16; left -= 16, at += 16)
      state = text_print_fold(text_print_load64(at) ^ odd_a, text_print_load64(at + 8) ^ state);
    print.low = text_print_load64(text + (length > 16 ? length - 16 : 0));
    print.high = text_print_load64(text + length - 8);
  } else if (length >= 4) {
    print.low = text_print_load32(text);
    print.high = text_print_load32(text + length - 4);
  } else if (length > 0) {
    print.low = (uint64_t)(uint8_t)text[0] << 16 | (uint64_t)(uint8_t)text[length / 2] << 8 | (uint8_t)text[length - 1];
  }
  const uint64_t mixed = text_print_fold(text_print_fold(print.low ^ odd_b, print.high ^ state), odd_a);
  print.hash = (uint32_t)(mixed ^ mixed >> 32);
  return print;
}

static inline struct text_print text_print_of(const char *text, uint32_t length) { return text_print_seeded(0, text, length); }
