/* The owner of a flow: alike both ways, spread evenly, keyed, and never read beyond the frame. */
#include "cmocka_test.h"
#include "guard_page.h"
#include "network_bench.h"
#include <string.h>

static const struct siphash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

static void endpoints(uint8_t *frame, uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port) {
  const uint32_t addresses[2] = {__builtin_bswap32(from), __builtin_bswap32(to)};
  const uint16_t ports[2] = {__builtin_bswap16(from_port), __builtin_bswap16(to_port)};
  memcpy(frame + 26, addresses, 8);
  memcpy(frame + 34, ports, 4);
}

static uint32_t segment_frame(uint8_t *frame) {
  const struct bench_segment segment = {.peer_port = 40000, .flags = 0x10};
  return bench_segment_build(frame, &segment);
}

static void both_directions_have_one_owner(void **state) {
  (void)state;
  uint8_t frame[64];
  const uint32_t length = segment_frame(frame);
  for (uint32_t i = 0; i < 1000; i++) {
    endpoints(frame, 0x0a000001 + i, (uint16_t)(1000 + i * 7), BENCH_OWN_IPV4, 4318);
    const int there = network_flow_owner(&key, frame, length, 7);
    endpoints(frame, BENCH_OWN_IPV4, 4318, 0x0a000001 + i, (uint16_t)(1000 + i * 7));
    assert_int_equal(network_flow_owner(&key, frame, length, 7), there);
    assert_in_range(there, 0, 6);
  }
}

static void flows_spread_evenly_and_by_key(void **state) {
  (void)state;
  uint8_t frame[64];
  const uint32_t length = segment_frame(frame);
  const struct siphash_key other = {1, 2};
  uint32_t owners[3] = {0}, moved = 0;
  for (uint32_t i = 0; i < 30000; i++) {
    endpoints(frame, 0x0a000001, (uint16_t)(1024 + i), BENCH_OWN_IPV4, 4318);
    const int owner = network_flow_owner(&key, frame, length, 3);
    owners[owner]++;
    moved += network_flow_owner(&other, frame, length, 3) != owner;
  }
  for (int i = 0; i < 3; i++) assert_in_range(owners[i], 9500, 10500);
  assert_in_range(moved, 19000, 21000);
}

static void udp_counts_and_the_rest_is_anybodys(void **state) {
  (void)state;
  uint8_t frame[64];
  const uint32_t length = segment_frame(frame);
  frame[23] = 17;
  assert_true(network_flow_owner(&key, frame, length, 4) >= 0);
  frame[23] = 1;
  assert_int_equal(network_flow_owner(&key, frame, length, 4), -1);
  segment_frame(frame);
  segment_frame(frame);
  frame[14] = 0x46;
  assert_int_equal(network_flow_owner(&key, frame, length, 4), -1);
  segment_frame(frame);
  frame[13] = 6; /* ARP */
  assert_int_equal(network_flow_owner(&key, frame, length, 4), -1);
}

static void one_shard_owns_all(void **state) {
  (void)state;
  uint8_t frame[64];
  const uint32_t length = segment_frame(frame);
  assert_int_equal(network_flow_owner(&key, frame, length, 1), 0);
}

static void cut_frames_are_not_read_beyond(void **state) {
  (void)state;
  uint8_t frame[64];
  const uint32_t whole = segment_frame(frame);
  for (uint32_t length = 0; length <= whole; length++) {
    struct guarded guarded = guarded_copy(frame, length);
    const int owner = network_flow_owner(&key, guarded.bytes, length, 4);
    assert_int_equal(owner >= 0, length >= 38);
    guarded_free(&guarded);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_directions_have_one_owner),      cmocka_unit_test(flows_spread_evenly_and_by_key),
      cmocka_unit_test(udp_counts_and_the_rest_is_anybodys), cmocka_unit_test(one_shard_owns_all),
      cmocka_unit_test(cut_frames_are_not_read_beyond),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
