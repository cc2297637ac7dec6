/* RFC 7323 timestamps: negotiated by the peer's SYN, echoed, timed by, and checked against wrapped sequence numbers (PAWS). */
#include "tcp_internal.h"

uint32_t tcp_timestamp_clock(const struct stream *stream) {
  return (uint32_t)(stream->network->now_ns / TCP_TIMESTAMP_TICK_NS) + stream->timestamp_offset;
}

void tcp_timestamp_negotiate(struct stream *stream, const struct segment *segment) {
  const struct network *network = stream->network;
  if (!segment->options.timestamps) return;
  stream->flags |= STREAM_TIMESTAMPS;
  /* RFC 7323 section 7.1: our clock tells nobody our uptime. The same for each incarnation of a connection, so that its clock
   * never runs back; a third word keeps it apart from the hash of the initial sequence number. */
  const struct {
    struct stream_key key;
    struct ip_address local;
    uint64_t use;
  } tuple = {stream->key, network->config.addresses[stream->key.local], 1};
  stream->timestamp_offset = (uint32_t)siphash(&network->config.isn_key, &tuple, sizeof tuple);
  stream->timestamp_recent = segment->options.timestamp;
  /* The peer counts its MSS without options (RFC 6691). */
  const uint32_t mss = stream->mss;
  stream->mss = (uint16_t)(mss > TCP_MSS_MIN + TCP_TIMESTAMP_BYTES ? mss - TCP_TIMESTAMP_BYTES : TCP_MSS_MIN);
}

void tcp_timestamp_write(const struct stream *stream, uint8_t *option) {
  store_be32(option, 0x0101080au);
  store_be32(option + 4, tcp_timestamp_clock(stream));
  store_be32(option + 8, stream->timestamp_recent);
}

bool tcp_timestamp_acceptable(struct stream *stream, const struct segment *segment) {
  struct network_counters *counters = &stream->network->counters;
  if (!(stream->flags & STREAM_TIMESTAMPS)) return true;
  if (!segment->options.timestamps) {
    /* RFC 7323 section 3.2: dropped without an answer. */
    counters->tcp_timestamp_missing++;
    return false;
  }
  if (!seq_before(segment->options.timestamp, stream->timestamp_recent)) return true;
  const uint32_t idle_ticks = (uint32_t)(stream->network->now_ns >> TCP_ACTIVITY_SHIFT) - stream->activity_tick;
  if (stream->state != TCP_SYN_RECEIVED && idle_ticks > TCP_TIMESTAMP_STALE_NS >> TCP_ACTIVITY_SHIFT) {
    stream->timestamp_recent = segment->options.timestamp;
    return true;
  }
  counters->tcp_paws_dropped++;
  tcp_send_challenge(stream);
  return false;
}

void tcp_timestamp_remember(struct stream *stream, const struct segment *segment) {
  if (!(stream->flags & STREAM_TIMESTAMPS) || !segment->options.timestamps) return;
  /* RFC 7323 section 4.3: of segments that one ACK answers, the first one's; never one from beyond a hole. */
  if (seq_after(segment->seq, stream->last_ack_sent) || seq_before(segment->options.timestamp, stream->timestamp_recent)) return;
  stream->timestamp_recent = segment->options.timestamp;
}

void tcp_timestamp_sample(struct stream *stream, const struct segment *segment) {
  const uint32_t ticks = tcp_timestamp_clock(stream) - segment->options.timestamp_echo;
  /* Beyond the largest RTO it is no echo of ours. */
  if (ticks <= TCP_RTO_MAX_US / 1000) tcp_round_trip_sample(stream, ticks * 1000);
}
