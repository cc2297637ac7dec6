/* A path narrower than both ends' MSS (RFC 1191, RFC 8201): the one connection that learns of it sends smaller segments from then
 * on. No other is told, and it never grows again. */
#include "tcp_internal.h"

/* RFC 1191 section 3 names 68 for IPv4, which an attacker would love; below this a link is none that TCP is used on. */
#define PATH_MTU_MIN_IPV4 552u

bool tcp_too_big(struct network *network, const struct stream_key *key, uint32_t seq, uint32_t mtu) {
  struct stream *stream = tcp_find(network, key);
  if (!stream || stream->state == TCP_SYN_RECEIVED || stream->state == TCP_TIME_WAIT) return false;
  if (seq_before(seq, stream->snd_una) || !seq_before(seq, stream->snd_max)) return false;
  const uint32_t least = ip_address_is_ipv4(&key->peer) ? PATH_MTU_MIN_IPV4 : NETWORK_MTU_MIN_IPV6;
  if (mtu < least) mtu = least;
  const uint32_t headers =
      ip_header_bytes(&key->peer) + TCP_HEADER_BYTES + (stream->flags & STREAM_TIMESTAMPS ? TCP_TIMESTAMP_BYTES : 0);
  if (mtu - headers >= stream->mss) return false;
  stream->mss = (uint16_t)(mtu - headers);
  network->counters.tcp_path_mtu_lowered++;
  /* RFC 1191 section 6.5: sent again at once; nothing of it tells of congestion. Its duplicate ACKs are none of a loss. */
  if (stream->flags & STREAM_RECOVERY) stream->cwnd = stream->ssthresh;
  stream->flags &= ~(uint32_t)(STREAM_RECOVERY | STREAM_RTT_TIMING);
  stream->duplicate_acks = 0;
  stream->recover = stream->snd_max;
  stream->snd_nxt = stream->snd_una;
  stream_pend(stream);
  return true;
}
