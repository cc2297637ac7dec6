/* Segments without data: ACK, SYN-ACK, RST, and the frame around every segment. */
#include "checksum.h"
#include "tcp_internal.h"

void tcp_frame_commit(struct network *network, uint8_t *frame, const struct tcp_header *header, uint32_t payload_bytes) {
  const uint32_t tcp_bytes = TCP_HEADER_BYTES + header->options_bytes + payload_bytes;
  const struct stream_key *key = header->key;
  const struct path path = {.peer_mac = header->peer_mac, .peer = key->peer, .vlan = key->vlan, .local = key->local};
  uint32_t offload = ip_headers_write(network, frame, &path, IP_PROTOCOL_TCP, tcp_bytes);
  uint8_t *tcp = frame + tcp_offset(key);
  store_be16(tcp, key->local_port);
  store_be16(tcp + 2, key->peer_port);
  store_be32(tcp + 4, header->seq);
  store_be32(tcp + 8, header->ack);
  tcp[12] = (uint8_t)((TCP_HEADER_BYTES + header->options_bytes) / 4 << 4);
  tcp[13] = header->flags;
  store_be16(tcp + 14, header->window);
  store_be32(tcp + 16, 0);
  const uint64_t pseudo = checksum_pseudo_header(&network->config.addresses[key->local], &key->peer, IP_PROTOCOL_TCP, tcp_bytes);
  uint16_t checksum;
  if (network->config.offload & NETWORK_OFFLOAD_TX_L4_CHECKSUM) {
    checksum = checksum_fold(pseudo);
    offload |= NETWORK_OFFLOAD_TX_L4_CHECKSUM;
  } else {
    checksum = (uint16_t)~checksum_fold(checksum_add(pseudo, tcp, tcp_bytes));
  }
  memcpy(tcp + 16, &checksum, sizeof checksum);
  network->counters.tcp_segments_sent++;
  frame_commit(network, tcp_offset(key) + tcp_bytes, offload);
}

void tcp_send_ack(struct stream *stream) {
  if (!tcp_send_segment(stream, stream_control_seq(stream), 0, TCP_ACK)) {
    stream->flags |= STREAM_ACK_DUE;
    stream_pend(stream);
  }
}

bool tcp_challenge_allowed(struct stream *stream) {
  const uint32_t second = (uint32_t)(stream->network->now_ns / 1000000000);
  if (second != stream->challenge_second) {
    stream->challenge_second = second;
    stream->challenges = 0;
  }
  if (stream->challenges >= TCP_CHALLENGES_PER_SECOND) return false;
  stream->challenges++;
  return true;
}

void tcp_send_challenge(struct stream *stream) {
  if (!tcp_challenge_allowed(stream)) return;
  stream->network->counters.tcp_challenge_acks++;
  tcp_send_segment(stream, stream_control_seq(stream), 0, TCP_ACK);
}

bool tcp_send_syn_ack(struct stream *stream) {
  struct network *network = stream->network;
  const bool scales = stream->flags & STREAM_PEER_SCALES, timestamps = stream->flags & STREAM_TIMESTAMPS;
  const bool sack = stream->flags & STREAM_SACK;
  const uint8_t options_bytes =
      (uint8_t)(4u + (scales ? 4u : 0u) + (timestamps ? TCP_TIMESTAMP_BYTES : 0u) + (sack && !timestamps ? 4u : 0u));
  const uint32_t offset = tcp_offset(&stream->key), bytes = offset + TCP_HEADER_BYTES + options_bytes;
  uint8_t *frame = frame_reserve(network, bytes);
  if (!frame) return false;
  uint8_t *options = frame + offset + TCP_HEADER_BYTES;
  store_be32(options, 0x02040000u | tcp_mss_limit(network, &stream->key));
  /* RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2: only when the peer's SYN carried them. */
  if (scales) store_be32(options + 4, 0x01030300u | network->window_shift);
  uint8_t *last = options + (scales ? 8 : 4);
  if (timestamps) tcp_timestamp_write(stream, last);
  /* In place of the two NOPs where there are some. */
  if (sack) store_be16(last, 0x0402);
  if (sack && !timestamps) store_be16(last + 2, 0x0101);
  stream->last_ack_sent = stream->rcv_nxt;
  const struct tcp_header header = {
      .key = &stream->key,
      .peer_mac = stream->peer_mac,
      .seq = stream->snd_una,
      .ack = stream->rcv_nxt,
      .window = (uint16_t)(stream->rcv_adv - stream->rcv_nxt), /* never scaled in a SYN */
      .flags = TCP_SYN | TCP_ACK,
      .options_bytes = options_bytes,
  };
  tcp_frame_commit(network, frame, &header, 0);
  return true;
}

static void reset_commit(struct network *network, const struct tcp_header *header) {
  uint8_t *frame = frame_reserve(network, tcp_offset(header->key) + TCP_HEADER_BYTES);
  if (!frame) return;
  network->counters.tcp_resets_sent++;
  tcp_frame_commit(network, frame, header, 0);
}

void tcp_send_reset(struct stream *stream) {
  const struct tcp_header header = {
      .key = &stream->key,
      .peer_mac = stream->peer_mac,
      .seq = stream_control_seq(stream),
      .ack = stream->rcv_nxt,
      .flags = TCP_RST | TCP_ACK,
  };
  reset_commit(stream->network, &header);
}

void tcp_refuse(struct network *network, const struct segment *segment) {
  if (segment->flags & TCP_RST) return;
  struct tcp_header header = {.key = &segment->key, .peer_mac = segment->peer_mac, .flags = TCP_RST};
  if (segment->flags & TCP_ACK) {
    header.seq = segment->ack;
  } else {
    header.ack = segment->seq + segment_span(segment);
    header.flags = TCP_RST | TCP_ACK;
  }
  reset_commit(network, &header);
}
