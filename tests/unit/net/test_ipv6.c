/* IPv6 below TCP: headers and their extensions, neighbour discovery, echo, UDP; and tags, which either family may carry. */
#include "cmocka_test.h"
#include "network_bench.h"
#include <string.h>

static struct bench bench;
static uint8_t frame[2048];

static int setup(void **state) {
  (void)state;
  struct network_config config;
  bench_default_config(&config);
  config.addresses[config.address_count++] = ip_address_of_bytes(bench_own_ipv6);
  config.vlan_count = 2;
  config.vlans[1] = 7; /* and frames without a tag */
  return bench_start(&bench, &config) ? 0 : -1;
}
static int teardown(void **state) {
  (void)state;
  const bool conserved = bench_conserved(&bench);
  bench_stop(&bench);
  return conserved ? 0 : -1;
}

static uint64_t drops(enum network_drop drop) { return network_counters(bench.network)->drops[drop]; }
static const uint8_t solicited_group[16] = {0xff, 2, [11] = 1, [12] = 0xff, [15] = 2};
static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};

/* A solicitation for our address as the kernel sends it; `group` is where a first one goes. */
static uint32_t solicitation(const uint8_t source[16], bool group, bool with_option) {
  uint8_t *icmp = frame + 54;
  memset(icmp, 0, 32);
  icmp[0] = 135;
  memcpy(icmp + 8, bench_own_ipv6, 16);
  icmp[24] = 1;
  icmp[25] = 1;
  memcpy(icmp + 26, bench_peer_mac, 6);
  const uint32_t bytes = with_option ? 32 : 24, length = bench_ipv6_finish(frame, 58, bytes);
  frame[21] = 255;
  memcpy(frame + 22, source, 16);
  if (group) {
    memcpy(frame + 38, solicited_group, 16);
    memcpy(frame, (const uint8_t[]){0x33, 0x33, 0xff, 0, 0, 2}, 6);
  }
  bench_ipv6_sum(frame, icmp, 58, bytes);
  return length;
}

static void expect_advertisement(const uint8_t destination_mac[6], const uint8_t destination[16], uint8_t flags) {
  const struct bench_frame *reply = bench_next(&bench);
  assert_non_null(reply);
  assert_int_equal(reply->length, 86);
  assert_memory_equal(reply->bytes, destination_mac, 6);
  assert_memory_equal(reply->bytes + 6, bench_own_mac, 6);
  assert_int_equal(reply->bytes[21], 255);
  assert_memory_equal(reply->bytes + 22, bench_own_ipv6, 16);
  assert_memory_equal(reply->bytes + 38, destination, 16);
  const uint8_t *icmp = reply->bytes + 54;
  assert_int_equal(icmp[0], 136);
  assert_int_equal(icmp[4], flags);
  assert_memory_equal(icmp + 8, bench_own_ipv6, 16);
  assert_int_equal(icmp[24], 2);
  assert_int_equal(icmp[25], 1);
  assert_memory_equal(icmp + 26, bench_own_mac, 6);
  uint8_t again[86];
  memcpy(again, reply->bytes, sizeof again);
  bench_ipv6_sum(again, again + 54, 58, 32);
  assert_memory_equal(again, reply->bytes, sizeof again);
}

static void a_solicitation_is_answered_with_what_was_asked_for(void **state) {
  (void)state;
  bench_frame_in(&bench, frame, solicitation(bench_peer_ipv6, true, true));
  expect_advertisement(bench_peer_mac, bench_peer_ipv6, 0x60);
  bench_frame_in(&bench, frame, solicitation(bench_peer_ipv6, false, false));
  expect_advertisement(bench_peer_mac, bench_peer_ipv6, 0x60);
  assert_int_equal(network_counters(bench.network)->nd_answered, 2);
}

static void an_address_of_ours_is_defended_before_all(void **state) {
  (void)state;
  static const uint8_t nobody[16];
  bench_frame_in(&bench, frame, solicitation(nobody, true, false));
  expect_advertisement((const uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, all_nodes, 0x20);
  /* With a source MAC, or to us alone, it is no duplicate detection (RFC 4861 section 7.1.1). */
  bench_frame_in(&bench, frame, solicitation(nobody, true, true));
  assert_int_equal(drops(DROP_ND_MALFORMED), 1);
  bench_frame_in(&bench, frame, solicitation(nobody, false, false));
  assert_int_equal(drops(DROP_IPV6_MALFORMED), 1);
  assert_null(bench_next(&bench));
}

static void solicitations_from_afar_for_others_or_broken_are_dropped(void **state) {
  (void)state;
  uint32_t length = solicitation(bench_peer_ipv6, true, true);
  frame[21] = 254;
  bench_frame_in(&bench, frame, length);
  length = solicitation(bench_peer_ipv6, true, true);
  frame[54 + 25] = 0; /* an option of no length */
  bench_ipv6_sum(frame, frame + 54, 58, 32);
  bench_frame_in(&bench, frame, length);
  frame[54 + 25] = 2; /* beyond the end */
  bench_ipv6_sum(frame, frame + 54, 58, 32);
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_ND_MALFORMED), 3);
  length = solicitation(bench_peer_ipv6, true, true);
  frame[54 + 8 + 14] = 9; /* another address of the same group */
  bench_ipv6_sum(frame, frame + 54, 58, 32);
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_ND_NOT_OURS), 1);
  length = solicitation(bench_peer_ipv6, true, true);
  frame[38 + 15] = 3;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_IPV6_NOT_OURS), 1);
  length = solicitation(bench_peer_ipv6, true, true);
  frame[80] ^= 1;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_ICMP_MALFORMED), 1);
  assert_null(bench_next(&bench));
}

