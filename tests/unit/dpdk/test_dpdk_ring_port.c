/* A real EAL without hugepages and a loop-back port: what one of its queues sends, the same queue receives. */
#include "port_test.h"
#include <pthread.h>

#define BURST 64
static const uint8_t anyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const struct dpdk_port_config ring_config = {.name = "loop", .kind = DPDK_PORT_RING, .mtu = 1500, .queues = 2};
static struct dpdk_port *port;

static uint32_t receive_all(struct driver_queue *queue, struct driver_frame *frames, uint32_t most) {
  uint32_t count = 0;
  for (uint32_t got; count < most && (got = queue->operations->receive(queue, frames + count, most - count)) > 0;) count += got;
  return count;
}

static int start(void **state) {
  (void)state;
  start_dpdk(&ring_config, 1);
  dpdk_thread_register();
  port = open_started_port(&ring_config);
  return 0;
}

static int stop(void **state) {
  (void)state;
  dpdk_port_close(port);
  dpdk_thread_unregister();
  dpdk_stop();
  return 0;
}

static void arguments_and_log_lines_reach_the_log(void **state) {
  (void)state;
  assert_non_null(strstr(log_text, "2 EAL arguments: tripline -l "));
  assert_non_null(strstr(log_text, "2 EAL: ")); /* DPDK's own lines, whole and with a level */
}

static void information_is_what_was_asked(void **state) {
  (void)state;
  const struct driver_port_information *information = dpdk_port_information(port);
  assert_string_equal(information->name, "loop");
  assert_int_equal(information->mtu, 1500);
  assert_int_equal(information->queues, 2);
  assert_int_equal(information->frame_bytes, 1518);
  assert_false(information->flow_steering);
  assert_int_equal(information->mac[0] & 3, 2); /* locally administered, unicast */
  assert_true(dpdk_port_link_up(port));
}

static void frames_come_back_whole_on_their_own_queue(void **state) {
  (void)state;
  for (uint16_t index = 0; index < 2; index++) {
    struct driver_queue *queue = dpdk_port_queue(port, index), *other = dpdk_port_queue(port, (uint16_t)!index);
    const uint64_t sent_before = queue->operations->counters(queue)->sent;
    for (uint32_t i = 0; i < 200; i++) assert_true(send_pattern(queue, 60 + i * 7, anyone, i));
    queue->operations->flush(queue);
    struct driver_frame frames[256];
    assert_int_equal(receive_all(other, frames, 256), 0);
    assert_int_equal(receive_all(queue, frames, 256), 200);
    for (uint32_t i = 0; i < 200; i++) {
      assert_int_equal(frames[i].length, 60 + i * 7);
      assert_true(is_pattern(frames[i].bytes, frames[i].length, i));
      assert_false(frames[i].checksum_bad);
    }
    queue->operations->release(queue, frames, 200);
    assert_int_equal(queue->operations->counters(queue)->sent - sent_before, 200);
    assert_int_equal(queue->operations->counters(queue)->received_bytes, queue->operations->counters(queue)->sent_bytes);
  }
}

static void an_unsent_frame_can_be_given_back(void **state) {
  (void)state;
  struct driver_queue *queue = dpdk_port_queue(port, 0);
  for (int i = 0; i < 20000; i++) {
    struct driver_frame frame;
    assert_true(queue->operations->take(queue, &frame));
    assert_int_equal(frame.length, 1518);
    queue->operations->release(queue, &frame, 1);
  }
}

/* More frames than the ring holds: the rest is dropped and counted, and nothing leaks. */
static void a_full_ring_drops_and_counts(void **state) {
  (void)state;
  struct driver_queue *queue = dpdk_port_queue(port, 1);
  for (int round = 0; round < 5; round++) {
    const struct driver_queue_counters before = *queue->operations->counters(queue);
    for (uint32_t i = 0; i < 2000; i++) assert_true(send_pattern(queue, 100, anyone, i));
    queue->operations->flush(queue);
    const struct driver_queue_counters *after = queue->operations->counters(queue);
    const uint64_t sent = after->sent - before.sent, dropped = after->send_dropped - before.send_dropped;
    assert_int_equal(sent + dropped, 2000);
    assert_true(dropped > 900);
    static struct driver_frame frames[2048];
    assert_int_equal(receive_all(queue, frames, 2048), sent);
    queue->operations->release(queue, frames, (uint32_t)sent);
  }
}

