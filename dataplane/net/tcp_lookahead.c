/* The connections of a burst, fetched into the cache before their segments are looked at: with thousands of connections each
 * segment meets memory that has long left it, and the misses of one burst can be waited for together. Only hints come of it: a
 * frame that is not plain TCP, or not whole, is simply not looked ahead for. */
#include "tcp_internal.h"

/* Enough frames to cover memory's latency, few enough that what they fetch stays in the first cache. */
#define LOOKAHEAD_FRAMES 16u
#define SEND_LINES 5u /* of a send block: its link and an answer of the usual length */

struct lookahead {
  struct stream_key key;
  struct stream **bucket; /* NULL: nothing is known */
  struct stream *stream;
};

static bool key_of(const struct network *network, const struct network_frame *frame, struct stream_key *key) {
  const uint8_t *ip = frame->bytes + ETHERNET_HEADER_BYTES, *ports = ip + IPV4_HEADER_BYTES;
  if (frame->length < ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES + TCP_HEADER_BYTES) return false;
  const uint16_t type = load_be16(frame->bytes + 12);
  struct ip_address local;
  if (type == ETHERTYPE_IPV4 && ip[0] == 0x45 && ip[9] == IP_PROTOCOL_TCP) {
    key->peer = ip_address_of_ipv4(load_be32(ip + 12));
    local = ip_address_of_ipv4(load_be32(ip + 16));
  } else if (type == ETHERTYPE_IPV6 && ip[6] == IP_PROTOCOL_TCP &&
             frame->length >= ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES + TCP_HEADER_BYTES) {
    key->peer = ip_address_of_bytes(ip + 8);
    local = ip_address_of_bytes(ip + 24);
    ports = ip + IPV6_HEADER_BYTES;
  } else {
    return false;
  }
  key->peer_port = load_be16(ports);
  key->local_port = load_be16(ports + 2);
  key->vlan = 0;
  key->local = (uint8_t)network_address_find(network, &local);
  key->zero = 0;
  return true;
}

static void fetch_stream(const struct stream *stream) {
  for (size_t at = 0; at < sizeof *stream; at += CACHE_LINE_BYTES) __builtin_prefetch((const char *)stream + at, 1);
}

static void fetch_what_it_holds(const struct stream *stream) {
  if (stream->send_head)
    for (uint32_t i = 0; i < SEND_LINES; i++) __builtin_prefetch((const char *)stream->send_head + i * CACHE_LINE_BYTES, 1);
  const struct stream_handler *handler = stream_handler(stream);
  if ((stream->flags & STREAM_OPENED) && handler->expect) handler->expect(stream->handler_state);
}

static void look_ahead(struct network *network, const struct network_frame *frames, uint32_t count, struct lookahead *ahead) {
  for (uint32_t i = 0; i < count; i++) {
    ahead[i] = (struct lookahead){.bucket = NULL};
    if (!key_of(network, &frames[i], &ahead[i].key)) continue;
    /* The segments of a burst come in runs of one connection. */
    const bool again = i > 0 && ahead[i - 1].bucket && stream_key_equal(&ahead[i].key, &ahead[i - 1].key);
    ahead[i].bucket = again ? ahead[i - 1].bucket : tcp_bucket(network, &ahead[i].key);
    if (!again) __builtin_prefetch(ahead[i].bucket);
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!ahead[i].bucket) continue;
    ahead[i].stream = *ahead[i].bucket;
    if (ahead[i].stream && (i == 0 || ahead[i].stream != ahead[i - 1].stream)) fetch_stream(ahead[i].stream);
  }
  for (uint32_t i = 0; i < count; i++) {
    /* Further down its chain: tcp_find walks there itself. */
    if (ahead[i].stream && !stream_key_equal(&ahead[i].stream->key, &ahead[i].key)) ahead[i].stream = NULL;
    if (ahead[i].stream && (i == 0 || ahead[i].stream != ahead[i - 1].stream)) fetch_what_it_holds(ahead[i].stream);
  }
}

void network_receive_burst(struct network *network, const struct network_frame *frames, uint32_t count, uint64_t now_ns) {
  struct lookahead ahead[LOOKAHEAD_FRAMES];
  while (count > 0) {
    const uint32_t part = count < LOOKAHEAD_FRAMES ? count : LOOKAHEAD_FRAMES;
    /* One frame has nothing to overlap with. */
    if (part > 1) look_ahead(network, frames, part, ahead);
    for (uint32_t i = 0; i < part; i++) {
      network->expected = part > 1 ? ahead[i].stream : NULL;
      network_receive(network, frames[i].bytes, frames[i].length, frames[i].checksum_bad, now_ns);
    }
    network->expected = NULL;
    frames += part;
    count -= part;
  }
}
