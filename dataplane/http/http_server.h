#pragma once
/* HTTP/1.1 and HTTP/2 with gRPC (RFC 9110, RFC 9112, RFC 9113) on byte streams: parsing, bodies, content decoding, answers.
 *
 * HTTP/2 begins with its preface (prior knowledge); its streams are exchanges like any other, a hundred a connection. A unary
 * gRPC call is a request whose body is the message, out of its frame; an answer's HTTP status becomes the grpc-status. Of
 * HTTP/1.1 one request of a connection is in progress at a time; pipelined ones wait in the stream's buffer. When the header
 * block is complete `admit` decides before a byte of body is read (so Expect: 100-continue is honoured); when the body is
 * complete and decoded `handle` is called. It answers at once or parks the exchange and answers later (durable acknowledgement).
 * Memory: connections and body buffers are fixed pools; no free body buffer gives 503 + Retry-After.
 * Strict where parsers could disagree (RFC 9112 section 11): CRLF only, one way to give a length, one Host; a request that is
 * malformed is answered and ends the connection. No Date in answers: there is no wall clock here (RFC 9110 section 6.6.1).
 * Threads: one shard. */
#include "address_limits.h"
#include "arena.h"
#include "stream.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define HTTP_HEADERS_MAX 100
#define HTTP_HEADER_BYTES_MAX (32u * 1024u) /* request line and headers; over: 431 */
#define HTTP_BODY_SLACK_BYTES 64            /* readable after every body, so decoders may load wide */
#define HTTP_RESPONSE_BODY_BYTES_MAX 4096u
#define HTTP_BODY_POOLS 4

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OPTIONS, HTTP_METHOD_OTHER };

struct http_text {
  const char *at;
  uint32_t length;
};

struct http_header {
  struct http_text name;  /* lower case */
  struct http_text value; /* without surrounding white space */
};

struct http_request {
  enum http_method method;
  uint16_t local_port;
  bool http2, grpc; /* grpc: by its content type, on HTTP/2 */
  struct ip_address peer;
  uint16_t peer_port;
  struct http_text path;  /* without query, not percent-decoded; begins with '/', or is "*" (OPTIONS only) */
  struct http_text query; /* after '?', may be empty */
  uint32_t header_count;
  const struct http_header *headers;
  uint64_t content_length; /* UINT64_MAX when chunked */
  /* Set in `handle` only: the decoded body, contiguous, HTTP_BODY_SLACK_BYTES readable after it. */
  const uint8_t *body;
  uint32_t body_bytes;
};

/* The value of a header by its lower-case name, or {NULL, 0}. The first, when repeated. */
struct http_text http_request_header(const struct http_request *request, const char *lower_case_name);
/* Inline: the length of a literal is then known when it is compiled. */
static inline bool http_text_equals(struct http_text text, const char *literal) {
  const size_t length = strlen(literal);
  return text.length == length && (length == 0 || memcmp(text.at, literal, length) == 0);
}
bool http_text_equals_ignoring_case(struct http_text text, const char *literal);
/* The media type without parameters equals `lower_case_type` (RFC 9110 section 8.3.1). */
bool http_media_type_is(struct http_text content_type, const char *lower_case_type);

struct http_response {
  uint16_t status;
  const char *content_type; /* NULL when there is no body */
  const void *body;         /* copied; at most HTTP_RESPONSE_BODY_BYTES_MAX */
  uint32_t body_bytes;
  uint32_t retry_after_s;       /* 0: no header */
  const char *allow;            /* for 405 */
  const char *www_authenticate; /* for 401 */
  bool close;                   /* close the connection after it; of HTTP/1.1 */
  const char *message;          /* why it was refused, for grpc-message; may be NULL */
};

/* One request on its way through; the pointer is valid until answered or aborted. */
struct http_exchange;

struct http_admission {
  uint16_t status;            /* 0: go on; else `response` is sent with it and the body is discarded or the connection closed */
  uint32_t max_body_bytes;    /* before and after decompression */
  uint32_t body_pools_closed; /* by bit: pools that this request may not take from; smallest first */
  struct http_response response;
};

enum http_disposition { HTTP_ANSWERED, HTTP_PARKED };

