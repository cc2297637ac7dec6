/* What leaves a connection: segments within the peer's window and ours of congestion, and the receive window they carry. */
#include "tcp_internal.h"

uint32_t tcp_window(const struct stream *stream) {
  const struct network *network = stream->network;
  const uint32_t promised = stream->rcv_adv - stream->rcv_nxt;
  if (stream_paused(stream) || (stream->flags & STREAM_PEER_FIN_TAKEN)) return promised;
  const uint32_t limit = network->config.receive_buffer_bytes, held = stream_held_bytes(stream);
  uint32_t window = limit > held ? limit - held : 0;
  /* As the shared pool fills each connection may count on a quarter of what is left, but one that holds nothing keeps two
   * segments: bytes in order need no pool, so nobody can starve the others by filling it. */
  const uint64_t share = (uint64_t)pool_free_count(&network->receive_blocks) * reassembly_block_capacity() / 4;
  const uint32_t mss = tcp_mss_limit(network, &stream->key);
  const uint32_t least = held == 0 ? 2u * mss : 0;
  if (window > share) window = share > least ? (uint32_t)share : (window < least ? window : least);
  const uint32_t field_most = (uint32_t)UINT16_MAX << stream->receive_shift;
  if (window > field_most) window = field_most;
  /* Silly window avoidance (RFC 1122 section 4.2.3.3): the right edge moves by a segment or half the buffer, or not at all. */
  const uint32_t step = limit / 2 < mss ? limit / 2 : mss;
  return (int32_t)(window - promised) >= (int32_t)step ? window : promised;
}

bool tcp_window_update_due(const struct stream *stream) {
  /* A window that stays open is told of with the next ACK; only one near closing needs word of its own. */
  const uint32_t promised = stream->rcv_adv - stream->rcv_nxt;
  return tcp_window(stream) > promised && promised < stream->network->config.receive_buffer_bytes / 2;
}

static uint16_t window_advertise(struct stream *stream) {
  const uint32_t field = tcp_window(stream) >> stream->receive_shift;
  /* Rounding down may show the peer up to 2^shift - 1 bytes less (RFC 7323 section 2.4); what was promised stays accepted. */
  const uint32_t edge = stream->rcv_nxt + (field << stream->receive_shift);
  stream->rcv_adv = seq_max(stream->rcv_adv, edge);
  if (field == 0) stream->network->counters.tcp_zero_windows++;
  return (uint16_t)field;
}

/* Counters, round-trip timing and the retransmission timer for a segment that takes sequence space. */
static void sent_account(struct stream *stream, uint32_t seq, uint32_t length, uint32_t span) {
  struct network *network = stream->network;
  const uint32_t end = seq + span;
  if (seq_before(seq, stream->snd_max)) {
    network->counters.tcp_retransmits++;
    /* Karn: a segment sent twice gives no sample. */
    if ((stream->flags & STREAM_RTT_TIMING) && seq_before(seq, stream->rtt_seq)) stream->flags &= ~(uint32_t)STREAM_RTT_TIMING;
  } else {
    stream_touch(stream);
    if (!(stream->flags & (STREAM_RTT_TIMING | STREAM_TIMESTAMPS))) {
      stream->flags |= STREAM_RTT_TIMING;
      stream->rtt_seq = end;
      stream->rtt_start_us = now_us(network);
    }
  }
  if (seq_after(end, stream->snd_max)) {
    const uint32_t fresh = end - stream->snd_max;
    network->counters.tcp_bytes_sent += fresh < length ? fresh : length;
    stream->snd_max = end;
  }
  if (stream->retransmit_deadline_ns == 0) tcp_set_deadline(stream, network->now_ns + rto_ns(stream));
}

