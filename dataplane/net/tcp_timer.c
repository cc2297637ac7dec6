/* One timer a connection, armed lazily: it fires at or before the earliest deadline and moves on, so that the in-order path
 * never touches the wheel. */
#include "tcp_internal.h"

/* When the stream has been idle too long; UINT64_MAX when that is not its concern. */
static uint64_t idle_deadline(const struct stream *stream) {
  const struct network *network = stream->network;
  if (network->config.idle_timeout_ns == 0 || stream->state == TCP_SYN_RECEIVED || stream->state == TCP_TIME_WAIT) {
    return UINT64_MAX;
  }
  const uint64_t since = (uint64_t)(activity_now(network) - stream->activity_tick) << TCP_ACTIVITY_SHIFT;
  const uint64_t left = network->config.idle_timeout_ns > since ? network->config.idle_timeout_ns - since : 0;
  return network->now_ns + left;
}

/* When the peer's life is to be asked for, or given up (RFC 9293 section 3.8.4): only where nothing is in flight, which would ask
 * by itself, and where no shorter bound of the stack's own runs. */
static uint64_t keep_alive_deadline(const struct stream *stream) {
  const struct network_config *config = &stream->network->config;
  if (config->keep_alive_idle_ns == 0 || stream->retransmit_deadline_ns ||
      (stream->state != TCP_ESTABLISHED && stream->state != TCP_CLOSE_WAIT)) {
    return UINT64_MAX;
  }
  const uint64_t since = (uint64_t)(activity_now(stream->network) - stream->heard_tick) << TCP_ACTIVITY_SHIFT;
  const uint64_t due = config->keep_alive_idle_ns + stream->keep_alives * config->keep_alive_interval_ns;
  return stream->network->now_ns + (due > since ? due - since : 0);
}

void tcp_arm(struct stream *stream) {
  uint64_t deadline = idle_deadline(stream);
  const uint64_t keep_alive = keep_alive_deadline(stream);
  if (keep_alive < deadline) deadline = keep_alive;
  if (stream->retransmit_deadline_ns && stream->retransmit_deadline_ns < deadline) deadline = stream->retransmit_deadline_ns;
  if (deadline == UINT64_MAX) return;
  if (!timer_armed(&stream->timer) || deadline < stream->timer.deadline_ns) {
    timer_arm(stream->network->wheel, &stream->timer, deadline);
  }
}

void tcp_set_deadline(struct stream *stream, uint64_t deadline_ns) {
  stream->retransmit_deadline_ns = deadline_ns;
  if (!timer_armed(&stream->timer) || deadline_ns < stream->timer.deadline_ns) {
    timer_arm(stream->network->wheel, &stream->timer, deadline_ns);
  }
}

static void time_out(struct stream *stream) {
  tcp_send_reset(stream);
  tcp_end(stream, STREAM_END_TIMED_OUT);
}

/* A window that stays shut: one byte, or what fits, to make the peer say its window (RFC 9293 section 3.8.6.1). Never given up
 * by count; a peer that only answers "still shut" is not active and meets the idle timeout. */
static void probe(struct stream *stream) {
  uint32_t length = stream->send_queued < stream->snd_wnd ? stream->send_queued : stream->snd_wnd;
  if (length > stream->mss) length = stream->mss;
  if (stream->backoff < UINT8_MAX) stream->backoff++;
  stream->flags |= STREAM_PERSIST;
  stream->flags &= ~(uint32_t)STREAM_RTT_TIMING;
  stream->snd_nxt = stream->snd_una;
  tcp_set_deadline(stream, stream->network->now_ns + rto_ns(stream));
  const uint32_t activity = stream->activity_tick;
  tcp_send_segment(stream, stream->snd_una, length ? length : 1, TCP_ACK);
  stream->activity_tick = activity;
}

static void retransmission_timeout(struct stream *stream) {
  if (stream->send_queued && ((stream->flags & STREAM_PERSIST) || stream->snd_wnd == 0)) {
    probe(stream);
    return;
  }
  if (stream->retransmits >= TCP_RETRANSMITS_MAX) {
    time_out(stream);
    return;
  }
  stream->network->counters.tcp_rto_fired++;
  const uint32_t flight = stream->snd_max - stream->snd_una;
  if (stream->retransmits++ == 0) stream->ssthresh = flight / 2 > 2u * stream->mss ? flight / 2 : 2u * stream->mss;
  if (stream->backoff < UINT8_MAX) stream->backoff++;
  stream->cwnd = stream->mss;
  stream->recover = stream->snd_max;
  stream->duplicate_acks = 0;
  stream->flags &= ~(uint32_t)(STREAM_RECOVERY | STREAM_RTT_TIMING);
  scoreboard_forget(stream);
  /* Set first: without a buffer nothing is sent, and the next timeout tries again. */
  tcp_set_deadline(stream, stream->network->now_ns + rto_ns(stream));
  /* All that was in flight counts as lost; it goes out again as ACKs open the congestion window. */
  stream->snd_nxt = stream->snd_una + tcp_retransmit_first(stream);
}

/* A segment from before the window: whoever lives answers where they are. */
static void keep_alive(struct stream *stream) {
  struct network *network = stream->network;
  if (stream->keep_alives >= network->config.keep_alive_count) {
    network->counters.tcp_keep_alive_timed_out++;
    time_out(stream);
    return;
  }
  stream->keep_alives++;
  network->counters.tcp_keep_alives_sent++;
  tcp_send_segment(stream, stream->snd_una - 1, 0, TCP_ACK);
}

void tcp_timer_fire(struct timer *timer, void *context, uint64_t now_ns) {
  struct stream *stream = LINK_OWNER(timer, struct stream, timer);
  (void)context;
  if (now_ns >= idle_deadline(stream)) {
    time_out(stream);
    return;
  }
  if (now_ns >= keep_alive_deadline(stream)) {
    keep_alive(stream);
  } else if (stream->retransmit_deadline_ns && now_ns >= stream->retransmit_deadline_ns) {
    stream->retransmit_deadline_ns = 0;
    switch (stream->state) {
    case TCP_SYN_RECEIVED:
      tcp_handshake_timeout(stream);
      break;
    case TCP_FIN_WAIT_2:
      time_out(stream);
      break;
    case TCP_TIME_WAIT:
      tcp_end(stream, STREAM_END_FINISHED);
      break;
    default:
      retransmission_timeout(stream);
    }
  }
  if (stream->state != TCP_CLOSED) tcp_arm(stream);
}
