/* Below TCP: Ethernet, ARP, IPv4, ICMP, UDP, and the network as a whole. */
#include "cmocka_test.h"
#include "network_bench.h"
#include <stdlib.h>
#include <string.h>

static struct bench bench;

static int setup(void **state) {
  (void)state;
  return bench_start(&bench, NULL) ? 0 : -1;
}
static int teardown(void **state) {
  (void)state;
  const bool conserved = bench_conserved(&bench);
  bench_stop(&bench);
  return conserved ? 0 : -1;
}

static uint64_t drops(enum network_drop drop) { return network_counters(bench.network)->drops[drop]; }

static uint32_t arp_build(uint8_t frame[64], uint8_t operation) {
  static const uint8_t request[28] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 86, 0, 1, 0, 0, 0, 0, 0, 0, 10, 86, 0, 2};
  memset(frame, 0, 64);
  memset(frame, 0xff, 6);
  memcpy(frame + 6, bench_peer_mac, 6);
  frame[12] = 8;
  frame[13] = 6;
  memcpy(frame + 14, request, sizeof request);
  frame[21] = operation;
  return 60;
}

static void arp_request_is_answered(void **state) {
  (void)state;
  uint8_t frame[64];
  bench_frame_in(&bench, frame, arp_build(frame, 1));
  const struct bench_frame *reply = bench_next(&bench);
  assert_non_null(reply);
  assert_int_equal(reply->length, 42);
  assert_memory_equal(reply->bytes, bench_peer_mac, 6);
  assert_memory_equal(reply->bytes + 6, bench_own_mac, 6);
  static const uint8_t answer[28] = {0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 2, 10, 86, 0, 2, 2, 0, 0, 0, 0, 1, 10, 86, 0, 1};
  assert_memory_equal(reply->bytes + 14, answer, sizeof answer);
  assert_int_equal(network_counters(bench.network)->arp_answered, 1);
}

static void arp_for_others_and_replies_are_dropped(void **state) {
  (void)state;
  uint8_t frame[64];
  uint32_t length = arp_build(frame, 1);
  frame[41] = 9;
  bench_frame_in(&bench, frame, length);
  bench_frame_in(&bench, frame, arp_build(frame, 2));
  assert_int_equal(drops(DROP_ARP_NOT_OURS), 2);
  length = arp_build(frame, 1);
  for (uint32_t cut = 14; cut < 42; cut++) bench_frame_in(&bench, frame, cut);
  frame[15] = 2;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_ARP_MALFORMED), 29);
  assert_null(bench_next(&bench));
}

static uint32_t echo_build(uint8_t *frame, uint32_t payload) {
  uint8_t *icmp = frame + 34;
  memset(icmp, 0, 8);
  icmp[0] = 8;
  icmp[5] = 7;
  for (uint32_t i = 0; i < payload; i++) icmp[8 + i] = (uint8_t)i;
  const uint16_t sum = bench_checksum(icmp, 8 + payload, 0);
  icmp[2] = (uint8_t)(sum >> 8);
  icmp[3] = (uint8_t)sum;
  return bench_ipv4_finish(frame, 1, 8 + payload);
}

static void echo_is_answered_byte_for_byte(void **state) {
  (void)state;
  uint8_t frame[2048];
  for (uint32_t payload = 0; payload <= 1472; payload += 23) {
    const uint32_t length = echo_build(frame, payload);
    bench_frame_in(&bench, frame, length);
    const struct bench_frame *reply = bench_next(&bench);
    assert_non_null(reply);
    assert_int_equal(reply->length, length);
    assert_int_equal(bench_checksum(reply->bytes + 14, 20, 0), 0);
    assert_int_equal(bench_checksum(reply->bytes + 34, 8 + payload, 0), 0);
    assert_int_equal(reply->bytes[34], 0);
    assert_memory_equal(reply->bytes + 38, frame + 38, 4 + payload);
    assert_memory_equal(reply->bytes, bench_peer_mac, 6);
  }
}

