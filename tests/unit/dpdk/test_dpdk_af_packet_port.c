/* The embedded port as the daemon makes it: a veth pair, af_packet with two queues on its appliance end, the kernel on the other.
 */
#include "packet_socket.h"
#include "port_test.h"
#include "veth.h"
#include <linux/udp.h>
#include <netinet/in.h>
#include <netinet/ip.h>

static const struct veth_config pair = {
    .host_name = "trip0", .appliance_name = "trip0p", .host_ipv4 = "10.86.0.1/24", .mtu = 9000, .queues = 2};
static const struct dpdk_port_config config = {
    .name = "trip", .kind = DPDK_PORT_AF_PACKET, .interface = "trip0p", .mtu = 9000, .queues = 2};
static struct dpdk_port *port;
static uint8_t appliance_mac[6];

static int start(void **state) {
  (void)state;
  const char *step = NULL;
  const int result = veth_create(&pair, appliance_mac, &step);
  if (result) fail_msg("%s: %s", step, strerror(-result));
  /* The kernel's own neighbour discovery would join the counts. */
  if (system("echo 1 2>/dev/null > /proc/sys/net/ipv6/conf/trip0/disable_ipv6") != 0) print_message("no IPv6 here\n");
  start_dpdk(&config, 1);
  port = open_started_port(&config);
  dpdk_thread_register();
  return 0;
}

static int stop(void **state) {
  (void)state;
  dpdk_port_close(port);
  dpdk_stop();
  return veth_remove("trip0");
}

static uint32_t receive_any(struct driver_frame *frame, struct driver_queue **from, double patience) {
  const double end = seconds_now() + patience;
  do {
    for (uint16_t i = 0; i < 2; i++) {
      struct driver_queue *queue = dpdk_port_queue(port, i);
      if (queue->operations->receive(queue, frame, 1) == 0) continue;
      *from = queue;
      return 1;
    }
  } while (seconds_now() < end);
  return 0;
}

static void drain(void) {
  struct driver_frame frame;
  for (struct driver_queue *queue; receive_any(&frame, &queue, 0.05);) queue->operations->release(queue, &frame, 1);
}

static void information_is_the_interfaces(void **state) {
  (void)state;
  const struct driver_port_information *information = dpdk_port_information(port);
  assert_memory_equal(information->mac, appliance_mac, 6);
  assert_int_equal(information->mtu, 9000);
  assert_int_equal(information->queues, 2);
  assert_int_equal(information->frame_bytes, 9018);
  assert_false(information->flow_steering); /* its fan-out may roll a flow over */
  assert_true(dpdk_port_link_up(port));
}

static void frames_of_every_size_pass_both_ways(void **state) {
  (void)state;
  const uint32_t sizes[] = {60, 64, 1514, 1515, 4096, 8999, 9014};
  const int wire = packet_socket_open("trip0", TEST_ETHERTYPE);
  assert_true(wire >= 0);
  drain();
  for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    uint8_t bytes[10000];
    pattern_frame(bytes, sizes[i], appliance_mac, i);
    assert_int_equal(send(wire, bytes, sizes[i], 0), sizes[i]);
    struct driver_frame frame;
    struct driver_queue *queue;
    assert_int_equal(receive_any(&frame, &queue, 2), 1);
    assert_int_equal(frame.length, sizes[i]);
    assert_true(is_pattern(frame.bytes, frame.length, i));
    queue->operations->release(queue, &frame, 1);

    static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    queue = dpdk_port_queue(port, (uint16_t)(i & 1));
    assert_true(send_pattern(queue, sizes[i], everyone, i + 50));
    queue->operations->flush(queue);
    assert_int_equal(packet_socket_receive(wire, bytes, sizeof bytes, 2000), sizes[i]);
    assert_true(is_pattern(bytes, sizes[i], i + 50));
  }
  close(wire);
}

