#include "cmocka_test.h"
#include "dpdk_port.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char joined[4096];

static int build(const struct dpdk_start_config *config, bool hugepages) {
  struct dpdk_arguments arguments;
  const int result = dpdk_arguments_build(config, hugepages, &arguments);
  joined[0] = 0;
  for (int i = 0; i < arguments.count; i++) {
    if (i) strcat(joined, " ");
    strcat(joined, arguments.words[i]);
  }
  assert_true(result == 0 || arguments.count == 0);
  dpdk_arguments_free(&arguments);
  return result;
}

static void expect(const struct dpdk_start_config *config, bool hugepages, const char *format) {
  char wanted[4096];
  snprintf(wanted, sizeof wanted, format, (int)getpid());
  assert_int_equal(build(config, hugepages), 0);
  assert_string_equal(joined, wanted);
}

static int build_one(const struct dpdk_port_config *port) {
  return build(&(struct dpdk_start_config){.ports = port, .port_count = 1}, true);
}

static void embedded_port_without_hugepages(void **state) {
  (void)state;
  const struct dpdk_port_config port = {
      .name = "trip", .kind = DPDK_PORT_AF_PACKET, .interface = "trip0p", .mtu = 9000, .queues = 2};
  const struct dpdk_start_config config = {.main_core = 3, .memory_mib = 1024, .ports = &port, .port_count = 1};
  expect(&config, false,
         "tripline -l 3 --no-pci --iova-mode=va --no-telemetry --no-huge -m 1024 --no-shconf --file-prefix tripline-%d "
         "--log-level=notice --vdev=net_af_packet0,iface=trip0p,qpairs=2,blocksz=61440,framesz=10240,framecnt=3276");
}

static void every_kind_with_hugepages(void **state) {
  (void)state;
  const struct dpdk_port_config ports[] = {
      {.name = "a", .kind = DPDK_PORT_AF_PACKET, .interface = "eth1", .mtu = 1500, .queues = 1},
      {.name = "b", .kind = DPDK_PORT_AF_XDP, .interface = "eth2", .mtu = 1500, .queues = 1},
      {.name = "c", .kind = DPDK_PORT_TAP, .interface = "tap7", .queues = 2},
      {.name = "d", .kind = DPDK_PORT_MEMIF, .path = "/run/m.sock", .server = true, .queues = 2},
      {.name = "e", .kind = DPDK_PORT_MEMIF, .path = "/run/m.sock", .mtu = 9000, .queues = 2},
      {.name = "f", .kind = DPDK_PORT_PCAP, .path = "/a/in.pcap", .output_path = "/a/out.pcap", .queues = 1},
      {.name = "g", .kind = DPDK_PORT_PCAP, .path = "/a/in.pcap", .queues = 1},
      {.name = "h", .kind = DPDK_PORT_RING, .queues = 4},
  };
  const struct dpdk_start_config config = {
      .main_core = 0, .ports = ports, .port_count = 8, .extra = "  --legacy-mem\t--trace=lib.ethdev "};
  expect(&config, true,
         "tripline -l 0 --no-pci --iova-mode=va --no-telemetry --in-memory --file-prefix tripline-%d --log-level=notice "
         "--vdev=net_af_packet0,iface=eth1,qpairs=1,blocksz=65536,framesz=2048,framecnt=8192 "
         "--vdev=net_af_xdp1,iface=eth2,start_queue=0,queue_count=1,busy_budget=0 "
         "--vdev=net_tap2,iface=tap7 "
         "--vdev=net_memif3,role=server,socket=/run/m.sock,socket-abstract=no,bsize=2048,rsize=11,zero-copy=no "
         "--vdev=net_memif4,role=client,socket=/run/m.sock,socket-abstract=no,bsize=10240,rsize=10,zero-copy=no "
         "--vdev=net_pcap5,rx_pcap=/a/in.pcap,tx_pcap=/a/out.pcap --vdev=net_pcap6,rx_pcap=/a/in.pcap --vdev=net_ring7 "
         "--legacy-mem --trace=lib.ethdev");
}

/* The device's own address mode, and only the devices named. */
static void pci_ports_are_allowed_one_by_one(void **state) {
  (void)state;
  const struct dpdk_port_config ports[] = {
      {.name = "n0", .kind = DPDK_PORT_PCI, .address = "0000:3b:00.0", .queues = 4},
      {.name = "n1", .kind = DPDK_PORT_PCI, .address = "0000:3b:00.1", .queues = 4},
      {.name = "r", .kind = DPDK_PORT_RING, .queues = 1},
  };
  const struct dpdk_start_config config = {.main_core = 1, .ports = ports, .port_count = 3};
  expect(&config, true,
         "tripline -l 1 --no-telemetry --in-memory --file-prefix tripline-%d --log-level=notice --allow=0000:3b:00.0 "
         "--allow=0000:3b:00.1 --vdev=net_ring2");
}

