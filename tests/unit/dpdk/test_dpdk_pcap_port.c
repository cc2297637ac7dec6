/* Frames from a capture file that the test writes, and frames into one that it reads back. */
#include "port_test.h"
#include <sys/stat.h>

static char directory[] = "/tmp/tripline-pcap-XXXXXX";
static struct dpdk_port_config config = {.name = "file", .kind = DPDK_PORT_PCAP, .mtu = 1500, .queues = 1};
static struct dpdk_port *port;
static const uint8_t anyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct capture_header {
  uint32_t magic;
  uint16_t major, minor;
  uint32_t zone, accuracy, snap_length, link_type;
};
struct frame_header {
  uint32_t seconds, microseconds, captured, length;
};

static void write_capture(const char *path) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  const struct capture_header header = {0xa1b2c3d4, 2, 4, 0, 0, 65535, 1};
  fwrite(&header, sizeof header, 1, file);
  for (uint32_t i = 0; i < 300; i++) {
    uint8_t bytes[4000];
    /* One in a hundred is longer than a buffer of this port and comes in segments. */
    const uint32_t length = i % 100 == 99 ? 3500 : 60 + i;
    pattern_frame(bytes, length, anyone, i);
    const struct frame_header frame = {i, 0, length, length};
    fwrite(&frame, sizeof frame, 1, file);
    fwrite(bytes, length, 1, file);
  }
  fclose(file);
}

static int start(void **state) {
  (void)state;
  assert_non_null(mkdtemp(directory));
  snprintf(config.path, sizeof config.path, "%s/in.pcap", directory);
  snprintf(config.output_path, sizeof config.output_path, "%s/out.pcap", directory);
  write_capture(config.path);
  start_dpdk(&config, 1);
  port = open_started_port(&config);
  return 0;
}

static int stop(void **state) {
  (void)state;
  dpdk_stop();
  unlink(config.path);
  unlink(config.output_path);
  return rmdir(directory);
}

static void the_file_comes_in(void **state) {
  (void)state;
  struct driver_queue *queue = dpdk_port_queue(port, 0);
  uint32_t expected = 0, received = 0;
  const double end = seconds_now() + 5;
  while (received < 297 && seconds_now() < end) {
    struct driver_frame frames[32];
    const uint32_t got = queue->operations->receive(queue, frames, 32);
    for (uint32_t i = 0; i < got; i++, expected++) {
      if (expected % 100 == 99) expected++;
      assert_int_equal(frames[i].length, 60 + expected);
      assert_true(is_pattern(frames[i].bytes, frames[i].length, expected));
    }
    queue->operations->release(queue, frames, got);
    received += got;
  }
  assert_int_equal(received, 297);
  struct driver_frame frame;
  while (queue->operations->receive(queue, &frame, 1) > 0) fail_msg("a segmented frame was delivered");
  struct driver_port_counters counters;
  dpdk_port_counters(port, &counters);
  assert_int_equal(counters.received, 300);
  assert_int_equal(counters.errors, 3); /* the segmented ones: none unaccounted for */
}

static void the_other_file_has_what_was_sent(void **state) {
  (void)state;
  struct driver_queue *queue = dpdk_port_queue(port, 0);
  for (uint32_t i = 0; i < 100; i++) assert_true(send_pattern(queue, 60 + i * 3, anyone, i));
  dpdk_port_close(port); /* flushes */
  FILE *file = fopen(config.output_path, "rb");
  assert_non_null(file);
  struct capture_header header;
  assert_int_equal(fread(&header, sizeof header, 1, file), 1);
  struct frame_header frame;
  uint32_t count = 0;
  for (uint8_t bytes[4000]; fread(&frame, sizeof frame, 1, file) == 1; count++) {
    assert_int_equal(frame.length, 60 + count * 3);
    assert_int_equal(fread(bytes, frame.captured, 1, file), 1);
    assert_true(is_pattern(bytes, frame.captured, count));
  }
  assert_int_equal(count, 100);
  fclose(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_file_comes_in),
      cmocka_unit_test(the_other_file_has_what_was_sent),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