/* A full burst at once leaves in one flush, and more than the kernel's ring holds leaves over several. */
static void bursts_leave_whole(void **state) {
  (void)state;
  const int wire = packet_socket_open("trip0", TEST_ETHERTYPE);
  const int room = 64 << 20;
  setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  struct driver_queue *queue = dpdk_port_queue(port, 0);
  const struct driver_queue_counters before = *queue->operations->counters(queue);
  for (uint32_t i = 0; i < 10000; i++) assert_true(send_pattern(queue, 200, everyone, i));
  queue->operations->flush(queue);
  const struct driver_queue_counters *after = queue->operations->counters(queue);
  assert_int_equal(after->sent - before.sent + after->send_dropped - before.send_dropped, 10000);
  uint32_t arrived = 0;
  for (uint8_t bytes[2048]; packet_socket_receive(wire, bytes, sizeof bytes, 300) == 200;) arrived++;
  assert_int_equal(arrived, after->sent - before.sent);
  close(wire);
}

static int udp_socket(void) {
  const int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
  const struct sockaddr_in appliance = {
      .sin_family = AF_INET, .sin_port = htons(4318), .sin_addr.s_addr = inet_addr("10.86.0.2")};
  assert_int_equal(connect(descriptor, (const struct sockaddr *)&appliance, sizeof appliance), 0);
  return descriptor;
}

static void give_neighbour_entry(void) {
  char command[128];
  snprintf(command, sizeof command, "ip neigh replace 10.86.0.2 lladdr %02x:%02x:%02x:%02x:%02x:%02x dev trip0", appliance_mac[0],
           appliance_mac[1], appliance_mac[2], appliance_mac[3], appliance_mac[4], appliance_mac[5]);
  assert_int_equal(system(command), 0);
}

/* The super-frames that a veth takes by default would arrive as one frame cut at the ring's frame size. */
static void kernel_segmentation_stays_in_the_kernel(void **state) {
  (void)state;
  give_neighbour_entry();
  drain();
  const int sender = udp_socket();
  const int segment_bytes = 1000;
  assert_int_equal(setsockopt(sender, IPPROTO_UDP, UDP_SEGMENT, &segment_bytes, sizeof segment_bytes), 0);
  static uint8_t bytes[30000];
  assert_int_equal(send(sender, bytes, sizeof bytes, 0), (int)sizeof bytes);
  uint32_t datagrams = 0;
  struct driver_frame frame;
  for (struct driver_queue *queue; datagrams < 30 && receive_any(&frame, &queue, 1);) {
    if (frame.length >= 42 && frame.bytes[23] == IPPROTO_UDP) {
      assert_int_equal(frame.length, 14 + 20 + 8 + segment_bytes);
      datagrams++;
    }
    queue->operations->release(queue, &frame, 1);
  }
  assert_int_equal(datagrams, 30);
  close(sender);
}

static void flows_spread_over_the_queues(void **state) {
  (void)state;
  give_neighbour_entry();
  drain();
  uint64_t before[2], after[2];
  for (uint16_t i = 0; i < 2; i++) before[i] = dpdk_port_queue(port, i)->operations->counters(dpdk_port_queue(port, i))->received;
  for (int flow = 0; flow < 64; flow++) {
    const int sender = udp_socket();
    for (int i = 0; i < 4; i++) assert_int_equal(send(sender, "span", 4, 0), 4);
    close(sender);
  }
  drain();
  for (uint16_t i = 0; i < 2; i++) {
    after[i] = dpdk_port_queue(port, i)->operations->counters(dpdk_port_queue(port, i))->received - before[i];
    assert_true(after[i] >= 16);
  }
  assert_int_equal(after[0] + after[1], 256);
}

