#include "sim_wire_test.h"

static void frames_arrive_in_order_when_due(void **state) {
  (void)state;
  struct sim_wire_config config = plain_config();
  config.queues = 1;
  struct bench bench = bench_create(&config);
  uint32_t number;
  for (uint32_t i = 0; i < 100; i++) {
    sim_wire_advance(bench.wire, i * 10);
    send_number(&bench, 1, i);
  }
  assert_int_equal(sim_wire_next_ns(bench.wire), 1000);
  sim_wire_advance(bench.wire, 999);
  assert_false(receive_number(&bench, 0, &number));
  sim_wire_advance(bench.wire, 1000 + 49 * 10);
  for (uint32_t i = 0; i < 50; i++) {
    assert_true(receive_number(&bench, 0, &number));
    assert_int_equal(number, i);
  }
  assert_false(receive_number(&bench, 0, &number));
  assert_int_equal(sim_wire_next_ns(bench.wire), 1500);
  sim_wire_advance(bench.wire, 5000);
  for (uint32_t i = 50; i < 100; i++) {
    assert_true(receive_number(&bench, 0, &number));
    assert_int_equal(number, i);
  }
  assert_int_equal(sim_wire_next_ns(bench.wire), UINT64_MAX);
  assert_true(sim_wire_conserved(bench.wire));
  bench_destroy(&bench);
}

/* Each chance alone, over 20,000 frames: within five standard deviations of what was asked. */
static void chances_are_what_was_asked(void **state) {
  (void)state;
  struct sim_wire_config config = plain_config();
  config.impairment[SIM_TO_APPLIANCE] = (struct sim_impairment){
      .loss_ppm = 50000, .duplicate_ppm = 50000, .reorder_ppm = 50000, .corrupt_ppm = 50000, .delay_ns = 10, .reorder_ns = 50};
  config.queues = 1;
  struct bench bench = bench_create(&config);
  uint32_t number, received = 0, changed = 0, out_of_order = 0, highest = 0;
  for (uint32_t i = 0; i < 20000; i++) {
    sim_wire_advance(bench.wire, i * 10);
    send_number(&bench, 1, i);
    struct driver_queue *queue = sim_wire_queue(bench.wire, 0);
    for (struct driver_frame frame; queue->operations->receive(queue, &frame, 1);) {
      uint8_t wanted[FLOW_FRAME_BYTES];
      number = number_in(frame.bytes);
      flow_frame(wanted, 1, number, false);
      if (number > i || memcmp(wanted, frame.bytes, sizeof wanted) != 0)
        changed++;
      else if (number < highest)
        out_of_order++;
      else
        highest = number;
      received++;
      queue->operations->release(queue, &frame, 1);
    }
    assert_true(sim_wire_conserved(bench.wire));
  }
  const struct sim_wire_counters *counters = sim_wire_counters(bench.wire, SIM_TO_APPLIANCE);
  const uint32_t low = 1000 - 5 * 31, high = 1000 + 5 * 31;
  assert_in_range(counters->lost, low, high);
  assert_in_range(counters->duplicated, low - 50, high);
  assert_in_range(counters->reordered, low - 50, high);
  assert_in_range(counters->corrupted, low - 50, high);
  assert_int_equal(counters->received, received);
  assert_in_range(changed, low - 100, high); /* a flip may hit the number itself and pass for another frame */
  assert_true(out_of_order > 500);
  bench_destroy(&bench);
}

static uint64_t trace_of(uint64_t seed) {
  struct sim_wire_config config = plain_config();
  config.seed = seed;
  config.spread = SIM_SPREAD_RANDOM;
  for (int i = 0; i < SIM_DIRECTIONS; i++)
    config.impairment[i] = (struct sim_impairment){.loss_ppm = 50000,
                                                   .duplicate_ppm = 20000,
                                                   .reorder_ppm = 30000,
                                                   .corrupt_ppm = 10000,
                                                   .delay_ns = 5000,
                                                   .jitter_ns = 3000,
                                                   .reorder_ns = 9000};
  struct bench bench = bench_create(&config);
  uint64_t trace = 14695981039346656037u;
  for (uint32_t i = 0; i < 500; i++) {
    sim_wire_advance(bench.wire, i * 1000);
    send_number(&bench, (uint16_t)(i % 7), i);
    for (uint16_t queue = 0; queue < 4; queue++)
      for (uint32_t number; receive_number(&bench, queue, &number);)
        trace = (trace ^ (number + queue * 77u + i)) * 1099511628211u;
  }
  bench_destroy(&bench);
  return trace;
}

static void a_seed_repeats_itself_and_no_other(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++) {
    assert_int_equal(trace_of(seed), trace_of(seed));
    assert_int_not_equal(trace_of(seed), trace_of(seed + 1));
  }
}

static void a_full_queue_misses_and_counts(void **state) {
  (void)state;
  struct sim_wire_config config = plain_config();
  config.queue_depth = 8;
  config.queues = 1;
  struct bench bench = bench_create(&config);
  for (uint32_t i = 0; i < 20; i++) send_number(&bench, 1, i);
  sim_wire_advance(bench.wire, 1000);
  const struct sim_wire_counters *counters = sim_wire_counters(bench.wire, SIM_TO_APPLIANCE);
  assert_int_equal(counters->missed, 12);
  assert_int_equal(counters->waiting, 8);
  struct driver_port_counters port;
  sim_wire_port_counters(bench.wire, &port);
  assert_int_equal(port.missed, 12);
  assert_true(sim_wire_conserved(bench.wire));
  uint32_t number;
  for (uint32_t i = 0; i < 8; i++) {
    assert_true(receive_number(&bench, 0, &number));
    assert_int_equal(number, i);
  }
  assert_false(receive_number(&bench, 0, &number));
  bench_destroy(&bench);
}

