/* Bytes and FIN on their way to the handler. */
#include "tcp_internal.h"

/* The handler's share of `length` bytes; all of them when nobody listens any more. */
static uint32_t handler_take(struct stream *stream, const uint8_t *bytes, uint32_t length) {
  if ((stream->flags & STREAM_CLOSE_CALLED) || !(stream->flags & STREAM_OPENED)) return length;
  stream->flags |= STREAM_DELIVERING;
  const uint32_t taken = stream_handler(stream)->received(stream->handler_state, bytes, length, stream->network->now_ns);
  stream->flags &= ~(uint32_t)STREAM_DELIVERING;
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
  if (stream->flags & STREAM_DELIVERING) return;
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

/* In-order bytes at rcv_nxt: to the handler without a copy when nothing is before them, the rest into the buffer. */
static void accept_in_order(struct stream *stream, const uint8_t *bytes, uint32_t length) {
  struct network *network = stream->network;
  uint32_t taken = 0;
  if (!network->paused && stream_held_bytes(stream) == 0) {
    stream->rcv_nxt += length;
    taken = handler_take(stream, bytes, length);
    if (stream->state == TCP_CLOSED) return;
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
}

static void accept_out_of_order(struct stream *stream, uint32_t seq, const uint8_t *bytes, uint32_t length) {
  struct network_counters *counters = &stream->network->counters;
  const uint32_t kept = reassembly_store(stream, seq, bytes, length);
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

void tcp_accept_bytes(struct stream *stream, uint32_t seq, const uint8_t *bytes, uint32_t length, bool fin) {
  struct network *network = stream->network;
  if (stream->flags & STREAM_PEER_FIN_TAKEN) return;
  if (fin && !(stream->flags & STREAM_PEER_FIN_SEEN)) {
    stream->flags |= STREAM_PEER_FIN_SEEN;
    stream->peer_fin = seq + length;
  }
  /* Nothing follows a FIN, whatever later segments say. */
  if (stream->flags & STREAM_PEER_FIN_SEEN) {
    const int32_t before_fin = (int32_t)(stream->peer_fin - seq);
    if (before_fin < 0) return;
    if (length > (uint32_t)before_fin) length = (uint32_t)before_fin;
  }
  const bool acknowledge_now = seq != stream->rcv_nxt;
  if (length) {
    if (seq == stream->rcv_nxt) {
      accept_in_order(stream, bytes, length);
      if (stream->state == TCP_CLOSED) return;
    } else {
      accept_out_of_order(stream, seq, bytes, length);
    }
  }
  if (stream->receive_head) {
    advance_over_kept(stream);
    if (network->paused) {
      stream->flags |= STREAM_OFFER_DUE;
    } else {
      tcp_deliver(stream);
      if (stream->state == TCP_CLOSED) return;
    }
  }
  if ((stream->flags & STREAM_PEER_FIN_SEEN) && stream->rcv_nxt == stream->peer_fin) {
    tcp_peer_finished(stream);
    if (stream->state == TCP_CLOSED) return;
    if (network->paused) {
      stream->flags |= STREAM_OFFER_DUE;
    } else {
      finish_if_all_taken(stream);
      if (stream->state == TCP_CLOSED) return;
    }
  }
  if (acknowledge_now) {
    /* RFC 5681 section 4.2: at once, so that the peer counts three and sends again. */
    tcp_send_ack(stream);
    return;
  }
  if (stream->flags & STREAM_ACK_DUE) network->counters.tcp_acks_coalesced++;
  stream->flags |= STREAM_ACK_DUE;
  stream_pend(stream);
}
