/* The port that needs no set-up: a tap that DPDK makes, in a network namespace of the test's own. */
#include "packet_socket.h"
#include "port_test.h"

static const struct dpdk_port_config config = {
    .name = "tap", .kind = DPDK_PORT_TAP, .interface = "triptap", .mtu = 1500, .queues = 2};

static void frames_pass_both_ways(void **state) {
  (void)state;
  start_dpdk(&config, 1);
  struct dpdk_port *port = open_started_port(&config);
  const struct driver_port_information *information = dpdk_port_information(port);
  assert_int_equal(information->queues, 2);
  assert_int_equal(information->mtu, 1500);
  assert_int_equal(interface_flags_up("triptap"), 0);

  const int wire = packet_socket_open("triptap", TEST_ETHERTYPE);
  assert_true(wire >= 0);
  struct ifreq value = {.ifr_name = "triptap"};
  assert_int_equal(ioctl(wire, SIOCGIFHWADDR, &value), 0);
  assert_memory_not_equal(value.ifr_hwaddr.sa_data, information->mac, 6); /* that one is the kernel's */

  uint8_t bytes[2000];
  pattern_frame(bytes, 1514, information->mac, 3);
  assert_int_equal(send(wire, bytes, 1514, 0), 1514);
  bool found = false;
  for (int i = 0; i < 20000 && !found; i++) found = receive_pattern(dpdk_port_queue(port, (uint16_t)(i & 1)), 1514, 3, 0.0001);
  assert_true(found);

  for (uint16_t i = 0; i < 2; i++) {
    struct driver_queue *queue = dpdk_port_queue(port, i);
    assert_true(send_pattern(queue, 700, (const uint8_t *)value.ifr_hwaddr.sa_data, 9));
    queue->operations->flush(queue);
    assert_int_equal(packet_socket_receive(wire, bytes, sizeof bytes, 2000), 700);
    assert_true(is_pattern(bytes, 700, 9));
  }
  close(wire);
  dpdk_port_close(port);
  assert_int_equal(if_nametoindex("triptap"), 0);
  dpdk_stop();
}

int main(void) {
  enter_network_namespace();
  if (access("/dev/net/tun", R_OK | W_OK) != 0) skip_all("no /dev/net/tun");
  const struct CMUnitTest tests[] = {cmocka_unit_test(frames_pass_both_ways)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
