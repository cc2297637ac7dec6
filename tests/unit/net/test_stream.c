/* Connections beyond what a packet script says well: many of them, the shared pools, and the stream's face. */
#include "cmocka_test.h"
#include "network_bench.h"
#include <stdlib.h>
#include <string.h>

static struct bench bench;

static void start(void (*change)(struct network_config *config)) {
  struct network_config config;
  bench_default_config(&config);
  if (change) change(&config);
  assert_true(bench_start(&bench, &config));
}

static void stop(void) {
  assert_true(bench_conserved(&bench));
  bench_stop(&bench);
}

static const struct network_counters *counters(void) { return network_counters(bench.network); }

static void data_in(uint16_t port, uint32_t seq, uint32_t ack, uint32_t length, uint32_t pattern_at) {
  const struct bench_segment segment = {.peer_port = port,
                                        .seq = seq,
                                        .ack = ack,
                                        .flags = 0x18,
                                        .window = 65535,
                                        .payload_bytes = length,
                                        .pattern_at = pattern_at};
  bench_segment_in(&bench, &segment);
}

static void streams_know_their_peer(void **state) {
  (void)state;
  start(NULL);
  bench_connect(&bench, 43210, 77);
  const struct ip_address peer = stream_peer_address(bench.streams[0].stream);
  assert_int_equal(ip_address_ipv4(&peer), BENCH_PEER_IPV4);
  assert_int_equal(stream_peer_port(bench.streams[0].stream), 43210);
  stop();
}

static void small_send_buffer(struct network_config *config) { config->send_buffer_bytes = 4096; }

static void a_cut_write_is_told_when_room_is_back(void **state) {
  (void)state;
  start(small_send_buffer);
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  struct bench_stream *app = &bench.streams[0];
  assert_int_equal(stream_write_room(app->stream), 4096);
  assert_int_equal(bench_write(app, 5000), 4096);
  assert_int_equal(stream_write_room(app->stream), 0);
  bench_flush(&bench);
  assert_int_equal(app->writable_calls, 0);
  data_in(40000, 78, iss + 1 + 1460, 0, 0);
  bench_flush(&bench);
  assert_int_equal(app->writable_calls, 1);
  assert_int_equal(stream_write_room(app->stream), 1460);
  /* Not cut, not told. */
  assert_int_equal(bench_write(app, 100), 100);
  data_in(40000, 78, iss + 1 + 4196, 0, 0);
  bench_flush(&bench);
  assert_int_equal(app->writable_calls, 1);
  stop();
}

static void tiny_send_pool(struct network_config *config) { config->send_pool_bytes = 2048; }

static void a_write_without_pool_is_told_when_another_gives_back(void **state) {
  (void)state;
  start(tiny_send_pool);
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  bench_connect(&bench, 40001, 77);
  struct bench_stream *first = &bench.streams[0], *second = &bench.streams[1];
  assert_int_equal(bench_write(first, 100), 100);
  assert_int_equal(bench_write(second, 100), 0);
  for (int i = 0; i < 3; i++) bench_flush(&bench);
  assert_int_equal(second->writable_calls, 0);
  data_in(40000, 78, iss + 101, 0, 0);
  bench_flush(&bench);
  bench_flush(&bench);
  assert_int_equal(second->writable_calls, 1);
  assert_int_equal(bench_write(second, 100), 100);
  stop();
}

static void small_send_pool(struct network_config *config) { config->send_pool_bytes = 32 * 2048; }

static void slow_readers_leave_the_pool_to_others(void **state) {
  (void)state;
  start(small_send_pool);
  uint32_t written[4], left = 32 * 2040;
  for (uint16_t i = 0; i < 4; i++) {
    (void)bench_connect(&bench, (uint16_t)(40000 + i), 77);
    written[i] = bench_write(&bench.streams[i], UINT32_MAX);
    left -= written[i];
    /* Nobody acknowledges anything; still each gets as much as is left behind it, and asking again gives no more. */
    assert_true(written[i] + (3u + i) * 2040 >= left); /* but for blocks in part used */
    assert_int_equal(bench_write(&bench.streams[i], 100000), 0);
  }
  assert_true(left >= 2040);
  stop();
}

