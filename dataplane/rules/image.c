#include "image.h"

uint32_t image_key_hash(enum column_scope scope, const char *key, uint32_t length) {
  return text_print_seeded((uint64_t)(scope + 1) * 0x2545f4914f6cdd1du, key, length).hash;
}

uint32_t image_number_hash(int64_t bits) {
  const uint64_t mixed = text_print_fold((uint64_t)bits ^ 0xd1b54a32d192ed03u, 0x9e3779b97f4a7c15u);
  return (uint32_t)(mixed ^ mixed >> 32);
}
