#pragma once
/* A client's TCP, one connection at a time, over the simulated wire: go-back-N with fast retransmission, and, as the seed says,
 * window scaling, timestamps and selective acknowledgement. What a peer may do, it does: small and closing windows, small
 * segments, vanishing without a word. What the server may not do ends the test: bytes beyond the window, bytes sent again that
 * are not the same, acknowledgements of what was never sent. */
#include "range_set.h"
#include "segment.h"
#include "sim_wire.h"
#include "test_random.h"
#include <stddef.h>

enum client_tcp_state { CLIENT_TCP_IDLE, CLIENT_TCP_OPENING, CLIENT_TCP_OPEN, CLIENT_TCP_RESET, CLIENT_TCP_SILENT };

struct client_tcp {
  struct sim_wire *wire;
  uint16_t peer;
  struct segment_ends ends;
  enum client_tcp_state state; /* SILENT: given up, nothing came for too long */
  uint32_t initial, server_initial;
  uint8_t *out, *in;
  size_t out_bytes, out_room, in_bytes, in_room;
  uint32_t acknowledged, next, furthest; /* offsets in `out`; FIN is at out_bytes */
  bool finishing, peer_finished;
  uint32_t window, duplicate_acknowledgements;
  uint32_t own_window; /* in bytes: what is offered, may change at any time */
  uint16_t maximum_segment;
  struct segment_options wanted; /* of the SYN; what the server did not take up is cleared */
  uint8_t peer_shift;
  uint32_t edge, timestamp_offset, timestamp_recent;
  struct range_set held, selected; /* received beyond a hole; of ours, what the server holds so */
  uint32_t finish_at;              /* where the server's bytes end, once known; UINT32_MAX before */
  uint64_t silence_ns;             /* 0: half a minute */
  uint64_t now_ns, timer_ns, timeout_ns, heard_ns;
};

/* `ends` but for the client's port, and `wire`, `peer` and `silence_ns` are the caller's to set before. */
void client_tcp_start(struct client_tcp *tcp, uint16_t server_port, struct test_random *random, uint64_t now_ns);
void client_tcp_write(struct client_tcp *tcp, const void *bytes, size_t length);
/* FIN after what was written. */
void client_tcp_finish(struct client_tcp *tcp);
/* Another window from now on; the server is told once. */
void client_tcp_offer(struct client_tcp *tcp, uint32_t window);
/* RST. */
void client_tcp_abort(struct client_tcp *tcp);
void client_tcp_frame(struct client_tcp *tcp, const uint8_t *frame, uint32_t length, uint64_t now_ns);
/* Sends what may be sent and runs the timer. */
void client_tcp_step(struct client_tcp *tcp, uint64_t now_ns);
/* When it wants a step; UINT64_MAX: not by itself. */
uint64_t client_tcp_next_ns(const struct client_tcp *tcp);
void client_tcp_free(struct client_tcp *tcp);
