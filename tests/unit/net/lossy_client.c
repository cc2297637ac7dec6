#include "lossy_client.h"
#include <string.h>

#define CLIENT_MSS 1000u

uint64_t test_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void wire_put(struct wire *wire, bool to_network, const uint8_t *bytes, uint32_t length, uint64_t due_ns) {
  for (uint32_t i = 0; i < WIRE_FRAMES; i++) {
    struct wire_frame *frame = &wire->frames[i];
    if (frame->due_ns) continue;
    frame->due_ns = due_ns;
    frame->to_network = to_network;
    frame->length = length;
    memcpy(frame->bytes, bytes, length);
    wire->in_flight++;
    return;
  }
  wire->overrun++;
}

void wire_send(struct wire *wire, bool to_network, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  const uint32_t copies = test_random(&wire->random) % 100 < wire->double_percent ? 2 : 1;
  for (uint32_t i = 0; i < copies; i++) {
    if (test_random(&wire->random) % 100 < wire->loss_percent && !(wire->one_way && to_network)) {
      wire->lost++;
      continue;
    }
    const uint64_t jitter = wire->jitter_ns ? test_random(&wire->random) % wire->jitter_ns : 0;
    wire_put(wire, to_network, bytes, length, now_ns + wire->delay_ns + jitter);
  }
}