static void an_empty_pool_is_counted_and_recovers(void **state) {
  (void)state;
  struct driver_queue *queue = dpdk_port_queue(port, 0);
  static struct driver_frame frames[8192];
  uint32_t taken = 0;
  while (taken < 8192 && queue->operations->take(queue, &frames[taken])) taken++;
  assert_in_range(taken, 1000, 4096);
  const uint64_t refused = queue->operations->counters(queue)->no_buffer;
  assert_true(refused > 0);
  queue->operations->release(queue, frames, taken);
  assert_true(send_pattern(queue, 90, anyone, 5));
  queue->operations->flush(queue);
  assert_true(receive_pattern(queue, 90, 5, 1));
}

/* The hand-over between shards: received here, released there, many times more than there are buffers. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct driver_frame frames[BURST];
  uint32_t count;
  bool done;
} hand_over = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *other_shard(void *unused) {
  dpdk_thread_register();
  struct driver_queue *queue = dpdk_port_queue(port, 1);
  pthread_mutex_lock(&hand_over.lock);
  while (!hand_over.done || hand_over.count) {
    if (hand_over.count) {
      queue->operations->release(queue, hand_over.frames, hand_over.count);
      hand_over.count = 0;
      pthread_cond_signal(&hand_over.changed);
    } else
      pthread_cond_wait(&hand_over.changed, &hand_over.lock);
  }
  pthread_mutex_unlock(&hand_over.lock);
  dpdk_thread_unregister();
  return unused;
}

static void another_thread_releases(void **state) {
  (void)state;
  struct driver_queue *queue = dpdk_port_queue(port, 0);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, other_shard, NULL), 0);
  uint32_t passed = 0;
  for (uint32_t round = 0; round < 500; round++) {
    for (uint32_t i = 0; i < BURST; i++) assert_true(send_pattern(queue, 64, anyone, round));
    queue->operations->flush(queue);
    pthread_mutex_lock(&hand_over.lock);
    while (hand_over.count) pthread_cond_wait(&hand_over.changed, &hand_over.lock);
    hand_over.count = receive_all(queue, hand_over.frames, BURST);
    passed += hand_over.count;
    pthread_cond_signal(&hand_over.changed);
    pthread_mutex_unlock(&hand_over.lock);
  }
  pthread_mutex_lock(&hand_over.lock);
  hand_over.done = true;
  pthread_cond_signal(&hand_over.changed);
  pthread_mutex_unlock(&hand_over.lock);
  pthread_join(thread, NULL);
  assert_int_equal(passed, 500 * BURST);
}

static void port_counters_agree_with_queues(void **state) {
  (void)state;
  struct driver_port_counters counters;
  dpdk_port_counters(port, &counters);
  uint64_t received = 0, sent = 0;
  for (uint16_t i = 0; i < 2; i++) {
    struct driver_queue *queue = dpdk_port_queue(port, i);
    received += queue->operations->counters(queue)->received;
    sent += queue->operations->counters(queue)->sent;
  }
  assert_int_equal(counters.received, received);
  assert_int_equal(counters.sent, sent);
  assert_int_equal(counters.errors, 0);
}

static void an_unknown_port_is_refused(void **state) {
  (void)state;
  const struct dpdk_port_config unknown = {.name = "other", .kind = DPDK_PORT_RING, .queues = 1};
  int error = 0;
  assert_null(dpdk_port_open(&unknown, &error));
  assert_int_equal(error, ENOENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arguments_and_log_lines_reach_the_log),
      cmocka_unit_test(information_is_what_was_asked),
      cmocka_unit_test(frames_come_back_whole_on_their_own_queue),
      cmocka_unit_test(an_unsent_frame_can_be_given_back),
      cmocka_unit_test(a_full_ring_drops_and_counts),
      cmocka_unit_test(an_empty_pool_is_counted_and_recovers),
      cmocka_unit_test(another_thread_releases),
      cmocka_unit_test(port_counters_agree_with_queues),
      cmocka_unit_test(an_unknown_port_is_refused),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
