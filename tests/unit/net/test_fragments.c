/* Datagrams in fragments: whole again in any order, refused when they contradict, and bounded whoever sends them. */
#include "cmocka_test.h"
#include "network_bench.h"
#include <stdlib.h>
#include <string.h>

#define WHOLE 60008u /* UDP header and 60,000 bytes */
#define PART 1400u   /* a multiple of eight */
#define PARTS ((WHOLE + PART - 1) / PART)

static struct bench bench;
static uint8_t whole[65600], frame[BENCH_FRAME_BYTES];
static bool ipv6;

static int start(void) {
  struct network_config config;
  bench_default_config(&config);
  config.addresses[config.address_count++] = ip_address_of_bytes(bench_own_ipv6);
  config.reassembly_max = 8; /* two for one source */
  return bench_start(&bench, &config) ? 0 : -1;
}
static int setup_ipv4(void **state) {
  (void)state;
  ipv6 = false;
  return start();
}
static int setup_ipv6(void **state) {
  (void)state;
  ipv6 = true;
  return start();
}
static int teardown(void **state) {
  (void)state;
  const bool conserved = bench_conserved(&bench);
  bench_stop(&bench);
  return conserved ? 0 : -1;
}

static const struct network_counters *counters(void) { return network_counters(bench.network); }
static uint64_t drops(enum network_drop drop) { return counters()->drops[drop]; }

/* A datagram of pattern bytes with its right sum, in `whole`. */
static void datagram_make(uint32_t bytes) {
  memset(whole, 0, 8);
  whole[1] = 99;
  whole[2] = BENCH_UDP_PORT >> 8;
  whole[3] = BENCH_UDP_PORT & 0xff;
  whole[4] = (uint8_t)(bytes >> 8);
  whole[5] = (uint8_t)bytes;
  for (uint32_t i = 8; i < bytes; i++) whole[i] = bench_pattern(i);
  static uint8_t headers[65700];
  memcpy(headers + 34, whole, bytes);
  bench_ipv4_finish(headers, 17, bytes);
  if (ipv6) bench_ipv6_convert(headers, 34 + bytes);
  memcpy(whole, headers + (ipv6 ? 54 : 34), 8);
}

static uint32_t fragment_build(uint32_t identification, uint32_t at, uint32_t bytes, bool more, uint8_t source) {
  if (ipv6) {
    memcpy(frame + 62, whole + at, bytes);
    const uint32_t length = bench_ipv6_finish(frame, 44, 8 + bytes);
    const uint8_t header[8] = {17, 0, (uint8_t)(at >> 8), (uint8_t)((at & 0xf8) | more), 0, 0, 0, (uint8_t)identification};
    memcpy(frame + 54, header, 8);
    frame[24] = source; /* of another /64 */
    return length;
  }
  memcpy(frame + 34, whole + at, bytes);
  bench_ipv4_finish(frame, 17, bytes);
  memcpy(frame + 34, whole + at, bytes);
  frame[19] = (uint8_t)identification;
  frame[20] = (uint8_t)((more ? 0x20 : 0) | at >> 11);
  frame[21] = (uint8_t)(at >> 3);
  frame[28] = source;
  frame[24] = frame[25] = 0;
  const uint16_t sum = bench_checksum(frame + 14, 20, 0);
  frame[24] = (uint8_t)(sum >> 8);
  frame[25] = (uint8_t)sum;
  return 34 + bytes;
}

static void fragment_in(uint32_t identification, uint32_t at, uint32_t bytes, bool more) {
  bench_frame_in(&bench, frame, fragment_build(identification, at, bytes, more, 0));
}

static void part_in(uint32_t identification, uint32_t part) {
  const uint32_t at = part * PART, left = WHOLE - at;
  fragment_in(identification, at, left < PART ? left : PART, left > PART);
}