struct http_application {
  void *context;
  /* Route and method, media type, overload. Must fill `admission`. */
  void (*admit)(void *context, const struct http_request *request, struct http_admission *admission, uint64_t now_ns);
  /* HTTP_ANSWERED: http_respond was called. HTTP_PARKED: it will be, or `aborted` comes first. The request stays valid
   * until the answer (header and body buffers are kept). */
  enum http_disposition (*handle)(void *context, struct http_exchange *exchange, const struct http_request *request,
                                  uint64_t now_ns);
  /* The connection died while the exchange was parked. Forget it. */
  void (*aborted)(void *context, struct http_exchange *exchange);
  /* The body of an answer that the HTTP layer itself makes (400, 408, 411, 413, 431, 503...) so that each listener speaks its
   * own error format. Writes into `body` (HTTP_RESPONSE_BODY_BYTES_MAX), returns its length, sets the content type. `request`
   * may be partial (path empty) when the header block did not parse. */
  uint32_t (*error_body)(void *context, uint16_t local_port, const struct http_request *request, uint16_t status,
                         const char *reason, uint8_t *body, const char **content_type);
  /* Both may be NULL: connections, and how they ended. */
  void (*connection_accepted)(void *context, uint16_t local_port, const struct ip_address *peer);
  void (*connection_ended)(void *context, uint16_t local_port, const struct ip_address *peer, enum stream_end end);
};

/* Application state for a parked exchange. */
void http_exchange_set_data(struct http_exchange *exchange, void *data);
void *http_exchange_data(const struct http_exchange *exchange);
const struct http_request *http_exchange_request(const struct http_exchange *exchange);
/* Once for each exchange that was handled. Within `handle` the answer is kept and sent when `handle` returns, so the request
 * stays valid until then; for a parked exchange the request is gone when this returns. */
void http_respond(struct http_exchange *exchange, const struct http_response *response, uint64_t now_ns);

struct http_config {
  uint32_t connections_max;
  uint32_t requests_max;                 /* in progress; beyond: 503. 0: as many as there are connections and streams */
  struct address_limits *address_limits; /* NULL: no limits; the caller's, for as long as the server is used */
  /* Body buffers in up to four sizes (`bytes` is the largest body that one holds; the slack comes on top); a body takes the
   * smallest that holds it and moves up as it grows (chunked, gzip). */
  struct {
    uint32_t bytes, count;
  } body_pools[HTTP_BODY_POOLS];
  struct {
    uint32_t connections_max; /* 0: HTTP/2 is not spoken. 64 KiB each for nghttp2, one may use up to 256 KiB */
    uint32_t streams_max;     /* of all connections, about 6 KiB each */
  } http2;
  uint64_t header_timeout_ns; /* first byte of a request to the end of its headers: 408 */
  uint64_t body_timeout_ns;   /* end of headers to end of body: 408 */
  uint64_t body_grace_ns;     /* a body of which less than body_least_bytes came in so long: 408; 0: never */
  uint32_t body_least_bytes;
  uint64_t keep_alive_timeout_ns; /* between requests: close */
  const struct http_application *application;
};

/* Connections and streams that are ended before their time, because others need what they hold. */
enum http_shed {
  HTTP_SHED_CLOSING, /* answered and closed by this side; the peer does not let go */
  HTTP_SHED_IDLE,    /* between requests */
  HTTP_SHED_HEADERS, /* a request whose header does not come to its end */
  HTTP_SHED_BODY,    /* or whose body comes slowly */
  HTTP_SHED_UNREAD,  /* the peer does not read what it is sent */
  HTTP_SHEDS
};

/* What is short, and so who has to go. */
enum http_shortage {
  HTTP_SHORT_CONNECTIONS = 1 << 0,      /* idle ones are closed; closing ones that are not let go are reset */
  HTTP_SHORT_CONNECTIONS_HARD = 1 << 1, /* idle and closing ones are reset; slow headers end */
  HTTP_SHORT_HTTP2_CONNECTIONS = 1 << 2,
  HTTP_SHORT_HTTP2_CONNECTIONS_HARD = 1 << 3,
  HTTP_SHORT_HTTP2_STREAMS = 1 << 4,
  HTTP_SHORT_SEND_BLOCKS = 1 << 5,
  HTTP_SHORT_RECEIVE_BLOCKS = 1 << 6,
  HTTP_SHORT_BODIES_SHIFT = 8, /* and the body pool's number, smallest first */
};

