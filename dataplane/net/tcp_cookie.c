/* SYN cookies (RFC 4987 section 3.6): above the bound of half-open connections a SYN is answered from nothing but the segment,
 * and the ACK brings all back. The initial sequence number is 29 bits of a keyed hash and a place in the MSS table; window scale
 * and SACK go in the low bits of the timestamp that the peer echoes, and are not offered without one. Keys come from the secret
 * by time, and two of them are good. */
#include "tcp_internal.h"

#define SLOT_SHIFT 35 /* 34 s: a cookie is good for one to two of them */
#define MSS_BITS 3u
#define OPTION_BITS 5u
#define OPTION_MASK ((1u << OPTION_BITS) - 1)
#define OPTION_SACK (1u << 4)
#define NO_SCALE 15u

static const uint16_t mss_table[1u << MSS_BITS] = {TCP_MSS_MIN, TCP_MSS_DEFAULT, 1220, 1360, 1440, 1460, 4036, 8960};

static struct siphash_key slot_key(const struct network *network, uint64_t slot) {
  const uint64_t first[2] = {slot, 2}, second[2] = {slot, 3};
  return (struct siphash_key){siphash(&network->config.isn_key, first, sizeof first),
                              siphash(&network->config.isn_key, second, sizeof second)};
}

/* Keys of this slot and the one before. */
static const struct siphash_key *slot_keys(struct network *network) {
  const uint64_t slot = network->now_ns >> SLOT_SHIFT;
  if (!network->cookies.keyed || network->cookies.slot != slot) {
    network->cookies.keys[0] = slot_key(network, slot);
    network->cookies.keys[1] = slot_key(network, slot - 1);
    network->cookies.slot = slot;
    network->cookies.keyed = true;
  }
  return network->cookies.keys;
}

static uint32_t cookie(const struct network *network, const struct siphash_key *key, const struct stream_key *connection,
                       uint32_t peer_isn, uint32_t mss_index) {
  const struct {
    struct stream_key connection;
    struct ip_address own;
    uint32_t peer_isn, mss_index;
  } tuple = {*connection, network->config.addresses[connection->local], peer_isn, mss_index};
  return (uint32_t)siphash(key, &tuple, sizeof tuple) << MSS_BITS | mss_index;
}

/* The options of a connection, in the place of the clock's low bits; never ahead of the clock. */
static void options_into_timestamp(struct stream *stream) {
  const uint32_t scale = stream->flags & STREAM_PEER_SCALES ? stream->send_shift : NO_SCALE;
  const uint32_t bits = scale | (stream->flags & STREAM_SACK ? OPTION_SACK : 0);
  const uint32_t clock = tcp_timestamp_clock(stream);
  uint32_t value = (clock & ~OPTION_MASK) | bits;
  if (seq_after(value, clock)) value -= 1u << OPTION_BITS;
  stream->timestamp_offset -= clock - value;
}

uint32_t tcp_cookie_window(const struct network *network, const struct stream_key *key) {
  const uint32_t two = 2u * tcp_mss_limit(network, key);
  const uint32_t most = network->config.receive_buffer_bytes < UINT16_MAX ? network->config.receive_buffer_bytes : UINT16_MAX;
  return two < most ? two : most;
}

void tcp_cookie_send(struct stream *stream, const struct segment *syn) {
  struct network *network = stream->network;
  if (stream->flags & STREAM_TIMESTAMPS) {
    options_into_timestamp(stream);
  } else {
    stream->flags &= ~(uint32_t)(STREAM_PEER_SCALES | STREAM_SACK);
  }
  const uint32_t peer_mss = syn->options.mss ? syn->options.mss : TCP_MSS_DEFAULT;
  uint32_t index = sizeof mss_table / sizeof *mss_table - 1;
  while (index > 0 && mss_table[index] > peer_mss) index--;
  stream->snd_una = cookie(network, &slot_keys(network)[0], &syn->key, syn->seq, index);
  stream->rcv_adv = stream->rcv_nxt + tcp_cookie_window(network, &syn->key);
  network->cookies.sent_ns = network->now_ns;
  network->counters.tcp_cookies_sent++;
  tcp_send_syn_ack(stream);
}

bool tcp_cookies_expected(const struct network *network) {
  return network->cookies.keyed && network->now_ns - network->cookies.sent_ns < 2ull << SLOT_SHIFT;
}

bool tcp_cookie_take(struct network *network, const struct segment *segment, struct segment *syn) {
  const struct siphash_key *keys = slot_keys(network);
  const uint32_t value = segment->ack - 1, peer_isn = segment->seq - 1, index = value & ((1u << MSS_BITS) - 1);
  if (cookie(network, &keys[0], &segment->key, peer_isn, index) != value &&
      cookie(network, &keys[1], &segment->key, peer_isn, index) != value) {
    return false;
  }
  *syn = *segment;
  syn->seq = peer_isn;
  syn->flags = TCP_SYN;
  syn->bytes = NULL;
  syn->length = 0;
  syn->options = (struct tcp_options){.mss = mss_table[index]};
  if (!segment->options.timestamps) return true;
  const uint32_t bits = segment->options.timestamp_echo & OPTION_MASK, scale = bits & NO_SCALE;
  syn->options.timestamps = true;
  syn->options.timestamp = segment->options.timestamp;
  syn->options.sack_permitted = bits & OPTION_SACK;
  syn->options.scales = scale != NO_SCALE;
  syn->options.shift = syn->options.scales ? (uint8_t)scale : 0;
  return true;
}
