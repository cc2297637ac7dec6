/* What the layer does to frames, over the simulated port with a clean wire: every frame's whereabouts, its bytes and its time. */
#include "impaired_queue.h"
#include "sim_wire_test.h"
#include <stdlib.h>

static uint64_t now_ns;
static uint64_t virtual_clock(void) { return now_ns; }

struct layer {
  struct bench bench;
  struct driver_queue *queue;
};

static struct impaired_config clean(void) {
  return (struct impaired_config){
      .seed = 5, .frame_bytes = 1514, .store_frames = 256, .late_ns = 1000000, .clock_ns = virtual_clock};
}

static struct layer layer_create(const struct impaired_config *config) {
  struct sim_wire_config wire = plain_config();
  wire.queues = 1;
  for (int i = 0; i < SIM_DIRECTIONS; i++) wire.impairment[i].delay_ns = 0;
  struct layer layer = {.bench = bench_create(&wire)};
  now_ns = 0;
  layer.queue = impaired_queue_create(heap_arena_arena(layer.bench.heap), sim_wire_queue(layer.bench.wire, 0), config);
  assert_non_null(layer.queue);
  return layer;
}

static void check_conserved(const struct layer *layer) {
  for (int i = 0; i < IMPAIRED_DIRECTIONS; i++) {
    const struct impaired_counters at = impaired_queue_read(layer->queue, (enum impaired_direction)i);
    assert_int_equal(at.offered + at.duplicated, at.lost + at.no_room + at.passed_on + at.waiting);
  }
  assert_true(sim_wire_conserved(layer->bench.wire));
}

static void layer_destroy(struct layer *layer) {
  check_conserved(layer);
  bench_destroy(&layer->bench);
}

static void offer(struct layer *layer, uint32_t first, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) send_number(&layer->bench, 7, first + i);
  sim_wire_advance(layer->bench.wire, now_ns);
}

/* All that comes, until the port is empty and nothing is due, in order; each frame's bytes must be those that were sent. */
static uint32_t receive_all(struct layer *layer, uint32_t *numbers, uint32_t room) {
  struct driver_frame frames[16];
  uint32_t total = 0;
  const struct sim_wire_counters *wire = sim_wire_counters(layer->bench.wire, SIM_TO_APPLIANCE);
  for (uint32_t got = 1; got > 0 || wire->waiting > 0;) {
    got = layer->queue->operations->receive(layer->queue, frames, 16);
    for (uint32_t i = 0; i < got; i++) {
      uint8_t expected[FLOW_FRAME_BYTES];
      const uint32_t number = number_in(frames[i].bytes);
      flow_frame(expected, 7, number, false);
      assert_int_equal(frames[i].length, sizeof expected);
      assert_memory_equal(frames[i].bytes, expected, sizeof expected);
      assert_true(total < room);
      numbers[total++] = number;
    }
    if (got) layer->queue->operations->release(layer->queue, frames, got);
  }
  return total;
}

static void send_frame(struct layer *layer, uint32_t number) {
  struct driver_frame frame;
  assert_true(layer->queue->operations->take(layer->queue, &frame));
  flow_frame(frame.bytes, 7, number, true);
  memcpy(frame.bytes, (const uint8_t[]){2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 1}, 12);
  frame.length = FLOW_FRAME_BYTES;
  layer->queue->operations->send(layer->queue, &frame, 0);
}

static uint32_t peer_receives(struct layer *layer, uint32_t *numbers, uint32_t room) {
  uint8_t bytes[2048];
  uint32_t total = 0;
  layer->queue->operations->flush(layer->queue);
  sim_wire_advance(layer->bench.wire, now_ns);
  while (sim_wire_peer_receive(layer->bench.wire, 0, bytes, sizeof bytes)) {
    assert_true(total < room);
    numbers[total++] = number_in(bytes);
  }
  return total;
}

