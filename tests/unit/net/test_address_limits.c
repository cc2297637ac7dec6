/* What one address may have: the table alone, and what TCP charges to it from the first SYN to the end. */
#include "cmocka_test.h"
#include "network_bench.h"
#include <string.h>

#define SYN 0x02
#define RST 0x04
#define ACK 0x10

static struct heap_arena *heap;
static struct address_limits *limits;

static void create(uint32_t accounts, uint32_t connections, uint32_t half_open, uint32_t bytes) {
  const struct address_limits_config config = {
      .most = {[ADDRESS_CONNECTIONS] = connections, [ADDRESS_HALF_OPEN] = half_open, [ADDRESS_BODY_BYTES] = bytes},
      .accounts_max = accounts,
      .key = {5, 6}};
  heap = heap_arena_create();
  limits = address_limits_create(heap_arena_arena(heap), &config);
  assert_non_null(limits);
}

static uint64_t refused(enum address_quota quota) { return address_limits_counters(limits)->refused[quota]; }

static struct ip_address ipv6(uint8_t subnet, uint8_t host) {
  const uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8, [7] = subnet, [15] = host};
  return ip_address_of_bytes(bytes);
}

static void an_account_lasts_as_long_as_what_is_charged(void **state) {
  (void)state;
  create(2, 2, 0, 100);
  const struct ip_address a = ip_address_of_ipv4(1), b = ip_address_of_ipv4(2), c = ip_address_of_ipv4(3);
  struct address_account *account = address_account_hold(limits, &a);
  assert_true(address_charge(limits, account, ADDRESS_CONNECTIONS, 1));
  assert_true(address_charge(limits, account, ADDRESS_CONNECTIONS, 1));
  assert_true(address_is_at_limit(limits, account, ADDRESS_CONNECTIONS));
  assert_false(address_charge(limits, account, ADDRESS_CONNECTIONS, 1));
  assert_int_equal(refused(ADDRESS_CONNECTIONS), 2);
  assert_true(address_charge(limits, account, ADDRESS_BODY_BYTES, 60));
  assert_false(address_charge(limits, account, ADDRESS_BODY_BYTES, 41));
  assert_true(address_charge(limits, account, ADDRESS_BODY_BYTES, 40));
  assert_true(address_charge(limits, account, ADDRESS_HALF_OPEN, 1)); /* no limit */
  address_account_release(limits, account);
  assert_ptr_equal(address_account_find(limits, &a), account);
  assert_non_null(address_account_hold(limits, &b));
  assert_null(address_account_hold(limits, &c));
  assert_int_equal(address_limits_counters(limits)->accounts_exhausted, 1);
  address_credit(limits, account, ADDRESS_CONNECTIONS, 1);
  address_credit(limits, account, ADDRESS_CONNECTIONS, 1);
  address_credit(limits, account, ADDRESS_BODY_BYTES, 60);
  address_credit(limits, account, ADDRESS_BODY_BYTES, 40);
  assert_ptr_equal(address_account_find(limits, &a), account);
  address_credit(limits, account, ADDRESS_HALF_OPEN, 1);
  assert_null(address_account_find(limits, &a));
  assert_non_null(address_account_hold(limits, &c));
  assert_int_equal(address_limits_counters(limits)->accounts, 2);
  heap_arena_destroy(heap);
}

static void an_ipv6_host_is_its_64(void **state) {
  (void)state;
  create(8, 1, 0, 0);
  const struct ip_address one = ipv6(1, 1), same = ipv6(1, 2), other = ipv6(2, 1);
  struct address_account *account = address_account_hold(limits, &one);
  assert_ptr_equal(address_account_hold(limits, &same), account);
  assert_ptr_not_equal(address_account_hold(limits, &other), account);
  const struct ip_address ipv4 = ip_address_of_ipv4(0x0a560001), neighbour = ip_address_of_ipv4(0x0a560002);
  assert_ptr_not_equal(address_account_hold(limits, &ipv4), address_account_hold(limits, &neighbour));
  heap_arena_destroy(heap);
}

/* Thousands of addresses in few buckets come and go in any order. */
static void many_addresses_come_and_go(void **state) {
  (void)state;
  static struct address_account *accounts[4096];
  create(4096, 1, 0, 0);
  for (int round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < 4096; i++) {
      const struct ip_address address = ip_address_of_ipv4(i * 2654435761u + (uint32_t)round);
      accounts[i] = address_account_hold(limits, &address);
      assert_non_null(accounts[i]);
      assert_true(address_charge(limits, accounts[i], ADDRESS_CONNECTIONS, 1));
    }
    assert_int_equal(address_limits_counters(limits)->accounts, 4096);
    for (uint32_t i = 0; i < 4096; i++) {
      struct address_account *account = accounts[(i * 1531) % 4096];
      address_credit(limits, account, ADDRESS_CONNECTIONS, 1);
      address_account_release(limits, account);
    }
    assert_int_equal(address_limits_counters(limits)->accounts, 0);
  }
  heap_arena_destroy(heap);
}

