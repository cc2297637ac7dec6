/* The ACK field: what it releases, the round trip it times, and congestion control (RFC 5681, RFC 6298, RFC 6582, RFC 6675). */
#include "tcp_internal.h"

#define DUPLICATE_ACKS 3u /* RFC 5681 section 3.2 */

void tcp_round_trip_sample(struct stream *stream, uint32_t sample_us) {
  if (sample_us == 0) sample_us = 1;
  if (stream->srtt_us == 0) {
    stream->srtt_us = sample_us;
    stream->rttvar_us = sample_us / 2;
  } else {
    const uint32_t error = stream->srtt_us > sample_us ? stream->srtt_us - sample_us : sample_us - stream->srtt_us;
    stream->rttvar_us = (uint32_t)(((uint64_t)stream->rttvar_us * 3 + error) / 4);
    stream->srtt_us = (uint32_t)(((uint64_t)stream->srtt_us * 7 + sample_us) / 8);
    if (stream->srtt_us == 0) stream->srtt_us = 1;
  }
  const uint64_t rto = stream->srtt_us + (uint64_t)stream->rttvar_us * 4;
  stream->rto_us = rto < TCP_RTO_MIN_US ? TCP_RTO_MIN_US : rto > TCP_RTO_MAX_US ? TCP_RTO_MAX_US : (uint32_t)rto;
  stream->backoff = 0;
}

static void window_grow(struct stream *stream, uint32_t acked) {
  uint32_t more = acked < stream->mss ? acked : stream->mss;
  if (stream->cwnd >= stream->ssthresh) more = (uint32_t)((uint64_t)stream->mss * stream->mss / stream->cwnd);
  stream->cwnd += more ? more : 1;
  /* More than the send buffer can never be in flight. */
  const uint32_t most = stream->network->config.send_buffer_bytes + stream->mss;
  if (stream->cwnd > most) stream->cwnd = most;
}

uint32_t tcp_retransmit_first(struct stream *stream) {
  const uint32_t outstanding = stream->snd_max - stream->snd_una;
  uint32_t length = outstanding < stream->send_queued ? outstanding : stream->send_queued;
  if (length > stream->mss) length = stream->mss;
  if (length > stream->snd_wnd && stream->snd_wnd) length = stream->snd_wnd;
  scoreboard_skip(stream, stream->snd_una, &length);
  const bool fin = length == stream->send_queued && outstanding > length;
  if (length == 0 && !fin) return 0;
  if (!tcp_send_segment(stream, stream->snd_una, length, fin ? TCP_ACK | TCP_FIN : TCP_ACK)) return 0;
  return length + (fin ? 1 : 0);
}

static void recovery_enter(struct stream *stream) {
  const uint32_t flight = stream->snd_max - stream->snd_una;
  stream->ssthresh = flight / 2 > 2u * stream->mss ? flight / 2 : 2u * stream->mss;
  /* With SACK the pipe says what has left the network; without it each duplicate ACK does, so the window grows by them. */
  stream->cwnd = stream->ssthresh + (stream->flags & STREAM_SACK ? 0 : DUPLICATE_ACKS * stream->mss);
  stream->recover = stream->snd_max;
  stream->flags |= STREAM_RECOVERY;
  stream->resent = stream->snd_una + tcp_retransmit_first(stream);
  stream_pend(stream);
}

/* RFC 6582 section 3.2, RFC 6675 section 5.1: none for what a timeout already sends again. */
static bool recovery_possible(const struct stream *stream) {
  return !(stream->flags & STREAM_RECOVERY) && !seq_before(stream->snd_una, stream->recover) &&
         stream->snd_una != stream->snd_max;
}

static void duplicate_ack(struct stream *stream) {
  stream->network->counters.tcp_duplicate_acks++;
  if (stream->flags & STREAM_RECOVERY) {
    if (!(stream->flags & STREAM_SACK)) stream->cwnd += stream->mss;
    stream_pend(stream);
    return;
  }
  if (stream->duplicate_acks < UINT8_MAX) stream->duplicate_acks++;
  if (recovery_possible(stream) && (stream->duplicate_acks == DUPLICATE_ACKS || scoreboard_first_lost(stream))) {
    recovery_enter(stream);
  } else if (stream->duplicate_acks < DUPLICATE_ACKS && stream->send_queued) {
    /* RFC 3042: something new may leave in place of what arrived. */
    stream_pend(stream);
  }
}

static void recovery_progress(struct stream *stream, uint32_t acked) {
  if (!seq_before(stream->snd_una, stream->recover)) {
    stream->flags &= ~(uint32_t)STREAM_RECOVERY;
    stream->cwnd = stream->ssthresh;
    return;
  }
  if (stream->flags & STREAM_SACK) {
    stream->resent = seq_max(stream->resent, stream->snd_una);
    stream_pend(stream);
    return;
  }
  /* A partial ACK: the next hole is lost as well. */
  stream->cwnd = stream->cwnd > acked ? stream->cwnd - acked : 0;
  if (acked >= stream->mss || stream->cwnd < stream->mss) stream->cwnd += stream->mss;
  tcp_retransmit_first(stream);
}