static void without_impairment_frames_pass(void **state) {
  (void)state;
  const struct impaired_config config = clean();
  struct layer layer = layer_create(&config);
  uint32_t numbers[100];
  offer(&layer, 0, 100);
  assert_int_equal(receive_all(&layer, numbers, 100), 100);
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(numbers[i], i);
  for (uint32_t i = 0; i < 100; i++) send_frame(&layer, i);
  assert_int_equal(peer_receives(&layer, numbers, 100), 100);
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(numbers[i], i);
  const struct driver_queue_counters *counters = layer.queue->operations->counters(layer.queue);
  assert_int_equal(counters->received, 100);
  assert_int_equal(counters->received_bytes, 100 * FLOW_FRAME_BYTES);
  assert_int_equal(counters->sent, 100);
  layer_destroy(&layer);
}

static void what_is_lost_is_given_back_and_counted(void **state) {
  (void)state;
  struct impaired_config config = clean();
  config.loss_ppm = config.duplicate_ppm = config.reorder_ppm = 1000000;
  struct layer layer = layer_create(&config);
  uint32_t numbers[1];
  for (uint32_t round = 0; round < 100; round++) {
    offer(&layer, 0, 100); /* more in all than the port has frames */
    assert_int_equal(receive_all(&layer, numbers, 0), 0);
    send_frame(&layer, 0);
    assert_int_equal(peer_receives(&layer, numbers, 0), 0);
    now_ns += 10000000;
  }
  assert_int_equal(impaired_queue_read(layer.queue, IMPAIRED_RECEIVE).lost, 10000);
  assert_int_equal(impaired_queue_read(layer.queue, IMPAIRED_SEND).lost, 100);
  assert_int_equal(layer.queue->operations->counters(layer.queue)->received, 0);
  layer_destroy(&layer);
}

static void a_duplicate_comes_later_and_is_alike(void **state) {
  (void)state;
  struct impaired_config config = clean();
  config.duplicate_ppm = 1000000;
  struct layer layer = layer_create(&config);
  uint32_t numbers[200], seen[100] = {0};
  offer(&layer, 0, 100);
  assert_int_equal(receive_all(&layer, numbers, 200), 100);
  now_ns = config.late_ns;
  const uint32_t late = receive_all(&layer, numbers + 100, 100);
  assert_int_equal(late, 100);
  for (uint32_t i = 0; i < 200; i++) seen[numbers[i]]++;
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(seen[i], 2);
  layer_destroy(&layer);
}

static void a_delay_keeps_order(void **state) {
  (void)state;
  struct impaired_config config = clean();
  config.delay_ns = 20000000;
  struct layer layer = layer_create(&config);
  uint32_t numbers[200];
  offer(&layer, 0, 50);
  for (uint32_t i = 0; i < 50; i++) send_frame(&layer, i);
  assert_int_equal(receive_all(&layer, numbers, 0), 0);
  now_ns = 10000000;
  offer(&layer, 50, 50);
  assert_int_equal(receive_all(&layer, numbers, 0), 0);
  now_ns = 19999999;
  assert_int_equal(receive_all(&layer, numbers, 0), 0);
  assert_int_equal(peer_receives(&layer, numbers, 0), 0);
  now_ns = 20000000;
  assert_int_equal(receive_all(&layer, numbers, 200), 50);
  assert_int_equal(peer_receives(&layer, numbers + 100, 100), 50);
  for (uint32_t i = 0; i < 50; i++) assert_int_equal(numbers[100 + i], i);
  now_ns = 30000000;
  assert_int_equal(receive_all(&layer, numbers + 50, 50), 50);
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(numbers[i], i);
  assert_int_equal(impaired_queue_read(layer.queue, IMPAIRED_SEND).waiting, 0);
  layer_destroy(&layer);
}

static void reordered_frames_are_overtaken_and_none_is_missing(void **state) {
  (void)state;
  struct impaired_config config = clean();
  config.reorder_ppm = 300000;
  struct layer layer = layer_create(&config);
  uint32_t numbers[200], seen[200] = {0}, overtaken = 0;
  offer(&layer, 0, 200);
  const uint32_t at_once = receive_all(&layer, numbers, 200);
  assert_in_range(at_once, 100, 180);
  uint32_t total = at_once;
  now_ns = config.late_ns;
  total += receive_all(&layer, numbers + total, 200 - total);
  assert_int_equal(total, 200);
  for (uint32_t i = 0; i < 200; i++) seen[numbers[i]]++;
  for (uint32_t i = 0; i < 200; i++) assert_int_equal(seen[i], 1);
  for (uint32_t i = 1; i < 200; i++) overtaken += numbers[i] < numbers[i - 1];
  assert_true(overtaken > 10);
  assert_int_equal(impaired_queue_read(layer.queue, IMPAIRED_RECEIVE).reordered, 200 - at_once);
  layer_destroy(&layer);
}

