/* gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md): unary messages, status codes, google.rpc.RetryInfo. */
#include "http2_internal.h"
#include "http_content_coding_internal.h"
#include <string.h>

enum grpc_code {
  GRPC_OK = 0,
  GRPC_UNKNOWN = 2,
  GRPC_INVALID_ARGUMENT = 3,
  GRPC_DEADLINE_EXCEEDED = 4,
  GRPC_PERMISSION_DENIED = 7,
  GRPC_RESOURCE_EXHAUSTED = 8,
  GRPC_ABORTED = 10,
  GRPC_UNIMPLEMENTED = 12,
  GRPC_INTERNAL = 13,
  GRPC_UNAVAILABLE = 14,
  GRPC_UNAUTHENTICATED = 16,
};

uint8_t grpc_status_of(uint16_t http_status) {
  switch (http_status) {
  case 200:
    return GRPC_OK;
  case 400:
  case 422:
    return GRPC_INVALID_ARGUMENT;
  case 401:
    return GRPC_UNAUTHENTICATED;
  case 403:
    return GRPC_PERMISSION_DENIED;
  case 404:
  case 405:
  case 415:
  case 501:
    return GRPC_UNIMPLEMENTED;
  case 408:
    return GRPC_DEADLINE_EXCEEDED;
  case 409:
    return GRPC_ABORTED;
  case 413:
  case 431:
    return GRPC_RESOURCE_EXHAUSTED;
  case 500:
    return GRPC_INTERNAL;
  case 503:
    return GRPC_UNAVAILABLE;
  default:
    return GRPC_UNKNOWN;
  }
}

uint16_t grpc_unwrap(struct http2_stream *stream, const char **reason) {
  struct http_server *http = stream->connection->front->server;
  struct http_body *body = &stream->body;
  if (body->length < 5) {
    *reason = "a unary call carries one message";
    return 400;
  }
  const uint8_t *head = body->bytes;
  const uint32_t length = (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
  const bool compressed = head[0] == 1;
  if (head[0] > 1 || length != body->length - 5) {
    *reason = "the message does not fill its frame";
    return 400;
  }
  if (compressed && stream->coding != HTTP_CODING_GZIP) {
    *reason = "a compressed message without grpc-encoding";
    return 500;
  }
  memmove(body->bytes, body->bytes + 5, length);
  body->length = length;
  if (!compressed || length == 0) return 0;
  switch (http_gzip_decode(http->decompressor, &http->bodies, body, stream->max_body_bytes)) {
  case HTTP_DECODE_OK:
    return 0;
  case HTTP_DECODE_MALFORMED:
    *reason = "malformed gzip message";
    return 400;
  case HTTP_DECODE_TOO_LARGE:
    *reason = "decompressed message too large";
    return 413;
  case HTTP_DECODE_NO_BUFFER:
    break;
  }
  http->counters.no_body_buffer++;
  *reason = "no free body buffer";
  return 503;
}

void grpc_message_encode(const char *message, char out[HTTP2_MESSAGE_BYTES_MAX]) {
  static const char digits[] = "0123456789ABCDEF";
  uint32_t at = 0;
  for (; *message && at + 4 < HTTP2_MESSAGE_BYTES_MAX; message++) {
    const uint8_t c = (uint8_t)*message;
    if (c >= ' ' && c <= '~' && c != '%') {
      out[at++] = (char)c;
      continue;
    }
    out[at++] = '%';
    out[at++] = digits[c >> 4];
    out[at++] = digits[c & 15];
  }
  out[at] = '\0';
}

/* A length-delimited field of less than 128 bytes. */
static uint32_t put_field(uint8_t *out, uint8_t number, const void *bytes, uint32_t length) {
  out[0] = (uint8_t)(number << 3 | 2);
  out[1] = (uint8_t)length;
  memcpy(out + 2, bytes, length);
  return length + 2;
}

static uint32_t base64(const uint8_t *bytes, uint32_t length, char *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint32_t at = 0;
  for (uint32_t i = 0; i < length; i += 3) {
    const uint32_t left = length - i;
    const uint32_t group =
        (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0);
    for (uint32_t digit = 0; digit < (left > 2 ? 4 : left + 1); digit++) out[at++] = digits[group >> (18 - 6 * digit) & 63];
  }
  return at;
}

uint32_t grpc_retry_details(uint8_t grpc_status, const char *message, uint32_t retry_after_s, char out[256]) {
  static const char type[] = "type.googleapis.com/google.rpc.RetryInfo";
  uint8_t duration[4] = {1 << 3, (uint8_t)(retry_after_s & 127)}, information[8], any[64], status[160];
  const uint32_t information_bytes = put_field(information, 1, duration, 2);
  uint32_t any_bytes = put_field(any, 1, type, sizeof type - 1);
  any_bytes += put_field(any + any_bytes, 2, information, information_bytes);
  uint32_t at = 0;
  status[at++] = 1 << 3;
  status[at++] = grpc_status;
  at += put_field(status + at, 2, message, (uint32_t)strlen(message));
  at += put_field(status + at, 3, any, any_bytes);
  return base64(status, at, out);
}