static void acknowledge_new(struct stream *stream, const struct segment *segment) {
  const uint32_t ack = segment->ack;
  const uint32_t acked = ack - stream->snd_una;
  const uint32_t data = acked < stream->send_queued ? acked : stream->send_queued;
  if (stream->flags & STREAM_TIMESTAMPS) {
    tcp_timestamp_sample(stream, segment);
  } else if ((stream->flags & STREAM_RTT_TIMING) && !seq_before(ack, stream->rtt_seq)) {
    stream->flags &= ~(uint32_t)STREAM_RTT_TIMING;
    tcp_round_trip_sample(stream, now_us(stream->network) - stream->rtt_start_us);
  }
  send_queue_release(stream, data);
  stream->snd_una = ack;
  stream->snd_nxt = seq_max(stream->snd_nxt, ack);
  scoreboard_trim(stream);
  if (stream->flags & STREAM_SACK) scoreboard_take(stream, segment);
  /* `recover` lives only inside one window; it must not come round again. */
  if (!(stream->flags & STREAM_RECOVERY) && seq_after(ack, stream->recover)) stream->recover = ack - 1;
  stream->duplicate_acks = 0;
  stream->retransmits = 0;
  if (stream->backoff > TCP_BACKOFF_KEPT_MAX) stream->backoff = TCP_BACKOFF_KEPT_MAX;
  stream->flags &= ~(uint32_t)STREAM_PERSIST;
  if (stream->flags & STREAM_RECOVERY) {
    recovery_progress(stream, acked);
  } else {
    window_grow(stream, data);
  }
  /* The duplicate ACKs before this one may have been lost. */
  if ((stream->flags & STREAM_SACKED) && recovery_possible(stream) && scoreboard_first_lost(stream)) recovery_enter(stream);
  if (stream->snd_una == stream->snd_max) {
    stream->retransmit_deadline_ns = 0;
  } else {
    tcp_set_deadline(stream, stream->network->now_ns + rto_ns(stream));
  }
  if (stream->send_queued || (stream->flags & (STREAM_WRITE_CUT | STREAM_CLOSE_CALLED))) stream_pend(stream);
  if (acked > data) {
    stream->flags |= STREAM_FIN_ACKED;
    tcp_fin_acknowledged(stream);
  }
}

/* RFC 9293 section 3.10.7.4: only a newer segment may move the window; and one that acknowledges more is newer whatever its
 * sequence number, or bytes sent again would carry the old window on beyond its edge. True when it changed. */
static bool window_update(struct stream *stream, const struct segment *segment) {
  if (seq_before(segment->seq, stream->snd_wl1) && !seq_after(segment->ack, stream->snd_una)) return false;
  const uint32_t window = (uint32_t)segment->window << stream->send_shift;
  const bool changed = window != stream->snd_wnd;
  stream->snd_wnd = window;
  stream->snd_wl1 = seq_max(stream->snd_wl1, segment->seq);
  if (window > stream->snd_wnd_max) stream->snd_wnd_max = window;
  if (!changed) return false;
  if (window && (stream->flags & STREAM_PERSIST)) {
    stream->flags &= ~(uint32_t)STREAM_PERSIST;
    stream->backoff = 0;
    stream->retransmit_deadline_ns = 0;
  }
  if (stream->send_queued) stream_pend(stream);
  return true;
}

bool tcp_acknowledge(struct stream *stream, const struct segment *segment) {
  const uint32_t ack = segment->ack;
  /* RFC 5961 section 5: neither beyond what was sent nor older than a window. */
  if (seq_after(ack, stream->snd_max) || seq_before(ack, stream->snd_una - stream->snd_wnd_max)) {
    tcp_send_challenge(stream);
    return false;
  }
  if (seq_before(ack, stream->snd_una)) return true;
  const bool changed = window_update(stream, segment);
  if (seq_after(ack, stream->snd_una)) {
    acknowledge_new(stream, segment);
    return stream->state != TCP_CLOSED;
  }
  if (stream->snd_una == stream->snd_max || (stream->flags & STREAM_PERSIST)) return true;
  /* RFC 6675 section 2: with SACK a duplicate is what tells of more; a peer that never tells is heard as RFC 5681 has it. */
  const bool told = (stream->flags & STREAM_SACK) && scoreboard_take(stream, segment);
  if (told || (segment_span(segment) == 0 && !changed && segment->options.sack_count == 0)) duplicate_ack(stream);
  return true;
}
