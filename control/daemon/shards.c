#include "daemon_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#ifdef TRIPLINE_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

#define LONG_LOOP_NS 1000000ull
#define IDLE_STEPS_BEFORE_SLEEP 4096u
#define MESSAGE_RING_LINES (1u << 17)
#define FRAME_RING_LINES 4096u
#define WINDOW_BLOCKS_A_KEY 2u /* counts need one, sums two, histograms and sets more */
#define BODY_GRACE_NS 20000000000ull
#define BODY_LEAST_BYTES 10000u     /* 500 a second: a slower body holds a buffer that others want */
#define HTTP2_CONNECTIONS_MAX 1024u /* a shard; gRPC clients keep one connection each */

static uint64_t cycles(void) {
#ifdef __x86_64__
  return __builtin_ia32_rdtsc();
#else
  return monotonic_ns();
#endif
}

struct shard_keys {
  struct siphash_key flow, isn, table, trace, replay;
};

static uint32_t power_of_two_above(uint32_t value) {
  uint32_t power = 1;
  while (power < value) power *= 2;
  return power;
}

static uint32_t parked_max(const struct config *config) { return config->tcp.connections_max; }

static bool make_rings(struct daemon *daemon, struct shard_config *configs) {
  const uint32_t verdict_lines = power_of_two_above(parked_max(&daemon->config));
  for (uint32_t from = 0; from < daemon->shard_count; from++) {
    for (uint32_t to = 0; to < daemon->shard_count; to++) {
      struct line_ring *messages = line_ring_create(&daemon->arena, MESSAGE_RING_LINES);
      if (!messages) return false;
      configs[from].messages_to[to] = configs[to].messages_from[from] = messages;
      if (from == to) continue;
      struct line_ring *verdicts = line_ring_create(&daemon->arena, verdict_lines);
      struct line_ring *frames = line_ring_create(&daemon->arena, FRAME_RING_LINES);
      if (!verdicts || !frames) return false;
      configs[from].verdicts_to[to] = configs[to].verdicts_from[from] = verdicts;
      configs[from].frames_to[to] = configs[to].frames_from[from] = frames;
    }
  }
  return true;
}

static struct shard_span_listener span_listener(const struct config_span_listener *listener) {
  return (struct shard_span_listener){.port = listener->port,
                                      .acknowledge_durable = listener->acknowledge_durable,
                                      .durability = listener->durability,
                                      .max_body_bytes = listener->max_body_bytes};
}

static void fill_limits(const struct config *config, struct shard_config *shard) {
  shard->network.connections_max = config->tcp.connections_max;
  shard->network.half_open_max = config->tcp.half_open_max ? config->tcp.half_open_max : config->tcp.connections_max / 4;
  shard->network.receive_buffer_bytes = config->tcp.receive_buffer_bytes;
  shard->network.receive_pool_bytes = config->tcp.receive_pool_bytes;
  shard->network.send_buffer_bytes = config->tcp.send_buffer_bytes;
  shard->network.send_pool_bytes = config->tcp.send_pool_bytes;
  shard->network.reassembly_max = config->udp.reassembly_max;
  shard->network.idle_timeout_ns = config->tcp.idle_timeout_ns;
  shard->network.keep_alive_idle_ns = config->tcp.keep_alive_idle_ns;
  shard->network.keep_alive_interval_ns = config->tcp.keep_alive_interval_ns;
  shard->network.keep_alive_count = config->tcp.keep_alive_count;
  shard->network.time_wait_ns = config->tcp.time_wait_ns;
  shard->address_limits[ADDRESS_CONNECTIONS] = config->tcp.connections_per_address;
  shard->address_limits[ADDRESS_HALF_OPEN] = config->tcp.half_open_per_address;
  shard->address_limits[ADDRESS_REQUESTS] = config->http.requests_per_address;
  shard->address_limits[ADDRESS_BODY_BYTES] = config->http.body_bytes_per_address;
  shard->http.requests_max = config->http.requests_max;
  shard->http.connections_max = config->tcp.connections_max;
  shard->http.http2.connections_max =
      config->tcp.connections_max < HTTP2_CONNECTIONS_MAX ? config->tcp.connections_max : HTTP2_CONNECTIONS_MAX;
  shard->http.http2.streams_max = 4 * shard->http.http2.connections_max;
  for (unsigned i = 0; i < 4; i++) {
    shard->http.body_pools[i].bytes = config->tcp.body_pools[i].bytes;
    shard->http.body_pools[i].count = config->tcp.body_pools[i].count;
  }
  shard->http.header_timeout_ns = config->tcp.header_timeout_ns;
  shard->http.body_timeout_ns = config->tcp.body_timeout_ns;
  shard->http.body_grace_ns = BODY_GRACE_NS;
  shard->http.body_least_bytes = BODY_LEAST_BYTES;
  shard->http.keep_alive_timeout_ns = config->tcp.keep_alive_timeout_ns;
  shard->tls.connections_max = config->tls.connections_max;
  shard->tls.waiting_max = config->tls.waiting_max;
  shard->tls.handshakes_a_second = config->tls.handshakes_a_second;
  shard->tls.handshake_timeout_ns = config->tls.handshake_timeout_ns;
  shard->otlp = span_listener(&config->otlp_http);
  shard->otlp_grpc = span_listener(&config->otlp_grpc);
  shard->zipkin = span_listener(&config->zipkin);
  shard->jaeger_port = config->jaeger_port;
  shard->webhooks.port = config->webhooks.port;
  shard->webhooks.sources = config->webhooks.sources;
  shard->webhooks.source_count = config->webhooks.source_count;
  shard->webhooks.replay_capacity = config->webhooks.replay_capacity;
  shard->webhooks.unit_bytes_max = journal_unit_bytes_max(config->journal.batch_bytes_max);
  shard->parked_max = parked_max(config);
  shard->column_capacity = SHARD_COLUMN_CAPACITY;
  shard->traces_max = config->traces.live_max;
  shard->captures_max = config->traces.captures_max;
  shard->spills_max = config->traces.spills_max;
  shard->story_max = config->traces.story_max;
  shard->story_steps_max = config->traces.story_steps_max;
  shard->trace_idle_ns = config->traces.idle_ns;
  shard->trace_limits = config->traces.limits;
  if (config->recorder.enabled) shard->recorder.events = config->recorder.events;
  if (config->recorder.sample_ppm) shard->recorder.sample_every = 1000000 / config->recorder.sample_ppm;
  shard->window_keys_max = config->windows.keys_max;
  shard->window_blocks_max = WINDOW_BLOCKS_A_KEY * config->windows.keys_max;
}

