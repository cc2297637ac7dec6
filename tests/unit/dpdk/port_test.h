#pragma once
/* What the tests of real ports share: a network namespace of their own, a started EAL, frames with a pattern. */
#include "cmocka_test.h"
#include "dpdk_port.h"
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline void skip_all(const char *reason) {
  printf("1..0 # SKIP %s\n", reason);
  exit(0);
}

/* From here on nothing outside this process is touched. */
static inline void enter_network_namespace(void) {
  if (unshare(CLONE_NEWNET) != 0) {
    char reason[128];
    snprintf(reason, sizeof reason, "no network namespace for this user: %s", strerror(errno));
    skip_all(reason);
  }
}

static char log_text[1 << 16];
static size_t log_used;
static void keep_log(void *context, int level, const char *line) {
  (void)context;
  const int wrote = snprintf(log_text + log_used, sizeof log_text - log_used, "%d %s\n", level, line);
  if (wrote > 0 && (size_t)wrote < sizeof log_text - log_used) log_used += (size_t)wrote;
}

/* The first core that this process may use. */
static inline int first_core(void) {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 0;
  for (int core = 0; core < CPU_SETSIZE; core++)
    if (CPU_ISSET((size_t)core, &cores)) return core;
  return 0;
}

static inline void start_dpdk(const struct dpdk_port_config *ports, uint32_t count) {
  const struct dpdk_start_config config = {
      .main_core = first_core(), .ports = ports, .port_count = count, .extra = "--log-level=info", .log = keep_log};
  const int result = dpdk_start(&config);
  if (result) fail_msg("dpdk_start: %s\n%s", strerror(-result), log_text);
}

static inline struct dpdk_port *open_port(const struct dpdk_port_config *config) {
  int error = 0;
  struct dpdk_port *port = dpdk_port_open(config, &error);
  if (!port) fail_msg("open %s: %s\n%s", config->name, strerror(error), log_text);
  return port;
}

static inline struct dpdk_port *open_started_port(const struct dpdk_port_config *config) {
  struct dpdk_port *port = open_port(config);
  assert_int_equal(dpdk_port_start(port), 0);
  return port;
}

/* Ethernet header with the local experimental ethertype, then bytes that depend on `seed` and their place. */
#define TEST_ETHERTYPE 0x88b5
static inline void pattern_frame(uint8_t *bytes, uint32_t length, const uint8_t destination[6], uint32_t seed) {
  static const uint8_t source[6] = {2, 0, 0, 0, 0, 9};
  memcpy(bytes, destination, 6);
  memcpy(bytes + 6, source, 6);
  bytes[12] = TEST_ETHERTYPE >> 8;
  bytes[13] = TEST_ETHERTYPE & 0xff;
  for (uint32_t i = 14; i < length; i++) bytes[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static inline bool is_pattern(const uint8_t *bytes, uint32_t length, uint32_t seed) {
  if (length < 14 || bytes[12] != TEST_ETHERTYPE >> 8 || bytes[13] != (TEST_ETHERTYPE & 0xff)) return false;
  for (uint32_t i = 14; i < length; i++)
    if (bytes[i] != (uint8_t)(seed * 31 + i * 7 + (i >> 8))) return false;
  return true;
}

static inline bool send_pattern(struct driver_queue *queue, uint32_t length, const uint8_t destination[6], uint32_t seed) {
  struct driver_frame frame;
  if (!queue->operations->take(queue, &frame)) return false;
  assert_true(frame.length >= length);
  pattern_frame(frame.bytes, length, destination, seed);
  frame.length = length;
  queue->operations->send(queue, &frame, 0);
  return true;
}

static inline double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Polls until a frame of the pattern comes; others are released. False after `patience` seconds. */
static inline bool receive_pattern(struct driver_queue *queue, uint32_t length, uint32_t seed, double patience) {
  const double end = seconds_now() + patience;
  bool found = false;
  while (!found && seconds_now() < end) {
    struct driver_frame frame;
    if (queue->operations->receive(queue, &frame, 1) == 0) continue;
    found = frame.length == length && is_pattern(frame.bytes, length, seed);
    queue->operations->release(queue, &frame, 1);
  }
  return found;
}

static inline int interface_flags_up(const char *name) {
  const int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq value = {0};
  snprintf(value.ifr_name, sizeof value.ifr_name, "%.15s", name);
  int result = ioctl(descriptor, SIOCGIFFLAGS, &value);
  value.ifr_flags |= IFF_UP;
  if (result == 0) result = ioctl(descriptor, SIOCSIFFLAGS, &value);
  close(descriptor);
  return result;
}
