#pragma once
/* Thousands of clients that all do the same slow thing over one peer of the simulated wire, and come again when they are thrown
 * out. Their TCP is the least there is: the wire must not lose. */
#include "segment.h"
#include "sim_wire.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crowd_script {
  const char *name;
  uint16_t port;
  const void *first; /* what each sends when it is connected */
  size_t first_bytes;
  const void *drip; /* and then, again and again; NULL: nothing */
  size_t drip_bytes;
  uint64_t every_ns;
  uint16_t reads; /* bytes that it takes of the answers before its window is shut; UINT16_MAX: all */
};

struct crowd_member {
  enum { CROWD_AWAY, CROWD_CONNECTING, CROWD_CONNECTED } state;
  uint8_t generation;
  uint32_t next, server_next, server_first; /* sequence numbers */
  uint64_t again_ns;                        /* the next SYN, when not connected */
};

struct client_crowd {
  const struct crowd_script *script;
  struct sim_wire *wire;
  uint16_t peer;
  uint8_t peer_mac[6], server_mac[6];
  uint32_t server_ipv4, count;
  struct crowd_member *members;
  uint32_t connected, open_at, drip_at;
  bool leaving, leaving_resets;
  uint64_t now_ns, drip_ns; /* when the next member's turn is */
  uint64_t connects, refused, closed, reset;
};

void crowd_init(struct client_crowd *crowd, const struct crowd_script *script, uint32_t count, struct sim_wire *wire,
                uint16_t peer, const uint8_t peer_mac[6], const uint8_t server_mac[6], uint32_t server_ipv4);
void crowd_step(struct client_crowd *crowd, uint64_t now_ns);
/* All are gone: with a RST each, or without a word. */
void crowd_leave(struct client_crowd *crowd, bool reset);
void crowd_free(struct client_crowd *crowd);