bool tcp_send_segment(struct stream *stream, uint32_t seq, uint32_t length, uint8_t flags) {
  struct network *network = stream->network;
  uint8_t options_bytes = stream->flags & STREAM_TIMESTAMPS ? TCP_TIMESTAMP_BYTES : 0;
  uint8_t sack[4 + 8 * TCP_SACK_BLOCKS_MAX], sack_bytes = 0;
  /* On ACKs alone: there is one at once for each segment beyond a hole. */
  if ((stream->flags & STREAM_EARLY) && length == 0 && flags == TCP_ACK) sack_bytes = tcp_sack_write(stream, sack);
  options_bytes = (uint8_t)(options_bytes + sack_bytes);
  const uint32_t offset = tcp_offset(&stream->key), header_bytes = offset + TCP_HEADER_BYTES + options_bytes;
  uint8_t *frame = frame_reserve(network, header_bytes + length);
  if (!frame) return false;
  if (length) send_queue_copy(stream, seq - stream->snd_una, frame + header_bytes, length);
  if (stream->flags & STREAM_TIMESTAMPS) tcp_timestamp_write(stream, frame + offset + TCP_HEADER_BYTES);
  if (sack_bytes) memcpy(frame + header_bytes - sack_bytes, sack, sack_bytes);
  stream->last_ack_sent = stream->rcv_nxt;
  const struct tcp_header header = {
      .key = &stream->key,
      .peer_mac = stream->peer_mac,
      .seq = seq,
      .ack = stream->rcv_nxt,
      .window = window_advertise(stream),
      .flags = flags,
      .options_bytes = options_bytes,
  };
  tcp_frame_commit(network, frame, &header, length);
  stream->flags &= ~(uint32_t)STREAM_ACK_DUE;
  const uint32_t span = length + (flags & TCP_FIN ? 1 : 0);
  if (span) sent_account(stream, seq, length, span);
  return true;
}

static bool may_send_data(const struct stream *stream) {
  return stream->state != TCP_CLOSED && stream->state != TCP_SYN_RECEIVED && stream->state != TCP_TIME_WAIT;
}

struct next_segment {
  uint32_t length;
  bool fin, blocked; /* blocked: bytes wait and neither window nor an ACK in flight will move them */
};

/* What of our bytes is in the network, for the congestion window. */
static uint32_t in_flight(const struct stream *stream) {
  if (stream_recovers_by_sack(stream)) return scoreboard_next_lost(stream).pipe;
  const uint32_t sent = stream->snd_nxt - stream->snd_una;
  if (stream->flags & STREAM_SACKED) return sent - scoreboard_below(stream, stream->snd_nxt);
  /* RFC 3042: the first two duplicate ACKs tell of segments that arrived, and new ones may follow. In a recovery the window has
   * grown by them; after a timeout they tell of nothing. */
  if (!stream->duplicate_acks || stream->snd_nxt != stream->snd_max || (stream->flags & STREAM_RECOVERY)) return sent;
  const uint32_t arrived = (stream->duplicate_acks < 2 ? stream->duplicate_acks : 2u) * stream->mss;
  return sent > arrived ? sent - arrived : 0;
}

/* What may go out at snd_nxt now; nothing when length is 0 and there is no FIN. */
static struct next_segment next_segment(struct stream *stream) {
  struct next_segment next = {0};
  uint32_t unsaid = UINT32_MAX;
  /* After a timeout: what the peer has meanwhile said it has need not go again. */
  if (stream->flags & STREAM_SACKED) stream->snd_nxt = scoreboard_skip(stream, stream->snd_nxt, &unsaid);
  const uint32_t offset = stream->snd_nxt - stream->snd_una;
  if (offset > stream->send_queued) return next; /* our FIN is out */
  const uint32_t available = stream->send_queued - offset, flight = in_flight(stream);
  const uint32_t peer_room = stream->snd_wnd > offset ? stream->snd_wnd - offset : 0;
  const uint32_t room = stream->cwnd > flight ? stream->cwnd - flight : 0;
  const uint32_t usable = peer_room < room ? peer_room : room;
  uint32_t length = available < usable ? available : usable;
  if (length > stream->mss) length = stream->mss;
  if (length > unsaid) {
    next.length = unsaid;
    return next;
  }
  /* Sender's silly window avoidance (RFC 9293 section 3.8.6.2.1): a full segment, all there is, or half the largest window. */
  if (length < stream->mss && length < available && length < stream->snd_wnd_max / 2) length = 0;
  next.length = length;
  next.blocked = available > 0 && length == 0 && offset == 0;
  /* FIN takes no window: a receiver without room still takes it. */
  next.fin = length == available && (stream->flags & STREAM_CLOSE_CALLED) && !(stream->flags & STREAM_FIN_ACKED);
  return next;
}