static void bad_icmp_is_dropped(void **state) {
  (void)state;
  uint8_t frame[2048];
  uint32_t length = echo_build(frame, 40);
  frame[40] ^= 1;
  bench_frame_in(&bench, frame, length);
  length = echo_build(frame, 40);
  frame[34] = 13; /* timestamp request: type and sum together stay right */
  frame[37] = 0;
  frame[36] = 0;
  const uint16_t sum = bench_checksum(frame + 34, 48, 0);
  frame[36] = (uint8_t)(sum >> 8);
  frame[37] = (uint8_t)sum;
  bench_frame_in(&bench, frame, length);
  bench_frame_in(&bench, frame, bench_ipv4_finish(frame, 1, 7));
  assert_int_equal(drops(DROP_ICMP_MALFORMED), 2);
  assert_int_equal(drops(DROP_ICMP_TYPE), 1);
  assert_null(bench_next(&bench));
}

static void no_buffer_is_counted_and_nothing_is_lost_from_the_sum(void **state) {
  (void)state;
  uint8_t frame[2048];
  bench.no_buffer = true;
  bench_frame_in(&bench, frame, arp_build(frame, 1));
  bench_frame_in(&bench, frame, echo_build(frame, 10));
  assert_int_equal(network_counters(bench.network)->send_no_buffer, 2);
  assert_int_equal(network_counters(bench.network)->frames_sent, 0);
}

static uint32_t udp_build(uint8_t *frame, uint16_t port, uint32_t payload) {
  uint8_t *udp = frame + 34;
  memset(udp, 0, 8);
  udp[0] = 200;
  udp[2] = (uint8_t)(port >> 8);
  udp[3] = (uint8_t)port;
  udp[4] = (uint8_t)((8 + payload) >> 8);
  udp[5] = (uint8_t)(8 + payload);
  memset(udp + 8, 0x5a, payload);
  return bench_ipv4_finish(frame, 17, 8 + payload);
}

static void datagrams_reach_their_listener(void **state) {
  (void)state;
  uint8_t frame[2048];
  bench_frame_in(&bench, frame, udp_build(frame, BENCH_UDP_PORT, 0));
  bench_frame_in(&bench, frame, udp_build(frame, BENCH_UDP_PORT, 1001));
  /* Zero: the sender computed no checksum. */
  uint32_t length = udp_build(frame, BENCH_UDP_PORT, 10);
  frame[40] = frame[41] = 0;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(bench.datagrams, 3);
  assert_int_equal(bench.datagram_bytes, 1011);
  bench_frame_in(&bench, frame, udp_build(frame, 9, 10));
  assert_int_equal(drops(DROP_UDP_PORT), 1);
  length = udp_build(frame, BENCH_UDP_PORT, 10);
  frame[50] ^= 1;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_UDP_CHECKSUM), 1);
  udp_build(frame, BENCH_UDP_PORT, 10);
  frame[39] = 7;
  bench_frame_in(&bench, frame, bench_ipv4_finish(frame, 17, 18));
  frame[39] = 19;
  bench_frame_in(&bench, frame, bench_ipv4_finish(frame, 17, 18));
  bench_frame_in(&bench, frame, bench_ipv4_finish(frame, 17, 7));
  assert_int_equal(drops(DROP_UDP_MALFORMED), 3);
  assert_int_equal(bench.datagrams, 3);
}

static void ethernet_for_others_is_dropped(void **state) {
  (void)state;
  uint8_t frame[2048];
  uint32_t length = echo_build(frame, 10);
  for (uint32_t cut = 0; cut < 14; cut++) bench_frame_in(&bench, frame, cut);
  assert_int_equal(drops(DROP_ETHERNET_SHORT), 14);
  frame[5] = 9;
  bench_frame_in(&bench, frame, length);
  memset(frame, 0xff, 6); /* our address in a link-layer broadcast */
  bench_frame_in(&bench, frame, length);
  echo_build(frame, 10);
  frame[6] |= 1;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_ETHERNET_NOT_OURS), 3);
  echo_build(frame, 10);
  frame[12] = 0x88;
  frame[13] = 0xcc;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_ETHERTYPE), 1);
  assert_null(bench_next(&bench));
}