static struct bench bench;

static void start(uint32_t connections, uint32_t half_open) {
  struct network_config config;
  bench_default_config(&config);
  create(config.connections_max, connections, half_open, 0);
  config.address_limits = limits;
  assert_true(bench_start(&bench, &config));
}

static void stop(void) {
  assert_true(bench_conserved(&bench));
  bench_stop(&bench);
  heap_arena_destroy(heap);
}

static uint8_t answer_to_syn(uint16_t port, uint32_t isn) {
  struct bench_segment answer;
  while (bench_next(&bench)) continue;
  const struct bench_segment syn = {.peer_port = port, .own_port = BENCH_PORT, .seq = isn, .flags = SYN, .window = 65535};
  bench_segment_in(&bench, &syn);
  bench_flush(&bench);
  return bench_next_segment(&bench, &answer) ? answer.flags : 0;
}

static void connections_beyond_the_limit_are_reset_at_once(void **state) {
  (void)state;
  start(3, 0);
  uint32_t server[4];
  for (uint16_t i = 0; i < 3; i++) server[i] = bench_connect(&bench, (uint16_t)(1000 + i), 100);
  assert_int_equal(answer_to_syn(1003, 100), RST | ACK);
  assert_int_equal(network_counters(bench.network)->tcp_refused_address, 1);
  assert_int_equal(refused(ADDRESS_CONNECTIONS), 1);
  assert_int_equal(network_counters(bench.network)->tcp_connections, 3);
  /* An end by the peer's RST makes room. */
  const struct bench_segment reset = {.peer_port = 1000, .own_port = BENCH_PORT, .seq = 101, .flags = RST};
  bench_segment_in(&bench, &reset);
  assert_int_equal(answer_to_syn(1004, 100), SYN | ACK);
  /* And so does TIME-WAIT, whose connection nobody uses. */
  stream_close(bench.streams[1].stream);
  bench_flush(&bench);
  const struct bench_segment finish = {
      .peer_port = 1001, .own_port = BENCH_PORT, .seq = 101, .ack = server[1] + 2, .flags = ACK | 0x01, .window = 65535};
  bench_segment_in(&bench, &finish);
  struct network_use use;
  network_use(bench.network, &use);
  assert_int_equal(network_counters(bench.network)->tcp_time_wait, 1);
  assert_int_equal(use.connections.used, 2);
  assert_int_equal(answer_to_syn(1005, 100), SYN | ACK);
  assert_int_equal(answer_to_syn(1006, 100), RST | ACK);
  bench_pass(&bench, 200ull * 1000000000);
  assert_int_equal(network_counters(bench.network)->tcp_time_wait, 0);
  assert_int_equal(address_limits_counters(limits)->accounts, 1);
  bench_pass(&bench, 400ull * 1000000000);
  assert_int_equal(address_limits_counters(limits)->accounts, 0);
  assert_int_equal(network_counters(bench.network)->tcp_connections, 0);
  stop();
}

static void half_open_ones_have_their_own_limit(void **state) {
  (void)state;
  start(0, 2);
  assert_int_equal(answer_to_syn(1000, 100), SYN | ACK);
  assert_int_equal(answer_to_syn(1001, 100), SYN | ACK);
  assert_int_equal(answer_to_syn(1002, 100), RST | ACK);
  assert_int_equal(refused(ADDRESS_HALF_OPEN), 1);
  /* Nobody else's half-open connection was forgotten for it, and time frees the places. */
  assert_int_equal(network_counters(bench.network)->tcp_half_open, 2);
  bench_pass(&bench, 60ull * 1000000000);
  assert_int_equal(network_counters(bench.network)->tcp_half_open, 0);
  assert_int_equal(address_limits_counters(limits)->accounts, 0);
  /* Established ones do not count. */
  for (uint16_t i = 0; i < 6; i++) bench_connect(&bench, (uint16_t)(2000 + i), 100);
  assert_int_equal(network_counters(bench.network)->tcp_established, 6);
  assert_int_equal(refused(ADDRESS_HALF_OPEN), 1);
  stop();
}

static void a_listener_that_sheds_is_silent(void **state) {
  (void)state;
  start(0, 0);
  bench_connect(&bench, 1000, 100);
  network_shed_connections(bench.network, 1);
  assert_int_equal(answer_to_syn(1001, 100), 0);
  assert_int_equal(network_counters(bench.network)->tcp_refused_overload, 1);
  network_shed_connections(bench.network, 2); /* another one */
  assert_int_equal(answer_to_syn(1001, 100), SYN | ACK);
  assert_int_equal(network_counters(bench.network)->tcp_connections, 2);
  stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_account_lasts_as_long_as_what_is_charged),
      cmocka_unit_test(an_ipv6_host_is_its_64),
      cmocka_unit_test(many_addresses_come_and_go),
      cmocka_unit_test(connections_beyond_the_limit_are_reset_at_once),
      cmocka_unit_test(half_open_ones_have_their_own_limit),
      cmocka_unit_test(a_listener_that_sheds_is_silent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
