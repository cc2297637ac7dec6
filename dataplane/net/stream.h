#pragma once
/* The byte-stream face of a TCP connection: what HTTP (and later TLS) sees of the network.
 *
 * Bytes arrive in order through `received`. The handler says how many it took; the rest stays in the stream's bounded
 * receive buffer, the window closes with it, and it is offered again after `stream_resume` or with the next bytes.
 * Bytes come in runs of any length: a handler must not take none only because it waits for a longer run.
 * Calls into the stream are legal from within its own callbacks. After `closed` the stream pointer is dead.
 * Threads: the shard that owns the connection. */
#include "ip_address.h"
#include <stdbool.h>
#include <stdint.h>

struct stream;

enum stream_end {
  STREAM_END_FINISHED,  /* both sides closed in order */
  STREAM_END_RESET,     /* RST from the peer */
  STREAM_END_TIMED_OUT, /* retransmissions, idle or close timers ran out */
  STREAM_END_ABORTED,   /* stream_abort, or the stack ran out of memory for it */
};

struct stream_handler {
  void *context;
  /* A connection is established on `local_port`. Returns the handler's state for it, or NULL to reset it. */
  void *(*opened)(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns);
  /* In-order bytes. Returns how many were taken, 0..length. */
  uint32_t (*received)(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns);
  /* The peer sent FIN and all its bytes were taken. The handler may still write. */
  void (*peer_finished)(void *state, uint64_t now_ns);
  /* Room for writing has come back after a write was cut short. */
  void (*writable)(void *state, uint64_t now_ns);
  /* May be NULL. `received` is likely to come soon: a chance to fetch what it will touch into the cache, and no more. */
  void (*expect)(const void *state);
  /* The connection is gone; the handler forgets `state`. Called once for each successful `opened`. */
  void (*closed)(void *state, enum stream_end end, uint64_t now_ns);
};

/* Queues bytes to send (copied); returns how many fitted, 0..length. */
uint32_t stream_write(struct stream *stream, const void *bytes, uint32_t length);
uint32_t stream_write_room(const struct stream *stream);
/* Bytes written that the peer has not acknowledged. */
uint32_t stream_unacknowledged(const struct stream *stream);
/* Whether bytes wait in the receive buffer: not taken yet, or behind a hole. */
bool stream_holds_received(const struct stream *stream);
/* Offer the untaken bytes again at the end of the current step. */
void stream_resume(struct stream *stream);
/* FIN after what is queued; bytes still arriving are then discarded. */
void stream_close(struct stream *stream);
/* RST now. `closed` is called before this returns. */
void stream_abort(struct stream *stream, uint64_t now_ns);
struct ip_address stream_peer_address(const struct stream *stream);
/* Host byte order. */
uint16_t stream_peer_port(const struct stream *stream);