/* RFC 6675 section 5, NextSeg: what is lost goes first, as much as the pipe leaves room for. False when there was no buffer. */
static bool lost_output(struct stream *stream, uint32_t most) {
  for (uint32_t i = 0; i < most; i++) {
    const struct lost_segment lost = scoreboard_next_lost(stream);
    if ((lost.length == 0 && !lost.fin) || lost.pipe + lost.length > stream->cwnd) return true;
    if (!tcp_send_segment(stream, lost.seq, lost.length, lost.fin ? TCP_ACK | TCP_FIN : TCP_ACK)) {
      stream_pend(stream);
      return false;
    }
    stream->resent = lost.seq + lost.length + (lost.fin ? 1 : 0);
  }
  return true;
}

static void data_output(struct stream *stream) {
  const uint32_t most = stream->network->config.send_buffer_bytes / TCP_MSS_MIN + 2;
  if (stream_recovers_by_sack(stream) && !lost_output(stream, most)) return;
  for (uint32_t i = 0; i < most; i++) {
    const struct next_segment next = next_segment(stream);
    if (next.blocked && stream->retransmit_deadline_ns == 0) {
      stream->flags |= STREAM_PERSIST;
      tcp_set_deadline(stream, stream->network->now_ns + rto_ns(stream));
    }
    if (next.length == 0 && !next.fin) return;
    const bool last = stream->snd_nxt + next.length == stream->snd_una + stream->send_queued;
    const uint8_t flags = (uint8_t)(TCP_ACK | (last && next.length ? TCP_PSH : 0) | (next.fin ? TCP_FIN : 0));
    if (!tcp_send_segment(stream, stream->snd_nxt, next.length, flags)) {
      stream_pend(stream);
      return;
    }
    stream->snd_nxt += next.length + (next.fin ? 1 : 0);
  }
}

void tcp_output(struct stream *stream) {
  if ((stream->send_queued || (stream->flags & STREAM_CLOSE_CALLED)) && may_send_data(stream)) data_output(stream);
  if (stream->flags & STREAM_ACK_DUE) tcp_send_ack(stream);
}

static void stream_flush(struct stream *stream) {
  const struct network *network = stream->network;
  if ((stream->flags & STREAM_OFFER_DUE) && !stream_paused(stream)) {
    stream->flags &= ~(uint32_t)STREAM_OFFER_DUE;
    tcp_deliver(stream);
    if (stream->state == TCP_CLOSED) return;
    if (tcp_window_update_due(stream)) stream->flags |= STREAM_ACK_DUE;
  }
  if ((stream->flags & STREAM_WRITE_CUT) && (stream->flags & STREAM_OPENED)) {
    if (send_queue_room(stream) > 0) {
      stream->flags &= ~(uint32_t)STREAM_WRITE_CUT;
      stream_handler(stream)->writable(stream->handler_state, network->now_ns);
      if (stream->state == TCP_CLOSED) return;
    } else if (stream->send_queued == 0) {
      /* The shared pool is empty and no ACK of our own will come: look again at each flush. */
      stream_pend(stream);
    }
  }
  tcp_output(stream);
  if ((stream->flags & STREAM_OFFER_DUE) && stream_paused(stream) && link_alone(&stream->pending)) {
    stream->flags |= STREAM_HELD;
    link_append(&stream->network->held, &stream->pending);
  }
}

void tcp_flush(struct network *network) {
  struct link *last = network->pending.previous;
  /* Streams that pend again during this flush wait for the next: a handler cannot hold the loop. */
  for (uint32_t i = 0; i < FLUSH_STREAMS_MAX && !link_alone(&network->pending); i++) {
    struct link *link = network->pending.next;
    struct stream *stream = LINK_OWNER(link, struct stream, pending);
    link_remove(link);
    stream_flush(stream);
    if (link == last) break;
  }
}
