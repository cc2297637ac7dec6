#include "dpdk_internal.h"
#include "network.h"
#include <netinet/in.h>
#include <rte_ip.h>

static struct dpdk_queue *of(struct driver_queue *queue) { return (struct dpdk_queue *)queue; }

static uint32_t receive(struct driver_queue *queue, struct driver_frame *frames, uint32_t most) {
  struct dpdk_queue *self = of(queue);
  struct rte_mbuf *burst[DPDK_BURST];
  const uint16_t count = rte_eth_rx_burst(self->port_id, self->index, burst, (uint16_t)(most < DPDK_BURST ? most : DPDK_BURST));
  for (uint16_t i = 0; i < count; i++) {
    struct rte_mbuf *frame = burst[i];
    const uint64_t flags = frame->ol_flags;
    /* A frame in several pieces is shorter here than its IP length says: the stack counts it as truncated. */
    frames[i] = (struct driver_frame){
        .bytes = rte_pktmbuf_mtod(frame, uint8_t *),
        .length = frame->data_len,
        .checksum_bad = (flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD ||
                        (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD,
        .owner = frame,
    };
    self->counters.received_bytes += frame->data_len;
  }
  self->counters.received += count;
  return count;
}

static void release(struct driver_queue *queue, struct driver_frame *frames, uint32_t count) {
  struct rte_mbuf *burst[DPDK_BURST];
  (void)queue;
  while (count) {
    const uint32_t part = count < DPDK_BURST ? count : DPDK_BURST;
    for (uint32_t i = 0; i < part; i++) burst[i] = frames[i].owner;
    rte_pktmbuf_free_bulk(burst, part);
    frames += part;
    count -= part;
  }
}

static bool take(struct driver_queue *queue, struct driver_frame *frame) {
  struct dpdk_queue *self = of(queue);
  struct rte_mbuf *buffer = rte_pktmbuf_alloc(self->pool);
  if (!buffer) {
    self->counters.no_buffer++;
    return false;
  }
  *frame = (struct driver_frame){.bytes = rte_pktmbuf_mtod(buffer, uint8_t *), .length = self->frame_room, .owner = buffer};
  return true;
}

/* What the device takes at once it takes; the rest is lost and counted, and TCP sends it again. A kernel-backed device may block
 * here instead (af_packet polls for room): its ring is sized beyond the load, and the loop counts long turns. */
static void flush(struct driver_queue *queue) {
  struct dpdk_queue *self = of(queue);
  if (self->pending_count == 0) return;
  uint16_t sent = rte_eth_tx_burst(self->port_id, self->index, self->pending, self->pending_count);
  for (unsigned tries = 0; sent < self->pending_count && tries < 4; tries++)
    sent += rte_eth_tx_burst(self->port_id, self->index, self->pending + sent, self->pending_count - sent);
  self->counters.sent += sent;
  if (sent < self->pending_count) {
    self->counters.send_dropped += (uint64_t)(self->pending_count - sent);
    rte_pktmbuf_free_bulk(self->pending + sent, (unsigned)(self->pending_count - sent));
  }
  self->pending_count = 0;
}

static void request_offload(struct rte_mbuf *buffer, uint32_t offload) {
  const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(buffer, const struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
  buffer->l2_len = RTE_ETHER_HDR_LEN;
  buffer->l3_len = rte_ipv4_hdr_len(ip);
  buffer->ol_flags |= RTE_MBUF_F_TX_IPV4;
  if (offload & NETWORK_OFFLOAD_TX_IPV4_CHECKSUM) buffer->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
  if (!(offload & NETWORK_OFFLOAD_TX_L4_CHECKSUM)) return;
  if (ip->next_proto_id == IPPROTO_TCP) buffer->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
  if (ip->next_proto_id == IPPROTO_UDP) buffer->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
}

static void send_frame(struct driver_queue *queue, struct driver_frame *frame, uint32_t offload) {
  struct dpdk_queue *self = of(queue);
  struct rte_mbuf *buffer = frame->owner;
  buffer->data_len = (uint16_t)frame->length;
  buffer->pkt_len = frame->length;
  if (offload) request_offload(buffer, offload);
  self->counters.sent_bytes += frame->length;
  self->pending[self->pending_count++] = buffer;
  if (self->pending_count == DPDK_BURST) flush(queue);
}

static const struct driver_queue_counters *counters(const struct driver_queue *queue) {
  return &((const struct dpdk_queue *)queue)->counters;
}

const struct driver_queue_operations dpdk_queue_operations = {
    .receive = receive,
    .release = release,
    .take = take,
    .send = send_frame,
    .flush = flush,
    .counters = counters,
};