static void sixty_kilobytes_arrive_in_any_order(void **state) {
  (void)state;
  datagram_make(WHOLE);
  for (uint32_t i = 0; i < PARTS; i++) part_in(1, i);
  for (uint32_t i = PARTS; i-- > 0;) part_in(2, i);
  for (uint32_t i = 0; i < PARTS; i += 2) part_in(3, i);
  for (uint32_t i = 1; i < PARTS; i += 2) part_in(3, i);
  uint32_t order[PARTS];
  for (uint32_t round = 0; round < 20; round++) {
    for (uint32_t i = 0; i < PARTS; i++) order[i] = i;
    for (uint32_t i = PARTS - 1; i > 0; i--) {
      const uint32_t j = (round * 7919 + i * 104729) % (i + 1), other = order[j];
      order[j] = order[i];
      order[i] = other;
    }
    for (uint32_t i = 0; i < PARTS; i++) part_in(4 + round, order[i]);
  }
  assert_int_equal(counters()->datagrams_reassembled, 23);
  assert_int_equal(counters()->udp_delivered, 23);
  assert_int_equal(bench.datagram_bytes, 23 * 60000);
  assert_int_equal(counters()->fragments_kept, 23 * (PARTS - 1));
  assert_int_equal(counters()->reassembly_held, 0);
  assert_true(network_pools_full(bench.network));
}

static void the_largest_datagram_fits_and_no_larger(void **state) {
  (void)state;
  const uint32_t most = 65535 - 20;
  datagram_make(most);
  for (uint32_t at = 0; at < most; at += PART) fragment_in(1, at, most - at < PART ? most - at : PART, most - at > PART);
  assert_int_equal(counters()->udp_delivered, 1);
  fragment_in(2, 65528, 16, true);
  fragment_in(2, 65528, 8, false);
  fragment_in(2, 8, 9, true); /* only the last may be odd */
  fragment_in(2, 8, 0, false);
  assert_int_equal(drops(DROP_FRAGMENT_MALFORMED), 4);
}

static void the_whole_is_verified(void **state) {
  (void)state;
  datagram_make(2000);
  whole[1000] ^= 1;
  fragment_in(1, 0, PART, true);
  fragment_in(1, PART, 600, false);
  assert_int_equal(drops(DROP_UDP_CHECKSUM), 1);
  assert_int_equal(counters()->udp_delivered, 0);
}

static void an_overlap_kills_the_datagram_and_what_follows(void **state) {
  (void)state;
  datagram_make(4000);
  fragment_in(1, 0, 800, true);
  fragment_in(1, 0, 800, true); /* a true repetition is no harm */
  assert_int_equal(drops(DROP_FRAGMENT_DUPLICATE), 1);
  fragment_in(1, 792, 800, true);
  assert_int_equal(drops(DROP_FRAGMENT_OVERLAP), 1);
  assert_int_equal(counters()->reassembly_rejected, 1);
  fragment_in(1, 800, 800, true);
  fragment_in(1, 1600, 2400, false);
  assert_int_equal(drops(DROP_FRAGMENT_OVERLAP), 3);
  assert_int_equal(counters()->udp_delivered, 0);
  /* Same place, other bytes. */
  fragment_in(2, 0, 800, true);
  whole[500] ^= 1;
  fragment_in(2, 0, 800, true);
  whole[500] ^= 1;
  assert_int_equal(counters()->reassembly_rejected, 2);
  bench_pass(&bench, 16000000000);
  assert_int_equal(counters()->reassembly_held, 0);
  assert_int_equal(counters()->reassembly_timed_out, 0);
}

static void ends_that_disagree_kill_the_datagram(void **state) {
  (void)state;
  datagram_make(4000);
  fragment_in(1, 1600, 800, false);
  fragment_in(1, 2400, 800, true); /* beyond the end */
  fragment_in(2, 1600, 800, true);
  fragment_in(2, 800, 800, false); /* an end before what is there */
  fragment_in(3, 800, 800, false);
  fragment_in(3, 1600, 800, false); /* a second end */
  assert_int_equal(drops(DROP_FRAGMENT_OVERLAP), 3);
  assert_int_equal(counters()->reassembly_rejected, 3);
}

static void a_datagram_that_is_never_whole_is_forgotten(void **state) {
  (void)state;
  datagram_make(4000);
  fragment_in(1, 0, 800, true);
  bench_pass(&bench, 14900000000);
  assert_int_equal(counters()->reassembly_held, 1);
  bench_pass(&bench, 200000000);
  assert_int_equal(counters()->reassembly_held, 0);
  assert_int_equal(counters()->reassembly_timed_out, 1);
  /* Time over without a tick between: the rest starts anew. */
  fragment_in(1, 0, 800, true);
  bench.now_ns += 15000000001;
  fragment_in(1, 800, 3200, false);
  assert_int_equal(counters()->reassembly_timed_out, 2);
  assert_int_equal(counters()->udp_delivered, 0);
}

