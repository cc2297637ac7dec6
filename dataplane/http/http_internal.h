#pragma once
/* Inside the HTTP room: the server and its connections. All of it is the shard's. */
#include "always_assert.h"
#include "http_chunked_internal.h"
#include "http_parse_internal.h"
#include "http_server.h"
#include "pool.h"
#include "timer_wheel.h"
#include <libdeflate.h>

#define HTTP_BODY_POOLS 4
#define HTTP_SMALL_TEXT_BYTES 2048u
#define HTTP_SMALL_HEADERS 32u
#define HTTP_LARGE_BLOCKS 256u
#define HTTP_OUTPUT_BYTES (HTTP_RESPONSE_BODY_BYTES_MAX + 1024u)
#define HTTP_DISCARD_BYTES_MAX 65536u /* a refused body up to this is read and dropped to keep the connection; above: close */
#define HTTP_LINGER_NS 2000000000ull  /* how long a closing connection may take to drain what it has to send */

enum http_connection_state {
  HTTP_IDLE,    /* between requests */
  HTTP_HEADERS, /* the first byte has come */
  HTTP_BODY,
  HTTP_HANDLING,   /* inside the application's handle */
  HTTP_WAITING,    /* parked */
  HTTP_FLUSHING,   /* answered; part of the answer is not yet taken by the stream */
  HTTP_DISCARDING, /* answered; the rest of the refused body is dropped */
  HTTP_CLOSING,    /* all further input is dropped */
};

struct http_body {
  uint8_t *bytes;        /* NULL: none */
  uint32_t length, room; /* room without the slack */
  uint8_t pool;
};

struct http_exchange { /* one connection; its request is the exchange */
  struct http_server *server;
  struct stream *stream; /* NULL: free */
  struct timer timer;
  enum http_connection_state state;
  bool answered, close_after, peer_finished, counted;
  struct http_header_block *block;
  bool block_large;
  struct http_parse parse;
  struct http_request request;
  struct http_chunked chunked;
  struct http_body body;
  uint64_t body_left; /* Content-Length still to come, or to be discarded */
  uint32_t max_body_bytes;
  uint8_t *output; /* what the stream has not taken */
  uint32_t output_length, output_sent;
  void *data;
};

struct http_server {
  struct http_config config;
  struct stream_handler handler;
  struct timer_wheel *timers;
  struct pool connections, small_blocks, large_blocks, outputs;
  struct pool bodies[HTTP_BODY_POOLS];
  struct libdeflate_decompressor *decompressor;
  bool draining;
  struct http_counters counters;
};

/* http_body.c. The smallest free buffer with `room` bytes, or one larger; false when none is free. */
bool http_body_take(struct http_server *server, struct http_body *body, uint32_t room);
/* Moves to a larger buffer, contents kept. */
bool http_body_grow(struct http_server *server, struct http_body *body, uint32_t room);
void http_body_give(struct http_server *server, struct http_body *body);

/* http_content_coding.c: 0, or the status to refuse with. */
uint16_t http_body_decode(struct http_server *server, struct http_body *body, uint32_t max_body_bytes, const char **reason);

/* http_response.c */
void http_answer(struct http_exchange *connection, const struct http_response *response, uint64_t now_ns);
void http_answer_error(struct http_exchange *connection, uint16_t status, const char *reason, bool close, uint64_t now_ns);
/* Gives the stream what is left; true when all is given. */
bool http_output_continue(struct http_exchange *connection);

/* http_connection.c */
extern const struct stream_handler http_connection_handler;
void http_connection_answered(struct http_exchange *connection, uint64_t now_ns);
void http_connection_arm(struct http_exchange *connection, uint64_t deadline_ns);
