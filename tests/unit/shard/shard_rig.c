#include "shard_rig.h"
#include "cmocka_test.h"
#include "conservation.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rig_init(struct shard_rig *rig, uint16_t shards) {
  memset(rig, 0, sizeof *rig);
  rig->random.state = 7;
  rig->now_ns = 1000000000;
  rig->options = (struct appliance_options){.shards = shards,
                                            .record_ring_bytes = 256u << 10,
                                            .connections_max = 64,
                                            .receive_pool_bytes = 1u << 20,
                                            .send_pool_bytes = 1u << 20,
                                            .body_buffers = 16,
                                            .trace_idle_ns = 3000000000,
                                            .traces_max = 64,
                                            .replay_capacity = 64,
                                            .disk_latency_most_ns = 100000,
                                            .rules = simulation_rules};
  rig->options.wire = (struct sim_wire_config){.peers = RIG_CLIENTS + 1, /* the last for what a test brings itself */
                                               .mtu = 1500,
                                               .frames = 2048,
                                               .queue_depth = 64,
                                               .mac = {0x02, 0, 0, 0, 0, 2},
                                               .impairment = {{.delay_ns = RIG_DELAY_NS}, {.delay_ns = RIG_DELAY_NS}}};
  for (uint8_t i = 0; i < rig->options.wire.peers; i++) {
    const uint8_t mac[6] = {0x02, 0, 0, 0, 1, i};
    memcpy(rig->options.wire.peer_macs[i], mac, sizeof mac);
  }
  request_maker_sources(&rig->options);
}

void rig_start(struct shard_rig *rig) {
  appliance_init(&rig->appliance, &rig->options, 99);
  appliance_boot(&rig->appliance, rig->now_ns);
  for (uint16_t i = 0; i < RIG_CLIENTS; i++) {
    struct client_tcp *tcp = &rig->clients[i];
    tcp->wire = rig->appliance.wires[0];
    tcp->peer = i;
    memcpy(tcp->ends.client_mac, rig->options.wire.peer_macs[i], 6);
    memcpy(tcp->ends.server_mac, rig->options.wire.mac, 6);
    tcp->ends.client_ipv4 = 0x0a560064u + i;
    tcp->ends.server_ipv4 = APPLIANCE_IPV4;
  }
}

void rig_stop(struct shard_rig *rig) {
  appliance_stop(&rig->appliance, true);
  appliance_free(&rig->appliance);
  for (uint32_t i = 0; i < RIG_CLIENTS; i++) client_tcp_free(&rig->clients[i]);
}

void rig_step(struct shard_rig *rig, uint64_t ns) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  rig->now_ns += ns;
  if (rig->journal_held_up) {
    appliance_step_shards(&rig->appliance, rig->now_ns);
  } else {
    appliance_step(&rig->appliance, rig->now_ns);
  }
  assert_true(conservation_holds(&rig->appliance));
  for (uint32_t i = 0; i < RIG_CLIENTS; i++) {
    struct client_tcp *tcp = &rig->clients[i];
    for (uint32_t length; (length = sim_wire_peer_receive(tcp->wire, tcp->peer, frame, sizeof frame));)
      client_tcp_frame(tcp, frame, length, rig->now_ns);
    client_tcp_step(tcp, rig->now_ns);
  }
  if (rig->beside) rig->beside(rig->beside_context, rig->now_ns);
}

static void step(struct shard_rig *rig) { rig_step(rig, 10000); }

void rig_sleep(struct shard_rig *rig, uint64_t ns) {
  for (const uint64_t until_ns = rig->now_ns + ns; rig->now_ns < until_ns;) rig_step(rig, RIG_MS);
}

void rig_pass(struct shard_rig *rig, uint64_t ns) {
  for (const uint64_t until_ns = rig->now_ns + ns; rig->now_ns < until_ns;) step(rig);
}

void rig_connect(struct shard_rig *rig, uint32_t client, uint16_t port) {
  struct client_tcp *tcp = &rig->clients[client];
  client_tcp_start(tcp, port, &rig->random, rig->now_ns);
  tcp->maximum_segment = 1460;
  tcp->own_window = 65535;
  rig->parsed[client] = 0;
  for (int i = 0; i < 100 && tcp->state != CLIENT_TCP_OPEN; i++) step(rig);
  assert_int_equal(tcp->state, CLIENT_TCP_OPEN);
}

