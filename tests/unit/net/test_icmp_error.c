/* What an ICMP error must quote to be believed (RFC 5927), byte by byte, in both families; and who gets it. */
#include "cmocka_test.h"
#include "network_bench.h"
#include "test_random.h"
#include <string.h>

#define PEER_PORT 40000

static struct bench bench;
static uint32_t iss;

/* A connection with a full segment in flight. */
static void start(bool ipv6) {
  struct network_config config;
  bench_default_config(&config);
  config.addresses[config.address_count++] = ip_address_of_bytes(bench_own_ipv6);
  assert_true(bench_start(&bench, &config));
  bench.ipv6 = ipv6;
  iss = bench_connect(&bench, PEER_PORT, 1000);
  assert_int_equal(bench_write(&bench.streams[0], 1400), 1400);
  bench_flush(&bench);
  bench.seen = bench.sent;
}

static uint32_t good_error(uint8_t *frame) {
  const struct bench_quote quote = {.type = bench.ipv6 ? 2 : 3,
                                    .code = bench.ipv6 ? 0 : 4,
                                    .mtu = 1300,
                                    .packet_bytes = 1440,
                                    .peer_port = PEER_PORT,
                                    .seq = iss + 1};
  return bench_icmp_error_build(&bench, frame, &quote);
}

static void expect_ignored(const uint8_t *frame, uint32_t length) {
  const struct network_counters *counters = network_counters(bench.network);
  bench_frame_in(&bench, frame, length);
  bench_flush(&bench);
  assert_int_equal(counters->icmp_too_big, 0);
  assert_true(bench.seen == bench.sent);
  assert_true(bench_conserved(&bench));
}

static void expect_believed(const uint8_t *frame, uint32_t length) {
  bench_frame_in(&bench, frame, length);
  bench_flush(&bench);
  assert_int_equal(network_counters(bench.network)->icmp_too_big, 1);
  assert_true(bench.sent > bench.seen);
  assert_true(bench_conserved(&bench));
}

static void every_bit_of_the_quote_counts(void **state) {
  (void)state;
  for (int ipv6 = 0; ipv6 <= 1; ipv6++) {
    start(ipv6);
    uint8_t frame[256];
    const uint32_t length = good_error(frame), quoted = ipv6 ? 62 : 42;
    const uint32_t source = quoted + (ipv6 ? 8 : 12), tcp = quoted + (ipv6 ? 40 : 20);
    /* Addresses and ports; of the sequence number what would still be in flight is left out. */
    for (uint32_t at = source; at < tcp + 4; at++) {
      for (uint8_t bit = 0; bit < 8; bit++) {
        frame[at] ^= (uint8_t)(1u << bit);
        bench_icmp_error_sum(&bench, frame, length);
        expect_ignored(frame, length);
        frame[at] ^= (uint8_t)(1u << bit);
      }
    }
    /* Version, header length, protocol. */
    const uint32_t others[] = {quoted, quoted + (ipv6 ? 6 : 9)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
      frame[others[i]] ^= 0x50;
      bench_icmp_error_sum(&bench, frame, length);
      expect_ignored(frame, length);
      frame[others[i]] ^= 0x50;
    }
    bench_icmp_error_sum(&bench, frame, length);
    expect_believed(frame, length);
    bench_stop(&bench);
  }
}

static void a_quoted_fragment_or_a_short_quote_is_none_of_ours(void **state) {
  (void)state;
  start(false);
  uint8_t frame[256];
  uint32_t length = good_error(frame);
  frame[42 + 7] = 1; /* a fragment: we send none */
  bench_icmp_error_sum(&bench, frame, length);
  expect_ignored(frame, length);
  for (uint32_t bytes = 8; bytes < 36; bytes++) {
    length = good_error(frame);
    bench_ipv4_finish(frame, 1, bytes);
    bench_icmp_error_sum(&bench, frame, 34 + bytes);
    expect_ignored(frame, 34 + bytes);
  }
  bench_stop(&bench);
  start(true);
  for (uint32_t bytes = 8; bytes < 56; bytes++) {
    length = good_error(frame);
    bench_ipv6_finish(frame, 58, bytes);
    bench_icmp_error_sum(&bench, frame, 54 + bytes);
    expect_ignored(frame, 54 + bytes);
  }
  length = good_error(frame);
  expect_believed(frame, length);
  bench_stop(&bench);
}

static void a_bad_sum_is_malformed(void **state) {
  (void)state;
  for (int ipv6 = 0; ipv6 <= 1; ipv6++) {
    start(ipv6);
    uint8_t frame[256];
    const uint32_t length = good_error(frame);
    frame[length - 1] ^= 1;
    expect_ignored(frame, length);
    assert_int_equal(network_counters(bench.network)->drops[DROP_ICMP_MALFORMED], 1);
    bench_stop(&bench);
  }
}

/* A blind attacker with everything but the sequence number: 2^16 guesses out of 2^32. */
static void guesses_of_the_sequence_number_fail(void **state) {
  (void)state;
  struct test_random random = {31};
  start(false);
  uint8_t frame[256];
  for (uint32_t i = 0; i < 1u << 16; i++) {
    const uint32_t length = good_error(frame);
    uint32_t seq = (uint32_t)random_next(&random);
    if (seq - iss <= 1400) seq += 1u << 20;
    for (int byte = 0; byte < 4; byte++) frame[42 + 24 + byte] = (uint8_t)(seq >> (24 - 8 * byte));
    bench_icmp_error_sum(&bench, frame, length);
    expect_ignored(frame, length);
  }
  bench_stop(&bench);
}

/* The error comes to the shard that has the connection. */
static void the_owner_of_the_quoted_flow_gets_it(void **state) {
  (void)state;
  const struct siphash_key key = {5, 6};
  for (int ipv6 = 0; ipv6 <= 1; ipv6++) {
    start(ipv6);
    uint32_t apart = 0;
    for (uint16_t port = 1000; port < 1200; port++) {
      uint8_t segment_frame[256], frame[256];
      const struct bench_segment segment = {.peer_port = port, .flags = 0x10};
      uint32_t segment_length = bench_segment_build(segment_frame, &segment);
      if (ipv6) segment_length = bench_ipv6_convert(segment_frame, segment_length);
      const struct bench_quote quote = {.type = ipv6 ? 2 : 3, .code = 4, .packet_bytes = 1500, .peer_port = port};
      const uint32_t length = bench_icmp_error_build(&bench, frame, &quote);
      const int owner = network_flow_owner(&key, segment_frame, segment_length, 4);
      assert_int_equal(network_flow_owner(&key, frame, length, 4), owner);
      apart += owner != 0;
      /* Cut anywhere it is anybody's. */
      for (uint32_t cut = 0; cut < length - 8; cut += 3) assert_int_equal(network_flow_owner(&key, frame, cut, 4), -1);
    }
    assert_true(apart > 50);
    bench_stop(&bench);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_bit_of_the_quote_counts),
      cmocka_unit_test(a_quoted_fragment_or_a_short_quote_is_none_of_ours),
      cmocka_unit_test(a_bad_sum_is_malformed),
      cmocka_unit_test(guesses_of_the_sequence_number_fail),
      cmocka_unit_test(the_owner_of_the_quoted_flow_gets_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
