#include "expression_internal.h"
#include <string.h>

static bool mapped(const uint8_t address[NETWORK_ADDRESS_BYTES]) {
  static const struct image_network ipv4 = {.address = {[10] = 0xff, [11] = 0xff}, .prefix_bits = 96};
  return network_holds(&ipv4, address);
}

/* Decimal digits to the end, without a leading zero. */
static bool read_bits(const char *text, uint32_t length, unsigned *bits) {
  *bits = 0;
  if (length == 0 || length > 3 || (text[0] == '0' && length > 1)) return false;
  for (uint32_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    *bits = *bits * 10 + (unsigned)(text[i] - '0');
  }
  return true;
}

static bool zero_behind(const struct image_network *network) {
  for (unsigned bit = network->prefix_bits; bit < NETWORK_ADDRESS_BYTES * 8; bit++)
    if (network->address[bit / 8] >> (7 - bit % 8) & 1) return false;
  return true;
}

const char *network_read(struct image_text text, struct image_network *network) {
  const char *slash = text.length ? memchr(text.at, '/', text.length) : NULL;
  const uint32_t address_length = slash ? (uint32_t)(slash - text.at) : text.length;
  unsigned bits = 128;
  memset(network, 0, sizeof *network);
  if (!address_read(text.at, address_length, network->address)) return "is no network: those are written 10.0.0.0/8 or fd00::/8";
  const bool dotted = !memchr(text.at, ':', address_length);
  if (slash) {
    if (!read_bits(slash + 1, text.length - address_length - 1, &bits)) return "has no number of bits behind its `/`";
    if (bits > (dotted ? 32u : 128u)) return dotted ? "has more than 32 bits of prefix" : "has more than 128 bits of prefix";
    if (dotted) bits += 96;
  }
  if (!dotted && mapped(network->address) && bits < 96)
    return "reaches out of the IPv4 addresses: write 0.0.0.0/0 for all of them";
  network->prefix_bits = (uint8_t)bits;
  return zero_behind(network) ? NULL : "has bits behind its prefix: a network ends in zeros";
}
