#include "image.h"
#include <string.h>

#define GROUPS 8u
#define MAPPED_BITS 96u

static const uint8_t mapped[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

struct cursor {
  const char *at, *end;
};

static bool take(struct cursor *cursor, char character) {
  if (cursor->at == cursor->end || *cursor->at != character) return false;
  cursor->at++;
  return true;
}

/* One to three digits without a leading zero, at most 255. */
static bool read_octet(struct cursor *cursor, uint8_t *octet) {
  const char *const start = cursor->at;
  unsigned number = 0;
  while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' && cursor->at - start < 3)
    number = number * 10 + (unsigned)(*cursor->at++ - '0');
  *octet = (uint8_t)number;
  return cursor->at > start && number <= 255 && (*start != '0' || cursor->at == start + 1);
}

static bool read_octets(struct cursor *cursor, uint8_t octets[4]) {
  for (unsigned i = 0; i < 4; i++)
    if ((i > 0 && !take(cursor, '.')) || !read_octet(cursor, &octets[i])) return false;
  return cursor->at == cursor->end;
}

/* One to four hexadecimal digits. */
static bool read_group(struct cursor *cursor, uint8_t bytes[2]) {
  unsigned number = 0, digits = 0;
  for (; cursor->at < cursor->end && digits < 4; digits++, cursor->at++) {
    const char character = *cursor->at;
    const char lower = (char)(character | 0x20);
    if (character >= '0' && character <= '9')
      number = number << 4 | (unsigned)(character - '0');
    else if (lower >= 'a' && lower <= 'f')
      number = number << 4 | (unsigned)(lower - 'a' + 10);
    else
      break;
  }
  bytes[0] = (uint8_t)(number >> 8);
  bytes[1] = (uint8_t)number;
  return digits > 0;
}

/* The last two groups may be written as an IPv4 address. */
static bool octets_follow(const struct cursor *cursor) {
  for (const char *at = cursor->at; at < cursor->end && *at != ':'; at++)
    if (*at == '.') return true;
  return false;
}

/* RFC 4291 section 2.2. */
static bool read_groups(struct cursor *cursor, uint8_t address[NETWORK_ADDRESS_BYTES]) {
  uint8_t groups[GROUPS * 2];
  unsigned count = 0, gap = GROUPS + 1;
  if (take(cursor, ':')) {
    if (!take(cursor, ':')) return false;
    gap = 0;
  }
  while (cursor->at < cursor->end) {
    if (count == GROUPS) return false;
    if (octets_follow(cursor)) {
      if (count > GROUPS - 2 || !read_octets(cursor, groups + (size_t)count * 2)) return false;
      count += 2;
      break;
    }
    if (!read_group(cursor, groups + (size_t)count * 2)) return false;
    count++;
    if (cursor->at == cursor->end) break;
    if (!take(cursor, ':') || cursor->at == cursor->end) return false;
    if (!take(cursor, ':')) continue;
    if (gap <= GROUPS) return false;
    gap = count;
  }
  /* `::` stands for one group at least. */
  if ((count < GROUPS) != (gap <= GROUPS)) return false;
  if (count == GROUPS) gap = count;
  memset(address, 0, NETWORK_ADDRESS_BYTES);
  memcpy(address, groups, (size_t)gap * 2);
  memcpy(address + NETWORK_ADDRESS_BYTES - (size_t)(count - gap) * 2, groups + (size_t)gap * 2, (size_t)(count - gap) * 2);
  return true;
}

bool address_read(const char *text, uint32_t length, uint8_t address[NETWORK_ADDRESS_BYTES]) {
  if (length < 2 || length > 45) return false; /* INET6_ADDRSTRLEN without its NUL */
  struct cursor cursor = {.at = text, .end = text + length};
  if (memchr(text, ':', length)) return read_groups(&cursor, address);
  memcpy(address, mapped, sizeof mapped);
  return read_octets(&cursor, address + sizeof mapped);
}

bool network_holds(const struct image_network *network, const uint8_t address[NETWORK_ADDRESS_BYTES]) {
  const unsigned bytes = network->prefix_bits / 8u, bits = network->prefix_bits % 8u;
  if (network->prefix_bits < MAPPED_BITS && memcmp(address, mapped, sizeof mapped) == 0) return false;
  if (memcmp(network->address, address, bytes) != 0) return false;
  return bits == 0 || (network->address[bytes] ^ address[bytes]) >> (8 - bits) == 0;
}
