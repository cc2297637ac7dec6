/* A segment's way in: validation, its connection, and the checks of RFC 9293 section 3.10.7.4 as RFC 5961 tightens them. */
#include "checksum.h"
#include "tcp_internal.h"

static bool checksum_good(const struct network *network, const struct packet *packet) {
  if (packet->checksum_bad) return false;
  if (!(network->config.offload & NETWORK_OFFLOAD_RX_L4_VERIFY)) return true;
  const uint64_t pseudo =
      checksum_pseudo_header(&packet->source, &network->config.addresses[packet->local], IP_PROTOCOL_TCP, packet->l4_bytes);
  return checksum_fold(checksum_add(pseudo, packet->l4, packet->l4_bytes)) == 0xffff;
}

void tcp_receive(struct network *network, const struct packet *packet) {
  const uint8_t *tcp = packet->l4;
  const uint32_t header_bytes = packet->l4_bytes >= TCP_HEADER_BYTES ? (uint32_t)(tcp[12] >> 4) * 4 : 0;
  if (header_bytes < TCP_HEADER_BYTES || header_bytes > packet->l4_bytes) {
    network_dropped(network, DROP_TCP_MALFORMED);
    return;
  }
  if (!checksum_good(network, packet)) {
    network_dropped(network, DROP_TCP_CHECKSUM);
    return;
  }
  struct segment segment = {
      .peer_mac = packet->ethernet + 6,
      .key = {.peer = packet->source,
              .peer_port = load_be16(tcp),
              .local_port = load_be16(tcp + 2),
              .vlan = packet->vlan,
              .local = packet->local},
      .seq = load_be32(tcp + 4),
      .ack = load_be32(tcp + 8),
      .bytes = tcp + header_bytes,
      .length = packet->l4_bytes - header_bytes,
      .window = load_be16(tcp + 14),
      .flags = tcp[13],
  };
  /* SYN with FIN or RST has no meaning a peer could want; port 0 is nobody's. */
  const bool contradiction = (segment.flags & TCP_SYN) && (segment.flags & (TCP_FIN | TCP_RST));
  if (contradiction || segment.key.peer_port == 0 || segment.key.local_port == 0 ||
      (header_bytes > TCP_HEADER_BYTES &&
       !tcp_options_parse(tcp + TCP_HEADER_BYTES, header_bytes - TCP_HEADER_BYTES, &segment.options))) {
    network_dropped(network, DROP_TCP_MALFORMED);
    return;
  }
  network->counters.tcp_delivered++;
  if (segment.flags & TCP_URG) network->counters.tcp_urgent_ignored++;
  tcp_input(network, &segment);
}

static void input_reset(struct stream *stream, const struct segment *segment) {
  struct network_counters *counters = &stream->network->counters;
  const uint32_t offset = segment->seq - stream->rcv_nxt;
  if (offset == 0) {
    counters->tcp_resets_received++;
    tcp_end(stream, STREAM_END_RESET);
    return;
  }
  counters->tcp_resets_ignored++;
  if (offset < stream->rcv_adv - stream->rcv_nxt) tcp_send_challenge(stream);
}

/* Cuts the segment down to the window; what is cut must be acknowledged again. */
static void trim(struct stream *stream, struct segment *segment) {
  struct network_counters *counters = &stream->network->counters;
  const int32_t offset = (int32_t)(segment->seq - stream->rcv_nxt);
  if (offset < 0) {
    const uint32_t old = (uint32_t)-offset;
    /* A FIN before rcv_nxt is one that was taken. */
    if (old > segment->length) segment->flags &= (uint8_t)~TCP_FIN;
    const uint32_t cut = old < segment->length ? old : segment->length;
    counters->tcp_duplicate_bytes += cut;
    segment->bytes += cut;
    segment->length -= cut;
    segment->seq += old;
  }
  const uint32_t room = stream->rcv_adv - segment->seq;
  if (segment->length > room) {
    counters->tcp_window_overrun_bytes += segment->length - room;
    segment->length = room;
    segment->flags &= (uint8_t)~TCP_FIN;
  }
}

/* Old segments within one buffer's length may be retransmissions with a new ACK; anything else outside the window is not ours
 * to believe. */
static bool acceptable(const struct stream *stream, const struct segment *segment) {
  const int32_t offset = (int32_t)(segment->seq - stream->rcv_nxt);
  if (offset < 0) return (uint32_t)-offset <= stream->network->config.receive_buffer_bytes;
  return (uint32_t)offset <= stream->rcv_adv - stream->rcv_nxt;
}

static void input_synchronized(struct stream *stream, struct segment *segment) {
  if (segment->flags & TCP_RST) {
    input_reset(stream, segment);
    return;
  }
  if ((segment->flags & TCP_SYN) || !acceptable(stream, segment)) {
    /* RFC 5961 section 4: whatever its sequence number, a SYN only gets an ACK. */
    tcp_send_challenge(stream);
    return;
  }
  if (!(segment->flags & TCP_ACK)) return;
  const uint32_t span = segment_span(segment);
  const bool old = seq_before(segment->seq, stream->rcv_nxt);
  if (!tcp_acknowledge(stream, segment)) return;
  memcpy(stream->peer_mac, segment->peer_mac, sizeof stream->peer_mac);
  tcp_timestamp_remember(stream, segment);
  stream_heard(stream, span > 0);
  if (stream->state == TCP_TIME_WAIT) return;
  if (span == 0) {
    /* A keep-alive probe (RFC 9293 section 3.8.4) wants an answer. */
    if (old && tcp_challenge_allowed(stream)) tcp_send_ack(stream);
    return;
  }
  const uint32_t length = segment->length;
  trim(stream, segment);
  if (segment->length || (segment->flags & TCP_FIN)) {
    tcp_accept_bytes(stream, segment->seq, segment->bytes, segment->length, segment->flags & TCP_FIN);
    if (stream->state == TCP_CLOSED) return;
  }
  /* Something was cut or nothing is new: the peer must hear where we are. */
  if (segment->length != length || old || (stream->flags & STREAM_PEER_FIN_TAKEN)) {
    stream->flags |= STREAM_ACK_DUE;
    stream_pend(stream);
  }
}

void tcp_input(struct network *network, const struct segment *segment) {
  struct stream *stream = tcp_find(network, &segment->key);
  if (!stream) stream = tcp_listen(network, segment, 0, false);
  if (!stream) return;
  if (stream->state == TCP_TIME_WAIT) {
    tcp_time_wait_input(stream, segment);
    return;
  }
  if (!(segment->flags & (TCP_SYN | TCP_RST)) && !tcp_timestamp_acceptable(stream, segment)) return;
  if (stream->state == TCP_SYN_RECEIVED && !tcp_handshake_continue(stream, segment)) return;
  struct segment trimmed = *segment;
  input_synchronized(stream, &trimmed);
}