static struct ip_address address_of(const char *prefix, int family) {
  char text[INET6_ADDRSTRLEN];
  uint8_t bytes[16] = {0};
  snprintf(text, sizeof text, "%.*s", (int)strcspn(prefix, "/"), prefix);
  inet_pton(family, text, bytes);
  if (family == AF_INET6) return ip_address_of_bytes(bytes);
  uint32_t ipv4;
  memcpy(&ipv4, bytes, sizeof ipv4);
  return ip_address_of_ipv4(ntohl(ipv4));
}

static void fill_addresses(const struct config_port *port, struct shard_config *shard) {
  _Static_assert(2 * CONFIG_ADDRESSES_MAX <= NETWORK_ADDRESSES_MAX && CONFIG_VLANS_MAX <= NETWORK_VLANS_MAX, "all fit");
  for (uint32_t i = 0; i < port->ipv4_count; i++) shard->addresses[shard->address_count++] = address_of(port->ipv4[i], AF_INET);
  for (uint32_t i = 0; i < port->ipv6_count; i++) shard->addresses[shard->address_count++] = address_of(port->ipv6[i], AF_INET6);
  shard->vlan_count = port->vlan_count;
  memcpy(shard->vlans, port->vlans, sizeof port->vlans);
}

static int fill_shard(struct daemon *daemon, struct daemon_port *port, uint32_t index, const struct shard_keys *keys,
                      struct shard_config *shard) {
  shard->shard = (uint16_t)index;
  shard->shards = (uint16_t)daemon->shard_count;
  shard->publication = &daemon->publication;
  shard->port_first_shard = port->first_shard;
  shard->port_shards = port->queues;
  shard->queue = ports_queue(daemon, port, (uint16_t)(index - port->first_shard));
  if (!shard->queue) return -ENOMEM;
  shard->port = *dpdk_port_information(port->port);
  fill_addresses(port->config, shard);
  shard->flow_key = keys->flow;
  shard->isn_key = keys->isn;
  shard->table_key = keys->table;
  shard->trace_key = keys->trace;
  shard->replay_key = keys->replay;
  memcpy(&shard->node, daemon->node_id, sizeof shard->node);
  if (getrandom(&shard->uuid_key, sizeof shard->uuid_key, 0) != sizeof shard->uuid_key) return -EIO;
  fill_limits(&daemon->config, shard);
  if (daemon->certificates.set) shard->tls.publication = &daemon->certificates.publication;
  shard->records = daemon->shards[index].records;
  return 0;
}

/* Without all of them a webhook could have its effect a second time: the start fails rather than that. */
static int restore_replay(struct daemon *daemon, const struct siphash_key *key) {
  uint64_t refused = 0;
  struct remembered_id *ids = NULL;
  size_t count = 0;
  const int copied = remembered_ids_copy(daemon->remembered, daemon->started_wall_ns, &ids, &count);
  if (copied != 0) {
    log_error("start", "no memory for recovered webhook ids");
    return copied;
  }
  for (size_t i = 0; i < count; i++) {
    struct shard_replay_entry entry = {.remember_until_ns = ids[i].remember_until_ns, .answer = {.status = ids[i].status}};
    memcpy(entry.key.bytes, ids[i].key, sizeof entry.key.bytes);
    memcpy(entry.body_sha256, ids[i].body_sha256, sizeof entry.body_sha256);
    memcpy(entry.answer.correlation_id, ids[i].correlation_id, sizeof entry.answer.correlation_id);
    const uint16_t owner = shard_of_replay_key(key, &entry.key, (uint16_t)daemon->shard_count);
    if (!shard_restore_replay(daemon->shards[owner].shard, &entry)) refused++;
  }
  free(ids);
  if (count) log_info("start", "%zu webhook ids remembered from the journal", count);
  if (refused == 0) return 0;
  log_error("start", "%llu webhook ids did not fit: raise webhooks.replay_capacity", (unsigned long long)refused);
  return -ENOSPC;
}

