#pragma once
/* TLS 1.3 (RFC 8446) between a byte stream and its handler: neither knows. A handler for streams that gives another handler
 * streams of its own, decrypted.
 *
 * Server only; no session tickets, no early data, no renegotiation; ALPN h2 and http/1.1. Handshakes are budgeted: a private-key
 * operation, or the check of a client's certificate, waits in a bounded queue for its turn, one a step and so many a second, so
 * that established connections have the rest of the core. Nothing is decrypted while the handler has left bytes; what it left is
 * at most one record. What could not be sent waits where it came from: a write is taken as far as the stream below has room.
 * An end without close_notify is an abort (RFC 8446 section 6.1).
 * Threads: one shard. */
#include "stream.h"
#include "tls_identity.h"
#include "tls_memory.h"

struct tls_config {
  const struct tls_publication *publication;
  struct tls_memory *memory;
  uint32_t connections_max;
  uint32_t waiting_max; /* handshakes that wait for their turn */
  uint32_t handshakes_a_second;
  uint64_t handshake_timeout_ns; /* from the connection's begin */
};

/* Why a handshake failed. */
enum tls_failure {
  TLS_FAILURE_NOT_TLS,             /* the first byte is of no TLS record: plain HTTP, for one */
  TLS_FAILURE_VERSION,             /* the client does not speak TLS 1.3 */
  TLS_FAILURE_NOTHING_SHARED,      /* no cipher suite, group or signature algorithm */
  TLS_FAILURE_NO_PROTOCOL,         /* ALPN without h2 and http/1.1 */
  TLS_FAILURE_CERTIFICATE_MISSING, /* the client's */
  TLS_FAILURE_CERTIFICATE,         /* the client's is not of its authority, or not valid now */
  TLS_FAILURE_CERTIFICATE_NAME,    /* the client's is for another name */
  TLS_FAILURE_PEER_ALERT,          /* the client gave up: it does not trust our certificate, for one */
  TLS_FAILURE_MALFORMED,           /* anything else that breaks the protocol */
  TLS_FAILURE_PEER_GONE,
  TLS_FAILURE_TIMEOUT,
  TLS_FAILURE_QUEUE_FULL,    /* too many wait for their turn */
  TLS_FAILURE_NO_CONNECTION, /* all in use */
  TLS_FAILURE_NO_MEMORY,
  TLS_FAILURES
};

/* Why a connection that was open ended. */
enum tls_end {
  TLS_END_CLOSED,      /* close_notify from either side */
  TLS_END_TRUNCATED,   /* the peer's FIN came without one */
  TLS_END_NETWORK,     /* reset, or timed out */
  TLS_END_ABORTED,     /* by the handler, or the handler had no room for it */
  TLS_END_PROTOCOL,    /* a record that does not decrypt, or breaks the protocol; the peer's fatal alert */
  TLS_END_KEY_UPDATES, /* too many, too fast */
  TLS_END_NO_MEMORY,
  TLS_ENDS
};

/* Conservation: begun = done + sum(failed) + handshaking; done = sum(ended) + open. */
struct tls_counters {
  uint64_t handshakes_begun, handshakes_done;
  uint64_t handshakes_failed[TLS_FAILURES];
  uint64_t handshakes_deferred; /* waited longer than the step they came in */
  uint64_t ended[TLS_ENDS];
  uint64_t received_bytes, sent_bytes; /* decrypted, before encryption */
  uint64_t key_updates;
  uint64_t memory_bytes, memory_most_bytes;         /* of the region, in use */
  uint64_t memory_refused;                          /* times that a connection's budget, or the region, was spent */
  uint32_t connections, handshaking, waiting, open; /* gauges; connections: all, those that close too */
};

struct tls_server;

/* NULL when the arena is spent. */
struct tls_server *tls_server_create(struct arena *arena, const struct tls_config *config, uint64_t now_ns);
/* Gives back what OpenSSL took for connections. None of them may be called again. */
void tls_server_destroy(struct tls_server *server);
/* Whether the listener has an identity; that is settled at creation. */
bool tls_server_has(const struct tls_server *server, uint32_t listener);
/* What to register with the network for a listener that `inner` serves. */
const struct stream_handler *tls_server_listener(struct tls_server *server, uint32_t listener,
                                                 const struct stream_handler *inner);
/* Once a step, before the network is flushed: adopts identities, ends what has run out of time, gives handshakes their turn and
 * offers what handlers left, unless `paused`. Returns how much there was to do. */
uint32_t tls_server_step(struct tls_server *server, uint64_t now_ns, uint64_t wall_ns, bool paused);
/* Of the identities in use; earlier ones are no longer read. */
uint64_t tls_server_generation(const struct tls_server *server);
struct tls_counters tls_server_counters(const struct tls_server *server);
const char *tls_failure_name(enum tls_failure failure);
const char *tls_end_name(enum tls_end end);
