/* In-order segments of established streams through the stack: bursts of 32 frames in, one flush, the ACKs out, as a shard does
 * it. Beside it the same frames' headers read and payload summed without a stack. Oracle: every byte reached the handler. */
#include "bench.h"
#include "heap_arena.h"
#include "network.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 32u
#define SEGMENTS (1u << 17)
#define ROUNDS 15
#define HEADERS_BYTES (14u + 20u + 32u)
#define FRAME_BYTES_MAX 1514u
#define OWN_IPV4 0x0a560002u
#define PEER_IPV4 0x0a570001u

struct peer {
  uint32_t seq, ack, timestamp_echo;
};

struct rig {
  struct heap_arena *heap;
  struct network *network;
  struct stream_handler handler;
  struct peer *peers;
  uint32_t connections, payload_bytes;
  uint64_t now_ns, received, frames_out, sum;
  uint8_t out[FRAME_BYTES_MAX];
  uint8_t frame[FRAME_BYTES_MAX];
  uint32_t out_bytes;
};

static void put16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}
static void put32(uint8_t *at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}
static uint32_t get32(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static uint64_t payload_sum(const uint8_t *bytes, uint32_t length) {
  uint64_t sum = 0, word;
  for (; length >= sizeof word; length -= (uint32_t)sizeof word, bytes += sizeof word) {
    memcpy(&word, bytes, sizeof word);
    sum += word;
  }
  return sum;
}

static void *opened(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns) {
  (void)stream;
  (void)local_port;
  (void)now_ns;
  return context;
}
static uint32_t received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  struct rig *rig = state;
  (void)now_ns;
  rig->received += length;
  rig->sum += payload_sum(bytes, length);
  return length;
}
static void event(void *state, uint64_t now_ns) {
  (void)state;
  (void)now_ns;
}
static void closed(void *state, enum stream_end end, uint64_t now_ns) {
  (void)state;
  (void)end;
  (void)now_ns;
}

static uint8_t *reserve(void *context, uint32_t bytes) {
  struct rig *rig = context;
  return bytes <= sizeof rig->out ? rig->out : NULL;
}
static void commit(void *context, uint32_t bytes, uint32_t offload) {
  struct rig *rig = context;
  (void)offload;
  rig->out_bytes = bytes;
  rig->frames_out++;
}

/* `index` tells the port; options are the timestamps that any kernel's segments carry. */
static uint32_t frame_fill(struct rig *rig, uint32_t index, uint8_t flags, uint32_t payload_bytes) {
  const struct peer *peer = &rig->peers[index];
  const bool syn = flags & 0x02;
  const uint32_t options_bytes = syn ? 20 : 12, tcp_bytes = 20 + options_bytes + payload_bytes;
  uint8_t *ip = rig->frame + 14, *tcp = ip + 20;
  put16(ip + 2, 20 + tcp_bytes);
  put32(ip + 12, PEER_IPV4 + (index >> 15));
  put16(tcp, 1024 + (index & 0x7fff));
  put16(tcp + 2, 8080);
  put32(tcp + 4, peer->seq);
  put32(tcp + 8, peer->ack);
  tcp[12] = (uint8_t)((20 + options_bytes) / 4 << 4);
  tcp[13] = flags;
  put16(tcp + 14, 65535);
  uint8_t *options = tcp + 20;
  if (syn) {
    static const uint8_t head[8] = {2, 4, 5, 0xb4, 1, 3, 3, 7};
    memcpy(options, head, sizeof head);
    options += sizeof head;
  }
  put32(options, 0x0101080a);
  put32(options + 4, (uint32_t)(rig->now_ns / 1000000));
  put32(options + 8, peer->timestamp_echo);
  return 14 + 20 + tcp_bytes;
}

static void connect_all(struct rig *rig) {
  for (uint32_t i = 0; i < rig->connections; i++) {
    rig->peers[i] = (struct peer){.seq = i * 7919u};
    network_receive(rig->network, rig->frame, frame_fill(rig, i, 0x02, 0), false, rig->now_ns);
    rig->peers[i].seq++;
    rig->peers[i].ack = get32(rig->out + 14 + 20 + 4) + 1;
    rig->peers[i].timestamp_echo = get32(rig->out + 14 + 20 + 20 + 12);
    network_receive(rig->network, rig->frame, frame_fill(rig, i, 0x10, 0), false, rig->now_ns);
  }
  bench_check(network_counters(rig->network)->tcp_established == rig->connections, "not all connections are established");
}

