/* UDP datagrams that came in fragments, of either family (RFC 791, RFC 8200 section 4.5, RFC 5722). A fixed number of slots of
 * one whole datagram each; the oldest gives way, first the sender's own when it has more than its share. A datagram whose
 * fragments contradict each other is dead: its slot stays as a mark, so that late fragments do not start it anew, until its time
 * is over. */
#include "network_internal.h"

#define DATAGRAM_BYTES_MAX 65535u
#define RANGES_MAX 64u /* 60 KB in fragments of 576 bytes and any order that a path makes */
#define REASSEMBLY_TIMEOUT_NS (15ull * 1000000000)
#define SHARE_OF_ONE_SOURCE 4u /* a quarter of the slots */

struct range {
  uint32_t start, end;
};

struct datagram {
  struct link age;
  struct ip_address source;
  uint32_t identification;
  uint16_t vlan;
  uint8_t local;
  bool dead;
  uint64_t deadline_ns;
  uint32_t total; /* 0: the last fragment is not there yet */
  uint32_t range_count;
  struct range ranges[RANGES_MAX]; /* apart from each other, in order */
  uint8_t bytes[DATAGRAM_BYTES_MAX + 1];
};

bool fragments_create(struct network *network, struct arena *arena) {
  link_init(&network->fragmented);
  return network->config.reassembly_max == 0 ||
         pool_init(&network->datagrams, arena, sizeof(struct datagram), network->config.reassembly_max);
}

static struct datagram *datagram_of(struct link *link) { return LINK_OWNER(link, struct datagram, age); }

static void datagram_free(struct network *network, struct datagram *datagram) {
  link_remove(&datagram->age);
  pool_give(&network->datagrams, datagram);
  network->counters.reassembly_held--;
}

void fragments_expire(struct network *network) {
  while (!link_alone(&network->fragmented)) {
    struct datagram *oldest = datagram_of(network->fragmented.next);
    if (oldest->deadline_ns > network->now_ns) return;
    if (!oldest->dead) network->counters.reassembly_timed_out++;
    datagram_free(network, oldest);
  }
}

/* An IPv6 host has a whole /64 of addresses to send from. */
static bool same_source(const struct ip_address *a, const struct ip_address *b) {
  return ip_address_is_ipv4(a) || ip_address_is_ipv4(b) ? ip_address_equal(a, b) : a->words[0] == b->words[0];
}

static struct datagram *datagram_find(struct network *network, const struct packet *packet, uint32_t identification) {
  for (struct link *link = network->fragmented.next; link != &network->fragmented; link = link->next) {
    struct datagram *datagram = datagram_of(link);
    if (datagram->identification == identification && datagram->local == packet->local && datagram->vlan == packet->vlan &&
        ip_address_equal(&datagram->source, &packet->source))
      return datagram;
  }
  return NULL;
}

static void evict(struct network *network, struct datagram *datagram) {
  if (!datagram->dead) network->counters.reassembly_evicted++;
  datagram_free(network, datagram);
}

static struct datagram *datagram_start(struct network *network, const struct packet *packet, uint32_t identification) {
  const uint32_t most = network->config.reassembly_max, share = most / SHARE_OF_ONE_SOURCE ? most / SHARE_OF_ONE_SOURCE : 1;
  struct datagram *own_oldest = NULL;
  uint32_t own = 0;
  for (struct link *link = network->fragmented.next; link != &network->fragmented; link = link->next) {
    if (!same_source(&datagram_of(link)->source, &packet->source)) continue;
    if (own++ == 0) own_oldest = datagram_of(link);
  }
  if (own >= share) {
    evict(network, own_oldest);
  } else if (pool_free_count(&network->datagrams) == 0) {
    evict(network, datagram_of(network->fragmented.next));
  }
  struct datagram *datagram = pool_take(&network->datagrams);
  ALWAYS_ASSERT(datagram);
  memset(datagram, 0, offsetof(struct datagram, ranges));
  datagram->source = packet->source;
  datagram->identification = identification;
  datagram->vlan = packet->vlan;
  datagram->local = packet->local;
  datagram->deadline_ns = network->now_ns + REASSEMBLY_TIMEOUT_NS;
  link_init(&datagram->age);
  link_append(&network->fragmented, &datagram->age);
  network->counters.reassembly_held++;
  return datagram;
}

