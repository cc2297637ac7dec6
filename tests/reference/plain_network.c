#include "plain_network.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* An IPv4 address as the v4-mapped IPv6 one, which means the same. */
static bool read_address(const char *text, size_t length, uint8_t address[16], bool *v4) {
  char copy[INET6_ADDRSTRLEN + 1];
  if (length >= sizeof copy || memchr(text, '\0', length)) return false;
  memcpy(copy, text, length);
  copy[length] = '\0';
  memset(address, 0, 10);
  memset(address + 10, 0xff, 2);
  *v4 = inet_pton(AF_INET, copy, address + 12) == 1;
  return *v4 || inet_pton(AF_INET6, copy, address) == 1;
}

bool network_has(const struct plain *network, const struct plain *value) {
  uint8_t base[16], address[16];
  bool base_v4, value_v4;
  if (value->type != PLAIN_TEXT || !read_address(value->text, value->length, address, &value_v4)) return false;
  const char *slash = memchr(network->text, '/', network->length);
  if (!slash || !read_address(network->text, (size_t)(slash - network->text), base, &base_v4)) abort();
  const unsigned prefix = (unsigned)strtoul(slash + 1, NULL, 10) + (base_v4 ? 96 : 0);
  for (unsigned bit = 0; bit < prefix; bit++)
    if ((base[bit / 8] ^ address[bit / 8]) >> (7 - bit % 8) & 1) return false;
  return true;
}
