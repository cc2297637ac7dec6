/* Bytes and FIN on their way to the handler. */
#include "tcp_internal.h"

/* The handler's share of `length` bytes; all of them when nobody listens any more. */
static uint32_t handler_take(struct stream *stream, const uint8_t *bytes, uint32_t length) {
  if ((stream->flags & STREAM_CLOSE_CALLED) || !(stream->flags & STREAM_OPENED)) return length;
  const uint32_t taken = stream_handler(stream)->received(stream->handler_state, bytes, length, stream->network->now_ns);
  ALWAYS_ASSERT(taken <= length);
  /* Closed meanwhile: the rest is discarded. */
  return stream->flags & STREAM_CLOSE_CALLED ? length : taken;
}

static void finish_if_all_taken(struct stream *stream) {
  if (!(stream->flags & STREAM_PEER_FIN_TAKEN) || (stream->flags & STREAM_PEER_FIN_TOLD) || stream_held_bytes(stream)) return;
  stream->flags |= STREAM_PEER_FIN_TOLD;
  if (!(stream->flags & STREAM_OPENED) || (stream->flags & STREAM_CLOSE_CALLED)) return;
  stream_handler(stream)->peer_finished(stream->handler_state, stream->network->now_ns);
}

void tcp_deliver(struct stream *stream) {
  for (uint32_t held; (held = stream_held_bytes(stream)) > 0;) {
    uint32_t length;
    const uint8_t *run = reassembly_run(stream, held, &length);
    const uint32_t taken = handler_take(stream, run, length);
    if (stream->state == TCP_CLOSED) return;
    stream->delivered += taken;
    reassembly_consumed(stream);
    if (taken < length) return;
  }
  finish_if_all_taken(stream);
}

/* In-order bytes at rcv_nxt: to the handler without a copy when nothing is before them, the rest into the buffer. True when what
 * is held then may be offered: not again what the handler has just left. */
static bool accept_in_order(struct stream *stream, const uint8_t *bytes, uint32_t length) {
  struct network *network = stream->network;
  const bool direct = !stream_paused(stream) && stream_held_bytes(stream) == 0;
  uint32_t taken = 0;
  if (direct) {
    stream->rcv_nxt += length;
    taken = handler_take(stream, bytes, length);
    if (stream->state == TCP_CLOSED) return false;
    stream->delivered += taken;
    stream->rcv_nxt -= length - taken;
    if (stream->receive_head) reassembly_consumed(stream);
  }
  uint32_t kept = 0;
  if (taken < length) {
    kept = reassembly_store(stream, stream->rcv_nxt, bytes + taken, length - taken);
    stream->rcv_nxt += kept;
    /* No block for the rest: it is not acknowledged, so the peer sends it again. */
    network->counters.tcp_window_overrun_bytes += length - taken - kept;
  }
  network->counters.tcp_bytes_received += taken + kept;
  return !direct || taken == length;
}

static void accept_out_of_order(struct stream *stream, uint32_t seq, const uint8_t *bytes, uint32_t length) {
  struct network_counters *counters = &stream->network->counters;
  const uint32_t kept = reassembly_store(stream, seq, bytes, length);
  if (kept) tcp_sack_remember(stream, seq, kept);
  if (kept == length) {
    counters->tcp_out_of_order++;
  } else {
    counters->tcp_out_of_order_dropped++;
  }
}

/* Bytes that waited behind a hole that is now filled. */
static void advance_over_kept(struct stream *stream) {
  uint32_t more = reassembly_contiguous(stream, stream->rcv_nxt);
  if (stream->flags & STREAM_PEER_FIN_SEEN) {
    const uint32_t before_fin = stream->peer_fin - stream->rcv_nxt;
    if (more > before_fin) more = before_fin;
  }
  stream->rcv_nxt += more;
  stream->network->counters.tcp_bytes_received += more;
}

/* The FIN's place; nothing follows it, whatever later segments say. Returns the bytes that count. */
static uint32_t cut_at_fin(struct stream *stream, uint32_t seq, uint32_t length, bool fin) {
  if (fin && !(stream->flags & STREAM_PEER_FIN_SEEN)) {
    stream->flags |= STREAM_PEER_FIN_SEEN;
    stream->peer_fin = seq + length;
  }
  if (!(stream->flags & STREAM_PEER_FIN_SEEN)) return length;
  const int32_t before_fin = (int32_t)(stream->peer_fin - seq);
  if (before_fin < 0) return 0;
  return length < (uint32_t)before_fin ? length : (uint32_t)before_fin;
}

static void accept_in_step(struct stream *stream, const uint8_t *bytes, uint32_t length) {
  const bool offer = accept_in_order(stream, bytes, length);
  if (stream->state == TCP_CLOSED) return;
  if (stream->receive_head) advance_over_kept(stream);
  if (stream->flags & STREAM_EARLY) tcp_sack_trim(stream);
  if (!stream->receive_head) return;
  if (stream_paused(stream)) {
    stream->flags |= STREAM_OFFER_DUE;
  } else if (offer) {
    tcp_deliver(stream);
  }
}

void tcp_accept_bytes(struct stream *stream, uint32_t seq, const uint8_t *bytes, uint32_t length, bool fin) {
  if (stream->flags & STREAM_PEER_FIN_TAKEN) return;
  length = cut_at_fin(stream, seq, length, fin);
  const bool early = seq != stream->rcv_nxt;
  if (length && early) accept_out_of_order(stream, seq, bytes, length);
  if (length && !early) accept_in_step(stream, bytes, length);
  if (stream->state == TCP_CLOSED) return;
  if ((stream->flags & STREAM_PEER_FIN_SEEN) && stream->rcv_nxt == stream->peer_fin) {
    tcp_peer_finished(stream);
    finish_if_all_taken(stream);
    if (stream->state == TCP_CLOSED) return;
  }
  if (early) {
    /* RFC 5681 section 4.2: at once, so that the peer counts three and sends again. */
    tcp_send_ack(stream);
    return;
  }
  if (stream->flags & STREAM_ACK_DUE) stream->network->counters.tcp_acks_coalesced++;
  stream->flags |= STREAM_ACK_DUE;
  stream_pend(stream);
}