static void range_insert(struct datagram *datagram, uint32_t at, uint32_t start, uint32_t end) {
  struct range *ranges = datagram->ranges;
  const bool joins_before = at > 0 && ranges[at - 1].end == start;
  const bool joins_after = at < datagram->range_count && ranges[at].start == end;
  if (joins_before) {
    ranges[at - 1].end = joins_after ? ranges[at].end : end;
  } else if (joins_after) {
    ranges[at].start = start;
  } else {
    memmove(ranges + at + 1, ranges + at, (datagram->range_count - at) * sizeof *ranges);
    ranges[at] = (struct range){start, end};
    datagram->range_count++;
    return;
  }
  if (!joins_before || !joins_after) return;
  datagram->range_count--;
  memmove(ranges + at, ranges + at + 1, (datagram->range_count - at) * sizeof *ranges);
}

/* Why the fragment is not kept, or NETWORK_DROPS. Anything but a true repetition kills the datagram (RFC 8200 section 4.5). */
static enum network_drop fragment_place(struct datagram *datagram, const struct fragment *fragment) {
  const uint32_t start = fragment->offset, end = start + fragment->length;
  uint32_t at = 0;
  while (at < datagram->range_count && datagram->ranges[at].end <= start) at++;
  if (at < datagram->range_count && datagram->ranges[at].start < end) {
    const struct range *range = &datagram->ranges[at];
    const bool repeats = range->start <= start && end <= range->end && (fragment->more || datagram->total == end) &&
                         memcmp(datagram->bytes + start, fragment->bytes, fragment->length) == 0;
    return repeats ? DROP_FRAGMENT_DUPLICATE : DROP_FRAGMENT_OVERLAP;
  }
  const uint32_t reach = datagram->range_count ? datagram->ranges[datagram->range_count - 1].end : 0;
  if (fragment->more ? datagram->total && end > datagram->total : datagram->total || reach > end) return DROP_FRAGMENT_OVERLAP;
  if (datagram->range_count == RANGES_MAX) return DROP_FRAGMENT_RANGES;
  if (!fragment->more) datagram->total = end;
  memcpy(datagram->bytes + start, fragment->bytes, fragment->length);
  range_insert(datagram, at, start, end);
  return NETWORK_DROPS;
}

static bool fragment_good(const struct fragment *fragment) {
  if (fragment->length == 0 || fragment->offset + fragment->length > DATAGRAM_BYTES_MAX) return false;
  return !fragment->more || fragment->length % 8 == 0;
}

static void datagram_deliver(struct network *network, const struct packet *last, struct datagram *datagram) {
  struct packet whole = *last;
  whole.l4 = datagram->bytes;
  whole.l4_bytes = datagram->total;
  /* No port can verify what it saw in pieces. */
  whole.reassembled = true;
  whole.checksum_bad = false;
  network->counters.datagrams_reassembled++;
  udp_receive(network, &whole);
  datagram_free(network, datagram);
}

void fragments_receive(struct network *network, const struct packet *packet, const struct fragment *fragment) {
  if (network->config.reassembly_max == 0) {
    network_dropped(network, ip_address_is_ipv4(&packet->source) ? DROP_IPV4_FRAGMENT : DROP_IPV6_FRAGMENT);
    return;
  }
  if (!fragment_good(fragment)) {
    network_dropped(network, DROP_FRAGMENT_MALFORMED);
    return;
  }
  fragments_expire(network);
  struct datagram *datagram = datagram_find(network, packet, fragment->identification);
  if (!datagram) datagram = datagram_start(network, packet, fragment->identification);
  const enum network_drop drop = datagram->dead ? DROP_FRAGMENT_OVERLAP : fragment_place(datagram, fragment);
  if (drop != NETWORK_DROPS) {
    network_dropped(network, drop);
    if (drop == DROP_FRAGMENT_DUPLICATE || datagram->dead) return;
    datagram->dead = true;
    network->counters.reassembly_rejected++;
    return;
  }
  if (datagram->range_count == 1 && datagram->ranges[0].start == 0 && datagram->ranges[0].end == datagram->total) {
    datagram_deliver(network, packet, datagram);
  } else {
    network->counters.fragments_kept++;
  }
}
