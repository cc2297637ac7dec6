#include "client_crowd.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_IPV4 0x0a570001u /* 10.87.0.1 on */
#define MEMBERS_AN_ADDRESS 1000u
#define PORTS_A_MEMBER 60u
#define FIRST_PORT 1024u
#define OPENS_A_STEP 16u
#define DRIPS_A_STEP 64u
#define AGAIN_NS 1000000000ull /* a SYN without an answer; a member that was thrown out */
#define SEGMENT_BYTES 1400u
#define FIRST_SEQUENCE 1000u

static struct segment_ends ends_of(const struct client_crowd *crowd, uint32_t index) {
  const struct crowd_member *member = &crowd->members[index];
  struct segment_ends ends = {
      .client_ipv4 = FIRST_IPV4 + index / MEMBERS_AN_ADDRESS,
      .server_ipv4 = crowd->server_ipv4,
      .client_port = (uint16_t)(FIRST_PORT + index % MEMBERS_AN_ADDRESS * PORTS_A_MEMBER + member->generation % PORTS_A_MEMBER),
      .server_port = crowd->script->port};
  memcpy(ends.client_mac, crowd->peer_mac, 6);
  memcpy(ends.server_mac, crowd->server_mac, 6);
  return ends;
}

static uint16_t window_of(const struct client_crowd *crowd, const struct crowd_member *member) {
  const uint32_t taken = member->server_next - member->server_first;
  if (crowd->script->reads == UINT16_MAX || member->state != CROWD_CONNECTED) return crowd->script->reads;
  return (uint16_t)(taken < crowd->script->reads ? crowd->script->reads - taken : 0);
}

static void send_one(struct client_crowd *crowd, uint32_t index, uint8_t flags, const void *bytes, uint32_t length) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  struct crowd_member *member = &crowd->members[index];
  const struct segment_ends ends = ends_of(crowd, index);
  const struct segment segment = {.sequence = member->next,
                                  .acknowledgement = member->server_next,
                                  .flags = flags,
                                  .window = window_of(crowd, member),
                                  .options = {.maximum_segment = (uint16_t)(flags & SEGMENT_SYN ? SEGMENT_BYTES : 0)},
                                  .payload = bytes,
                                  .payload_bytes = length};
  if (!sim_wire_peer_send(crowd->wire, crowd->peer, frame, segment_write(&ends, &segment, frame))) abort();
}

static void send_bytes(struct client_crowd *crowd, uint32_t index, const void *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    const uint32_t part = length - at < SEGMENT_BYTES ? (uint32_t)(length - at) : SEGMENT_BYTES;
    send_one(crowd, index, SEGMENT_ACK, (const uint8_t *)bytes + at, part);
    crowd->members[index].next += part;
    at += part;
  }
}

static void leave(struct client_crowd *crowd, uint32_t index) {
  struct crowd_member *member = &crowd->members[index];
  if (member->state == CROWD_CONNECTED) crowd->connected--;
  member->state = CROWD_AWAY;
  member->again_ns = crowd->now_ns + AGAIN_NS;
}

static void connect_one(struct client_crowd *crowd, uint32_t index) {
  struct crowd_member *member = &crowd->members[index];
  if (member->state == CROWD_AWAY) member->generation++;
  member->state = CROWD_CONNECTING;
  member->next = FIRST_SEQUENCE;
  member->again_ns = crowd->now_ns + AGAIN_NS;
  send_one(crowd, index, SEGMENT_SYN, NULL, 0);
  crowd->connects++;
}

static void connected(struct client_crowd *crowd, uint32_t index, const struct segment *segment) {
  struct crowd_member *member = &crowd->members[index];
  member->state = CROWD_CONNECTED;
  member->next = FIRST_SEQUENCE + 1;
  member->server_next = member->server_first = segment->sequence + 1;
  crowd->connected++;
  send_one(crowd, index, SEGMENT_ACK, NULL, 0);
  send_bytes(crowd, index, crowd->script->first, crowd->script->first_bytes);
}

static void take(struct client_crowd *crowd, uint32_t index, const struct segment *segment) {
  struct crowd_member *member = &crowd->members[index];
  if (segment->sequence == member->server_next && segment->payload_bytes <= window_of(crowd, member))
    member->server_next += segment->payload_bytes;
  const bool finished = (segment->flags & SEGMENT_FIN) && segment->sequence + segment->payload_bytes == member->server_next;
  if (finished) {
    member->server_next++;
    crowd->closed++;
    /* It has read what it wanted, and resets, as a program that ends. */
    send_one(crowd, index, SEGMENT_RST, NULL, 0);
    leave(crowd, index);
  } else if (segment->payload_bytes || (segment->flags & SEGMENT_FIN)) {
    send_one(crowd, index, SEGMENT_ACK, NULL, 0);
  }
}

