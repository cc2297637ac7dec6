/* From SYN to ESTABLISHED, server side only. Half-open connections are bounded; beyond the bound cookies answer (RFC 4987). */
#include "tcp_internal.h"

/* RFC 6528: a clock of 4 us and a keyed hash of the connection. */
static uint32_t initial_sequence(const struct network *network, const struct stream_key *key) {
  struct {
    struct stream_key key;
    struct ip_address own;
  } tuple = {*key, network->config.addresses[key->local]};
  return (uint32_t)(network->now_ns / 4000) + (uint32_t)siphash(&network->config.isn_key, &tuple, sizeof tuple);
}

/* The listener on the segment's local port, or NETWORK_LISTENERS_MAX. */
static uint32_t listener_of(const struct network *network, uint16_t port) {
  for (uint32_t i = 0; i < network->config.tcp_listener_count; i++) {
    if (network->config.tcp_listeners[i].port == port) return i;
  }
  return NETWORK_LISTENERS_MAX;
}

/* Makes room where all streams are in use: the oldest in TIME-WAIT goes. */
static bool make_room(struct network *network) {
  tcp_reap(network);
  if (pool_free_count(&network->streams) == 0 && !link_alone(&network->time_wait)) {
    tcp_end(LINK_OWNER(network->time_wait.next, struct stream, age), STREAM_END_FINISHED);
    tcp_reap(network);
  }
  return pool_free_count(&network->streams) > 0;
}

/* For a peer that has proven where it is: the oldest that has not may go as well. */
static bool make_room_for_proven(struct network *network) {
  if (make_room(network)) return true;
  if (link_alone(&network->half_open)) return false;
  network->counters.tcp_half_open_evicted++;
  tcp_end(LINK_OWNER(network->half_open.next, struct stream, age), STREAM_END_ABORTED);
  tcp_reap(network);
  return true;
}

static void syn_accept(struct stream *stream, const struct segment *segment, uint32_t listener) {
  struct network *network = stream->network;
  const struct tcp_options *options = &segment->options;
  const uint32_t peer_mss = options->mss ? options->mss : TCP_MSS_DEFAULT;
  const uint32_t most = tcp_mss_limit(network, &stream->key);
  memcpy(stream->peer_mac, segment->peer_mac, 6);
  stream->listener = (uint8_t)listener;
  stream->state = TCP_SYN_RECEIVED;
  stream->mss = (uint16_t)(peer_mss < TCP_MSS_MIN ? TCP_MSS_MIN : peer_mss < most ? peer_mss : most);
  if (options->scales) {
    stream->flags |= STREAM_PEER_SCALES;
    stream->send_shift = options->shift;
  }
  if (options->sack_permitted) stream->flags |= STREAM_SACK;
  stream->rtt_start_us = now_us(network);
  tcp_timestamp_negotiate(stream, segment);
  /* Bytes on a SYN are not taken; the peer sends them again after the handshake. */
  stream->rcv_nxt = stream->rcv_adv = stream->delivered = segment->seq + 1;
  stream->rto_us = TCP_RTO_INITIAL_US;
  stream->snd_wnd = stream->snd_wnd_max = segment->window;
  stream->snd_wl1 = segment->seq;
  const uint32_t window = tcp_window(stream);
  stream->rcv_adv += window < UINT16_MAX ? window : UINT16_MAX;
  if (stream->flags & STREAM_PEER_SCALES) stream->receive_shift = network->window_shift;
}

/* A stream in SYN-RECEIVED with its sequence numbers. */
static void half_open(struct stream *stream, uint32_t iss) {
  struct network *network = stream->network;
  stream->snd_una = iss;
  stream->snd_nxt = stream->snd_max = iss + 1;
  stream->recover = iss;
  network->counters.tcp_opened++;
  network->counters.tcp_half_open++;
  link_init(&stream->age);
  link_append(&network->half_open, &stream->age);
}

static void syn_receive(struct network *network, const struct segment *segment, uint32_t listener, uint32_t after_seq,
                        bool reuse) {
  if (tcp_half_open_full(network)) {
    struct stream passing = {.key = segment->key, .network = network};
    syn_accept(&passing, segment, listener);
    tcp_cookie_send(&passing, segment);
    return;
  }
  struct stream *stream = make_room(network) ? tcp_open(network, &segment->key) : NULL;
  if (!stream) {
    /* Silence: the peer's SYN comes again, perhaps to better times. */
    network->counters.tcp_refused_full++;
    return;
  }
  syn_accept(stream, segment, listener);
  uint32_t iss = initial_sequence(network, &segment->key);
  if (reuse && !seq_after(iss, after_seq)) iss = after_seq + 1;
  half_open(stream, iss);
  tcp_send_syn_ack(stream);
  tcp_set_deadline(stream, network->now_ns + rto_ns(stream));
}

/* An ACK out of the blue while cookies are about: the stream that it proves, in SYN-RECEIVED, or NULL when it was dealt with. */
static struct stream *cookie_receive(struct network *network, const struct segment *segment, uint32_t listener) {
  struct segment syn;
  if (!tcp_cookie_take(network, segment, &syn)) {
    network->counters.tcp_cookies_rejected++;
    tcp_refuse(network, segment);
    return NULL;
  }
  struct stream *stream = make_room_for_proven(network) ? tcp_open(network, &segment->key) : NULL;
  if (!stream) {
    /* Silence: the peer's bytes come again. */
    network->counters.tcp_refused_full++;
    return NULL;
  }
  network->counters.tcp_cookies_accepted++;
  syn_accept(stream, &syn, listener);
  stream->rcv_adv = stream->rcv_nxt + tcp_cookie_window(network, &segment->key);
  /* Nobody knows when the SYN came, so without timestamps there is no round trip to learn from. */
  stream->flags |= STREAM_SYN_RESENT;
  half_open(stream, segment->ack - 1);
  return stream;
}