static uint32_t get32(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static void put32(uint8_t *at, uint32_t value) {
  for (unsigned i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The run of early bytes around `at`, as one more block of the option. */
static void block_add(const struct client *client, struct bench_segment *segment, uint32_t at) {
  uint32_t start = at, end = at;
  if (segment->options_bytes >= 28 || at >= CLIENT_BYTES_MAX || !client->early[at]) return;
  while (start > client->received && client->early[start - 1]) start--;
  while (client->early[end]) end++;
  uint8_t *option = segment->options + segment->options_bytes;
  for (uint8_t *known = segment->options + 4; known < option; known += 8)
    if (get32(known) == client->server_iss + 1 + start) return;
  put32(option, client->server_iss + 1 + start);
  put32(option + 4, client->server_iss + 1 + end);
  segment->options_bytes = (uint8_t)(segment->options_bytes + 8);
}

/* The latest segment's block first (RFC 2018 section 4), then the lowest. */
static void blocks_add(const struct client *client, struct bench_segment *segment) {
  segment->options_bytes = 4;
  block_add(client, segment, client->latest);
  for (uint32_t at = client->received; at < client->expected; at++)
    if (client->early[at] && (at == client->received || !client->early[at - 1])) block_add(client, segment, at);
  const uint8_t head[4] = {1, 1, 5, (uint8_t)(segment->options_bytes - 2)};
  memcpy(segment->options, head, sizeof head);
  if (segment->options_bytes == 4) segment->options_bytes = 0;
}

/* What the server tells must be what it was sent, beyond what it acknowledges. */
static void blocks_take(struct client *client, const struct bench_segment *segment) {
  for (uint32_t at = 0; at < segment->options_bytes && segment->options[at];) {
    const uint8_t *option = segment->options + at;
    at += option[0] == 1 ? 1u : option[1];
    if (option[0] != 5) continue;
    if (!client->sack) client->corrupt = true;
    for (uint32_t i = 2; i + 8 <= option[1]; i += 8) {
      const uint32_t start = get32(option + i) - client->isn - 1, end = get32(option + i + 4) - client->isn - 1;
      client->blocks_heard++;
      if (start >= end || end > client->most || start <= segment->ack - client->isn - 1) {
        client->corrupt = true;
        return;
      }
      for (uint32_t byte = start; byte < end && byte < client->to_send; byte++) {
        client->told_bytes += !client->told[byte];
        client->told[byte] = true;
      }
    }
  }
}

static void client_send(struct client *client, uint32_t offset, uint32_t length, uint8_t flags) {
  uint8_t frame[1600];
  struct bench_segment segment = {
      .peer_port = client->port,
      .seq = client->isn + 1 + offset,
      .ack = client->server_iss + 1 + client->received + client->fin_received,
      .flags = flags,
      .window = (uint16_t)client->own_window,
      .payload_bytes = length,
      .pattern_at = offset,
  };
  if (client->sack) blocks_add(client, &segment);
  wire_send(client->wire, true, frame, bench_segment_build(frame, &segment), client->bench->now_ns);
}

static void client_syn(struct client *client) {
  uint8_t frame[1600];
  const struct bench_segment segment = {.peer_port = client->port,
                                        .seq = client->isn,
                                        .flags = 0x02,
                                        .window = 65535,
                                        .options = {2, 4, CLIENT_MSS >> 8, CLIENT_MSS & 255, 4, 2, 1, 1},
                                        .options_bytes = client->sack ? 8 : 4};
  wire_send(client->wire, true, frame, bench_segment_build(frame, &segment), client->bench->now_ns);
}

void client_start(struct client *client) {
  client->state = CLIENT_SYN_SENT;
  client->rto_ns = 1000000000;
  client->timer_ns = client->bench->now_ns + client->rto_ns;
  client_syn(client);
}

static void client_send_more(struct client *client) {
  /* FIN is the byte at to_send. */
  while (client->next <= client->to_send) {
    const uint32_t flight = client->next - client->acked;
    const uint32_t room = client->window > flight ? client->window - flight : 0;
    uint32_t length = client->to_send - client->next;
    if (length > CLIENT_MSS) length = CLIENT_MSS;
    if (length > room) length = room;
    if (length && client->told[client->next]) {
      client->next++;
      continue;
    }
    for (uint32_t i = 0; i < length; i++)
      if (client->told[client->next + i]) length = i;
    const bool fin = client->next + length == client->to_send;
    if (length == 0 && !fin) break;
    if (length == 0 && room == 0 && flight) break;
    client_send(client, client->next, length, (uint8_t)(0x10 | (fin ? 0x01 : 0)));
    client->next += length + fin;
  }
  if (client->next > client->most) client->most = client->next;
}

static void client_take(struct client *client, const struct bench_segment *segment) {
  const uint32_t at = segment->seq - client->server_iss - 1;
  const uint32_t skip = client->received - at;
  if (client->sack) {
    client->latest = at;
    for (uint32_t i = 0; i < segment->payload_bytes && at + i < CLIENT_BYTES_MAX; i++) {
      if (segment->payload[i] != bench_pattern(at + i)) client->corrupt = true;
      client->early[at + i] = true;
    }
    if (segment->flags & 0x01) {
      client->fin_known = true;
      client->fin_at = at + segment->payload_bytes;
    }
    while (client->early[client->received]) client->received++;
    if (client->fin_known && client->received == client->fin_at) client->fin_received = true;
  } else if ((int32_t)skip >= 0 && !client->fin_received) {
    for (uint32_t i = skip; i < segment->payload_bytes; i++) {
      if (segment->payload[i] != bench_pattern(client->received)) client->corrupt = true;
      client->received++;
    }
    if ((segment->flags & 0x01) && at + segment->payload_bytes == client->received) client->fin_received = true;
  }
  if (segment->payload_bytes || (segment->flags & 0x01)) client_send(client, client->next, 0, 0x10);
}

static void client_input(struct client *client, const struct bench_segment *segment) {
  if (segment->flags & 0x04) {
    if (client->state != CLIENT_DONE) client->state = CLIENT_RESET;
    return;
  }
  if (segment->flags & 0x02) {
    if (client->state == CLIENT_SYN_SENT) {
      client->server_iss = segment->seq;
      client->state = CLIENT_OPEN;
      client->window = segment->window;
      client->timer_ns = client->bench->now_ns + client->rto_ns;
    }
    client_send(client, client->next, 0, 0x10);
    client_send_more(client);
    return;
  }
  if (client->state == CLIENT_SYN_SENT) return;
  const uint32_t ack = segment->ack - client->isn - 1;
  if (ack <= client->to_send + 1 && ack >= client->acked) {
    /* Never acknowledged beyond what was sent. */
    if (ack > client->most) client->corrupt = true;
    if (ack > client->acked) {
      client->acked = ack;
      client->rto_ns = 200000000;
      client->timeouts = 0;
      client->timer_ns = client->bench->now_ns + client->rto_ns;
      if (client->next < ack) client->next = ack;
    }
    client->window = segment->window;
    blocks_take(client, segment);
  }
  client_take(client, segment);
  client_send_more(client);
}

bool client_finished(const struct client *client) { return client->acked == client->to_send + 1 && client->fin_received; }

void client_step(struct client *client) {
  if (client->state == CLIENT_DONE || client->state == CLIENT_RESET) return;
  if (client->state == CLIENT_OPEN && client_finished(client)) {
    client->state = CLIENT_DONE;
    return;
  }
  if (client->bench->now_ns < client->timer_ns) return;
  client->rto_ns = client->rto_ns * 2 > 4000000000 ? 4000000000 : client->rto_ns * 2;
  client->timer_ns = client->bench->now_ns + client->rto_ns;
  if (client->state == CLIENT_SYN_SENT) {
    client_syn(client);
    return;
  }
  if (client->acked > client->to_send) {
    /* All of ours is through: a keep-alive wakes the other side's ACK. */
    client_send(client, client->next - 1, 0, 0x10);
    return;
  }
  client->next = client->acked;
  if (++client->timeouts > 1) memset(client->told, 0, sizeof client->told);
  if (client->window == 0 && client->next < client->to_send) {
    client_send(client, client->next, 1, 0x10);
    if (client->next + 1 > client->most) client->most = client->next + 1;
    return;
  }
  client_send_more(client);
}

void wire_deliver(struct wire *wire, struct bench *bench, struct client *clients, uint32_t count) {
  for (uint32_t i = 0; i < WIRE_FRAMES; i++) {
    struct wire_frame *frame = &wire->frames[i];
    if (!frame->due_ns || frame->due_ns > bench->now_ns) continue;
    frame->due_ns = 0;
    wire->in_flight--;
    if (frame->to_network) {
      bench_frame_in(bench, frame->bytes, frame->length);
      continue;
    }
    uint8_t copy[1600];
    memcpy(copy, frame->bytes, frame->length);
    struct bench_segment segment;
    if (!bench_parse(bench, copy, frame->length, &segment)) {
      wire->overrun++;
      continue;
    }
    for (uint32_t c = 0; c < count; c++) {
      if (clients[c].port == segment.peer_port) client_input(&clients[c], &segment);
    }
  }
}
