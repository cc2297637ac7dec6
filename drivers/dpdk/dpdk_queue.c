#include "dpdk_internal.h"
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

/* Tries of one flush. af_packet's own transmit waits in poll() while the kernel holds its ring: the rings are sized so that it
 * does not come to that, and a shard's long-loop counter shows it when it does. */
#define SEND_TRIES 4

static struct dpdk_queue *of(struct driver_queue *queue) { return (struct dpdk_queue *)queue; }

/* Where IP begins in a frame with at most one tag, and what it is (network order); 0 when the frame is too short. */
static uint32_t ip_offset(const struct rte_mbuf *buffer, rte_be16_t *ethertype) {
  const uint32_t length = rte_pktmbuf_data_len(buffer);
  if (length < sizeof(struct rte_ether_hdr) + sizeof(struct rte_vlan_hdr)) return 0;
  const struct rte_ether_hdr *ethernet = rte_pktmbuf_mtod(buffer, const struct rte_ether_hdr *);
  *ethertype = ethernet->ether_type;
  if (*ethertype != RTE_BE16(RTE_ETHER_TYPE_VLAN)) return sizeof *ethernet;
  *ethertype = ((const struct rte_vlan_hdr *)(ethernet + 1))->eth_proto;
  return sizeof *ethernet + sizeof(struct rte_vlan_hdr);
}

static bool l4_sum_is_bad(uint16_t pseudo_header, uint8_t protocol, const void *l4, uint32_t l4_bytes) {
  if (protocol == IPPROTO_UDP) {
    if (l4_bytes < sizeof(struct rte_udp_hdr) || ((const struct rte_udp_hdr *)l4)->dgram_cksum == 0) return false;
  } else if (protocol != IPPROTO_TCP || l4_bytes < sizeof(struct rte_tcp_hdr)) {
    return false;
  }
  const uint32_t sum = (uint32_t)rte_raw_cksum(l4, l4_bytes) + pseudo_header;
  return (sum & 0xffff) + (sum >> 16) != 0xffff;
}

static bool ipv4_is_bad(const struct rte_ipv4_hdr *ipv4, uint32_t bytes, bool check_ipv4, bool check_l4) {
  if (bytes < sizeof *ipv4) return false;
  const uint32_t header_bytes = rte_ipv4_hdr_len(ipv4), total = rte_be_to_cpu_16(ipv4->total_length);
  if (header_bytes < sizeof *ipv4 || total < header_bytes || total > bytes) return false; /* the stack's drop */
  if (check_ipv4 && rte_raw_cksum(ipv4, header_bytes) != 0xffff) return true;
  if (!check_l4 || (ipv4->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK))) return false;
  return l4_sum_is_bad(rte_ipv4_phdr_cksum(ipv4, 0), ipv4->next_proto_id, (const uint8_t *)ipv4 + header_bytes,
                       total - header_bytes);
}

/* What lies behind extension headers is verified as if it were there at once: nobody sends TCP so, and a fragment has no sum. */
static bool ipv6_is_bad(const struct rte_ipv6_hdr *ipv6, uint32_t bytes) {
  if (bytes < sizeof *ipv6 || rte_be_to_cpu_16(ipv6->payload_len) > bytes - sizeof *ipv6) return false;
  return l4_sum_is_bad(rte_ipv6_phdr_cksum(ipv6, 0), ipv6->proto, ipv6 + 1, rte_be_to_cpu_16(ipv6->payload_len));
}

/* Verifies what the device was asked to and did not: options, tags or tunnels that its parser gave up on. */
static bool unverified_is_bad(const struct rte_mbuf *buffer, bool check_ipv4, bool check_l4) {
  rte_be16_t ethertype = 0;
  const uint32_t offset = ip_offset(buffer, &ethertype);
  if (offset == 0) return false;
  const void *ip = rte_pktmbuf_mtod_offset(buffer, const void *, offset);
  const uint32_t bytes = rte_pktmbuf_data_len(buffer) - offset;
  if (ethertype == RTE_BE16(RTE_ETHER_TYPE_IPV4)) return ipv4_is_bad(ip, bytes, check_ipv4, check_l4);
  return ethertype == RTE_BE16(RTE_ETHER_TYPE_IPV6) && check_l4 && ipv6_is_bad(ip, bytes);
}