/* Nobody polls while more comes than both rings hold: each frame is received later or counted as missed. */
static void frames_beyond_the_rings_are_counted_as_missed(void **state) {
  (void)state;
  give_neighbour_entry();
  drain();
  struct driver_port_counters before, after;
  dpdk_port_counters(port, &before);
  uint64_t received_before = 0, received_after = 0;
  for (uint16_t i = 0; i < 2; i++)
    received_before += dpdk_port_queue(port, i)->operations->counters(dpdk_port_queue(port, i))->received;
  const int sender = udp_socket();
  const uint32_t offered = 12000; /* the rings hold 2 * 3276 */
  for (uint32_t i = 0; i < offered; i++) assert_int_equal(send(sender, "span", 4, 0), 4);
  close(sender);
  drain();
  for (uint16_t i = 0; i < 2; i++)
    received_after += dpdk_port_queue(port, i)->operations->counters(dpdk_port_queue(port, i))->received;
  dpdk_port_counters(port, &after);
  const uint64_t received = received_after - received_before;
  assert_int_equal(received + after.missed - before.missed, offered);
  /* One flow, both rings: what did not fit its own queue rolled over to the other, until that had a quarter left. */
  assert_true(received >= 3276 + 3276 / 2);
  assert_int_equal(after.received - before.received, received);
}

/* A host that routes would otherwise send every frame back into the pair until its time to live ends. */
static void a_routing_host_does_not_loop_frames(void **state) {
  (void)state;
  give_neighbour_entry();
  assert_int_equal(system("echo 1 > /proc/sys/net/ipv4/ip_forward && ip link set lo up && ip route add 192.0.2.0/24 dev lo"), 0);
  drain();
  const int wire = packet_socket_open("trip0", 0x0800);
  /* As if forwarded: from an address that is not the host's. */
  uint8_t bytes[60] = {0};
  memcpy(bytes, appliance_mac, 6);
  bytes[12] = 8;
  const struct iphdr ip = {.version = 4,
                           .ihl = 5,
                           .tot_len = htons(46),
                           .ttl = 64,
                           .protocol = 253,
                           .saddr = inet_addr("192.0.2.7"),
                           .daddr = inet_addr("10.86.0.2")};
  memcpy(bytes + 14, &ip, sizeof ip);
  uint32_t sum = 0;
  for (int i = 14; i < 34; i += 2) sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  bytes[24] = (uint8_t)(~sum >> 8);
  bytes[25] = (uint8_t)~sum;
  assert_int_equal(send(wire, bytes, sizeof bytes, 0), (int)sizeof bytes);
  uint32_t copies = 0;
  struct driver_frame frame;
  for (struct driver_queue *queue; receive_any(&frame, &queue, 0.3);) {
    copies += frame.length >= 34 && frame.bytes[23] == 253;
    queue->operations->release(queue, &frame, 1);
  }
  assert_int_equal(copies, 1);
  close(wire);
}

static void link_follows_the_interface(void **state) {
  (void)state;
  assert_int_equal(system("ip link set trip0 down"), 0);
  assert_false(dpdk_port_link_up(port));
  struct driver_queue *queue = dpdk_port_queue(port, 0);
  for (uint32_t i = 0; i < 100; i++) assert_true(send_pattern(queue, 100, appliance_mac, i));
  queue->operations->flush(queue); /* comes back, whatever becomes of the frames */
  assert_int_equal(system("ip link set trip0 up"), 0);
  for (const double end = seconds_now() + 5; !dpdk_port_link_up(port) && seconds_now() < end;) usleep(1000);
  assert_true(dpdk_port_link_up(port));
}

int main(void) {
  enter_network_namespace();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(information_is_the_interfaces),
      cmocka_unit_test(frames_of_every_size_pass_both_ways),
      cmocka_unit_test(bursts_leave_whole),
      cmocka_unit_test(kernel_segmentation_stays_in_the_kernel),
      cmocka_unit_test(flows_spread_over_the_queues),
      cmocka_unit_test(frames_beyond_the_rings_are_counted_as_missed),
      cmocka_unit_test(a_routing_host_does_not_loop_frames),
      cmocka_unit_test(link_follows_the_interface),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