static double through_the_stack(void *context) {
  struct rig *rig = context;
  const uint64_t before = rig->received, begin_ns = bench_now_ns();
  uint32_t index = 0;
  for (uint32_t i = 0; i < SEGMENTS; i += BURST) {
    rig->now_ns += 10000;
    for (uint32_t j = 0; j < BURST; j++) {
      network_receive(rig->network, rig->frame, frame_fill(rig, index, 0x18, rig->payload_bytes), false, rig->now_ns);
      rig->peers[index].seq += rig->payload_bytes;
      index = index + 1 < rig->connections ? index + 1 : 0;
    }
    network_flush(rig->network, rig->now_ns);
    network_tick(rig->network, rig->now_ns, 64);
  }
  const uint64_t elapsed_ns = bench_now_ns() - begin_ns;
  bench_check(rig->received - before == (uint64_t)SEGMENTS * rig->payload_bytes, "bytes did not arrive");
  return (double)elapsed_ns / SEGMENTS;
}

static double without_a_stack(void *context) {
  struct rig *rig = context;
  const uint64_t begin_ns = bench_now_ns();
  uint32_t index = 0;
  for (uint32_t i = 0; i < SEGMENTS; i++) {
    const uint32_t length = frame_fill(rig, index, 0x18, rig->payload_bytes);
    bench_keep(payload_sum(rig->frame + HEADERS_BYTES, length - HEADERS_BYTES));
    index = index + 1 < rig->connections ? index + 1 : 0;
  }
  return (double)(bench_now_ns() - begin_ns) / SEGMENTS;
}

static void rig_start(struct rig *rig, uint32_t connections, uint32_t payload_bytes) {
  *rig = (struct rig){.connections = connections, .payload_bytes = payload_bytes, .now_ns = 1000000000};
  static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 2}, peer_mac[6] = {2, 0, 0, 0, 0, 1};
  rig->heap = heap_arena_create();
  rig->peers = calloc(connections, sizeof *rig->peers);
  bench_check(rig->heap && rig->peers, "no memory");
  rig->handler = (struct stream_handler){
      .context = rig, .opened = opened, .received = received, .peer_finished = event, .writable = event, .closed = closed};
  struct network_config config = {
      .address_count = 1,
      .addresses = {ip_address_of_ipv4(OWN_IPV4)},
      .mtu = 1500,
      .offload = NETWORK_OFFLOAD_TX_IPV4_CHECKSUM | NETWORK_OFFLOAD_TX_L4_CHECKSUM,
      .hash_key = {1, 2},
      .isn_key = {3, 4},
      .connections_max = connections,
      .half_open_max = 16,
      .receive_buffer_bytes = 262144,
      .receive_pool_bytes = 64u << 20,
      .send_buffer_bytes = 16384,
      .send_pool_bytes = 32u << 20,
      .idle_timeout_ns = 120ull * 1000000000,
      .time_wait_ns = 1000000000,
      .output = {.context = rig, .reserve = reserve, .commit = commit},
      .tcp_listener_count = 1,
      .tcp_listeners = {{.port = 8080, .handler = &rig->handler}},
  };
  memcpy(config.mac, own_mac, sizeof own_mac);
  memcpy(rig->frame, own_mac, sizeof own_mac);
  memcpy(rig->frame + 6, peer_mac, sizeof peer_mac);
  put16(rig->frame + 12, 0x0800);
  uint8_t *ip = rig->frame + 14;
  put16(ip, 0x4500);
  put16(ip + 6, 0x4000);
  ip[8] = 64;
  ip[9] = 6;
  put32(ip + 16, OWN_IPV4);
  for (uint32_t i = HEADERS_BYTES; i < FRAME_BYTES_MAX; i++) rig->frame[i] = (uint8_t)i;
  rig->network = network_create(heap_arena_arena(rig->heap), &config, rig->now_ns);
  bench_check(rig->network != NULL, "no network");
  connect_all(rig);
}

int main(void) {
  static const uint32_t connections[] = {1, 32, 1000, 10000, 100000}, payloads[] = {64, 512, 1448};
  static struct rig rig;
  bench_header();
  bench_pin(bench_core_count() - 1);
  for (unsigned c = 0; c < sizeof connections / sizeof *connections; c++) {
    for (unsigned p = 0; p < sizeof payloads / sizeof *payloads; p++) {
      char name[64];
      snprintf(name, sizeof name, "segment of %u B, %u connections", payloads[p], connections[c]);
      rig_start(&rig, connections[c], payloads[p]);
      const struct bench bench = {name, through_the_stack, without_a_stack, "headers written, payload summed", &rig, ROUNDS};
      bench_run(&bench);
      free(rig.peers);
      heap_arena_destroy(rig.heap);
    }
  }
  return 0;
}