/* Sends an echo request whose IPv4 header byte was changed and its sum made right again. */
static void ipv4_with(uint32_t at, uint8_t value) {
  uint8_t frame[2048];
  const uint32_t length = echo_build(frame, 40);
  frame[14 + at] = value;
  frame[24] = frame[25] = 0;
  const uint16_t sum = bench_checksum(frame + 14, (frame[14] & 15u) * 4, 0);
  frame[24] = (uint8_t)(sum >> 8);
  frame[25] = (uint8_t)sum;
  bench_frame_in(&bench, frame, length);
}

static void bad_ipv4_is_dropped_by_reason(void **state) {
  (void)state;
  uint8_t frame[2048];
  ipv4_with(0, 0x65);
  ipv4_with(0, 0x44);
  ipv4_with(3, 19);
  assert_int_equal(drops(DROP_IPV4_MALFORMED), 3);
  ipv4_with(12, 127);
  ipv4_with(12, 0);
  ipv4_with(12, 224);
  ipv4_with(15, 2); /* from our own address */
  assert_int_equal(drops(DROP_IPV4_MALFORMED), 7);
  ipv4_with(3, 69);
  assert_int_equal(drops(DROP_TRUNCATED), 1);
  ipv4_with(0, 0x46);
  assert_int_equal(drops(DROP_IPV4_OPTIONS), 1);
  ipv4_with(6, 0x20);
  ipv4_with(7, 1);
  assert_int_equal(drops(DROP_IPV4_FRAGMENT), 2);
  ipv4_with(19, 3);
  ipv4_with(16, 255);
  assert_int_equal(drops(DROP_IPV4_NOT_OURS), 2);
  ipv4_with(9, 47);
  assert_int_equal(drops(DROP_IPV4_PROTOCOL), 1);
  const uint32_t length = echo_build(frame, 40);
  frame[24] ^= 1;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_IPV4_CHECKSUM), 1);
  for (uint32_t cut = 14; cut < 34; cut++) bench_frame_in(&bench, frame, cut);
  assert_int_equal(drops(DROP_IPV4_MALFORMED), 27);
  assert_null(bench_next(&bench));
}

static void padding_after_the_packet_is_ignored(void **state) {
  (void)state;
  uint8_t frame[2048];
  const uint32_t length = echo_build(frame, 4);
  memset(frame + length, 0xee, 14);
  bench_frame_in(&bench, frame, length + 14);
  const struct bench_frame *reply = bench_next(&bench);
  assert_non_null(reply);
  assert_int_equal(reply->length, length);
}

static void a_sum_that_the_port_found_bad_is_dropped(void **state) {
  (void)state;
  uint8_t frame[2048];
  uint32_t length = udp_build(frame, BENCH_UDP_PORT, 10);
  network_receive(bench.network, frame, length, true, bench.now_ns);
  assert_int_equal(drops(DROP_UDP_CHECKSUM), 1);
  const struct bench_segment segment = {.peer_port = 40000, .flags = 0x02};
  length = bench_segment_build(frame, &segment);
  network_receive(bench.network, frame, length, true, bench.now_ns);
  assert_int_equal(drops(DROP_TCP_CHECKSUM), 1);
  frame[24] ^= 1;
  network_receive(bench.network, frame, length, true, bench.now_ns);
  assert_int_equal(drops(DROP_IPV4_CHECKSUM), 1);
}