int shards_create(struct daemon *daemon) {
  static struct shard_config configs[SHARDS_MAX];
  struct shard_keys keys;
  if (getrandom(&keys, sizeof keys, 0) != sizeof keys) return -EIO;
  if (!make_rings(daemon, configs)) return -ENOMEM;
  for (uint32_t i = 0; i < daemon->port_count; i++) {
    struct daemon_port *port = &daemon->ports[i];
    for (uint32_t queue = 0; queue < port->queues; queue++) {
      const uint32_t index = port->first_shard + queue;
      struct daemon_shard *shard = &daemon->shards[index];
      int result = fill_shard(daemon, port, index, &keys, &configs[index]);
      if (result != 0) return result;
      shard->daemon = daemon;
      shard->core = daemon->cores.shard_cores[index];
      shard->shard = shard_create(&daemon->arena, &configs[index], monotonic_ns());
      if (!shard->shard) {
        log_error("start", "shard %u does not fit in memory", index);
        return -ENOMEM;
      }
    }
  }
  return restore_replay(daemon, &keys.replay);
}

/* Where the allocator counts this thread's bytes; it stays valid for the thread's life. */
static const uint64_t *allocated_counter(void) {
#ifdef TRIPLINE_JEMALLOC
  uint64_t *counter = NULL;
  size_t size = sizeof counter;
  if (mallctl("thread.allocatedp", &counter, &size, NULL, 0) == 0) return counter;
#endif
  return NULL;
}

static void poll_until_stopped(struct daemon_shard *self) {
  struct daemon *daemon = self->daemon;
  const uint64_t idle_sleep_ns = daemon->config.shards.idle_sleep_ns;
  uint32_t idle_steps = 0;
  uint64_t now_ns = monotonic_ns(), before = cycles();
  while (!atomic_load_explicit(&daemon->stop_shards, memory_order_relaxed)) {
    const bool busy = shard_step(self->shard, now_ns, wall_ns());
    const uint64_t after = cycles(), then_ns = now_ns;
    now_ns = monotonic_ns();
    shard_account(self->shard, after - before, busy, now_ns - then_ns > LONG_LOOP_NS);
    before = after;
    idle_steps = busy ? 0 : idle_steps + 1;
    if (idle_sleep_ns == 0 || idle_steps < IDLE_STEPS_BEFORE_SLEEP) continue;
    const struct timespec sleep = {.tv_nsec = (long)idle_sleep_ns};
    nanosleep(&sleep, NULL);
    now_ns = monotonic_ns();
    before = cycles();
  }
}

static void *shard_thread(void *argument) {
  struct daemon_shard *self = argument;
  char name[16];
  snprintf(name, sizeof name, "shard-%u", (unsigned)(self - self->daemon->shards));
  pthread_setname_np(pthread_self(), name);
  crash_dump_thread((unsigned)(self - self->daemon->shards));
  dpdk_thread_register();
  const uint64_t *counter = allocated_counter();
  self->allocated_at_start = counter ? *counter : 0;
  atomic_store_explicit(&self->allocated, counter, memory_order_release);
  poll_until_stopped(self);
  atomic_store_explicit(&self->allocated, NULL, memory_order_release);
  dpdk_thread_unregister();
  return NULL;
}

int shards_start(struct daemon *daemon) {
  for (uint32_t i = 0; i < daemon->shard_count; i++) {
    struct daemon_shard *shard = &daemon->shards[i];
    const int result = pthread_create(&shard->thread, NULL, shard_thread, shard);
    if (result != 0) return -result;
    const int pinned = cores_pin(shard->thread, shard->core);
    if (pinned != 0) log_warning("cores", "shard %u cannot be pinned to core %u: %s", i, shard->core, strerror(-pinned));
  }
  return 0;
}

bool shards_drain(struct daemon *daemon, uint64_t deadline_ns) {
  for (uint32_t i = 0; i < daemon->shard_count; i++) shard_request_drain(daemon->shards[i].shard);
  for (;;) {
    bool drained = true;
    for (uint32_t i = 0; i < daemon->shard_count; i++) drained = drained && shard_drained(daemon->shards[i].shard);
    if (drained) return true;
    if (monotonic_ns() >= deadline_ns) return false;
    usleep(1000);
  }
}

void shards_stop(struct daemon *daemon) {
  atomic_store_explicit(&daemon->stop_shards, true, memory_order_release);
  for (uint32_t i = 0; i < daemon->shard_count; i++) {
    if (daemon->shards[i].thread) pthread_join(daemon->shards[i].thread, NULL);
    if (daemon->shards[i].shard) shard_destroy(daemon->shards[i].shard);
  }
}