static void nothing_is_written_after_close(void **state) {
  (void)state;
  start(NULL);
  bench_connect(&bench, 40000, 77);
  struct bench_stream *app = &bench.streams[0];
  stream_close(app->stream);
  stream_close(app->stream);
  assert_int_equal(stream_write(app->stream, "x", 1), 0);
  assert_int_equal(stream_write_room(app->stream), 0);
  stream_abort(app->stream, bench.now_ns);
  assert_true(app->closed);
  assert_int_equal(app->end, STREAM_END_ABORTED);
  assert_int_equal(bench.closed, 1);
  stop();
}

static void tiny_receive_pool(struct network_config *config) { config->receive_pool_bytes = 4096; }

static void sixteen_blocks(struct network_config *config) { config->receive_pool_bytes = 16 * 2048; }

static void bytes_in_order_push_out_early_ones(void **state) {
  (void)state;
  start(sixteen_blocks);
  bench.take_most = 0;
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  struct bench_stream *app = &bench.streams[0];
  data_in(40000, 78 + 5000, iss + 1, 100, 5000);
  assert_int_equal(counters()->tcp_out_of_order, 1);
  /* Others hold the rest of the pool. */
  for (uint16_t i = 1; i <= 15; i++)
    data_in((uint16_t)(40000 + i), 78, bench_connect(&bench, (uint16_t)(40000 + i), 77) + 1, 10, 0);
  data_in(40000, 78, iss + 1, 1000, 0);
  assert_int_equal(counters()->tcp_out_of_order_dropped, 1);
  assert_int_equal(counters()->tcp_window_overrun_bytes, 0);
  /* No more to push out: what finds no block is not acknowledged. */
  data_in(40000, 1078, iss + 1, 1400, 1000);
  assert_int_equal(counters()->tcp_window_overrun_bytes, 2400 - 2016);
  app->take_most = UINT32_MAX;
  stream_resume(app->stream);
  bench_flush(&bench);
  assert_int_equal(app->received, 2016);
  assert_false(app->corrupt);
  stop();
}

static void positions_move_on_while_bytes_are_always_held(void **state) {
  (void)state;
  start(NULL);
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  struct bench_stream *app = &bench.streams[0];
  app->take_most = 999;
  uint32_t sent = 0;
  for (; sent < 5000000; sent += 1000) {
    data_in(40000, 78 + sent, iss + 1, 1000, sent);
    stream_resume(app->stream);
    bench_flush(&bench);
    bench.seen = bench.sent;
  }
  app->take_most = UINT32_MAX;
  stream_resume(app->stream);
  bench_flush(&bench);
  assert_int_equal(app->received, sent);
  assert_false(app->corrupt);
  stop();
}

static void a_full_pool_does_not_stop_bytes_in_order(void **state) {
  (void)state;
  start(tiny_receive_pool);
  const uint32_t holder = bench_connect(&bench, 40000, 77), taker = bench_connect(&bench, 40001, 77);
  bench.streams[0].take_most = 0;
  data_in(40000, 78, holder + 1, 1460, 0);
  data_in(40000, 78 + 1460, holder + 1, 1460, 1460);
  bench_flush(&bench);
  for (uint32_t i = 0; i < 50; i++) {
    data_in(40001, 78 + i * 1000, taker + 1, 1000, i * 1000);
    bench_flush(&bench);
  }
  assert_int_equal(bench.streams[1].received, 50000);
  stop();
}

static void big_table(struct network_config *config) {
  config->connections_max = 50000;
  config->half_open_max = 1000;
}

static void *count_opened(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns) {
  (void)stream;
  (void)local_port;
  (void)now_ns;
  ++*(uint32_t *)context;
  return context;
}
static uint32_t count_received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  (void)bytes;
  (void)now_ns;
  *(uint32_t *)state += length << 16;
  return length;
}
static void count_event(void *state, uint64_t now_ns) {
  (void)state;
  (void)now_ns;
}
static void count_closed(void *state, enum stream_end end, uint64_t now_ns) {
  (void)end;
  (void)now_ns;
  --*(uint32_t *)state;
}

static void fifty_thousand_connections_live_side_by_side(void **state) {
  (void)state;
  start(big_table);
  uint32_t live = 0;
  bench.handler = (struct stream_handler){.context = &live,
                                          .opened = count_opened,
                                          .received = count_received,
                                          .peer_finished = count_event,
                                          .writable = count_event,
                                          .closed = count_closed};
  for (uint32_t i = 0; i < 50000; i++) bench_connect(&bench, (uint16_t)(1024 + i), i * 1000);
  assert_int_equal(live, 50000);
  assert_int_equal(counters()->tcp_connections, 50000);
  assert_int_equal(counters()->tcp_half_open, 0);
  for (uint32_t i = 0; i < 50000; i++) {
    const struct bench_segment reset = {.peer_port = (uint16_t)(1024 + i), .seq = i * 1000 + 1, .flags = 0x04};
    bench_segment_in(&bench, &reset);
  }
  assert_int_equal(live, 0);
  assert_int_equal(counters()->tcp_closed_by_end[STREAM_END_RESET], 50000);
  assert_true(network_pools_full(bench.network));
  stop();
}

