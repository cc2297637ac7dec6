#include "network_internal.h"
#include "tcp_internal.h"

static const char *const drop_names[NETWORK_DROPS] = {
    [DROP_ETHERNET_SHORT] = "ethernet_short",
    [DROP_ETHERNET_NOT_OURS] = "ethernet_not_ours",
    [DROP_ETHERTYPE] = "ethertype",
    [DROP_ARP_MALFORMED] = "arp_malformed",
    [DROP_ARP_NOT_OURS] = "arp_not_ours",
    [DROP_IPV4_MALFORMED] = "ipv4_malformed",
    [DROP_IPV4_CHECKSUM] = "ipv4_checksum",
    [DROP_IPV4_OPTIONS] = "ipv4_options",
    [DROP_IPV4_FRAGMENT] = "ipv4_fragment",
    [DROP_IPV4_NOT_OURS] = "ipv4_not_ours",
    [DROP_IPV4_PROTOCOL] = "ipv4_protocol",
    [DROP_ICMP_MALFORMED] = "icmp_malformed",
    [DROP_ICMP_TYPE] = "icmp_type",
    [DROP_ICMP_ERROR] = "icmp_error",
    [DROP_ICMP_UNPROVEN] = "icmp_unproven",
    [DROP_UDP_MALFORMED] = "udp_malformed",
    [DROP_UDP_CHECKSUM] = "udp_checksum",
    [DROP_UDP_PORT] = "udp_port",
    [DROP_TCP_MALFORMED] = "tcp_malformed",
    [DROP_TCP_CHECKSUM] = "tcp_checksum",
    [DROP_TRUNCATED] = "truncated",
    [DROP_VLAN_NOT_OURS] = "vlan_not_ours",
    [DROP_IPV6_MALFORMED] = "ipv6_malformed",
    [DROP_IPV6_EXTENSION] = "ipv6_extension",
    [DROP_IPV6_FRAGMENT] = "ipv6_fragment",
    [DROP_IPV6_NOT_OURS] = "ipv6_not_ours",
    [DROP_IPV6_PROTOCOL] = "ipv6_protocol",
    [DROP_ND_MALFORMED] = "nd_malformed",
    [DROP_ND_NOT_OURS] = "nd_not_ours",
    [DROP_FRAGMENT_MALFORMED] = "fragment_malformed",
    [DROP_FRAGMENT_OVERLAP] = "fragment_overlap",
    [DROP_FRAGMENT_DUPLICATE] = "fragment_duplicate",
    [DROP_FRAGMENT_RANGES] = "fragment_ranges",
};

static bool addresses_usable(const struct network_config *config) {
  if (config->address_count == 0 || config->address_count > NETWORK_ADDRESSES_MAX || config->vlan_count > NETWORK_VLANS_MAX)
    return false;
  bool ipv6 = false;
  for (uint32_t i = 0; i < config->address_count; i++) ipv6 |= !ip_address_is_ipv4(&config->addresses[i]);
  return config->mtu >= (ipv6 ? NETWORK_MTU_MIN_IPV6 : NETWORK_MTU_MIN);
}

static bool keep_alive_usable(const struct network_config *config) {
  return config->keep_alive_idle_ns == 0 || (config->keep_alive_interval_ns > 0 && config->keep_alive_count > 0 &&
                                             config->keep_alive_count <= NETWORK_KEEP_ALIVES_MAX);
}

static bool config_usable(const struct network_config *config) {
  return addresses_usable(config) && keep_alive_usable(config) && config->reassembly_max <= NETWORK_REASSEMBLY_MAX &&
         config->connections_max > 0 && config->half_open_max > 0 && config->receive_buffer_bytes >= NETWORK_BUFFER_BYTES_MIN &&
         config->receive_buffer_bytes <= NETWORK_BUFFER_BYTES_MAX && config->send_buffer_bytes >= NETWORK_BUFFER_BYTES_MIN &&
         config->send_buffer_bytes <= NETWORK_BUFFER_BYTES_MAX && config->tcp_listener_count <= NETWORK_LISTENERS_MAX &&
         config->udp_listener_count <= NETWORK_LISTENERS_MAX;
}

struct network *network_create(struct arena *arena, const struct network_config *config, uint64_t now_ns) {
  if (!config_usable(config)) return NULL;
  struct network *network = ARENA_NEW(arena, struct network);
  if (!network) return NULL;
  network->operations = tcp_stream_operations;
  network->config = *config;
  network->now_ns = now_ns;
  while (config->receive_buffer_bytes >> network->window_shift > UINT16_MAX) network->window_shift++;
  link_init(&network->pending);
  link_init(&network->held);
  link_init(&network->half_open);
  link_init(&network->time_wait);
  network->wheel = timer_wheel_create(arena, now_ns);
  if (!network->wheel || !tcp_tables_create(network, arena) || !fragments_create(network, arena)) return NULL;
  return network;
}

void network_receive(struct network *network, const uint8_t *frame, uint32_t length, bool checksum_bad, uint64_t now_ns) {
  network->now_ns = now_ns;
  network->counters.frames_received++;
  network->counters.bytes_received += length;
  ethernet_receive(network, frame, length, checksum_bad);
}

uint8_t *frame_reserve(struct network *network, uint32_t bytes) {
  uint8_t *frame = network->config.output.reserve(network->config.output.context, bytes);
  if (!frame) network->counters.send_no_buffer++;
  return frame;
}

void frame_commit(struct network *network, uint32_t bytes, uint32_t offload) {
  network->counters.frames_sent++;
  network->counters.bytes_sent += bytes;
  network->config.output.commit(network->config.output.context, bytes, offload);
}

void network_flush(struct network *network, uint64_t now_ns) {
  network->now_ns = now_ns;
  if (!link_alone(&network->pending)) tcp_flush(network);
  tcp_reap(network);
}

uint32_t network_tick(struct network *network, uint64_t now_ns, uint32_t most) {
  network->now_ns = now_ns;
  const uint32_t fired = timer_wheel_advance(network->wheel, network, now_ns, most);
  fragments_expire(network);
  tcp_reap(network);
  return fired;
}

void network_pause_receiving(struct network *network, bool paused) {
  network->paused = paused;
  if (!paused) link_splice(&network->pending, &network->held);
}

void network_drain(struct network *network, uint64_t now_ns) {
  network->now_ns = now_ns;
  network->draining = true;
}

const struct network_counters *network_counters(const struct network *network) { return &network->counters; }

bool network_pools_full(const struct network *network) {
  return network->receive_blocks.in_use == 0 && network->send_blocks.in_use == 0 && network->streams.in_use == 0 &&
         network->datagrams.in_use == 0;
}

const char *network_drop_name(enum network_drop drop) { return (unsigned)drop < NETWORK_DROPS ? drop_names[drop] : "unknown"; }
