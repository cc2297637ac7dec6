#pragma once
/* One connection and the server around it. The connection is the exchange: it has one request in progress at a time.
 *
 * Lifetime: from the stream's `opened` to its `closed`. Each entry from outside runs between http_connection_enter and
 * http_connection_leave; a connection whose stream goes within is given back by the leave. Threads: one shard. */
#include "http_body_internal.h"
#include "http_chunked_internal.h"
#include "http_exchange_internal.h"
#include "http_parse_internal.h"
#include "http_response_internal.h"
#include "http_server.h"
#include "pool.h"
#include "timer_wheel.h"

#define HTTP_SMALL_TEXT_BYTES 4096u
#define HTTP_SMALL_HEADERS 32u
/* A refused body up to this is read and dropped so that the connection goes on; a longer one ends it. */
#define HTTP_DISCARD_BYTES_MAX (64u * 1024u)
/* The same after Expect: 100-continue: the client has been told before it sent, and may send nothing. */
#define HTTP_DISCARD_EXPECTED_BYTES_MAX (1024u * 1024u)
#define HTTP_RETRY_AFTER_S 1u
#define HTTP_NO_DEADLINE UINT64_MAX

/* What the stream has not taken of an answer waits in the header block, whose request is over by then. */
_Static_assert(HTTP_SMALL_HEADERS * sizeof(struct http_header) + HTTP_SMALL_TEXT_BYTES >= HTTP_ANSWER_BYTES_MAX,
               "a small header block holds any answer");

enum http_phase {
  HTTP_PHASE_IDLE,       /* between requests */
  HTTP_PHASE_HEADERS,    /* from a request's first byte */
  HTTP_PHASE_BODY,       /* admitted, the body is coming */
  HTTP_PHASE_HANDLING,   /* inside the application's `handle` */
  HTTP_PHASE_PARKED,     /* the application answers later */
  HTTP_PHASE_FLUSHING,   /* the answer waits for room in the stream */
  HTTP_PHASE_DISCARDING, /* answered; the rest of a refused body is dropped */
  HTTP_PHASE_CLOSING,    /* nothing more is read */
  HTTP_PHASE_HTTP2,      /* `http2` has it */
  HTTP_PHASE_GONE,       /* the stream is dead */
};

struct http_connection {
  struct http_exchange exchange; /* first: what the application holds */
  struct http_server *server;
  struct stream *stream;
  struct http_connection *next, *previous; /* all open connections */
  enum http_phase phase;
  bool busy;          /* between enter and leave */
  bool bytes_left;    /* the stream holds bytes that were not taken */
  bool close_after;   /* the current answer is the last */
  bool discards_body; /* after the current answer */
  bool answer_made;   /* http_respond came within `handle`; the bytes are in server->handled_answer */
  bool peer_finished;
  bool block_is_large;
  bool abort_named; /* `abort_reason` holds: this side ended the stream */
  enum http_abort abort_reason;
  struct http2_connection *http2;
  struct address_account *account; /* of its peer's address, held; NULL: no limits */
  bool began;                      /* a request, or HTTP/2 */
  uint8_t preface_at;              /* bytes of the HTTP/2 preface so far */
  uint8_t blank_bytes;             /* of the one empty line that may come before a request line (RFC 9112 section 2.2) */
  uint8_t continue_left;           /* of HTTP_CONTINUE, not yet taken by the stream */
  uint16_t answer_status;
  bool owes; /* an answer to what took effect was written, and perhaps not acknowledged yet */
  uint32_t max_body_bytes;
  uint32_t answer_at, answer_left; /* in the header block, while flushing */
  /* The timer may stand earlier than the deadline and is then armed again: most requests end without touching the wheel. */
  struct timer timer;
  uint64_t deadline_ns;
  uint64_t body_end_ns;            /* the whole body's deadline; `deadline_ns` is the next look at its rate */
  uint32_t body_seen_bytes;        /* at the last look */
  struct http_header_block *block; /* held while a request is in progress */
  struct http_body body;
  uint64_t body_left; /* of Content-Length; of what may be discarded */
  struct http_chunked chunked;
  struct http_parse parse;
};

struct http_server {
  struct http_config config;
  struct stream_handler handler;
  struct timer_wheel *timers;
  struct libdeflate_decompressor *decompressor;
  struct pool connections, small_blocks, large_blocks;
  struct http_body_pools bodies;
  struct http2_server *http2; /* NULL: not spoken */
  struct http_connection *open;
  struct http_connection *shed_at;  /* where shedding looks next; NULL: at the start */
  uint64_t shed_ns, shed_idle_ns;   /* when it last looked, and how long idle is too long then */
  uint32_t shed_idle_left;          /* how many idle ones it may still end */
  uint32_t closing;                 /* connections in that phase */
  struct http_connection *handling; /* whose `handle` is on the stack */
  bool draining;
  struct http_counters counters;
  uint8_t answer[HTTP_ANSWER_BYTES_MAX]; /* being made */
  /* Made within `handle`, sent when it returns; apart, because `handle` may also answer other, parked exchanges. */
  uint8_t handled_answer[HTTP_ANSWER_BYTES_MAX];
  uint32_t handled_answer_bytes;
  uint8_t error_body[HTTP_RESPONSE_BODY_BYTES_MAX];
};

/* http_connection.c */
extern const struct stream_handler http_connection_handler;
void http_connection_enter(struct http_connection *connection);
void http_connection_leave(struct http_connection *connection);
/* FIN after what was written. */
void http_connection_close(struct http_connection *connection, uint64_t now_ns);
/* Ready for the next request, or closes. */
void http_connection_next(struct http_connection *connection, uint64_t now_ns);
void http_connection_give_request(struct http_connection *connection);

/* When a body that began at `now_ns`, or was fast enough until now, is looked at again. */
static inline uint64_t http_body_look_ns(const struct http_config *config, uint64_t end_ns, uint64_t now_ns) {
  const uint64_t look_ns = config->body_grace_ns ? now_ns + config->body_grace_ns : end_ns;
  return look_ns < end_ns ? look_ns : end_ns;
}
/* Whether so many more bytes since the last look will do. */
static inline bool http_body_fast_enough(const struct http_config *config, uint64_t end_ns, uint32_t more, uint64_t now_ns) {
  return now_ns < end_ns && more >= config->body_least_bytes;
}

/* http_exchange.c: from the complete header block to the application. */
void http_exchange_admit(struct http_connection *connection, uint64_t now_ns);
/* Body bytes; returns how many were taken, at least one. */
uint32_t http_exchange_take_body(struct http_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns);
uint32_t http_exchange_discard(struct http_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns);

/* http_answer.c */
void http_answer(struct http_connection *connection, const struct http_response *response, uint64_t now_ns);
/* An answer of the HTTP layer's own, in the listener's format. */
void http_answer_error(struct http_connection *connection, uint16_t status, const char *reason, bool close, uint64_t now_ns);
/* The answer that was made within `handle`. */
void http_answer_handled(struct http_connection *connection, uint64_t now_ns);
/* HTTP_CONTINUE as far as the stream takes it. True when none of it is left. */
bool http_answer_continue(struct http_connection *connection);
/* http_respond for this version. */
void http_connection_respond(struct http_exchange *exchange, const struct http_response *response, uint64_t now_ns);
/* The stream has room again. */
void http_answer_flush(struct http_connection *connection, uint64_t now_ns);