static void one_source_takes_only_its_share(void **state) {
  (void)state;
  datagram_make(4000);
  fragment_in(1, 0, 800, true);
  for (uint32_t id = 10; id < 40; id++) bench_frame_in(&bench, frame, fragment_build(id, 0, 800, true, 77));
  assert_int_equal(counters()->reassembly_held, 3);
  assert_int_equal(counters()->reassembly_evicted, 28);
  fragment_in(1, 800, 3200, false); /* the other's is still there */
  assert_int_equal(counters()->udp_delivered, 1);
  for (uint32_t source = 1; source < 200; source++)
    bench_frame_in(&bench, frame, fragment_build(1, 0, 800, true, (uint8_t)source));
  assert_int_equal(counters()->reassembly_held, 8);
}

static void more_holes_than_are_kept_track_of_are_refused(void **state) {
  (void)state;
  datagram_make(4000);
  for (uint32_t i = 1; i <= 65; i++) fragment_in(1, i * 16, 8, true);
  assert_int_equal(drops(DROP_FRAGMENT_RANGES), 1);
  assert_int_equal(counters()->fragments_kept, 64);
  assert_int_equal(counters()->reassembly_rejected, 1);
}

static void fragments_of_others_are_refused(void **state) {
  (void)state;
  datagram_make(4000);
  const uint32_t length = fragment_build(1, 0, 800, true, 0);
  if (ipv6) {
    frame[54] = 6;
  } else {
    frame[23] = 6;
    frame[24] = frame[25] = 0;
    const uint16_t sum = bench_checksum(frame + 14, 20, 0);
    frame[24] = (uint8_t)(sum >> 8);
    frame[25] = (uint8_t)sum;
  }
  bench_frame_in(&bench, frame, length);
  assert_int_equal(drops(ipv6 ? DROP_IPV6_FRAGMENT : DROP_IPV4_FRAGMENT), 1);
  if (!ipv6) return;
  for (uint32_t cut = 1; cut < 8; cut++) {
    frame[19] = (uint8_t)cut; /* a fragment header cut short */
    frame[18] = 0;
    bench_frame_in(&bench, frame, length);
  }
  assert_int_equal(drops(DROP_IPV6_MALFORMED), 7);
}

static void a_fragment_that_is_whole_is_a_datagram(void **state) {
  (void)state;
  if (!ipv6) return;
  datagram_make(800);
  fragment_in(1, 0, 800, false);
  assert_int_equal(counters()->udp_delivered, 1);
  assert_int_equal(counters()->datagrams_reassembled, 0);
}

static void all_fragments_have_one_owner(void **state) {
  (void)state;
  const struct siphash_key key = {5, 6};
  datagram_make(WHOLE);
  uint32_t owners = 0;
  for (uint32_t source = 0; source < 64; source++) {
    const uint32_t length = fragment_build(1, 0, PART, true, (uint8_t)source);
    const int owner = network_flow_owner(&key, frame, length, 8);
    assert_in_range(owner, 0, 7);
    owners |= 1u << owner;
    for (uint32_t part = 1; part + 1 < PARTS; part++) {
      fragment_build(1, part * PART, PART, true, (uint8_t)source);
      assert_int_equal(network_flow_owner(&key, frame, length, 8), owner);
    }
    bench_vlan_insert(frame, length, 7);
    assert_int_equal(network_flow_owner(&key, frame, length + 4, 8), owner);
  }
  assert_int_equal(owners, 255);
}

#define BOTH(name)                                                                                                               \
  {#name " (IPv4)", name, setup_ipv4, teardown, NULL}, { #name " (IPv6)", name, setup_ipv6, teardown, NULL }

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(sixty_kilobytes_arrive_in_any_order),
      BOTH(the_largest_datagram_fits_and_no_larger),
      BOTH(the_whole_is_verified),
      BOTH(an_overlap_kills_the_datagram_and_what_follows),
      BOTH(ends_that_disagree_kill_the_datagram),
      BOTH(a_datagram_that_is_never_whole_is_forgotten),
      BOTH(one_source_takes_only_its_share),
      BOTH(more_holes_than_are_kept_track_of_are_refused),
      BOTH(fragments_of_others_are_refused),
      BOTH(a_fragment_that_is_whole_is_a_datagram),
      BOTH(all_fragments_have_one_owner),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