/* Why a request ended without an answer reaching the peer. */
enum http_abort {
  HTTP_ABORT_PEER_RESET,
  HTTP_ABORT_PEER_CLOSED,
  HTTP_ABORT_TIMEOUT,
  HTTP_ABORT_DRAIN,
  HTTP_ABORT_NO_MEMORY,
  HTTP_ABORTS
};

/* Why an HTTP/2 connection ended. */
enum http2_end {
  HTTP2_END_PEER,          /* it closed, reset or said GOAWAY */
  HTTP2_END_IDLE,          /* no stream for keep_alive_timeout_ns */
  HTTP2_END_DRAIN,         /* GOAWAY, then what was in progress */
  HTTP2_END_PROTOCOL,      /* malformed frames or headers */
  HTTP2_END_RESETS,        /* too many streams reset too fast (CVE-2023-44487, CVE-2025-8671) */
  HTTP2_END_CONTROL,       /* PING, SETTINGS, empty DATA and other frames without a request behind them */
  HTTP2_END_CONTINUATIONS, /* a header block in too many pieces (CVE-2024-28182) */
  HTTP2_END_TIMEOUT,       /* a header block, or what the peer should read, took too long */
  HTTP2_END_NO_MEMORY,     /* its budget, or the region, is spent */
  HTTP2_END_OVERLOAD,      /* idle, or slow, and its place was wanted */
  HTTP2_ENDS
};

/* Conservation: requests = sum(answered) + sum(aborted) + in_progress. A request counts from its first byte, as answered when
 * the stream has taken its whole answer. */
struct http_counters {
  uint64_t requests, answered_total;
  uint64_t answered[600]; /* by status */
  uint64_t aborted[HTTP_ABORTS];
  uint64_t body_bytes, body_bytes_decoded, no_body_buffer;
  uint64_t no_connection;         /* connections refused: all in use, or draining */
  uint64_t no_header_buffer;      /* a large header block, and no large buffer free: 503 */
  uint64_t http2_streams_refused; /* no stream was free, or draining: REFUSED_STREAM */
  uint64_t http2_no_memory;       /* nghttp2's memory was spent: the connection ended */
  uint64_t http2_ended[HTTP2_ENDS];
  uint64_t http2_errors;                          /* connections ended for what the peer sent, or for want of memory */
  uint64_t refused_requests_max, refused_address; /* 503 at the end of the header: too many in progress */
  uint64_t shed[HTTP_SHEDS];
  uint64_t closing_timed_out; /* closed by this side, and reset because the peer did not take its answer */
  uint64_t bodies_withheld;   /* of no_body_buffer: the pool's rest was kept for requests of a higher rank */
  uint32_t in_progress, parked, connections, http2_connections; /* gauges */
};

/* What of the pools is out. A body that finds its size taken gets a larger one, so each counts with those above it. */
struct http_use {
  struct {
    uint64_t used, capacity;
  } bodies[HTTP_BODY_POOLS], http2_connections, http2_streams, http2_memory;
  uint32_t closing; /* connections that are closed and wait for their peers */
};

struct http_server;

/* NULL when the arena is spent. */
struct http_server *http_server_create(struct arena *arena, const struct http_config *config, uint64_t now_ns);
/* Gives back what the decompression library took at create; everything else stays with the arena. */
void http_server_destroy(struct http_server *server);
/* What to register with the network for each port. */
const struct stream_handler *http_server_stream_handler(struct http_server *server);
/* Deadlines. Returns timers fired. */
uint32_t http_server_tick(struct http_server *server, uint64_t now_ns, uint32_t most);
/* From now on answers carry Connection: close, idle connections are closed and new ones refused. */
void http_server_drain(struct http_server *server, uint64_t now_ns);
const struct http_counters *http_server_counters(const struct http_server *server);
void http_server_use(const struct http_server *server, struct http_use *use);
/* Looks at up to `most` connections, from where the last call ended, and ends those that hold what is short (HTTP_SHORT_*), of
 * the idle ones at most `idle_most`. The longest idle go first: how long is too long falls with each round. Returns how many were
 * ended. */
uint32_t http_server_shed(struct http_server *server, uint32_t shortages, uint32_t most, uint32_t idle_most, uint64_t now_ns);
const char *http_shed_name(enum http_shed what);
const char *http_abort_name(enum http_abort reason);
const char *http2_end_name(enum http2_end reason);
