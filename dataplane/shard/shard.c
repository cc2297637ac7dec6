#include "shard_internal.h"

#define ETHERNET_TAGGED_BYTES 18u
#define DATAGRAM_SLACK_BYTES 64

static bool sink_evaluate(void *context, struct event_batch *batch) {
  struct shard *shard = context;
  return engine_evaluate(shard->engine, batch, shard->now_ns, shard->wall_ns);
}

/* HTTP's, or TLS's in front of it. */
static const struct stream_handler *handler_of(struct shard *shard, enum shard_listener listener) {
  const struct stream_handler *http = http_server_stream_handler(shard->http);
  if (!shard->tls || !tls_server_has(shard->tls, listener)) return http;
  return tls_server_listener(shard->tls, listener, http);
}

static bool create_tls(struct shard *shard, struct arena *arena, uint64_t now_ns) {
  struct tls_config *tls = &shard->config.tls;
  if (!tls->publication) return true;
  tls->memory = tls_memory_create(arena, tls->connections_max);
  shard->tls = tls->memory ? tls_server_create(arena, tls, now_ns) : NULL;
  return shard->tls != NULL;
}

static bool create_network(struct shard *shard, struct arena *arena, uint64_t now_ns) {
  struct shard_config *config = &shard->config;
  struct network_config network = config->network;
  memcpy(network.mac, config->port.mac, sizeof network.mac);
  memcpy(network.addresses, config->addresses, sizeof network.addresses);
  network.address_count = config->address_count;
  memcpy(network.vlans, config->vlans, sizeof network.vlans);
  network.vlan_count = config->vlan_count;
  network.mtu = config->port.mtu;
  /* Where the port has no room for a tag beside its MTU, the tag comes out of it. */
  if (network.vlan_count && config->port.frame_bytes < config->port.mtu + ETHERNET_TAGGED_BYTES)
    network.mtu = (uint16_t)(config->port.frame_bytes - ETHERNET_TAGGED_BYTES);
  network.offload = config->port.offload;
  network.hash_key = config->table_key;
  network.isn_key = config->isn_key;
  network.output = shard_network_output(shard);
  network.address_limits = shard->address_limits;
  network.tcp_listeners[0] =
      (struct network_tcp_listener){.port = config->otlp.port, .handler = handler_of(shard, SHARD_LISTENER_OTLP_HTTP)};
  network.tcp_listeners[1] =
      (struct network_tcp_listener){.port = config->webhooks.port, .handler = handler_of(shard, SHARD_LISTENER_WEBHOOKS)};
  network.tcp_listener_count = 2;
  if (config->otlp_grpc.port)
    network.tcp_listeners[network.tcp_listener_count++] =
        (struct network_tcp_listener){.port = config->otlp_grpc.port, .handler = handler_of(shard, SHARD_LISTENER_OTLP_GRPC)};
  if (config->zipkin.port)
    network.tcp_listeners[network.tcp_listener_count++] =
        (struct network_tcp_listener){.port = config->zipkin.port, .handler = handler_of(shard, SHARD_LISTENER_ZIPKIN)};
  network.udp_listeners[0] =
      (struct network_udp_listener){.port = config->otlp.port, .context = shard, .received = shard_receive_otlp_datagram};
  network.udp_listener_count = 1;
  if (config->jaeger_port)
    network.udp_listeners[network.udp_listener_count++] =
        (struct network_udp_listener){.port = config->jaeger_port, .context = shard, .received = shard_receive_jaeger_datagram};
  for (; shard->listener_count < network.tcp_listener_count; shard->listener_count++)
    shard->listener_ports[shard->listener_count] = network.tcp_listeners[shard->listener_count].port;
  shard->network = network_create(arena, &network, now_ns);
  return shard->network != NULL;
}

static bool create_address_limits(struct shard *shard, struct arena *arena) {
  struct address_limits_config limits = {.accounts_max = shard->config.network.connections_max, .key = shard->config.table_key};
  bool any = false;
  memcpy(limits.most, shard->config.address_limits, sizeof limits.most);
  for (unsigned quota = 0; quota < ADDRESS_QUOTAS; quota++) any = any || limits.most[quota];
  if (!any) return true;
  shard->address_limits = address_limits_create(arena, &limits);
  return shard->address_limits != NULL;
}

static bool create_http(struct shard *shard, struct arena *arena, uint64_t now_ns) {
  struct http_config http = shard->config.http;
  shard_application_init(shard);
  http.application = &shard->application;
  http.address_limits = shard->address_limits;
  shard->http = http_server_create(arena, &http, now_ns);
  return shard->http != NULL;
}