static void offloads_leave_sums_to_the_port(void **state) {
  (void)state;
  struct network_config config;
  bench_default_config(&config);
  config.offload = NETWORK_OFFLOAD_TX_IPV4_CHECKSUM | NETWORK_OFFLOAD_TX_L4_CHECKSUM;
  bench_stop(&bench);
  assert_true(bench_start(&bench, &config));
  uint8_t in[128];
  /* Sums are not verified in software either. */
  const struct bench_segment syn = {.peer_port = 40000, .seq = 5, .flags = 0x02, .window = 1000, .bad_checksum = true};
  uint32_t length = bench_segment_build(in, &syn);
  in[24] ^= 1;
  bench_frame_in(&bench, in, length);
  const struct bench_frame *frame = bench_next(&bench);
  assert_non_null(frame);
  assert_int_equal(frame->offload, NETWORK_OFFLOAD_TX_IPV4_CHECKSUM | NETWORK_OFFLOAD_TX_L4_CHECKSUM);
  assert_int_equal(frame->bytes[24] | frame->bytes[25], 0);
  /* The field holds the pseudo-header's sum, not complemented: with the rest added it must come out right. */
  uint8_t tcp[64];
  const uint32_t tcp_bytes = frame->length - 34;
  memcpy(tcp, frame->bytes + 34, tcp_bytes);
  const uint16_t filled = bench_checksum(tcp, tcp_bytes, 0);
  tcp[16] = (uint8_t)(filled >> 8);
  tcp[17] = (uint8_t)filled;
  uint32_t pseudo = 6 + tcp_bytes;
  for (int i = 26; i < 34; i += 2) pseudo += (uint32_t)frame->bytes[i] << 8 | frame->bytes[i + 1];
  assert_int_equal(bench_checksum(tcp, tcp_bytes, (pseudo & 0xffff) + (pseudo >> 16)), 0);
  length = echo_build(in, 10);
  bench_frame_in(&bench, in, length);
  frame = bench_next(&bench);
  assert_int_equal(frame->offload, NETWORK_OFFLOAD_TX_IPV4_CHECKSUM);
  assert_int_equal(bench_checksum(frame->bytes + 34, 18, 0), 0);
}

static void create_fails_cleanly_without_memory(void **state) {
  (void)state;
  struct network_config config = bench.config;
  bool made = false;
  for (unsigned takes = 0; takes < 20 && !made; takes++) {
    struct heap_arena *heap = heap_arena_create();
    heap_arena_limit(heap, takes);
    made = network_create(heap_arena_arena(heap), &config, 0) != NULL;
    if (takes == 0) assert_false(made);
    heap_arena_destroy(heap);
  }
  assert_true(made);
}

static void create_refuses_unusable_bounds(void **state) {
  (void)state;
  struct arena *arena = heap_arena_arena(bench.heap);
  struct network_config config = bench.config;
  config.mtu = 500;
  assert_null(network_create(arena, &config, 0));
  config = bench.config;
  config.receive_buffer_bytes = NETWORK_BUFFER_BYTES_MAX + 1;
  assert_null(network_create(arena, &config, 0));
  config = bench.config;
  config.connections_max = 0;
  assert_null(network_create(arena, &config, 0));
  config = bench.config;
  config.tcp_listener_count = NETWORK_LISTENERS_MAX + 1;
  assert_null(network_create(arena, &config, 0));
}

static void every_drop_has_its_own_name(void **state) {
  (void)state;
  for (int i = 0; i < NETWORK_DROPS; i++) {
    assert_non_null(network_drop_name((enum network_drop)i));
    for (int j = 0; j < i; j++) {
      assert_string_not_equal(network_drop_name((enum network_drop)i), network_drop_name((enum network_drop)j));
    }
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(arp_request_is_answered),
      TEST(arp_for_others_and_replies_are_dropped),
      TEST(echo_is_answered_byte_for_byte),
      TEST(bad_icmp_is_dropped),
      TEST(no_buffer_is_counted_and_nothing_is_lost_from_the_sum),
      TEST(datagrams_reach_their_listener),
      TEST(ethernet_for_others_is_dropped),
      TEST(bad_ipv4_is_dropped_by_reason),
      TEST(padding_after_the_packet_is_ignored),
      TEST(a_sum_that_the_port_found_bad_is_dropped),
      TEST(offloads_leave_sums_to_the_port),
      TEST(create_fails_cleanly_without_memory),
      TEST(create_refuses_unusable_bounds),
      TEST(every_drop_has_its_own_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