static bool checksum_bad(const struct dpdk_queue *queue, const struct rte_mbuf *buffer) {
  if (!queue->hardware_ipv4 && !queue->hardware_l4) return false;
  const uint64_t ipv4 = buffer->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK, l4 = buffer->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
  if (queue->hardware_ipv4 && ipv4 == RTE_MBUF_F_RX_IP_CKSUM_BAD) return true;
  if (queue->hardware_l4 && l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD) return true;
  const bool check_ipv4 = queue->hardware_ipv4 && ipv4 == RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN;
  const bool check_l4 = queue->hardware_l4 && l4 == RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN;
  return (check_ipv4 || check_l4) && unverified_is_bad(buffer, check_ipv4, check_l4);
}

static uint32_t queue_receive(struct driver_queue *face, struct driver_frame *frames, uint32_t most) {
  struct dpdk_queue *queue = of(face);
  struct rte_mbuf *buffers[DPDK_BURST_FRAMES];
  if (most > DPDK_BURST_FRAMES) most = DPDK_BURST_FRAMES;
  const uint16_t got = rte_eth_rx_burst(queue->port_id, queue->queue, buffers, (uint16_t)most);
  uint32_t count = 0;
  for (uint16_t i = 0; i < got; i++) {
    struct rte_mbuf *buffer = buffers[i];
    if (unlikely(buffer->nb_segs != 1)) {
      atomic_fetch_add_explicit(&queue->segmented, 1, memory_order_relaxed);
      rte_pktmbuf_free(buffer);
      continue;
    }
    if (i + 1 < got) rte_prefetch0(rte_pktmbuf_mtod(buffers[i + 1], const void *));
    frames[count++] = (struct driver_frame){.bytes = rte_pktmbuf_mtod(buffer, uint8_t *),
                                            .length = rte_pktmbuf_data_len(buffer),
                                            .checksum_bad = checksum_bad(queue, buffer),
                                            .owner = buffer};
    queue->counters.received_bytes += rte_pktmbuf_data_len(buffer);
  }
  queue->counters.received += count;
  return count;
}

/* Also a frame that was taken and not sent, and frames that another queue of the port received: pools take buffers from any
 * registered thread. */
static void queue_release(struct driver_queue *face, struct driver_frame *frames, uint32_t count) {
  (void)face;
  while (count > 0) {
    struct rte_mbuf *buffers[DPDK_BURST_FRAMES];
    const uint32_t part = count < DPDK_BURST_FRAMES ? count : DPDK_BURST_FRAMES;
    for (uint32_t i = 0; i < part; i++) buffers[i] = frames[i].owner;
    rte_pktmbuf_free_bulk(buffers, part);
    frames += part;
    count -= part;
  }
}

static bool queue_take(struct driver_queue *face, struct driver_frame *frame) {
  struct dpdk_queue *queue = of(face);
  struct rte_mbuf *buffer = rte_pktmbuf_alloc(queue->buffers);
  if (unlikely(!buffer)) {
    queue->counters.no_buffer++;
    return false;
  }
  *frame = (struct driver_frame){.bytes = rte_pktmbuf_mtod(buffer, uint8_t *), .length = queue->frame_bytes, .owner = buffer};
  return true;
}

static void ask_for_l4_checksum(struct rte_mbuf *buffer, uint8_t protocol) {
  const uint8_t *l4 = rte_pktmbuf_mtod_offset(buffer, const uint8_t *, buffer->l2_len + buffer->l3_len);
  if (protocol == IPPROTO_TCP) {
    buffer->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
    buffer->l4_len = (uint8_t)((((const struct rte_tcp_hdr *)(const void *)l4)->data_off >> 4) * 4);
  } else if (protocol == IPPROTO_UDP) {
    buffer->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
    buffer->l4_len = sizeof(struct rte_udp_hdr);
  }
}

