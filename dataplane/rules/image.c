#include "image.h"
#include <string.h>

/* A multiply-and-fold hash, not keyed: the tables hold only what rules name, so hostile text can cost one probe run of a
 * table that the operator filled, never grow it. */
static uint64_t fold(uint64_t a, uint64_t b) {
  const unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load64(const char *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static uint64_t load32(const char *at) {
  uint32_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static struct text_print print_of(uint64_t seed, const char *text, uint32_t length) {
  const uint64_t odd_a = 0x9e3779b97f4a7c15u, odd_b = 0xd1b54a32d192ed03u;
  uint64_t state = seed ^ fold(length + odd_b, odd_a);
  struct text_print print = {.low = 0, .high = 0};
  if (length >= 8) {
    const char *at = text;
    for (uint32_t left = length; left > 16; left -= 16, at += 16) state = fold(load64(at) ^ odd_a, load64(at + 8) ^ state);
    print.low = load64(text + (length > 16 ? length - 16 : 0));
    print.high = load64(text + length - 8);
  } else if (length >= 4) {
    print.low = load32(text);
    print.high = load32(text + length - 4);
  } else if (length > 0) {
    print.low = (uint64_t)(uint8_t)text[0] << 16 | (uint64_t)(uint8_t)text[length / 2] << 8 | (uint8_t)text[length - 1];
  }
  const uint64_t mixed = fold(fold(print.low ^ odd_b, print.high ^ state), odd_a);
  print.hash = (uint32_t)(mixed ^ mixed >> 32);
  return print;
}

struct text_print image_text_print(const char *text, uint32_t length) {
  return print_of(0, text, length);
}

uint32_t image_key_hash(enum column_scope scope, const char *key, uint32_t length) {
  return print_of((uint64_t)(scope + 1) * 0x2545f4914f6cdd1du, key, length).hash;
}

uint32_t image_number_hash(int64_t bits) {
  const uint64_t mixed = fold((uint64_t)bits ^ 0xd1b54a32d192ed03u, 0x9e3779b97f4a7c15u);
  return (uint32_t)(mixed ^ mixed >> 32);
}
