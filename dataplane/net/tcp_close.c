/* The end of a connection, both ways (RFC 9293 section 3.6). The handler is told as soon as both FINs are through; TIME-WAIT is
 * the stack's own affair. */
#include "tcp_internal.h"

static void time_wait_enter(struct stream *stream) {
  struct network *network = stream->network;
  tcp_admission_end(stream);
  stream->state = TCP_TIME_WAIT;
  network->counters.tcp_time_wait++;
  reassembly_discard(stream);
  stream->delivered = stream->rcv_nxt - 1;
  link_init(&stream->age);
  link_append(&network->time_wait, &stream->age);
  tcp_set_deadline(stream, network->now_ns + network->config.time_wait_ns);
  stream->flags &= ~(uint32_t)(STREAM_OFFER_DUE | STREAM_WRITE_CUT | STREAM_SACKED);
  if (!(stream->flags & STREAM_OPENED)) return;
  stream->flags &= ~(uint32_t)STREAM_OPENED;
  network->counters.tcp_closed_by_end[STREAM_END_FINISHED]++;
  stream_handler(stream)->closed(stream->handler_state, STREAM_END_FINISHED, network->now_ns);
}

void tcp_peer_finished(struct stream *stream) {
  stream->rcv_nxt++;
  stream->rcv_adv = seq_max(stream->rcv_adv, stream->rcv_nxt);
  stream->flags |= STREAM_PEER_FIN_TAKEN;
  switch (stream->state) {
  case TCP_ESTABLISHED:
    stream->state = TCP_CLOSE_WAIT;
    break;
  case TCP_FIN_WAIT_1:
    stream->state = TCP_CLOSING;
    break;
  case TCP_FIN_WAIT_2:
    time_wait_enter(stream);
    break;
  default:
    break;
  }
}

void tcp_fin_acknowledged(struct stream *stream) {
  const struct network *network = stream->network;
  const uint64_t idle = network->config.idle_timeout_ns;
  switch (stream->state) {
  case TCP_FIN_WAIT_1:
    stream->state = TCP_FIN_WAIT_2;
    tcp_set_deadline(stream, network->now_ns + (idle && idle < TCP_FIN_WAIT_2_NS ? idle : TCP_FIN_WAIT_2_NS));
    break;
  case TCP_CLOSING:
    time_wait_enter(stream);
    break;
  case TCP_LAST_ACK:
    tcp_end(stream, STREAM_END_FINISHED);
    break;
  default:
    break;
  }
}

/* RFC 6191: timestamps tell an old SYN from a new one; without them, or at the same tick, sequence numbers do. */
static bool incarnation_newer(const struct stream *stream, const struct segment *segment) {
  const bool beyond = seq_after(segment->seq, stream->rcv_nxt);
  if (!(stream->flags & STREAM_TIMESTAMPS) || !segment->options.timestamps) return beyond;
  if (segment->options.timestamp == stream->timestamp_recent) return beyond;
  return seq_after(segment->options.timestamp, stream->timestamp_recent);
}

void tcp_time_wait_input(struct stream *stream, const struct segment *segment) {
  struct network *network = stream->network;
  if (segment->flags & TCP_RST) {
    /* RFC 1337: a stray RST must not cut TIME-WAIT short. */
    network->counters.tcp_resets_ignored++;
    return;
  }
  if (segment->flags & TCP_SYN) {
    if ((segment->flags & TCP_ACK) || !incarnation_newer(stream, segment)) {
      tcp_send_challenge(stream);
      return;
    }
    if (tcp_half_open_full(network)) {
      /* A cookie could not stay beyond the old numbers; the SYN comes again, to another state of things. */
      network->counters.tcp_refused_half_open++;
      return;
    }
    /* RFC 9293 section 3.6.1: a new connection from beyond the old one's sequence numbers, ours beyond as well. */
    const uint32_t after = stream->snd_max;
    tcp_end(stream, STREAM_END_FINISHED);
    tcp_listen(network, segment, after, true);
    return;
  }
  if (segment_span(segment) == 0) return;
  /* Our last ACK was lost. */
  if (segment->flags & TCP_FIN) {
    link_remove(&stream->age);
    link_append(&network->time_wait, &stream->age);
    tcp_set_deadline(stream, network->now_ns + network->config.time_wait_ns);
  }
  if (tcp_challenge_allowed(stream)) tcp_send_ack(stream);
}
