#include "dpdk_internal.h"
#include <string.h>

/* The kernel's packet ring wants frames that divide a block and blocks of whole pages; the device also rounds frames per block
 * down, so a block must hold a whole number of them. Of a ring frame, 66 bytes go to its header on receive. 61440 is six frames
 * of 10240 in fifteen pages: jumbo frames at five eighths of what 16384-byte frames would take. */
static const struct {
  uint16_t mtu_most;
  uint32_t frame_bytes, block_bytes;
} ring_shapes[] = {
    {1900, 2048, 65536},
    {4000, 4096, 65536},
    {10100, 10240, 61440},
    {DPDK_MTU_MOST, 16384, 65536},
};

/* Both rings of all queues of a port together: locked kernel memory. */
#define RING_BUDGET_BYTES (128u << 20)
#define RING_FRAMES_MOST 8192u

static uint32_t align_up(uint32_t value, uint32_t step) { return (value + step - 1) / step * step; }

static void ring_sizes(uint16_t mtu, uint16_t queues, struct dpdk_sizes *sizes) {
  size_t shape = 0;
  while (shape + 1 < sizeof ring_shapes / sizeof ring_shapes[0] && mtu > ring_shapes[shape].mtu_most) shape++;
  sizes->ring_frame_bytes = ring_shapes[shape].frame_bytes;
  sizes->ring_block_bytes = ring_shapes[shape].block_bytes;
  const uint32_t frames_per_block = sizes->ring_block_bytes / sizes->ring_frame_bytes;
  uint32_t frames = RING_BUDGET_BYTES / (2u * queues * sizes->ring_frame_bytes);
  if (frames > RING_FRAMES_MOST) frames = RING_FRAMES_MOST;
  frames = frames / frames_per_block * frames_per_block;
  sizes->ring_frames = frames < frames_per_block ? frames_per_block : frames;
}

void dpdk_sizes_compute(const struct dpdk_port_config *config, struct dpdk_sizes *sizes) {
  memset(sizes, 0, sizeof *sizes);
  const uint16_t queues = config->queues ? config->queues : 1;
  uint16_t mtu = config->mtu ? config->mtu : DPDK_MTU_DEFAULT;
  if (mtu > DPDK_MTU_MOST) mtu = DPDK_MTU_MOST;
  ring_sizes(mtu, queues, sizes);
  sizes->receive_descriptors = sizes->send_descriptors = 1024;
  /* A kilobyte's step: ixgbe-class devices count receive buffers in kilobytes and round down. */
  uint32_t room = align_up((uint32_t)mtu + DPDK_FRAME_OVERHEAD + 8, 1024);
  if (room < 2048) room = 2048;
  sizes->buffers = room > 4096 ? 2048 : 4096;
  switch ((enum dpdk_port_kind)config->kind) {
  case DPDK_PORT_AF_PACKET:
    room = sizes->ring_frame_bytes;
    break; /* the device refuses less than its ring frame */
  case DPDK_PORT_AF_XDP:
    /* Buffers are the socket's memory: one must lie in a page with mbuf, headroom and XDP's own headroom. */
    room = align_up((uint32_t)mtu + DPDK_FRAME_OVERHEAD + 256, 64);
    if (room < 2048) room = 2048;
    if (room > 3840 - RTE_PKTMBUF_HEADROOM) room = 3840 - RTE_PKTMBUF_HEADROOM;
    sizes->buffers = 8192;
    sizes->receive_descriptors = sizes->send_descriptors = 2048;
    break;
  case DPDK_PORT_TAP:
    sizes->receive_descriptors = sizes->send_descriptors = 256;
    break;
  case DPDK_PORT_PCI:
    sizes->buffers *= 2;
    break; /* both descriptor rings hold buffers */
  case DPDK_PORT_MEMIF:
  case DPDK_PORT_PCAP:
  case DPDK_PORT_RING:
    break;
  }
  sizes->buffer_bytes = (uint16_t)(room + RTE_PKTMBUF_HEADROOM);
  /* Frames are released by any shard of the port: all their caches together must leave buffers to receive into. */
  sizes->buffer_cache = sizes->buffers / (4u * queues);
  if (sizes->buffer_cache > 128) sizes->buffer_cache = 128;
}

uint32_t dpdk_memory_needed_mib(const struct dpdk_port_config *ports, uint32_t port_count) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < port_count; i++) {
    struct dpdk_sizes sizes;
    dpdk_sizes_compute(&ports[i], &sizes);
    const uint64_t queues = ports[i].queues ? ports[i].queues : 1;
    /* Beside the data room: the mbuf, its pool header and alignment; 4 KiB a descriptor pair is beyond any device's rings. */
    bytes += queues * sizes.buffers * (sizes.buffer_bytes + sizeof(struct rte_mbuf) + 128u);
    bytes += queues * (sizes.ring_frames * 64ull + 1024u * 1024u);
  }
  const uint64_t base = 64; /* EAL's own tables and the heap's fragmentation */
  return (uint32_t)(base + (bytes * 9 / 8 + (1u << 20) - 1) / (1u << 20));
}
