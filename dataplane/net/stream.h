#pragma once
/* The byte-stream face: what HTTP sees of a TCP connection, or of TLS on one.
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

/* Who carries out what a handler asks of its stream: TCP, TLS over another stream, or a test's. */
struct stream_operations {
  uint32_t (*write)(struct stream *stream, const void *bytes, uint32_t length);
  uint32_t (*write_room)(const struct stream *stream);
  void (*await_room)(struct stream *stream);
  uint32_t (*unacknowledged)(const struct stream *stream);
  bool (*holds_received)(const struct stream *stream);
  void (*resume)(struct stream *stream);
  void (*close)(struct stream *stream);
  void (*abort)(struct stream *stream, uint64_t now_ns);
  struct ip_address (*peer_address)(const struct stream *stream);
  uint16_t (*peer_port)(const struct stream *stream);
};

/* What a `struct stream *` points to begins with this. */
struct stream_face {
  const struct stream_operations *operations;
};

static inline const struct stream_operations *stream_operations(const struct stream *stream) {
  return ((const struct stream_face *)(const void *)stream)->operations;
}

/* Queues bytes to send (copied); returns how many fitted, 0..length. */
static inline uint32_t stream_write(struct stream *stream, const void *bytes, uint32_t length) {
  return stream_operations(stream)->write(stream, bytes, length);
}
static inline uint32_t stream_write_room(const struct stream *stream) { return stream_operations(stream)->write_room(stream); }
/* `writable` is wanted when there is more room than now, as after a write that was cut short. */
static inline void stream_await_room(struct stream *stream) { stream_operations(stream)->await_room(stream); }
/* Bytes written that the peer has not acknowledged. */
static inline uint32_t stream_unacknowledged(const struct stream *stream) {
  return stream_operations(stream)->unacknowledged(stream);
}
/* Whether bytes wait in the receive buffer: not taken yet, or behind a hole. */
static inline bool stream_holds_received(const struct stream *stream) {
  return stream_operations(stream)->holds_received(stream);
}
/* Offer the untaken bytes again at the end of the current step. */
static inline void stream_resume(struct stream *stream) { stream_operations(stream)->resume(stream); }
/* FIN after what is queued; bytes still arriving are then discarded. */
static inline void stream_close(struct stream *stream) { stream_operations(stream)->close(stream); }
/* RST now. `closed` is called before this returns. */
static inline void stream_abort(struct stream *stream, uint64_t now_ns) { stream_operations(stream)->abort(stream, now_ns); }
static inline struct ip_address stream_peer_address(const struct stream *stream) {
  return stream_operations(stream)->peer_address(stream);
}
/* Host byte order. */
static inline uint16_t stream_peer_port(const struct stream *stream) { return stream_operations(stream)->peer_port(stream); }
