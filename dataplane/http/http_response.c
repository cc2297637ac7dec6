#include "always_assert.h"
#include "http_response_internal.h"
#include <string.h>

static const char *reason_phrase(uint16_t status) {
  switch (status) {
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 204:
    return "No Content";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 408:
    return "Request Timeout";
  case 409:
    return "Conflict";
  case 411:
    return "Length Required";
  case 413:
    return "Content Too Large";
  case 414:
    return "URI Too Long";
  case 415:
    return "Unsupported Media Type";
  case 417:
    return "Expectation Failed";
  case 422:
    return "Unprocessable Content";
  case 429:
    return "Too Many Requests";
  case 431:
    return "Request Header Fields Too Large";
  case 500:
    return "Internal Server Error";
  case 501:
    return "Not Implemented";
  case 503:
    return "Service Unavailable";
  case 505:
    return "HTTP Version Not Supported";
  default:
    return ""; /* may be empty: RFC 9112 section 4 */
  }
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t length) {
  memcpy(at, bytes, length);
  return at + length;
}

#define PUT_LITERAL(at, literal) put_bytes((at), (literal), sizeof(literal) - 1)

static uint8_t *put_text(uint8_t *at, const char *text) {
  const size_t length = strlen(text);
  ALWAYS_ASSERT(length <= HTTP_ANSWER_TEXT_BYTES_MAX);
  return put_bytes(at, text, length);
}

static uint8_t *put_decimal(uint8_t *at, uint32_t number) {
  uint8_t digits[10];
  unsigned count = 0;
  do digits[count++] = (uint8_t)('0' + number % 10);
  while (number /= 10);
  while (count) *at++ = digits[--count];
  return at;
}

uint32_t http_answer_format(uint8_t *into, const struct http_response *response, const struct http_answer_options *options) {
  ALWAYS_ASSERT(response->status >= 200 && response->status < 600);
  ALWAYS_ASSERT(response->body_bytes <= HTTP_RESPONSE_BODY_BYTES_MAX);
  const bool has_content = response->status != 204 && response->status != 304;
  uint8_t *at = PUT_LITERAL(into, "HTTP/1.1 ");
  at = put_decimal(at, response->status);
  *at++ = ' ';
  at = put_text(at, reason_phrase(response->status));
  if (has_content) {
    if (response->content_type) {
      at = PUT_LITERAL(at, "\r\nContent-Type: ");
      at = put_text(at, response->content_type);
    }
    at = PUT_LITERAL(at, "\r\nContent-Length: ");
    at = put_decimal(at, response->body_bytes);
  }
  if (response->retry_after_s) {
    at = PUT_LITERAL(at, "\r\nRetry-After: ");
    at = put_decimal(at, response->retry_after_s);
  }
  if (response->allow) {
    at = PUT_LITERAL(at, "\r\nAllow: ");
    at = put_text(at, response->allow);
  }
  if (response->www_authenticate) {
    at = PUT_LITERAL(at, "\r\nWWW-Authenticate: ");
    at = put_text(at, response->www_authenticate);
  }
  if (options->accept_encoding) at = PUT_LITERAL(at, "\r\nAccept-Encoding: gzip");
  if (options->close)
    at = PUT_LITERAL(at, "\r\nConnection: close");
  else if (options->keep_alive)
    at = PUT_LITERAL(at, "\r\nConnection: keep-alive");
  at = PUT_LITERAL(at, "\r\n\r\n");
  ALWAYS_ASSERT((uint32_t)(at - into) <= HTTP_ANSWER_HEADER_BYTES_MAX);
  if (has_content && !options->head && response->body_bytes) at = put_bytes(at, response->body, response->body_bytes);
  return (uint32_t)(at - into);
}