/* Frames of the stack's own making: no options, no extension headers. */
static void ask_for_checksums(struct rte_mbuf *buffer, uint32_t offload) {
  rte_be16_t ethertype = 0;
  buffer->l2_len = ip_offset(buffer, &ethertype) & 0x7f;
  uint8_t protocol;
  if (ethertype == RTE_BE16(RTE_ETHER_TYPE_IPV6)) {
    buffer->l3_len = sizeof(struct rte_ipv6_hdr);
    buffer->ol_flags |= RTE_MBUF_F_TX_IPV6;
    protocol = rte_pktmbuf_mtod_offset(buffer, const struct rte_ipv6_hdr *, buffer->l2_len)->proto;
  } else {
    struct rte_ipv4_hdr *ipv4 = rte_pktmbuf_mtod_offset(buffer, struct rte_ipv4_hdr *, buffer->l2_len);
    buffer->l3_len = rte_ipv4_hdr_len(ipv4);
    buffer->ol_flags |= RTE_MBUF_F_TX_IPV4;
    if (offload & NETWORK_OFFLOAD_TX_IPV4_CHECKSUM) {
      ipv4->hdr_checksum = 0;
      buffer->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
    }
    protocol = ipv4->next_proto_id;
  }
  if (offload & NETWORK_OFFLOAD_TX_L4_CHECKSUM) ask_for_l4_checksum(buffer, protocol);
}

static void drop_pending(struct dpdk_queue *queue, struct rte_mbuf **buffers, uint16_t count) {
  rte_pktmbuf_free_bulk(buffers, count);
  queue->counters.send_dropped += count;
}

/* How many of `pending` the device has seen to be sendable; a refused one is dropped and the rest moves up. */
static uint16_t prepare_pending(struct dpdk_queue *queue) {
  uint16_t ready = 0;
  while (ready < queue->pending_count) {
    ready = (uint16_t)(ready + rte_eth_tx_prepare(queue->port_id, queue->queue, queue->pending + ready,
                                                  (uint16_t)(queue->pending_count - ready)));
    if (ready == queue->pending_count) break;
    drop_pending(queue, queue->pending + ready, 1);
    queue->pending_count--;
    for (uint16_t i = ready; i < queue->pending_count; i++) queue->pending[i] = queue->pending[i + 1];
  }
  return ready;
}

static void queue_flush(struct driver_queue *face) {
  struct dpdk_queue *queue = of(face);
  if (queue->pending_count == 0) return;
  const uint16_t count = queue->prepare ? prepare_pending(queue) : queue->pending_count;
  uint32_t lengths[DPDK_BURST_FRAMES];
  for (uint16_t i = 0; i < count; i++) lengths[i] = queue->pending[i]->pkt_len;
  uint16_t sent = 0;
  for (unsigned try = 0; try < SEND_TRIES && sent < count; try++)
    sent = (uint16_t)(sent + rte_eth_tx_burst(queue->port_id, queue->queue, queue->pending + sent, (uint16_t)(count - sent)));
  for (uint16_t i = 0; i < sent; i++) queue->counters.sent_bytes += lengths[i];
  queue->counters.sent += sent;
  if (unlikely(sent < count)) drop_pending(queue, queue->pending + sent, (uint16_t)(count - sent));
  queue->pending_count = 0;
}

static void queue_send(struct driver_queue *face, struct driver_frame *frame, uint32_t offload) {
  struct dpdk_queue *queue = of(face);
  struct rte_mbuf *buffer = frame->owner;
  ALWAYS_ASSERT(frame->length <= queue->frame_bytes);
  buffer->data_len = (uint16_t)frame->length;
  buffer->pkt_len = frame->length;
  if (offload & (NETWORK_OFFLOAD_TX_IPV4_CHECKSUM | NETWORK_OFFLOAD_TX_L4_CHECKSUM)) ask_for_checksums(buffer, offload);
  queue->pending[queue->pending_count++] = buffer;
  if (queue->pending_count == DPDK_BURST_FRAMES) queue_flush(face);
}

static const struct driver_queue_counters *queue_counters(const struct driver_queue *face) {
  return &((const struct dpdk_queue *)face)->counters;
}

const struct driver_queue_operations dpdk_queue_operations = {
    .receive = queue_receive,
    .release = queue_release,
    .take = queue_take,
    .send = queue_send,
    .flush = queue_flush,
    .counters = queue_counters,
};
