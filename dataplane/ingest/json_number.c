#include "json_number_internal.h"
#include <string.h>

/* A double's halfway points have at most 767 significant digits: beyond these only "more than that" matters. */
#define DIGITS_KEPT 768
#define CHUNK_SCALE_MAX 10000000000000000000u
#define LIMBS_MAX 48                           /* 769 digits, or 5^1114, is at most 41; one more while dividing */
#define EXPONENT_WRITTEN_MAX 10000000000000000 /* far beyond what the digits of any body can undo */

__extension__ typedef unsigned __int128 wide;

static bool is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

static const uint8_t *scan_digits(const uint8_t *at, const uint8_t *end) {
  const uint8_t *first = at;
  while (at < end && is_digit(*at)) at++;
  return at == first ? NULL : at;
}

const uint8_t *decimal_scan(const uint8_t *at, const uint8_t *end) {
  if (at < end && *at == '-') at++;
  if (at < end && *at == '0') {
    at++;
  } else if (!(at = scan_digits(at, end))) {
    return NULL;
  }
  if (at < end && *at == '.' && !(at = scan_digits(at + 1, end))) return NULL;
  if (at < end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at < end && (*at == '+' || *at == '-')) at++;
    if (!(at = scan_digits(at, end))) return NULL;
  }
  return at;
}

static int64_t read_written_exponent(const char *at, const char *end) {
  const bool negative = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) at++;
  int64_t exponent = 0;
  for (; at < end; at++) {
    if (exponent < EXPONENT_WRITTEN_MAX) exponent = exponent * 10 + (*at - '0');
  }
  return negative ? -exponent : exponent;
}

struct decimal decimal_read(const char *text, size_t length) {
  struct decimal decimal = {.integral = true, .exact = true};
  const char *at = text, *end = text + length;
  if (at < end && *at == '-') {
    decimal.negative = true;
    at++;
  }
  bool dropping = false;
  for (; at < end; at++) {
    if (*at == '.') {
      decimal.integral = false;
      continue;
    }
    if (*at == 'e' || *at == 'E') {
      decimal.integral = false;
      decimal.exponent += read_written_exponent(at + 1, end);
      break;
    }
    const uint64_t digit = (uint64_t)(*at - '0');
    uint64_t next;
    if (!dropping && !__builtin_mul_overflow(decimal.significand, 10, &next) && !__builtin_add_overflow(next, digit, &next)) {
      decimal.significand = next;
      decimal.exponent -= !decimal.integral;
    } else {
      dropping = true;
      decimal.exact = decimal.exact && digit == 0;
      decimal.exponent += decimal.integral;
    }
  }
  return decimal;
}

bool decimal_to_magnitude(const struct decimal *decimal, uint64_t *magnitude) {
  uint64_t value = decimal->significand;
  int64_t exponent = decimal->exponent;
  if (!decimal->exact) return false;
  if (value == 0) exponent = 0;
  for (; exponent < 0; exponent++) {
    if (value % 10 != 0) return false;
    value /= 10;
  }
  for (; exponent > 0; exponent--) {
    if (__builtin_mul_overflow(value, 10, &value)) return false;
  }
  *magnitude = value;
  return true;
}

/* Little-endian limbs, no leading zero limb. Capacity is proven by the digit and exponent limits above. */
struct big {
  uint32_t count;
  uint64_t limbs[LIMBS_MAX];
};

static void big_multiply_add(struct big *big, uint64_t factor, uint64_t addend) {
  uint64_t carry = addend;
  for (uint32_t i = 0; i < big->count; i++) {
    const wide product = (wide)big->limbs[i] * factor + carry;
    big->limbs[i] = (uint64_t)product;
    carry = (uint64_t)(product >> 64);
  }
  if (carry) big->limbs[big->count++] = carry;
}

static void big_multiply_power_of_five(struct big *big, int64_t power) {
  const uint64_t five_to_27 = 7450580596923828125u;
  for (; power >= 27; power -= 27) big_multiply_add(big, five_to_27, 0);
  uint64_t rest = 1;
  for (; power > 0; power--) rest *= 5;
  big_multiply_add(big, rest, 0);
}

/* Moves the top bit to bit `top_bit` of limb `limbs - 1`; returns by how many bits it went up. */
static int64_t big_align(struct big *big, uint32_t limbs, uint32_t top_bit) {
  const int64_t bits = (int64_t)big->count * 64 - __builtin_clzll(big->limbs[big->count - 1]);
  const int64_t shift = (int64_t)(limbs - 1) * 64 + top_bit + 1 - bits;
  const uint32_t whole = (uint32_t)(shift / 64), part = (uint32_t)(shift % 64);
  for (uint32_t i = limbs; i-- > 0;) {
    const uint64_t low = i >= whole && i - whole < big->count ? big->limbs[i - whole] : 0;
    const uint64_t below = i > whole && i - whole - 1 < big->count ? big->limbs[i - whole - 1] : 0;
    big->limbs[i] = part ? low << part | below >> (64 - part) : low;
  }
  big->count = limbs;
  return shift;
}

/* dividend -= quotient * divisor over divisor->count + 1 limbs; true when it went below zero (two's complement). */
static bool big_subtract_multiple(struct big *dividend, const struct big *divisor, uint64_t quotient) {
  uint64_t carry = 0, borrow = 0;
  for (uint32_t i = 0; i <= divisor->count; i++) {
    const wide product = (wide)(i < divisor->count ? divisor->limbs[i] : 0) * quotient + carry;
    carry = (uint64_t)(product >> 64);
    const wide difference = (wide)dividend->limbs[i] - (uint64_t)product - borrow;
    dividend->limbs[i] = (uint64_t)difference;
    borrow = (uint64_t)(difference >> 64) & 1;
  }
  return borrow != 0;
}