static uint32_t echo_build(uint32_t payload) {
  uint8_t *icmp = frame + 54;
  memset(icmp, 0, 8);
  icmp[0] = 128;
  for (uint32_t i = 0; i < payload; i++) icmp[8 + i] = (uint8_t)i;
  const uint32_t length = bench_ipv6_finish(frame, 58, 8 + payload);
  bench_ipv6_sum(frame, icmp, 58, 8 + payload);
  return length;
}

static void echo_is_answered_to_one_not_to_a_group(void **state) {
  (void)state;
  for (uint32_t payload = 0; payload <= 1452; payload += 121) {
    const uint32_t length = echo_build(payload);
    bench_frame_in(&bench, frame, length);
    const struct bench_frame *reply = bench_next(&bench);
    assert_non_null(reply);
    assert_int_equal(reply->length, length);
    assert_int_equal(reply->bytes[54], 129);
    assert_memory_equal(reply->bytes + 22, bench_own_ipv6, 16);
    assert_memory_equal(reply->bytes + 38, bench_peer_ipv6, 16);
    assert_memory_equal(reply->bytes + 58, frame + 58, 4 + payload);
  }
  const uint32_t length = echo_build(8);
  memcpy(frame + 38, solicited_group, 16);
  bench_ipv6_sum(frame, frame + 54, 58, 16);
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_ICMP_TYPE), 1);
  assert_null(bench_next(&bench));
}

static uint32_t udp_build(uint32_t at, uint32_t payload) {
  uint8_t *udp = frame + at;
  memset(udp, 0x5a, 8 + payload);
  udp[0] = udp[1] = 9;
  udp[2] = BENCH_UDP_PORT >> 8;
  udp[3] = BENCH_UDP_PORT & 0xff;
  udp[4] = 0;
  udp[5] = (uint8_t)(8 + payload);
  const uint32_t length = bench_ipv6_finish(frame, 17, at - 54 + 8 + payload);
  bench_ipv6_sum(frame, udp, 17, 8 + payload);
  return length;
}

static void datagrams_need_their_sum(void **state) {
  (void)state;
  uint32_t length = udp_build(54, 100);
  bench_frame_in(&bench, frame, length);
  assert_int_equal(bench.datagrams, 1);
  assert_int_equal(bench.datagram_bytes, 100);
  frame[60] = frame[61] = 0;
  bench_frame_in(&bench, frame, length);
  length = udp_build(54, 100);
  frame[70] ^= 1;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_UDP_CHECKSUM), 2);
}

/* A datagram behind `count` extension headers of kind `kind` and of `bytes` each, filled with PadN. */
static uint32_t extended(uint32_t count, uint8_t kind, uint32_t bytes) {
  const uint32_t length = udp_build(54 + count * bytes, 10);
  for (uint32_t i = 0; i < count; i++) {
    uint8_t *header = frame + 54 + i * bytes;
    memset(header, 0, bytes);
    header[0] = i + 1 < count ? kind : 17;
    header[1] = (uint8_t)(bytes / 8 - 1);
    header[2] = 1;
    header[3] = (uint8_t)(bytes - 4);
  }
  if (count) frame[20] = kind;
  return length;
}

static void extension_headers_are_walked_within_bounds(void **state) {
  (void)state;
  for (uint32_t count = 0; count <= 4; count++) bench_frame_in(&bench, frame, extended(count, 60, 16));
  bench_frame_in(&bench, frame, extended(1, 0, 8));
  bench_frame_in(&bench, frame, extended(2, 60, 128));
  assert_int_equal(bench.datagrams, 7);
  bench_frame_in(&bench, frame, extended(5, 60, 8));
  bench_frame_in(&bench, frame, extended(3, 60, 128));
  uint32_t length = extended(1, 60, 16);
  frame[56] = 0x80; /* an unknown option that forbids the packet */
  bench_frame_in(&bench, frame, length);
  length = extended(1, 60, 16);
  frame[57] = 60; /* an option beyond its header */
  bench_frame_in(&bench, frame, length);
  bench_frame_in(&bench, frame, extended(1, 43, 24)); /* routing with segments left */
  assert_int_equal(drops(DROP_IPV6_EXTENSION), 5);
  length = extended(2, 60, 8);
  frame[54] = 0; /* hop-by-hop, but not first */
  bench_frame_in(&bench, frame, length);
  length = extended(1, 60, 8);
  frame[55] = 200; /* longer than the packet */
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_IPV6_MALFORMED), 2);
  length = udp_build(54, 10);
  frame[20] = 59;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_IPV6_PROTOCOL), 1);
  assert_int_equal(bench.datagrams, 7);
}