static uint64_t taken_bytes;

static void *take_counted(void *context, size_t bytes, size_t alignment) {
  taken_bytes += (bytes + alignment - 1) / alignment * alignment;
  return arena_take(heap_arena_arena(context), bytes, alignment);
}

static uint64_t network_bytes(uint32_t connections) {
  struct network_config config;
  struct heap_arena *heap = heap_arena_create();
  struct arena arena = {.take = take_counted, .context = heap};
  bench_default_config(&config);
  config.connections_max = connections;
  taken_bytes = 0;
  assert_non_null(network_create(&arena, &config, 0));
  heap_arena_destroy(heap);
  return taken_bytes;
}

/* docs/tcp-profile.md, "Memory": what a million connections take follows from what these do. */
static void a_connection_takes_328_bytes_and_no_more(void **state) {
  (void)state;
  assert_int_equal(network_bytes(1u << 17) - network_bytes(1u << 16), (uint64_t)(320 + 8) << 16);
}

static void isn_moves_on_with_time_and_differs_by_connection(void **state) {
  (void)state;
  start(NULL);
  const uint32_t first = bench_connect(&bench, 40000, 1);
  const struct bench_segment reset = {.peer_port = 40000, .seq = 2, .flags = 0x04};
  bench_segment_in(&bench, &reset);
  bench_pass(&bench, 400000000);
  const uint32_t again = bench_connect(&bench, 40000, 1);
  /* RFC 6528: the clock of 4 us, the same hash. */
  assert_int_equal(again - first, 100000);
  const uint32_t other = bench_connect(&bench, 40001, 1);
  assert_true(other - again > 1000000 && again - other > 1000000);
  stop();
}

static void stuck_handler(struct network_config *config) { config->receive_buffer_bytes = 8192; }

static void resuming_without_taking_does_not_spin(void **state) {
  (void)state;
  start(stuck_handler);
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  struct bench_stream *app = &bench.streams[0];
  app->take_most = 0;
  data_in(40000, 78, iss + 1, 1000, 0);
  bench_flush(&bench);
  const uint32_t calls = app->calls;
  for (int i = 0; i < 10; i++) {
    stream_resume(app->stream);
    bench_flush(&bench);
  }
  assert_int_equal(app->calls, calls + 10);
  app->take_most = UINT32_MAX;
  bench_flush(&bench);
  assert_int_equal(app->received, 0);
  stream_resume(app->stream);
  bench_flush(&bench);
  assert_int_equal(app->received, 1000);
  stop();
}

static void a_pause_bounds_what_is_held(void **state) {
  (void)state;
  start(stuck_handler);
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  network_pause_receiving(bench.network, true);
  uint32_t sent = 0;
  struct bench_segment answer = {.window = 8192};
  /* A peer that fills every window it is told. */
  for (int i = 0; i < 100 && answer.window; i++) {
    const uint32_t length = answer.window < 700 ? answer.window : 700;
    data_in(40000, 78 + sent, iss + 1, length, sent);
    bench_flush(&bench);
    sent += length;
    assert_true(bench_next_segment(&bench, &answer));
    assert_int_equal(answer.ack, 78 + sent);
  }
  assert_int_equal(sent, 8192);
  assert_int_equal(bench.streams[0].calls, 0);
  network_pause_receiving(bench.network, false);
  bench_flush(&bench);
  assert_int_equal(bench.streams[0].received, 8192);
  assert_false(bench.streams[0].corrupt);
  assert_true(bench_next_segment(&bench, &answer));
  assert_int_equal(answer.window, 8192);
  stop();
}

static void a_burst_beyond_the_promised_window_is_cut(void **state) {
  (void)state;
  start(NULL);
  const uint32_t iss = bench_connect(&bench, 40000, 77);
  for (uint32_t i = 0; i < 200; i++) data_in(40000, 78 + i * 1000, iss + 1, 1000, i * 1000);
  bench_flush(&bench);
  assert_int_equal(bench.streams[0].received, 65000 + 535);
  assert_true(counters()->tcp_window_overrun_bytes > 0);
  stop();
}