void rig_post(struct shard_rig *rig, uint32_t client, uint16_t port, const char *head, const void *body, size_t body_bytes) {
  struct client_tcp *tcp = &rig->clients[client];
  char text[1024];
  if (tcp->state != CLIENT_TCP_OPEN || tcp->ends.server_port != port || tcp->peer_finished) rig_connect(rig, client, port);
  const int length = snprintf(text, sizeof text, "%s x\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", head, body_bytes);
  client_tcp_write(tcp, text, (size_t)length);
  client_tcp_write(tcp, body, body_bytes);
}

static void order_body(char body[256], const char *order, unsigned amount) {
  snprintf(body, 256, "{\"order\":{\"entry\":\"%s\",\"amount\":%u}}", order, amount);
}

void rig_post_order(struct shard_rig *rig, uint32_t client, const char *source, const char *order, unsigned amount) {
  char head[128], body[256];
  snprintf(head, sizeof head, "POST /webhook/%s HTTP/1.1\r\nContent-Type: application/json\r\nX-Filler:", source);
  order_body(body, order, amount);
  rig_post(rig, client, APPLIANCE_WEBHOOK_PORT, head, body, strlen(body));
}

void rig_post_signed(struct shard_rig *rig, uint32_t client, const char *id, const char *order, unsigned amount, bool genuine) {
  char body[256], content[512], head[512], signature[64];
  uint8_t mac[32];
  unsigned mac_bytes = sizeof mac;
  const unsigned long long seconds = appliance_wall_ns(&rig->appliance, rig->now_ns) / 1000000000;
  order_body(body, order, amount);
  const int length = snprintf(content, sizeof content, "%s.%llu.%s", id, seconds, body);
  HMAC(EVP_sha256(), "the secret of the source", genuine ? 24 : 3, (uint8_t *)content, (size_t)length, mac, &mac_bytes);
  EVP_EncodeBlock((uint8_t *)signature, mac, sizeof mac);
  snprintf(head, sizeof head,
           "POST /webhook/signed HTTP/1.1\r\nContent-Type: application/json\r\nwebhook-id: %s\r\nwebhook-timestamp: %llu\r\n"
           "webhook-signature: v1,%s\r\nX-Filler:",
           id, seconds, signature);
  rig_post(rig, client, APPLIANCE_WEBHOOK_PORT, head, body, strlen(body));
}

struct rig_answer rig_answer(struct shard_rig *rig, uint32_t client) {
  struct client_tcp *tcp = &rig->clients[client];
  struct rig_answer answer = {0};
  if (!tcp->in) return answer;
  const char *at = (const char *)tcp->in + rig->parsed[client];
  const size_t length = tcp->in_bytes - rig->parsed[client];
  const char *end = length ? memmem(at, length, "\r\n\r\n", 4) : NULL;
  if (!end) return answer;
  const size_t head_bytes = (size_t)(end + 4 - at);
  assert_true(head_bytes < sizeof answer.head);
  memcpy(answer.head, at, head_bytes);
  const char *length_line = strcasestr(answer.head, "content-length:");
  const size_t body_bytes = length_line ? strtoul(length_line + 15, NULL, 10) : 0;
  if (length < head_bytes + body_bytes) return answer;
  assert_true(body_bytes < sizeof answer.body);
  memcpy(answer.body, end + 4, body_bytes);
  assert_int_equal(sscanf(answer.head, "HTTP/1.1 %3u", &answer.status), 1);
  rig->parsed[client] += head_bytes + body_bytes;
  return answer;
}

struct rig_answer rig_wait(struct shard_rig *rig, uint32_t client) {
  struct rig_answer answer = {0};
  for (int i = 0; i < 100000 && answer.status == 0; i++) {
    step(rig);
    answer = rig_answer(rig, client);
  }
  return answer;
}

uint64_t rig_sum(const struct shard_rig *rig, size_t offset) {
  uint64_t sum = 0;
  for (uint16_t i = 0; i < rig->options.shards; i++)
    sum += *(const uint64_t *)(const void *)((const char *)&rig->appliance.snapshots[i] + offset);
  return sum;
}