/* True when the sum passes zero again. */
static bool big_add_back(struct big *dividend, const struct big *divisor) {
  uint64_t carry = 0;
  for (uint32_t i = 0; i <= divisor->count; i++) {
    const wide sum = (wide)dividend->limbs[i] + (i < divisor->count ? divisor->limbs[i] : 0) + carry;
    dividend->limbs[i] = (uint64_t)sum;
    carry = (uint64_t)(sum >> 64);
  }
  return carry != 0;
}

/* One quotient limb (Knuth, TAOCP 4.3.1 D): the divisor's top bit is set and the dividend, one limb longer, has its top bit one
 * lower, so the quotient has 63 or 64 bits and the estimate is at most 2 too large. */
static uint64_t big_divide(struct big *dividend, const struct big *divisor, bool *remainder) {
  const uint32_t n = divisor->count;
  uint64_t quotient = (uint64_t)(((wide)dividend->limbs[n] << 64 | dividend->limbs[n - 1]) / divisor->limbs[n - 1]);
  bool below_zero = big_subtract_multiple(dividend, divisor, quotient);
  while (below_zero) {
    quotient--;
    below_zero = !big_add_back(dividend, divisor);
  }
  *remainder = false;
  for (uint32_t i = 0; i <= n; i++) *remainder |= dividend->limbs[i] != 0;
  return quotient;
}

/* quotient * 2^exponent, a little more when `sticky`; the quotient's top bit is set. */
static double round_to_double(uint64_t quotient, int64_t exponent, bool sticky) {
  const int64_t magnitude = exponent + 63;
  const bool subnormal = magnitude < -1022;
  const int64_t shift = subnormal ? 11 + (-1022 - magnitude) : 11;
  if (shift > 64) return 0.0;
  uint64_t bits = shift == 64 ? 0 : quotient >> shift;
  const uint64_t half = (uint64_t)1 << (shift - 1);
  const uint64_t rest = quotient & (half | (half - 1));
  if (rest > half || (rest == half && (sticky || (bits & 1)))) bits++;
  if (!subnormal) bits += (uint64_t)(magnitude + 1022) << 52; /* the implicit bit adds the missing one */
  const uint64_t infinity = (uint64_t)0x7ff << 52;
  if (magnitude > 1023 || bits > infinity) bits = infinity;
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* All digits that can matter, from the text; returns the power of ten they are to be multiplied by. */
static int64_t big_read(struct big *big, const char *text, size_t length) {
  const char *at = text, *end = text + length;
  int64_t exponent = 0;
  uint64_t chunk = 0, chunk_scale = 1;
  uint32_t kept = 0;
  bool fraction = false, sticky = false;
  big->count = 0;
  if (at < end && *at == '-') at++;
  for (; at < end && *at != 'e' && *at != 'E'; at++) {
    if (*at == '.') {
      fraction = true;
    } else if (kept < DIGITS_KEPT) {
      chunk = chunk * 10 + (uint64_t)(*at - '0');
      chunk_scale *= 10;
      kept += kept > 0 || chunk != 0;
      exponent -= fraction;
      if (chunk_scale == CHUNK_SCALE_MAX) {
        big_multiply_add(big, chunk_scale, chunk);
        chunk = 0;
        chunk_scale = 1;
      }
    } else {
      sticky |= *at != '0';
      exponent += !fraction;
    }
  }
  if (at < end) exponent += read_written_exponent(at + 1, end);
  big_multiply_add(big, chunk_scale, chunk);
  if (sticky) {
    big_multiply_add(big, 10, 1);
    exponent--;
  }
  return exponent;
}

static double decimal_divide(const struct decimal *decimal, const char *text, size_t length) {
  struct big dividend, divisor;
  int64_t exponent = decimal->exponent;
  if (decimal->exact) {
    dividend.count = 1;
    dividend.limbs[0] = decimal->significand;
  } else {
    exponent = big_read(&dividend, text, length);
  }
  divisor.count = 1;
  divisor.limbs[0] = 1;
  if (exponent >= 0) {
    big_multiply_power_of_five(&dividend, exponent);
  } else {
    big_multiply_power_of_five(&divisor, -exponent);
  }
  const uint32_t limbs = dividend.count > divisor.count ? dividend.count : divisor.count;
  int64_t binary_exponent = exponent; /* 10^e = 5^e * 2^e */
  binary_exponent -= big_align(&dividend, limbs + 1, 62);
  binary_exponent += big_align(&divisor, limbs, 63);
  bool remainder;
  uint64_t quotient = big_divide(&dividend, &divisor, &remainder);
  const int leading = __builtin_clzll(quotient);
  quotient <<= leading;
  return round_to_double(quotient, binary_exponent - leading, remainder);
}

double decimal_to_double(const struct decimal *decimal, const char *text, size_t length) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  double value;
  if (decimal->exact && decimal->significand <= (uint64_t)1 << 53 && decimal->exponent >= -22 && decimal->exponent <= 22) {
    /* Both operands are exact doubles, so one operation rounds correctly (Clinger 1990). */
    value = (double)decimal->significand;
    value = decimal->exponent < 0 ? value / powers[-decimal->exponent] : value * powers[decimal->exponent];
  } else if (decimal->significand == 0 || decimal->exponent < -345) {
    value = 0.0;
  } else if (decimal->exponent > 308) {
    value = __builtin_inf();
  } else {
    value = decimal_divide(decimal, text, length);
  }
  return decimal->negative ? -value : value;
}
