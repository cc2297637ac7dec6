#pragma once
/* The bytes of an answer (RFC 9112 section 4). No Date: the dataplane has no wall clock in text (RFC 9110 section 6.6.1 lets a
 * server without one leave it out). Threads: one shard. */
#include "http_server.h"

#define HTTP_ANSWER_HEADER_BYTES_MAX 1024u
#define HTTP_ANSWER_BYTES_MAX (HTTP_ANSWER_HEADER_BYTES_MAX + HTTP_RESPONSE_BODY_BYTES_MAX)
/* Each text that the application puts into a header. */
#define HTTP_ANSWER_TEXT_BYTES_MAX 192u

#define HTTP_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
#define HTTP_CONTINUE_BYTES 25u

struct http_answer_options {
  bool head;            /* the length without the body */
  bool close;           /* Connection: close */
  bool keep_alive;      /* Connection: keep-alive, for HTTP/1.0 */
  bool accept_encoding; /* which content coding would have been taken, with 415 (RFC 9110 section 15.5.16) */
};

/* `into` holds HTTP_ANSWER_BYTES_MAX. Returns the length. */
uint32_t http_answer_format(uint8_t *into, const struct http_response *response, const struct http_answer_options *options);