/* A SYN with timestamps; returns the value of ours in the SYN-ACK, and its sequence number. */
static uint32_t timestamp_syn(uint16_t port, uint32_t seq, uint32_t value, uint32_t *iss) {
  struct bench_segment segment = {
      .peer_port = port,
      .seq = seq,
      .flags = 0x02,
      .window = 65535,
      .options = {1, 1, 8, 10, (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value},
      .options_bytes = 12};
  bench.seen = bench.sent;
  bench_segment_in(&bench, &segment);
  struct bench_segment answer;
  assert_true(bench_next_segment(&bench, &answer));
  assert_int_equal(answer.flags, 0x12);
  assert_int_equal(answer.options_bytes, 16);
  *iss = answer.seq;
  const uint8_t *ours = answer.options + 8;
  return (uint32_t)ours[0] << 24 | (uint32_t)ours[1] << 16 | (uint32_t)ours[2] << 8 | ours[3];
}

static void timestamp_data(uint16_t port, uint32_t seq, uint32_t iss, uint32_t value, uint32_t length, uint32_t pattern_at) {
  const struct bench_segment segment = {
      .peer_port = port,
      .seq = seq,
      .ack = iss + 1,
      .flags = 0x10,
      .window = 65535,
      .options = {1, 1, 8, 10, (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value},
      .options_bytes = 12,
      .payload_bytes = length,
      .pattern_at = pattern_at};
  bench_segment_in(&bench, &segment);
  bench_flush(&bench);
}

static void never_idle(struct network_config *config) { config->idle_timeout_ns = 0; }

/* RFC 7323 section 5.5: after 24 days the peer's clock may have come round. */
static void after_24_days_any_timestamp_is_taken(void **state) {
  (void)state;
  start(never_idle);
  uint32_t iss;
  timestamp_syn(40000, 77, 3000000000u, &iss);
  timestamp_data(40000, 78, iss, 3000000000u, 10, 0);
  const uint64_t day_ns = 86400ull * 1000000000;
  bench.now_ns += 23 * day_ns;
  timestamp_data(40000, 88, iss, 2999999999u, 10, 10);
  assert_int_equal(bench.streams[0].received, 10);
  assert_int_equal(counters()->tcp_paws_dropped, 1);
  bench.now_ns += 2 * day_ns;
  timestamp_data(40000, 88, iss, 2999999999u, 10, 10);
  assert_int_equal(bench.streams[0].received, 20);
  stop();
}

/* RFC 7323 section 7.1: nobody learns our uptime, or one connection's clock from another's; a connection's own goes on. */
static void timestamp_clocks_differ_by_connection(void **state) {
  (void)state;
  start(NULL);
  uint32_t iss;
  const uint32_t first = timestamp_syn(40000, 77, 1, &iss);
  const uint32_t other = timestamp_syn(40001, 77, 1, &iss);
  assert_true(first - other > 100000 && other - first > 100000);
  const struct bench_segment reset = {.peer_port = 40000, .seq = 78, .flags = 0x04};
  bench_segment_in(&bench, &reset);
  bench_pass(&bench, 500000000);
  assert_int_equal(timestamp_syn(40000, 900, 501, &iss) - first, 500);
  stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(streams_know_their_peer),
      cmocka_unit_test(a_cut_write_is_told_when_room_is_back),
      cmocka_unit_test(a_write_without_pool_is_told_when_another_gives_back),
      cmocka_unit_test(slow_readers_leave_the_pool_to_others),
      cmocka_unit_test(nothing_is_written_after_close),
      cmocka_unit_test(bytes_in_order_push_out_early_ones),
      cmocka_unit_test(positions_move_on_while_bytes_are_always_held),
      cmocka_unit_test(a_full_pool_does_not_stop_bytes_in_order),
      cmocka_unit_test(fifty_thousand_connections_live_side_by_side),
      cmocka_unit_test(a_connection_takes_328_bytes_and_no_more),
      cmocka_unit_test(isn_moves_on_with_time_and_differs_by_connection),
      cmocka_unit_test(resuming_without_taking_does_not_spin),
      cmocka_unit_test(a_pause_bounds_what_is_held),
      cmocka_unit_test(a_burst_beyond_the_promised_window_is_cut),
      cmocka_unit_test(after_24_days_any_timestamp_is_taken),
      cmocka_unit_test(timestamp_clocks_differ_by_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
