#pragma once
/* A client's TCP for tests, written apart from the one under test: go-back-N both ways with its own timers, and RFC 2018 both
 * ways where it is asked for, over a wire that loses, doubles, delays and so reorders frames by a seed. */
#include "network_bench.h"

#define WIRE_FRAMES 1024u
#define CLIENT_BYTES_MAX 40000u

struct wire_frame {
  uint64_t due_ns; /* 0: free */
  bool to_network;
  uint32_t length;
  uint8_t bytes[1600];
};

struct wire {
  struct wire_frame frames[WIRE_FRAMES];
  uint64_t random;
  uint32_t loss_percent, double_percent;
  bool one_way; /* only frames to the clients are lost */
  uint64_t delay_ns, jitter_ns;
  uint32_t in_flight, overrun, lost;
};

enum client_state { CLIENT_SYN_SENT, CLIENT_OPEN, CLIENT_DONE, CLIENT_RESET };

struct client {
  struct bench *bench;
  struct wire *wire;
  uint16_t port;
  enum client_state state;
  uint32_t isn, server_iss;
  uint32_t to_send;           /* bytes of pattern, then FIN */
  uint32_t acked, next, most; /* offsets: acknowledged, next to send, furthest sent; FIN is at to_send */
  uint32_t window;
  uint32_t received, expected; /* bytes taken; bytes expected in all */
  bool fin_received, corrupt;
  uint32_t own_window;
  uint64_t timer_ns, rto_ns;
  /* With SACK early bytes are kept and told of, and those that the server tells of are not sent again until a timeout has
   * shown that it may have given them up. */
  bool sack;
  bool early[CLIENT_BYTES_MAX + 1], told[CLIENT_BYTES_MAX + 1]; /* by offset, bytes only */
  uint32_t latest, fin_at;                                      /* offset of the segment that came last; of the server's FIN */
  bool fin_known;
  uint32_t told_bytes, blocks_heard, timeouts;
};

uint64_t test_random(uint64_t *state);
void wire_send(struct wire *wire, bool to_network, const uint8_t *bytes, uint32_t length, uint64_t now_ns);
/* Delivers what is due; the clients get the network's frames by port. */
void wire_deliver(struct wire *wire, struct bench *bench, struct client *clients, uint32_t count);
void client_start(struct client *client);
/* Timers and whatever may be sent now. */
void client_step(struct client *client);
bool client_finished(const struct client *client);