static void a_spent_pool_refuses_and_recovers(void **state) {
  (void)state;
  struct sim_wire_config config = plain_config();
  config.frames = 10;
  config.queues = 1;
  struct bench bench = bench_create(&config);
  for (uint32_t i = 0; i < 10; i++) send_number(&bench, 1, i);
  uint8_t bytes[FLOW_FRAME_BYTES];
  flow_frame(bytes, 1, 11, false);
  assert_false(sim_wire_peer_send(bench.wire, 0, bytes, sizeof bytes));
  assert_int_equal(sim_wire_counters(bench.wire, SIM_TO_APPLIANCE)->no_buffer, 1);
  assert_true(sim_wire_conserved(bench.wire));
  sim_wire_advance(bench.wire, 1000);
  uint32_t number;
  assert_true(receive_number(&bench, 0, &number));
  assert_true(sim_wire_peer_send(bench.wire, 0, bytes, sizeof bytes));
  assert_true(sim_wire_conserved(bench.wire));
  static uint8_t too_long[1515];
  assert_false(sim_wire_peer_send(bench.wire, 0, too_long, sizeof too_long));
  bench_destroy(&bench);
}

static void create_refuses_what_cannot_be(void **state) {
  (void)state;
  struct sim_wire_config config = plain_config();
  unsigned takes = 0;
  for (; takes < 100; takes++) { /* every allocation that fails is reported */
    struct heap_arena *heap = heap_arena_create();
    heap_arena_limit(heap, takes);
    const struct sim_wire *wire = sim_wire_create(heap_arena_arena(heap), &config);
    heap_arena_destroy(heap);
    if (wire) break;
  }
  assert_int_equal(takes, 4 + config.queues + config.peers);
  struct heap_arena *heap = heap_arena_create();
  config.queues = 0;
  assert_null(sim_wire_create(heap_arena_arena(heap), &config));
  config = plain_config();
  config.peers = SIM_PEERS_MAX + 1;
  assert_null(sim_wire_create(heap_arena_arena(heap), &config));
  heap_arena_destroy(heap);
}

/* Any mix of senders, receivers and pauses: nothing is made and nothing vanishes. */
static void frames_are_conserved_over_many_seeds(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 200; seed++) {
    struct sim_wire_config config = plain_config();
    config.seed = seed;
    config.frames = 64 + (uint32_t)(seed % 64);
    config.queue_depth = 16;
    config.spread = (enum sim_spread)(seed % 4);
    for (int i = 0; i < SIM_DIRECTIONS; i++)
      config.impairment[i] = (struct sim_impairment){.loss_ppm = 50000,
                                                     .duplicate_ppm = 50000,
                                                     .reorder_ppm = 50000,
                                                     .corrupt_ppm = 1000,
                                                     .delay_ns = 2000,
                                                     .jitter_ns = 500,
                                                     .reorder_ns = 4000};
    struct bench bench = bench_create(&config);
    struct driver_frame held[32];
    uint32_t holding = 0;
    for (uint32_t step = 0; step < 400; step++) {
      sim_wire_advance(bench.wire, step * 100);
      uint8_t bytes[FLOW_FRAME_BYTES];
      flow_frame(bytes, (uint16_t)(step % 11), step, false);
      sim_wire_peer_send(bench.wire, (uint16_t)(step & 1), bytes, sizeof bytes);
      struct driver_queue *queue = sim_wire_queue(bench.wire, (uint16_t)(step % 4));
      holding += queue->operations->receive(queue, held + holding, 32 - holding);
      struct driver_frame answer;
      if (step % 3 == 0 && queue->operations->take(queue, &answer)) {
        static const uint8_t destinations[4][6] = {
            {2, 0, 0, 0, 1, 0}, {2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 9, 9}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
        memcpy(answer.bytes, destinations[step % 4], 6);
        answer.length = 60;
        queue->operations->send(queue, &answer, 0);
      }
      if (step % 7 == 0) { /* through another queue of the port than they came by */
        queue->operations->release(queue, held, holding);
        holding = 0;
      }
      if (step % 5 == 0) sim_wire_peer_receive(bench.wire, (uint16_t)(step % 2), bytes, sizeof bytes);
      if (step % 50 == 0) sim_wire_block_queue(bench.wire, (uint16_t)(step / 50 % 4), step % 100 == 0);
      assert_true(sim_wire_conserved(bench.wire));
    }
    bench_destroy(&bench);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frames_arrive_in_order_when_due),      cmocka_unit_test(chances_are_what_was_asked),
      cmocka_unit_test(a_seed_repeats_itself_and_no_other),   cmocka_unit_test(a_full_queue_misses_and_counts),
      cmocka_unit_test(a_spent_pool_refuses_and_recovers),    cmocka_unit_test(create_refuses_what_cannot_be),
      cmocka_unit_test(frames_are_conserved_over_many_seeds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
