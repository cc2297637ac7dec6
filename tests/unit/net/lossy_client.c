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
    if (test_random(&wire->random) % 100 < wire->loss_percent) continue;
    const uint64_t jitter = wire->jitter_ns ? test_random(&wire->random) % wire->jitter_ns : 0;
    wire_put(wire, to_network, bytes, length, now_ns + wire->delay_ns + jitter);
  }
}

static void client_send(struct client *client, uint32_t offset, uint32_t length, uint8_t flags) {
  uint8_t frame[1600];
  const struct bench_segment segment = {
      .peer_port = client->port,
      .seq = client->isn + 1 + offset,
      .ack = client->server_iss + 1 + client->received + client->fin_received,
      .flags = flags,
      .window = (uint16_t)client->own_window,
      .payload_bytes = length,
      .pattern_at = offset,
  };
  wire_send(client->wire, true, frame, bench_segment_build(frame, &segment), client->bench->now_ns);
}

static void client_syn(struct client *client) {
  uint8_t frame[1600];
  const struct bench_segment segment = {.peer_port = client->port,
                                        .seq = client->isn,
                                        .flags = 0x02,
                                        .window = 65535,
                                        .options = {2, 4, CLIENT_MSS >> 8, CLIENT_MSS & 255},
                                        .options_bytes = 4};
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
  if ((int32_t)skip >= 0 && !client->fin_received) {
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
      client->timer_ns = client->bench->now_ns + client->rto_ns;
      if (client->next < ack) client->next = ack;
    }
    client->window = segment->window;
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
