#include "stream_server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 32u
#define PATTERN_BYTES 65521u

const uint8_t stream_server_ipv6[16] = {0xfd, 0x86, [15] = 2};

static void require(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "stream server: %s\n", what);
  abort();
}

uint8_t stream_pattern(uint32_t key, uint32_t offset) {
  static uint8_t pattern[PATTERN_BYTES];
  if (!pattern[0]) {
    struct test_random random = {1};
    for (uint32_t i = 0; i < PATTERN_BYTES; i++) pattern[i] = (uint8_t)(1 + random_below(&random, 255));
  }
  return pattern[(key * 977 + offset) % PATTERN_BYTES];
}

static void *opened(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns) {
  struct stream_server_shard *shard = context;
  (void)now_ns;
  for (uint32_t i = 0; i < STREAM_SERVER_STREAMS_MAX; i++) {
    struct served_stream *served = &shard->streams[i];
    if (served->stream) continue;
    *served = (struct served_stream){
        .server = shard->server, .stream = stream, .service = (enum stream_service)local_port, .key = stream_peer_port(stream)};
    shard->server->opened++;
    return served;
  }
  return NULL;
}

static void generate(struct served_stream *served) {
  uint8_t bytes[2048];
  while (served->received == 8 && served->written < served->asked) {
    const uint32_t left = served->asked - served->written, length = left < sizeof bytes ? left : (uint32_t)sizeof bytes;
    for (uint32_t i = 0; i < length; i++) bytes[i] = stream_pattern(served->key, served->written + i);
    const uint32_t fitted = stream_write(served->stream, bytes, length);
    served->written += fitted;
    if (fitted < length) return;
  }
  if (served->received == 8) stream_close(served->stream);
}

static uint32_t received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  struct served_stream *served = state;
  struct stream_server *server = served->server;
  (void)now_ns;
  uint32_t taken = length < server->options.take_most ? length : server->options.take_most;
  if (server->options.moody && random_below(&server->random, 20) == 0) taken = 0;
  if (served->service == STREAM_GENERATE) {
    require(served->received + taken <= 8, "more was received than sent");
    memcpy(served->request + served->received, bytes, taken);
    served->received += taken;
    if (served->received == 8) memcpy(&served->asked, served->request, sizeof served->asked);
    generate(served);
    return taken;
  }
  if (served->service == STREAM_ECHO) taken = stream_write(served->stream, bytes, taken);
  for (uint32_t i = 0; i < taken; i++)
    require(bytes[i] == stream_pattern(served->key, served->received + i), "bytes came that were not sent");
  served->received += taken;
  server->delivered += taken;
  return taken;
}

static void peer_finished(void *state, uint64_t now_ns) {
  struct served_stream *served = state;
  (void)now_ns;
  if (served->service != STREAM_GENERATE) stream_close(served->stream);
}

static void writable(void *state, uint64_t now_ns) {
  struct served_stream *served = state;
  (void)now_ns;
  if (served->service == STREAM_GENERATE)
    generate(served);
  else
    stream_resume(served->stream);
}

static void closed(void *state, enum stream_end end, uint64_t now_ns) {
  struct served_stream *served = state;
  (void)now_ns;
  (void)end;
  require(served->stream != NULL, "a stream is closed twice");
  served->stream = NULL;
  served->server->closed++;
}

static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

static uint8_t shift_offered(const uint8_t *options, uint32_t left) {
  while (left && options[0]) {
    const uint32_t bytes = options[0] == 1 ? 1 : options[1];
    require(bytes >= 1 && bytes <= left, "an option is malformed");
    if (options[0] == 3) return options[2];
    options += bytes;
    left -= bytes;
  }
  return 0;
}

/* RFC 9293 section 3.8.6: room that was offered is not taken back, but for what scaling rounds off (RFC 7323 section 2.4). */
static void check_edge(struct stream_server *server, const uint8_t *frame) {
  const bool ipv6 = get16(frame + 12) == 0x86dd;
  const uint8_t *tcp = frame + 14 + (ipv6 ? 40 : 20);
  if (frame[ipv6 ? 20 : 23] != 6 || tcp[13] & 0x04) return;
  struct stream_edge *edge = &server->edges[get16(tcp + 2)];
  const uint32_t window = get16(tcp + 14), acknowledgement = get32(tcp + 8);
  if (tcp[13] & 0x02) {
    const uint8_t shift = shift_offered(tcp + 20, (uint32_t)(tcp[12] >> 4) * 4 - 20);
    if (!edge->known) *edge = (struct stream_edge){.edge = acknowledgement + window, .shift = shift, .known = true};
    return;
  }
  require(edge->known, "a segment without a handshake");
  const uint32_t reach = acknowledgement + (window << edge->shift);
  const uint32_t rounding = (1u << edge->shift) - 1;
  require((int32_t)(reach + rounding - edge->edge) >= 0, "room that was offered is taken back");
  if ((int32_t)(reach - edge->edge) > 0) edge->edge = reach;
}

static uint8_t *reserve(void *context, uint32_t bytes) {
  struct stream_server_shard *shard = context;
  if (shard->no_frames) return NULL;
  if (!shard->building.bytes && !shard->queue->operations->take(shard->queue, &shard->building)) return NULL;
  require(bytes <= shard->building.length, "a frame beyond the MTU");
  return shard->building.bytes;
}

static void commit(void *context, uint32_t bytes, uint32_t offload) {
  struct stream_server_shard *shard = context;
  shard->building.length = bytes;
  check_edge(shard->server, shard->building.bytes);
  shard->queue->operations->send(shard->queue, &shard->building, offload);
  shard->building.bytes = NULL;
}