struct stream *tcp_listen(struct network *network, const struct segment *segment, uint32_t after_seq, bool reuse) {
  if (segment->flags & TCP_RST) return NULL;
  const uint32_t listener = listener_of(network, segment->key.local_port);
  const bool syn = (segment->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
  const bool late_ack = (segment->flags & (TCP_SYN | TCP_ACK)) == TCP_ACK && tcp_cookies_expected(network);
  if ((!syn && !late_ack) || listener == NETWORK_LISTENERS_MAX) {
    if (syn) network->counters.tcp_refused_port++;
    tcp_refuse(network, segment);
    return NULL;
  }
  if (network->draining) {
    network->counters.tcp_refused_drain++;
    tcp_refuse(network, segment);
    return NULL;
  }
  if (!tcp_admits(network, segment, listener)) return NULL;
  if (late_ack) return cookie_receive(network, segment, listener);
  syn_receive(network, segment, listener, after_seq, reuse);
  return NULL;
}

void tcp_handshake_timeout(struct stream *stream) {
  if (stream->retransmits >= TCP_HANDSHAKE_RETRANSMITS_MAX) {
    tcp_end(stream, STREAM_END_TIMED_OUT);
    return;
  }
  stream->retransmits++;
  stream->backoff++;
  stream->network->counters.tcp_rto_fired++;
  stream->network->counters.tcp_retransmits++;
  tcp_send_syn_ack(stream);
  tcp_set_deadline(stream, stream->network->now_ns + rto_ns(stream));
}

static void establish(struct stream *stream, const struct segment *segment) {
  struct network *network = stream->network;
  stream->state = TCP_ESTABLISHED;
  tcp_admission_established(stream);
  network->counters.tcp_half_open--;
  network->counters.tcp_established++;
  link_remove(&stream->age);
  stream->snd_una = segment->ack;
  stream->snd_wnd = (uint32_t)segment->window << stream->send_shift;
  stream->snd_wnd_max = stream->snd_wnd;
  stream->snd_wl1 = segment->seq;
  const bool timed_out = stream->retransmits > 0;
  stream->retransmits = stream->backoff = 0;
  stream->retransmit_deadline_ns = 0;
  if (timed_out) {
    stream->rto_us = TCP_RTO_AFTER_LOST_SYN_US;
  } else if (stream->flags & STREAM_TIMESTAMPS) {
    tcp_timestamp_sample(stream, segment);
  } else if (!(stream->flags & STREAM_SYN_RESENT)) {
    tcp_round_trip_sample(stream, now_us(network) - stream->rtt_start_us);
  }
  /* RFC 6928, and one segment when the SYN-ACK was lost (RFC 5681 section 3.1). */
  const uint32_t ten = 10u * stream->mss, least = 2u * stream->mss > 14600 ? 2u * stream->mss : 14600;
  stream->cwnd = timed_out ? stream->mss : ten < least ? ten : least;
  stream->ssthresh = UINT32_MAX;
  stream_heard(stream, true);
  tcp_arm(stream);
}

static void handler_open(struct stream *stream) {
  const struct stream_handler *handler = stream_handler(stream);
  void *state = handler->opened(handler->context, stream, stream->key.local_port, stream->network->now_ns);
  if (stream->state == TCP_CLOSED) {
    /* Aborted from within `opened`: what was opened is still closed once. */
    if (!state) return;
    stream->network->counters.tcp_closed_by_end[STREAM_END_ABORTED]++;
    handler->closed(state, STREAM_END_ABORTED, stream->network->now_ns);
    return;
  }
  if (!state) {
    tcp_send_reset(stream);
    tcp_end(stream, STREAM_END_ABORTED);
    return;
  }
  stream->handler_state = state;
  stream->flags |= STREAM_OPENED;
  /* The SYN-ACK of a pause promised nothing: the peer needs word when it is over, or now. */
  if (stream->rcv_adv == stream->rcv_nxt) {
    stream->flags |= STREAM_OFFER_DUE;
    stream_pend(stream);
  }
}

bool tcp_handshake_continue(struct stream *stream, const struct segment *segment) {
  struct network *network = stream->network;
  const int32_t offset = (int32_t)(segment->seq - stream->rcv_nxt);
  const bool in_window = offset >= 0 && segment->seq - stream->rcv_nxt <= stream->rcv_adv - stream->rcv_nxt;
  if (segment->flags & TCP_RST) {
    if (offset == 0) {
      network->counters.tcp_resets_received++;
      tcp_end(stream, STREAM_END_RESET);
    } else {
      network->counters.tcp_resets_ignored++;
      if (in_window) tcp_send_challenge(stream);
    }
    return false;
  }
  if (segment->flags & TCP_SYN) {
    if (!(segment->flags & TCP_ACK) && offset == -1) {
      if (tcp_challenge_allowed(stream)) {
        stream->flags |= STREAM_SYN_RESENT;
        tcp_timestamp_remember(stream, segment);
        tcp_send_syn_ack(stream);
      }
    } else {
      tcp_send_challenge(stream);
    }
    return false;
  }
  if (!in_window) {
    tcp_send_challenge(stream);
    return false;
  }
  if (!(segment->flags & TCP_ACK)) return false;
  if (segment->ack != stream->snd_max) {
    tcp_refuse(network, segment);
    return false;
  }
  establish(stream, segment);
  handler_open(stream);
  return stream->state != TCP_CLOSED;
}
