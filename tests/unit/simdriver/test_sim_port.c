#include "sim_wire_test.h"

static uint32_t queue_of_flow(struct bench *bench, uint16_t flow, bool reverse) {
  uint8_t bytes[FLOW_FRAME_BYTES];
  flow_frame(bytes, flow, 0, reverse);
  assert_true(sim_wire_peer_send(bench->wire, 0, bytes, sizeof bytes));
  const uint64_t now = sim_wire_next_ns(bench->wire);
  sim_wire_advance(bench->wire, now);
  for (uint16_t queue = 0; queue < 4; queue++)
    for (uint32_t number; receive_number(bench, queue, &number);) return queue;
  fail_msg("the frame is nowhere");
  return 0;
}

static void hash_keeps_a_flow_on_one_queue(void **state) {
  (void)state;
  const struct sim_wire_config config = plain_config();
  struct bench bench = bench_create(&config);
  uint32_t used[4] = {0};
  for (uint16_t flow = 1; flow <= 400; flow++) {
    const uint32_t queue = queue_of_flow(&bench, flow, false);
    used[queue]++;
    assert_int_equal(queue_of_flow(&bench, flow, false), queue);
    assert_int_equal(queue_of_flow(&bench, flow, true), queue);
  }
  for (int i = 0; i < 4; i++) assert_in_range(used[i], 50, 150);
  struct driver_port_information information;
  sim_wire_information(bench.wire, &information);
  assert_true(information.flow_steering);
  bench_destroy(&bench);
}

static void rounds_bring_a_flow_to_every_queue(void **state) {
  (void)state;
  struct sim_wire_config config = plain_config();
  config.spread = SIM_SPREAD_ROUND;
  struct bench bench = bench_create(&config);
  for (uint32_t i = 0; i < 12; i++) assert_int_equal(queue_of_flow(&bench, 7, false), i % 4);
  struct driver_port_information information;
  sim_wire_information(bench.wire, &information);
  assert_false(information.flow_steering);
  bench_destroy(&bench);
}

static void a_full_queue_rolls_over(void **state) {
  (void)state;
  struct sim_wire_config config = plain_config();
  config.spread = SIM_SPREAD_ROLLOVER;
  config.queue_depth = 8;
  struct bench bench = bench_create(&config);
  const uint32_t home = queue_of_flow(&bench, 7, false);
  const uint16_t next = (uint16_t)((home + 1) % 4);
  for (uint32_t i = 0; i < 12; i++) send_number(&bench, 7, i);
  sim_wire_advance(bench.wire, sim_wire_next_ns(bench.wire));
  uint32_t number;
  for (uint32_t i = 0; i < 8; i++) {
    assert_true(receive_number(&bench, (uint16_t)home, &number));
    assert_int_equal(number, i);
  }
  for (uint32_t i = 8; i < 12; i++) {
    assert_true(receive_number(&bench, next, &number));
    assert_int_equal(number, i);
  }
  /* As long as it is blocked it has no room at all. */
  sim_wire_block_queue(bench.wire, (uint16_t)home, true);
  assert_int_equal(queue_of_flow(&bench, 7, false), next);
  sim_wire_block_queue(bench.wire, (uint16_t)home, false);
  assert_int_equal(queue_of_flow(&bench, 7, false), home);
  /* All four full: missed. */
  for (uint32_t i = 0; i < 40; i++) send_number(&bench, 7, i);
  sim_wire_advance(bench.wire, sim_wire_next_ns(bench.wire));
  assert_int_equal(sim_wire_counters(bench.wire, SIM_TO_APPLIANCE)->missed, 8);
  bench_destroy(&bench);
}

static void send_to(struct bench *bench, const uint8_t mac[6], uint8_t mark) {
  struct driver_queue *queue = sim_wire_queue(bench->wire, 0);
  struct driver_frame frame;
  assert_true(queue->operations->take(queue, &frame));
  assert_int_equal(frame.length, 1514);
  memset(frame.bytes, mark, 1514);
  memcpy(frame.bytes, mac, 6);
  frame.length = 100u + mark;
  queue->operations->send(queue, &frame, 0);
  queue->operations->flush(queue);
}