static bool create_engine(struct shard *shard, struct arena *arena, uint64_t now_ns) {
  const struct shard_config *config = &shard->config;
  const uint64_t origin = config->node << 16 | config->shard;
  struct engine_config engine = {
      .shard = config->shard,
      .shards = config->shards,
      .trace_key = config->trace_key,
      .uuids = {.key = config->uuid_key, .origin = origin},
      .records = config->records,
      .column_capacity = config->column_capacity,
      .traces_max = config->traces_max,
      .captures_max = config->captures_max,
      .spills_max = config->spills_max,
      .story_lines = config->story_max,
      .story_steps_max = config->story_steps_max,
      .idle_ns = config->trace_idle_ns,
      .limits = config->trace_limits,
      .window_keys_max = config->window_keys_max,
      .window_blocks_max = config->window_blocks_max,
  };
  memcpy(engine.digests_to, config->messages_to, sizeof config->messages_to);
  /* Correlation ids share the key; another origin keeps the two sequences apart. */
  shard->correlation = (struct uuid7_source){.key = config->uuid_key, .origin = ~origin};
  shard->sink = (struct event_sink){.context = shard, .evaluate = sink_evaluate};
  shard->engine = engine_create(arena, &engine, now_ns);
  return shard->engine != NULL;
}

static uint32_t largest_body_bytes(const struct shard_config *config) {
  uint32_t bytes = SHARD_DATAGRAM_BYTES_MAX;
  if (config->otlp.max_body_bytes > bytes) bytes = config->otlp.max_body_bytes;
  if (config->otlp_grpc.max_body_bytes > bytes) bytes = config->otlp_grpc.max_body_bytes;
  if (config->zipkin.max_body_bytes > bytes) bytes = config->zipkin.max_body_bytes;
  for (uint32_t i = 0; i < config->webhooks.source_count; i++)
    if (config->webhooks.sources[i].max_body_bytes > bytes) bytes = config->webhooks.sources[i].max_body_bytes;
  return bytes;
}

struct shard *shard_create(struct arena *arena, const struct shard_config *config, uint64_t now_ns) {
  ALWAYS_ASSERT(config->shards <= SHARDS_MAX && config->shard < config->shards);
  struct shard *shard = ARENA_NEW(arena, struct shard);
  if (!shard) return NULL;
  shard->config = *config;
  shard->now_ns = now_ns;
  shard->scratch_bytes = largest_body_bytes(config);
  shard->scratch = arena_take(arena, shard->scratch_bytes, CACHE_LINE_BYTES);
  shard->datagram = arena_take(arena, SHARD_DATAGRAM_BYTES_MAX + DATAGRAM_SLACK_BYTES, CACHE_LINE_BYTES);
  shard->timers = timer_wheel_create(arena, now_ns);
  shard->replay = replay_table_create(arena, config->webhooks.replay_capacity, &config->table_key);
  if (!shard->scratch || !shard->datagram || !shard->timers || !shard->replay) return NULL;
  if (!shard_flight_create(shard, arena) || !create_address_limits(shard, arena) || !shard_parked_create(shard, arena) ||
      !create_engine(shard, arena, now_ns) || !create_http(shard, arena, now_ns) || !create_tls(shard, arena, now_ns) ||
      !create_network(shard, arena, now_ns))
    return NULL;
  return shard;
}

void shard_destroy(struct shard *shard) {
  if (shard->tls) tls_server_destroy(shard->tls);
  http_server_destroy(shard->http);
}

bool shard_restore_replay(struct shard *shard, const struct shard_replay_entry *entry) {
  return replay_restore(shard->replay, &entry->key, entry->body_sha256, entry->remember_until_ns, &entry->answer);
}

uint64_t shard_rule_matches(const struct shard *shard, uint32_t match_slot) {
  return engine_rule_matches(shard->engine, match_slot);
}
uint64_t shard_generation(const struct shard *shard) { return atomic_load_explicit(&shard->generation, memory_order_acquire); }

uint64_t shard_tls_generation(const struct shard *shard) {
  return atomic_load_explicit(&shard->tls_generation, memory_order_acquire);
}

void shard_set_journal_failed(struct shard *shard, bool failed) {
  atomic_store_explicit(&shard->journal_failed, failed, memory_order_release);
}

void shard_request_drain(struct shard *shard) { atomic_store_explicit(&shard->drain, true, memory_order_release); }

bool shard_drained(const struct shard *shard) { return atomic_load_explicit(&shard->drained, memory_order_acquire); }

const struct flight_recorder *shard_flight_recorder(const struct shard *shard) { return shard->recorder; }

uint64_t shard_heartbeat(const struct shard *shard) { return atomic_load_explicit(&shard->heartbeat, memory_order_relaxed); }