static void receive(struct client_crowd *crowd, const uint8_t *frame, uint32_t length) {
  struct segment segment;
  if (length < 54) return;
  const uint32_t ipv4 = (uint32_t)frame[30] << 24 | (uint32_t)frame[31] << 16 | (uint32_t)frame[32] << 8 | frame[33];
  const uint32_t port = (uint32_t)frame[36] << 8 | frame[37];
  const uint32_t index = (ipv4 - FIRST_IPV4) * MEMBERS_AN_ADDRESS + (port - FIRST_PORT) / PORTS_A_MEMBER;
  if (index >= crowd->count) return;
  struct crowd_member *member = &crowd->members[index];
  const struct segment_ends ends = ends_of(crowd, index);
  if (!segment_read(&ends, frame, length, &segment)) return;
  if (member->state == CROWD_AWAY) {
    /* As a kernel answers what belongs to no connection (RFC 9293 section 3.10.7.1). */
    if (crowd->leaving && !crowd->leaving_resets) return;
    member->next = segment.acknowledgement;
    if (!(segment.flags & SEGMENT_RST)) send_one(crowd, index, SEGMENT_RST, NULL, 0);
  } else if (crowd->leaving) {
    return;
  } else if (segment.flags & SEGMENT_RST) {
    *(member->state == CROWD_CONNECTING ? &crowd->refused : &crowd->reset) += 1;
    leave(crowd, index);
  } else if (member->state == CROWD_CONNECTING) {
    if (segment.flags & SEGMENT_SYN) connected(crowd, index, &segment);
  } else {
    take(crowd, index, &segment);
  }
}

static void open_some(struct client_crowd *crowd) {
  uint32_t opened = 0;
  for (uint32_t i = 0; i < 4 * OPENS_A_STEP && opened < OPENS_A_STEP; i++) {
    const uint32_t index = crowd->open_at++ % crowd->count;
    const struct crowd_member *member = &crowd->members[index];
    if (member->state == CROWD_CONNECTED || crowd->now_ns < member->again_ns) continue;
    connect_one(crowd, index);
    opened++;
  }
}

/* Evenly over time, so that the wire sees no bursts. */
static void drip_some(struct client_crowd *crowd) {
  const struct crowd_script *script = crowd->script;
  if (!script->drip) return;
  if (crowd->drip_ns == 0) crowd->drip_ns = crowd->now_ns;
  for (uint32_t i = 0; i < DRIPS_A_STEP && crowd->drip_ns <= crowd->now_ns; i++) {
    const uint32_t index = crowd->drip_at++ % crowd->count;
    if (crowd->members[index].state == CROWD_CONNECTED) send_bytes(crowd, index, script->drip, script->drip_bytes);
    crowd->drip_ns += script->every_ns / crowd->count;
  }
}

static void leave_some(struct client_crowd *crowd) {
  for (uint32_t i = 0; i < OPENS_A_STEP && crowd->open_at < crowd->count; i++, crowd->open_at++) {
    if (crowd->leaving_resets && crowd->members[crowd->open_at].state == CROWD_CONNECTED)
      send_one(crowd, crowd->open_at, SEGMENT_RST, NULL, 0);
    leave(crowd, crowd->open_at);
  }
}

void crowd_step(struct client_crowd *crowd, uint64_t now_ns) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  crowd->now_ns = now_ns;
  for (uint32_t length; (length = sim_wire_peer_receive(crowd->wire, crowd->peer, frame, sizeof frame));)
    receive(crowd, frame, length);
  if (crowd->leaving) {
    leave_some(crowd);
    return;
  }
  open_some(crowd);
  drip_some(crowd);
}

void crowd_init(struct client_crowd *crowd, const struct crowd_script *script, uint32_t count, struct sim_wire *wire,
                uint16_t peer, const uint8_t peer_mac[6], const uint8_t server_mac[6], uint32_t server_ipv4) {
  *crowd = (struct client_crowd){.script = script, .wire = wire, .peer = peer, .server_ipv4 = server_ipv4, .count = count};
  memcpy(crowd->peer_mac, peer_mac, 6);
  memcpy(crowd->server_mac, server_mac, 6);
  crowd->members = calloc(count, sizeof *crowd->members);
  if (!crowd->members) abort();
}

void crowd_leave(struct client_crowd *crowd, bool reset) {
  crowd->leaving = true;
  crowd->leaving_resets = reset;
  crowd->open_at = 0;
}

void crowd_free(struct client_crowd *crowd) { free(crowd->members); }