static void a_full_store_loses_and_counts(void **state) {
  (void)state;
  struct impaired_config config = clean();
  config.delay_ns = 1000;
  config.store_frames = 32;
  struct layer layer = layer_create(&config);
  uint32_t numbers[100];
  offer(&layer, 0, 100);
  assert_int_equal(receive_all(&layer, numbers, 0), 0);
  now_ns = 1000;
  assert_int_equal(receive_all(&layer, numbers, 100), 32);
  for (uint32_t i = 0; i < 32; i++) assert_int_equal(numbers[i], i);
  const struct impaired_counters at = impaired_queue_read(layer.queue, IMPAIRED_RECEIVE);
  assert_int_equal(at.offered, 100);
  assert_int_equal(at.no_room, 68);
  layer_destroy(&layer);
}

/* The numbers that arrive of `count` frames under a seed. */
static uint32_t survivors(uint64_t seed, uint32_t count, uint8_t *arrived) {
  struct impaired_config config = clean();
  config.seed = seed;
  config.loss_ppm = 100000;
  struct layer layer = layer_create(&config);
  uint32_t numbers[1000], total = 0;
  memset(arrived, 0, count);
  for (uint32_t i = 0; i < count; i += 500) {
    offer(&layer, i, 500);
    const uint32_t got = receive_all(&layer, numbers, 1000);
    for (uint32_t j = 0; j < got; j++) arrived[numbers[j]] = 1;
    total += got;
  }
  layer_destroy(&layer);
  return total;
}

static void fates_follow_from_the_seed(void **state) {
  (void)state;
  static uint8_t first[20000], again[20000], other[20000];
  const uint32_t arrived = survivors(1, 20000, first);
  assert_in_range(arrived, 17700, 18300); /* 10 % loss: 18,000, sigma 42 */
  assert_int_equal(survivors(1, 20000, again), arrived);
  assert_memory_equal(first, again, sizeof first);
  survivors(2, 20000, other);
  assert_memory_not_equal(first, other, sizeof first);
}

static void without_a_buffer_a_due_frame_waits(void **state) {
  (void)state;
  struct impaired_config config = clean();
  config.delay_ns = 1000;
  struct layer layer = layer_create(&config);
  struct driver_frame *held = calloc(4096, sizeof *held);
  uint32_t count = 0, numbers[4];
  offer(&layer, 0, 3);
  receive_all(&layer, numbers, 0);
  while (layer.queue->operations->take(layer.queue, &held[count])) count++;
  now_ns = 1000;
  assert_int_equal(receive_all(&layer, numbers, 0), 0);
  assert_int_equal(impaired_queue_read(layer.queue, IMPAIRED_RECEIVE).waiting, 3);
  layer.queue->operations->release(layer.queue, held, count);
  free(held);
  assert_int_equal(receive_all(&layer, numbers, 4), 3);
  layer_destroy(&layer);
}

static void no_memory_is_told(void **state) {
  (void)state;
  for (unsigned takes = 0; takes < 7; takes++) {
    struct heap_arena *heap = heap_arena_create();
    heap_arena_limit(heap, takes);
    const struct impaired_config config = clean();
    struct driver_queue inner = {0};
    assert_null(impaired_queue_create(heap_arena_arena(heap), &inner, &config));
    heap_arena_destroy(heap);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_impairment_frames_pass),
      cmocka_unit_test(what_is_lost_is_given_back_and_counted),
      cmocka_unit_test(a_duplicate_comes_later_and_is_alike),
      cmocka_unit_test(a_delay_keeps_order),
      cmocka_unit_test(reordered_frames_are_overtaken_and_none_is_missing),
      cmocka_unit_test(a_full_store_loses_and_counts),
      cmocka_unit_test(fates_follow_from_the_seed),
      cmocka_unit_test(without_a_buffer_a_due_frame_waits),
      cmocka_unit_test(no_memory_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
