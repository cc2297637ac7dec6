/* Texts that are addresses, beside inet_pton, and the networks they are in. */
#include "cmocka_test.h"

#include "image.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What inet_pton makes of it, an IPv4 address mapped. */
static bool known_good(const char *text, size_t length, uint8_t address[16]) {
  char copy[80];
  if (length >= sizeof copy || memchr(text, '\0', length)) return false;
  memcpy(copy, text, length);
  copy[length] = '\0';
  memcpy(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  return inet_pton(AF_INET, copy, address + 12) == 1 || inet_pton(AF_INET6, copy, address) == 1;
}

static void check(const char *text, size_t length) {
  uint8_t expected[16], address[16];
  const bool good = known_good(text, length, expected);
  if (address_read(text, (uint32_t)length, address) != good)
    fail_msg("`%.*s` is %s address", (int)length, text, good ? "an" : "no");
  if (good && memcmp(address, expected, 16) != 0) fail_msg("`%.*s` is another address", (int)length, text);
}

static void test_texts(void **state) {
  (void)state;
  static const char *const texts[] = {"",
                                      "1",
                                      "1.2.3.4",
                                      "255.255.255.255",
                                      "256.1.1.1",
                                      "1.2.3",
                                      "1.2.3.4.5",
                                      "01.2.3.4",
                                      "0.0.0.0",
                                      "1.2.3.4 ",
                                      " 1.2.3.4",
                                      "1..2.3",
                                      "::",
                                      "::1",
                                      "1::",
                                      ":::",
                                      "1:::2",
                                      "1::2::3",
                                      ":1",
                                      "1:",
                                      "1:2:3:4:5:6:7:8",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4:5:6:7::",
                                      "::2:3:4:5:6:7:8",
                                      "1::3:4:5:6:7:8",
                                      "1:2:3:4::5:6:7:8",
                                      "::ffff:1.2.3.4",
                                      "::1.2.3.4",
                                      "1:2:3:4:5:6:1.2.3.4",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "::1.2.3.4:5",
                                      "fe80::1%eth0",
                                      "[::1]",
                                      "12345::",
                                      "g::",
                                      "FD00::AbCd",
                                      "1.2.3.4:80",
                                      "::1.2.3",
                                      "::01.2.3.4",
                                      "1:2",
                                      "0:0:0:0:0:0:0:0",
                                      "::0:0:0:0:0:0:0:0"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) check(texts[i], strlen(texts[i]));
  uint8_t address[16];
  assert_false(address_read("1.2.3.4\0", 8, address));
  assert_false(address_read(NULL, 0, address));
}

static void test_random_texts(void **state) {
  (void)state;
  static const char *const parts[] = {":",   "::",    ".",       "0",       "1", "ff", "fd00",
                                      "255", "12345", "1.2.3.4", "::ffff:", "%", "g",  "/"};
  srandom(12);
  unsigned good = 0;
  for (int round = 0; round < 300000; round++) {
    char text[128] = "";
    uint8_t address[16];
    if (random() % 4 == 0) {
      for (unsigned i = 0; i < 16; i++) address[i] = random() % 3 ? (uint8_t)random() : 0;
      inet_ntop(random() % 3 ? AF_INET6 : AF_INET, address, text, sizeof text);
      if (random() % 3 == 0) text[(size_t)random() % strlen(text)] = "0:.f"[random() % 4];
    } else {
      for (long count = random() % 9; count > 0; count--)
        strcat(text, parts[(size_t)random() % (sizeof parts / sizeof parts[0])]);
    }
    check(text, strlen(text));
    good += known_good(text, strlen(text), address);
  }
  assert_true(good > 30000 && good < 200000);
}

static bool inside(const char *address_text, const char *network_text, uint8_t prefix_bits) {
  struct image_network network = {.prefix_bits = prefix_bits};
  uint8_t address[16];
  assert_true(address_read(network_text, (uint32_t)strlen(network_text), network.address));
  assert_true(address_read(address_text, (uint32_t)strlen(address_text), address));
  return network_holds(&network, address);
}

static void test_networks(void **state) {
  (void)state;
  assert_true(inside("10.255.0.1", "10.0.0.0", 96 + 8));
  assert_false(inside("11.0.0.0", "10.0.0.0", 96 + 8));
  assert_true(inside("::ffff:10.1.1.1", "10.0.0.0", 96 + 8));
  assert_true(inside("192.168.1.1", "192.168.1.0", 96 + 31));
  assert_false(inside("192.168.1.2", "192.168.1.0", 96 + 31));
  assert_true(inside("1.2.3.4", "1.2.3.4", 128));
  assert_false(inside("1.2.3.5", "1.2.3.4", 128));
  assert_true(inside("255.1.2.3", "0.0.0.0", 96));
  assert_false(inside("::1", "0.0.0.0", 96));
  assert_true(inside("fd12::1", "fd00::", 8));
  assert_false(inside("fe00::1", "fd00::", 8));
  assert_true(inside("2001:db8::1", "::", 0));
  assert_false(inside("1.2.3.4", "::", 0));
  assert_false(inside("::ffff:1.2.3.4", "::", 0));
  assert_true(inside("2001:db8:8000::", "2001:db8:8000::", 33));
  assert_false(inside("2001:db8:7fff::", "2001:db8:8000::", 33));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_random_texts),
                                     cmocka_unit_test(test_networks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