static void memory_is_at_least_what_ports_need(void **state) {
  (void)state;
  const struct dpdk_port_config port = {.name = "r", .kind = DPDK_PORT_RING, .queues = 16};
  char wanted[32];
  snprintf(wanted, sizeof wanted, " -m %u ", dpdk_memory_needed_mib(&port, 1));
  assert_int_equal(build(&(struct dpdk_start_config){.memory_mib = 1, .ports = &port, .port_count = 1}, false), 0);
  assert_non_null(strstr(joined, wanted));
  assert_null(strstr(joined, "--in-memory"));
  /* 16 queues of 4096 buffers of 2 KiB and some. */
  assert_in_range(dpdk_memory_needed_mib(&port, 1), 64 + 16 * 4096 / 512, 400);
  assert_in_range(dpdk_memory_needed_mib(NULL, 0), 32, 128);
}

static void values_that_would_become_arguments_are_refused(void **state) {
  (void)state;
  const struct dpdk_port_config bad[] = {
      {.kind = DPDK_PORT_AF_PACKET, .interface = "a,qpairs=9", .queues = 1},
      {.kind = DPDK_PORT_AF_PACKET, .interface = "", .queues = 1},
      {.kind = DPDK_PORT_AF_PACKET, .interface = "eth0", .queues = 0},
      {.kind = DPDK_PORT_AF_PACKET, .interface = "eth0", .queues = 65},
      {.kind = DPDK_PORT_AF_PACKET, .interface = "eth0", .queues = 1, .mtu = 16001},
      {.kind = DPDK_PORT_AF_XDP, .interface = "eth0", .queues = 2},
      {.kind = DPDK_PORT_TAP, .interface = "a b", .queues = 1},
      {.kind = DPDK_PORT_MEMIF, .path = "/run/a,zero-copy=yes", .queues = 1},
      {.kind = DPDK_PORT_PCAP, .queues = 1},
      {.kind = DPDK_PORT_PCAP, .path = "/in", .queues = 2},
      {.kind = DPDK_PORT_PCAP, .path = "/in", .output_path = "/o,x=", .queues = 1},
      {.kind = DPDK_PORT_PCI, .address = "", .queues = 1},
      {.kind = 99, .queues = 1},
      {.kind = -1, .queues = 1},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    if (build_one(&bad[i]) != -EINVAL) fail_msg("entry %zu was taken: %s", i, joined);
  }
}

static void too_many_words_are_refused(void **state) {
  (void)state;
  char extra[400] = "";
  for (int i = 0; i < 100; i++) strcat(extra, "-v ");
  assert_int_equal(build(&(struct dpdk_start_config){.extra = extra}, true), -E2BIG);
}

/* What the kernel demands of a packet ring: blocks of whole pages, a whole number of frames in each, none left over. */
static void packet_rings_suit_the_kernel(void **state) {
  (void)state;
  for (unsigned mtu = 576; mtu <= 16000; mtu += 8) {
    for (uint16_t queues = 1; queues <= 64; queues = (uint16_t)(queues * 2)) {
      const struct dpdk_port_config port = {
          .kind = DPDK_PORT_AF_PACKET, .interface = "e", .mtu = (uint16_t)mtu, .queues = queues};
      assert_int_equal(build_one(&port), 0);
      unsigned block, frame, frames;
      assert_int_equal(sscanf(strstr(joined, "blocksz="), "blocksz=%u,framesz=%u,framecnt=%u", &block, &frame, &frames), 3);
      assert_int_equal(block % 4096, 0);
      assert_int_equal(block % frame, 0);
      assert_int_equal(frame % 16, 0);
      assert_int_equal(frames % (block / frame), 0);
      assert_true(frame - 66 >= mtu + 18); /* the ring frame's own header on receive; a VLAN tag */
      assert_true((uint64_t)frames * frame * queues * 2 <= 128u << 20);
      assert_true(frames >= 64);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(embedded_port_without_hugepages),
      cmocka_unit_test(every_kind_with_hugepages),
      cmocka_unit_test(pci_ports_are_allowed_one_by_one),
      cmocka_unit_test(memory_is_at_least_what_ports_need),
      cmocka_unit_test(values_that_would_become_arguments_are_refused),
      cmocka_unit_test(too_many_words_are_refused),
      cmocka_unit_test(packet_rings_suit_the_kernel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