static void bad_addresses_and_cut_frames_are_dropped(void **state) {
  (void)state;
  static const uint8_t sources[][16] = {{0}, {[15] = 1}, {0xff, 2, [15] = 1}, {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}};
  for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
    const uint32_t length = udp_build(54, 10);
    memcpy(frame + 22, sources[i], 16);
    bench_ipv6_sum(frame, frame + 54, 17, 18);
    bench_frame_in(&bench, frame, length);
  }
  uint32_t length = udp_build(54, 10);
  memcpy(frame + 22, bench_own_ipv6, 16);
  bench_frame_in(&bench, frame, length);
  /* Our IPv4 address in an IPv6 header is not our address. */
  length = udp_build(54, 10);
  memcpy(frame + 38, (const uint8_t[16]){[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 86, [15] = 2}, 16);
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_IPV6_MALFORMED), 6);
  length = udp_build(54, 10);
  for (uint32_t cut = 14; cut < 54; cut++) bench_frame_in(&bench, frame, cut);
  assert_int_equal(drops(DROP_IPV6_MALFORMED), 46);
  for (uint32_t cut = 54; cut < length; cut++) bench_frame_in(&bench, frame, cut);
  assert_int_equal(drops(DROP_TRUNCATED), length - 54);
  assert_int_equal(bench.datagrams, 0);
}

static void a_connection_goes_over_ipv6_and_a_tag(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    bench.ipv6 = true;
    bench.vlan = i ? 7 : 0;
    const uint32_t iss = bench_connect(&bench, 40000, 5000); /* same endpoints, other network */
    const struct ip_address peer = stream_peer_address(bench.streams[i].stream), wanted = ip_address_of_bytes(bench_peer_ipv6);
    assert_true(ip_address_equal(&peer, &wanted));
    bench.seen = bench.sent;
    const struct bench_segment segment = {
        .peer_port = 40000, .seq = 5001, .ack = iss + 1, .flags = 0x18, .window = 65535, .payload_bytes = 1000};
    bench_segment_in(&bench, &segment);
    assert_int_equal(bench.streams[i].received, 1000);
    assert_int_equal(bench_write(&bench.streams[i], 3000), 3000);
    bench_flush(&bench);
    uint32_t bytes = 0;
    for (struct bench_segment got; bench_next_segment(&bench, &got); bytes += got.payload_bytes)
      assert_in_range(got.payload_bytes, 0, 1440);
    assert_int_equal(bytes, 3000);
  }
  assert_int_equal(bench.opened, 2);
}

static void tags_of_others_are_dropped_and_ours_are_answered_in_kind(void **state) {
  (void)state;
  bench_frame_in(&bench, frame, bench_vlan_insert(frame, echo_build(8), 8));
  assert_int_equal(drops(DROP_VLAN_NOT_OURS), 1);
  /* Priority bits are not part of the id. */
  bench_frame_in(&bench, frame, bench_vlan_insert(frame, solicitation(bench_peer_ipv6, true, true), 0xe007));
  const struct bench_frame *reply = bench_next(&bench);
  assert_non_null(reply);
  assert_memory_equal(reply->bytes + 12, ((const uint8_t[]){0x81, 0, 0, 7, 0x86, 0xdd}), 6);
  bench_frame_in(&bench, frame, bench_vlan_insert(frame, echo_build(8), 0xe000));
  reply = bench_next(&bench);
  assert_non_null(reply);
  assert_memory_equal(reply->bytes + 12, ((const uint8_t[]){0x86, 0xdd}), 2);
  const uint32_t length = bench_vlan_insert(frame, echo_build(8), 7);
  for (uint32_t cut = 14; cut < 18; cut++) bench_frame_in(&bench, frame, cut);
  assert_int_equal(drops(DROP_ETHERNET_SHORT), 4);
  frame[17] = 0xde;
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(DROP_ETHERTYPE), 1);
}

static void an_mtu_too_small_for_ipv6_is_refused(void **state) {
  (void)state;
  struct network_config config = bench.config;
  config.mtu = 1279;
  assert_null(network_create(heap_arena_arena(bench.heap), &config, 0));
  config.mtu = 1280;
  assert_non_null(network_create(heap_arena_arena(bench.heap), &config, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_solicitation_is_answered_with_what_was_asked_for),
      TEST(an_address_of_ours_is_defended_before_all),
      TEST(solicitations_from_afar_for_others_or_broken_are_dropped),
      TEST(echo_is_answered_to_one_not_to_a_group),
      TEST(datagrams_need_their_sum),
      TEST(extension_headers_are_walked_within_bounds),
      TEST(bad_addresses_and_cut_frames_are_dropped),
      TEST(a_connection_goes_over_ipv6_and_a_tag),
      TEST(tags_of_others_are_dropped_and_ours_are_answered_in_kind),
      TEST(an_mtu_too_small_for_ipv6_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