static void frames_go_to_the_peer_addressed(void **state) {
  (void)state;
  const struct sim_wire_config config = plain_config();
  struct bench bench = bench_create(&config);
  static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, nobody[6] = {2, 0, 0, 0, 7, 7};
  send_to(&bench, config.peer_macs[1], 1);
  send_to(&bench, everyone, 2);
  send_to(&bench, nobody, 3);
  uint8_t bytes[1514];
  assert_int_equal(sim_wire_peer_receive(bench.wire, 1, bytes, sizeof bytes), 0);
  sim_wire_advance(bench.wire, 1000);
  assert_int_equal(sim_wire_peer_receive(bench.wire, 1, bytes, sizeof bytes), 101);
  assert_int_equal(bytes[100], 1);
  assert_int_equal(sim_wire_peer_receive(bench.wire, 1, bytes, sizeof bytes), 102);
  assert_int_equal(bytes[101], 2);
  assert_int_equal(sim_wire_peer_receive(bench.wire, 1, bytes, sizeof bytes), 0);
  assert_int_equal(sim_wire_peer_receive(bench.wire, 0, bytes, sizeof bytes), 102);
  assert_int_equal(sim_wire_peer_receive(bench.wire, 0, bytes, sizeof bytes), 0);
  const struct sim_wire_counters *counters = sim_wire_counters(bench.wire, SIM_TO_PEER);
  assert_int_equal(counters->no_peer, 1);
  assert_int_equal(counters->offered, 4);
  assert_int_equal(counters->received, 3);
  struct driver_queue *queue = sim_wire_queue(bench.wire, 0);
  assert_int_equal(queue->operations->counters(queue)->sent, 3);
  assert_int_equal(queue->operations->counters(queue)->sent_bytes, 101 + 102 + 103);
  assert_true(sim_wire_conserved(bench.wire));
  bench_destroy(&bench);
}

static void an_empty_pool_gives_no_frame(void **state) {
  (void)state;
  struct sim_wire_config config = plain_config();
  config.frames = 3;
  struct bench bench = bench_create(&config);
  struct driver_queue *queue = sim_wire_queue(bench.wire, 2), *other = sim_wire_queue(bench.wire, 3);
  struct driver_frame frames[4];
  for (int i = 0; i < 3; i++) assert_true(queue->operations->take(queue, &frames[i]));
  assert_false(queue->operations->take(queue, &frames[3]));
  assert_int_equal(queue->operations->counters(queue)->no_buffer, 1);
  other->operations->release(other, frames, 3); /* unsent, by another queue of the port */
  assert_true(sim_wire_conserved(bench.wire));
  assert_true(queue->operations->take(queue, &frames[0]));
  bench_destroy(&bench);
}

static void released_frames_are_overwritten(void **state) {
  (void)state;
  struct sim_wire_config config = plain_config();
  config.queues = 1;
  struct bench bench = bench_create(&config);
  send_number(&bench, 1, 5);
  sim_wire_advance(bench.wire, 1000);
  struct driver_queue *queue = sim_wire_queue(bench.wire, 0);
  struct driver_frame frame;
  assert_int_equal(queue->operations->receive(queue, &frame, 1), 1);
  const uint8_t *kept = frame.bytes;
  queue->operations->release(queue, &frame, 1);
  assert_int_equal(kept[0], 0xdd);
  bench_destroy(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hash_keeps_a_flow_on_one_queue), cmocka_unit_test(rounds_bring_a_flow_to_every_queue),
      cmocka_unit_test(a_full_queue_rolls_over),        cmocka_unit_test(frames_go_to_the_peer_addressed),
      cmocka_unit_test(an_empty_pool_gives_no_frame),   cmocka_unit_test(released_frames_are_overwritten),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
