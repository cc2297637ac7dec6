/* A burst is what its frames are one by one, whatever the earlier ones do to the connections of the later ones. */
#include "cmocka_test.h"
#include "guard_page.h"
#include "network_bench.h"

#define FRAMES_MAX 40
static struct bench bench;
static uint8_t bytes[FRAMES_MAX][BENCH_FRAME_BYTES];
static struct network_frame frames[FRAMES_MAX];
static uint32_t frame_count;

static int start(void **state) {
  (void)state;
  frame_count = 0;
  return bench_start(&bench, NULL) ? 0 : -1;
}

static int stop(void **state) {
  (void)state;
  const bool conserved = bench_conserved(&bench);
  bench_stop(&bench);
  return conserved ? 0 : -1;
}

static void add(const struct bench_segment *segment) {
  frames[frame_count] = (struct network_frame){.bytes = bytes[frame_count]};
  frames[frame_count].length = bench_segment_build(bytes[frame_count], segment);
  frame_count++;
}

static void add_data(uint16_t port, uint32_t seq, uint32_t ack, uint32_t length, uint32_t pattern_at) {
  add(&(struct bench_segment){.peer_port = port,
                              .own_port = BENCH_PORT,
                              .seq = seq,
                              .ack = ack,
                              .flags = 0x18,
                              .window = 65535,
                              .payload_bytes = length,
                              .pattern_at = pattern_at});
}

static void add_flags(uint16_t port, uint32_t seq, uint8_t flags) {
  add(&(struct bench_segment){.peer_port = port, .own_port = BENCH_PORT, .seq = seq, .flags = flags, .window = 65535});
}

static void receive(void) {
  network_receive_burst(bench.network, frames, frame_count, bench.now_ns);
  bench_flush(&bench);
  frame_count = 0;
}

static void connections_of_a_burst_get_their_own_bytes(void **state) {
  (void)state;
  uint32_t iss[3];
  for (uint16_t i = 0; i < 3; i++) iss[i] = bench_connect(&bench, (uint16_t)(40000 + i), 1000u * i);
  for (uint32_t i = 0; i < FRAMES_MAX; i++) /* runs of two, over the three */
    add_data((uint16_t)(40000 + i / 2 % 3), 1000 * (i / 2 % 3) + 1 + (i / 6 * 2 + i % 2) * 10, iss[i / 2 % 3] + 1, 10,
             (i / 6 * 2 + i % 2) * 10);
  receive();
  assert_int_equal(bench.streams[0].received, 140);
  assert_int_equal(bench.streams[1].received, 140);
  assert_int_equal(bench.streams[2].received, 120);
  for (uint32_t i = 0; i < 3; i++) assert_false(bench.streams[i].corrupt);
}

static void a_connection_that_ends_within_the_burst_gets_no_more(void **state) {
  (void)state;
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  add_data(40000, 78, iss + 1, 10, 0);
  add_flags(40000, 88, 0x04);
  add_data(40000, 88, iss + 1, 10, 10);
  receive();
  assert_int_equal(bench.streams[0].received, 10);
  assert_true(bench.streams[0].closed);
  assert_int_equal(network_counters(bench.network)->tcp_resets_sent, 1);
}

static void its_memory_may_be_anothers_by_then(void **state) {
  (void)state;
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  add_flags(40000, 78, 0x04);
  add_flags(40001, 500, 0x02);
  add_data(40000, 78, iss + 1, 10, 0);
  add_data(40000, 88, iss + 1, 10, 10);
  receive();
  assert_int_equal(bench.streams[0].received, 0);
  assert_true(bench.streams[0].closed);
  assert_int_equal(network_counters(bench.network)->tcp_half_open, 1);
  assert_int_equal(network_counters(bench.network)->tcp_resets_sent, 2);
}

static void the_same_tuple_may_open_again(void **state) {
  (void)state;
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  add_data(40000, 78, iss + 1, 10, 0);
  add_flags(40000, 88, 0x04);
  add_flags(40000, 900000, 0x02);
  receive();
  assert_int_equal(bench.streams[0].received, 10);
  assert_true(bench.streams[0].closed);
  assert_int_equal(network_counters(bench.network)->tcp_half_open, 1);
}

static void cut_frames_are_not_read_beyond_their_end(void **state) {
  (void)state;
  for (int ipv6 = 0; ipv6 < 2; ipv6++) {
    bench.ipv6 = ipv6;
    uint8_t whole[BENCH_FRAME_BYTES];
    const struct bench_segment segment = {.peer_port = 40000, .own_port = BENCH_PORT, .seq = 1, .flags = 0x10, .window = 1};
    uint32_t most = bench_segment_build(whole, &segment);
    if (ipv6) most = bench_ipv6_convert(whole, most);
    for (uint32_t length = 0; length <= most; length++) {
      struct guarded guarded = guarded_copy(whole, length);
      const struct network_frame pair[2] = {{.bytes = guarded.bytes, .length = length},
                                            {.bytes = guarded.bytes, .length = length}};
      network_receive_burst(bench.network, pair, 2, bench.now_ns);
      guarded_free(&guarded);
    }
  }
  bench_flush(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(connections_of_a_burst_get_their_own_bytes, start, stop),
      cmocka_unit_test_setup_teardown(a_connection_that_ends_within_the_burst_gets_no_more, start, stop),
      cmocka_unit_test_setup_teardown(its_memory_may_be_anothers_by_then, start, stop),
      cmocka_unit_test_setup_teardown(the_same_tuple_may_open_again, start, stop),
      cmocka_unit_test_setup_teardown(cut_frames_are_not_read_beyond_their_end, start, stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
