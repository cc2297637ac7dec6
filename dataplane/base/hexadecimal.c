#include "hexadecimal.h"

void hex_encode(const uint8_t *bytes, size_t length, char *text) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < length; i++) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15];
  }
}

/* 0 to 15, or -1. */
static inline int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char lower = (char)(digit | 0x20);
  if (lower >= 'a' && lower <= 'f') return lower - 'a' + 10;
  return -1;
}

bool hex_decode(const char *text, size_t length, uint8_t *bytes) {
  int bad = 0;
  for (size_t i = 0; i < length; i++) {
    const int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
    bad |= high | low;
    bytes[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
  }
  return bad >= 0;
}