static void start_shard(struct stream_server *server, uint16_t index, uint64_t now_ns) {
  static const uint16_t ports[3] = {STREAM_ECHO, STREAM_DISCARD, STREAM_GENERATE};
  struct stream_server_shard *shard = &server->shards[index];
  struct driver_port_information port;
  sim_wire_information(server->wire, &port);
  struct network_config config = {
      .address_count = 2,
      .addresses = {ip_address_of_ipv4(STREAM_SERVER_IPV4), ip_address_of_bytes(stream_server_ipv6)},
      .mtu = port.mtu,
      .offload = port.offload,
      .hash_key = server->hash_key,
      .isn_key = {random_next(&server->random), random_next(&server->random)},
      .connections_max = STREAM_SERVER_STREAMS_MAX,
      .half_open_max = 16,
      .receive_buffer_bytes = server->options.receive_buffer_bytes,
      .receive_pool_bytes = server->options.receive_pool_bytes,
      .send_buffer_bytes = server->options.send_buffer_bytes,
      .send_pool_bytes = server->options.send_pool_bytes,
      .reassembly_max = 4,
      .idle_timeout_ns = 900ull * 1000000000,
      .time_wait_ns = 1000000000,
      .output = {.context = shard, .reserve = reserve, .commit = commit},
      .tcp_listener_count = 3,
  };
  memcpy(config.mac, port.mac, sizeof config.mac);
  shard->server = server;
  shard->queue = sim_wire_queue(server->wire, index);
  for (uint32_t i = 0; i < 3; i++) {
    shard->handler[i] = (struct stream_handler){.context = shard,
                                                .opened = opened,
                                                .received = received,
                                                .peer_finished = peer_finished,
                                                .writable = writable,
                                                .closed = closed};
    config.tcp_listeners[i] = (struct network_tcp_listener){.port = ports[i], .handler = &shard->handler[i]};
  }
  shard->network = network_create(heap_arena_arena(server->heap), &config, now_ns);
  require(shard->network != NULL, "no network");
}

void stream_server_start(struct stream_server *server, const struct stream_server_options *options, uint64_t seed,
                         uint64_t now_ns) {
  *server = (struct stream_server){.options = *options, .random = {seed}, .heap = heap_arena_create()};
  struct sim_wire_config wire = options->wire;
  wire.queues = options->shards;
  wire.seed = random_next(&server->random);
  server->hash_key = (struct siphash_key){random_next(&server->random), random_next(&server->random)};
  server->wire = sim_wire_create(heap_arena_arena(server->heap), &wire);
  require(server->wire != NULL, "no wire");
  sim_wire_advance(server->wire, now_ns);
  for (uint16_t i = 0; i < options->shards; i++) start_shard(server, i, now_ns);
}

static void check_laws(const struct stream_server *server) {
  for (uint16_t i = 0; i < server->options.shards; i++) {
    const struct network_counters *counters = network_counters(server->shards[i].network);
    uint64_t accounted = counters->arp_answered + counters->nd_answered + counters->icmp_answered + counters->udp_delivered +
                         counters->tcp_delivered + counters->fragments_kept;
    for (uint32_t drop = 0; drop < NETWORK_DROPS; drop++) accounted += counters->drops[drop];
    require(counters->frames_received == accounted, "a frame is unaccounted for");
  }
  require(sim_wire_conserved(server->wire), "the wire lost count");
}

static void receive(struct stream_server *server, uint16_t index, uint64_t now_ns) {
  struct driver_frame frames[BURST];
  struct driver_queue *queue = server->shards[index].queue;
  const uint32_t count = queue->operations->receive(queue, frames, BURST);
  for (uint32_t i = 0; i < count; i++) {
    const int owner = network_flow_owner(&server->hash_key, frames[i].bytes, frames[i].length, server->options.shards);
    network_receive(server->shards[owner < 0 ? index : owner].network, frames[i].bytes, frames[i].length, frames[i].checksum_bad,
                    now_ns);
  }
  if (count) queue->operations->release(queue, frames, count);
}

static void whims(struct stream_server *server, struct stream_server_shard *shard) {
  const uint32_t dice = random_below(&server->random, 100);
  if (dice == 0) network_pause_receiving(shard->network, true);
  if (dice >= 1 && dice <= 9) network_pause_receiving(shard->network, false);
  shard->no_frames = dice >= 98;
}

void stream_server_step(struct stream_server *server, uint64_t now_ns) {
  sim_wire_advance(server->wire, now_ns);
  for (uint16_t i = 0; i < server->options.shards; i++) receive(server, i, now_ns);
  for (uint16_t i = 0; i < server->options.shards; i++) {
    struct stream_server_shard *shard = &server->shards[i];
    if (server->options.moody) whims(server, shard);
    for (uint32_t s = 0; s < STREAM_SERVER_STREAMS_MAX; s++)
      if (shard->streams[s].stream) stream_resume(shard->streams[s].stream);
    network_tick(shard->network, now_ns, 100);
    network_flush(shard->network, now_ns);
  }
  check_laws(server);
}

uint32_t stream_server_connections(const struct stream_server *server) {
  uint32_t count = 0;
  for (uint16_t i = 0; i < server->options.shards; i++) count += network_counters(server->shards[i].network)->tcp_connections;
  return count;
}

void stream_server_check_rest(const struct stream_server *server) {
  require(stream_server_connections(server) == 0, "a connection does not end");
  for (uint16_t i = 0; i < server->options.shards; i++)
    require(network_pools_full(server->shards[i].network), "a block is not given back");
  require(server->opened == server->closed, "a stream was not closed");
}

void stream_server_stop(struct stream_server *server) { heap_arena_destroy(server->heap); }
