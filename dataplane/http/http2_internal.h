#pragma once
/* HTTP/2 (RFC 9113) on nghttp2, and gRPC (unary) on it. A connection begins as one of HTTP/1.1 and comes here after the preface.
 *
 * Each stream is an exchange; several of a connection are in progress at once. Lifetime of a stream: from its HEADERS to its
 * close, or the connection's. Threads: one shard. */
#include "http2_memory_internal.h"
#include "http_connection_internal.h"

#define HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HTTP2_PREFACE_BYTES 24u
#define HTTP2_STREAM_TEXT_BYTES 4096u /* names and values of a request's header; beyond: 431 */
#define HTTP2_STREAM_HEADERS 64u
#define HTTP2_STREAMS_A_CONNECTION 100u
#define HTTP2_CONNECTION_MEMORY_BYTES (256u * 1024u)
#define HTTP2_STREAM_WINDOW_BYTES (1u << 18)
#define HTTP2_CONNECTION_WINDOW_BYTES (1u << 20)
#define HTTP2_MESSAGE_BYTES_MAX 160u

/* What is offered to nghttp2 at once; answers go out in between. */
#define HTTP2_SLICE_BYTES 4096u
/* Frames without a request behind them: so many at once, so many a second; each request earns some. */
#define HTTP2_CONTROL_BURST 1000u
#define HTTP2_CONTROL_PER_S 100u
#define HTTP2_CONTROL_PER_REQUEST 8u
/* Resets by the peer, or provoked by what it sent. */
#define HTTP2_RESET_BURST 200u
#define HTTP2_RESET_PER_S 50u
/* How long the peer may take to acknowledge the first GOAWAY of a drain. */
#define HTTP2_DRAIN_GRACE_NS UINT64_C(1000000000)

enum http2_stream_phase {
  HTTP2_STREAM_HEADERS_PHASE,
  HTTP2_STREAM_BODY,
  HTTP2_STREAM_HANDLING,
  HTTP2_STREAM_PARKED,
  HTTP2_STREAM_ANSWERED, /* on its way; whatever of the request still comes is dropped */
};

struct http2_stream {
  struct http_exchange exchange; /* first: what the application holds */
  struct http2_connection *connection;
  struct http2_stream *next, *previous;
  int32_t id;
  enum http2_stream_phase phase;
  bool counted;    /* in progress */
  bool end_seen;   /* of the request */
  bool overflowed; /* its header did not fit */
  bool host_seen;
  bool ends_answered;              /* the rest of its request is not waited for */
  enum http_content_coding coding; /* content-encoding; of gRPC grpc-encoding */
  uint32_t max_body_bytes;
  struct http_body body;
  uint64_t deadline_ns;
  uint64_t body_end_ns; /* as http_connection's */
  uint32_t body_seen_bytes;
  uint16_t status;
  uint8_t grpc_status;
  uint32_t retry_after_s;
  uint64_t discarded_bytes; /* that came after the answer */
  uint8_t *answer;          /* body of the answer, from the connection's budget */
  uint32_t answer_bytes, answer_at;
  char message[HTTP2_MESSAGE_BYTES_MAX];
  uint32_t text_bytes;
  struct http_header headers[HTTP2_STREAM_HEADERS];
  char text[HTTP2_STREAM_TEXT_BYTES];
};

/* A bucket that fills with the shard's time. */
struct http2_allowance {
  uint64_t filled_ns;
  uint32_t left;
};

struct http2_connection {
  struct http_connection *front;
  struct http2_server *server;
  nghttp2_session *session;
  struct http2_budget budget;
  struct http2_stream *streams;
  uint32_t stream_count;
  const uint8_t *pending; /* of nghttp2's next bytes, what the stream has not taken */
  uint32_t pending_bytes;
  bool inside; /* nghttp2 is on the stack: it sends when it is through */
  bool failed, draining;
  bool going_away; /* the second GOAWAY of the drain */
  bool end_named, end_counted;
  enum http2_end end;
  struct http2_allowance control, resets;
  uint64_t now_ns, idle_since_ns, sweep_ns, blocked_since_ns, drain_since_ns;
};

struct http2_server {
  struct http_server *http;
  struct http2_memory memory;
  struct pool connections, streams;
  nghttp2_session_callbacks *callbacks;
  nghttp2_option *options;
};

/* http2_server.c */
struct http2_server *http2_server_create(struct arena *arena, struct http_server *http);
void http2_server_destroy(struct http2_server *server);

/* http2_connection.c: called by the front, between its enter and leave. */
bool http2_connection_open(struct http_connection *front, uint64_t now_ns);
/* Returns how many bytes were taken: none while the peer does not read what it is sent. */
uint32_t http2_connection_received(struct http2_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns);
void http2_connection_writable(struct http2_connection *connection, uint64_t now_ns);
void http2_connection_peer_finished(struct http2_connection *connection, uint64_t now_ns);
void http2_connection_deadline(struct http2_connection *connection, uint64_t now_ns);
void http2_connection_drain(struct http2_connection *connection, uint64_t now_ns);
/* The stream is gone. */
void http2_connection_end(struct http2_connection *connection, enum http_abort reason);
/* The connection is to end for this reason; the first named stands. */
void http2_connection_end_for(struct http2_connection *connection, enum http2_end end, uint32_t error_code);
/* The same, at once and with a RST. */
void http2_connection_abort_for(struct http2_connection *connection, enum http2_end end);
/* The second GOAWAY of a drain: no stream beyond those begun. */
void http2_connection_go_away(struct http2_connection *connection);
/* Sends what nghttp2 has, unless it is on the stack. */
void http2_connection_flush(struct http2_connection *connection);

/* http2_stream.c */
struct http2_stream *http2_stream_begin(struct http2_connection *connection, int32_t id);
void http2_stream_header(struct http2_stream *stream, const uint8_t *name, size_t name_bytes, const uint8_t *value,
                         size_t value_bytes);
void http2_stream_admit(struct http2_stream *stream);
void http2_stream_data(struct http2_stream *stream, const uint8_t *bytes, size_t length);
/* False: its deadline has passed, or its body is too slow. */
bool http2_stream_in_time(struct http2_stream *stream);
void http2_stream_complete(struct http2_stream *stream);
void http2_stream_error(struct http2_stream *stream, uint16_t status, const char *reason);
void http2_stream_answered(struct http2_stream *stream);
void http2_stream_end(struct http2_stream *stream, enum http_abort reason);

/* http2_answer.c */
void http2_stream_respond(struct http_exchange *exchange, const struct http_response *response, uint64_t now_ns);

/* http2_grpc.c */
uint8_t grpc_status_of(uint16_t http_status);
/* Takes the one message of a unary call out of its frame, decompressed, in place. 0, or the HTTP status of the refusal and its
 * reason. */
uint16_t grpc_unwrap(struct http2_stream *stream, const char **reason);
/* google.rpc.Status with a RetryInfo, in base64, for grpc-status-details-bin; at most 255 characters. */
uint32_t grpc_retry_details(uint8_t grpc_status, const char *message, uint32_t retry_after_s, char out[256]);
/* Percent-encoded for grpc-message. */
void grpc_message_encode(const char *message, char out[HTTP2_MESSAGE_BYTES_MAX]);
