/* af_xdp in copy mode on a veth of one queue. */
#include "packet_socket.h"
#include "port_test.h"
#include "veth.h"

static const struct veth_config pair = {
    .host_name = "trip0", .appliance_name = "trip0p", .host_ipv4 = "10.86.0.1/24", .mtu = 1500, .queues = 1};
static const struct dpdk_port_config config = {
    .name = "trip", .kind = DPDK_PORT_AF_XDP, .interface = "trip0p", .mtu = 1500, .queues = 1};

static void frames_pass_both_ways(void **state) {
  (void)state;
  struct dpdk_port *port = open_started_port(&config);
  const struct driver_port_information *information = dpdk_port_information(port);
  assert_int_equal(information->queues, 1);
  assert_int_equal(information->mtu, 1500);
  struct driver_queue *queue = dpdk_port_queue(port, 0);
  const int wire = packet_socket_open("trip0", TEST_ETHERTYPE);
  for (uint32_t i = 0; i < 50; i++) {
    uint8_t bytes[2000];
    const uint32_t length = 60 + i * 29;
    pattern_frame(bytes, length, information->mac, i);
    assert_int_equal(send(wire, bytes, length, 0), length);
    assert_true(receive_pattern(queue, length, i, 2));
    assert_true(send_pattern(queue, length, information->mac, i + 7));
    queue->operations->flush(queue);
    assert_int_equal(packet_socket_receive(wire, bytes, sizeof bytes, 2000), length);
    assert_true(is_pattern(bytes, length, i + 7));
  }
  close(wire);
  dpdk_port_close(port);
}

int main(void) {
  enter_network_namespace();
  uint8_t mac[6];
  const char *step = NULL;
  if (veth_create(&pair, mac, &step) != 0) skip_all("no veth pair");
  const struct dpdk_start_config start = {.main_core = first_core(), .ports = &config, .port_count = 1, .log = keep_log};
  if (dpdk_start(&start) != 0) {
    fprintf(stderr, "%s", log_text);
    skip_all("EAL has no af_xdp device here: see stderr");
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(frames_pass_both_ways)};
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  dpdk_stop();
  return failed;
}
