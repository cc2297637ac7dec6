#pragma once
/* A client of the real library on a fake stream: requests go in, answers come out, and frames of any kind can be forged between.
 */
#include "http_fixture.h"
#include <nghttp2/nghttp2.h>

#define HTTP2_CLIENT_REQUESTS_MAX 512

struct http2_answer {
  int32_t id;
  bool ended, reset, continued;
  uint32_t reset_code;
  int status, grpc_status; /* -1: none */
  char grpc_message[400], grpc_details[500], content_type[64], retry_after[16];
  uint8_t body[8192];
  size_t body_bytes;
  /* What is sent. */
  const uint8_t *request;
  size_t request_bytes, request_at;
  bool paused; /* the body stops at request_bytes without an end */
};

struct http2_client {
  struct http_fixture *fixture;
  struct stream *stream;
  nghttp2_session *session;
  size_t read;  /* of stream->sent */
  size_t piece; /* bytes a delivery; 0: all at once */
  unsigned count, goaways;
  uint32_t goaway_code;
  int32_t goaway_last;
  struct http2_answer answers[HTTP2_CLIENT_REQUESTS_MAX];
};

struct http2_client *http2_client_open(struct http_fixture *fixture);
void http2_client_free(struct http2_client *client);
/* Everything that either side has to say, until both are silent. */
void http2_client_exchange(struct http2_client *client);
struct http2_answer *http2_client_request(struct http2_client *client, const char *method, const char *path,
                                          const char *const *fields, const void *body, size_t bytes);
/* As a unary gRPC call; the message gets its prefix. */
struct http2_answer *http2_client_call(struct http2_client *client, const char *path, const char *encoding, const void *message,
                                       size_t bytes);
void http2_client_continue(struct http2_client *client, struct http2_answer *answer, const void *body, size_t bytes, bool end);
/* Bytes of one frame, past the client's library. */
void http2_client_forge(struct http2_client *client, uint8_t type, uint8_t flags, int32_t id, const void *payload,
                        uint32_t bytes);
