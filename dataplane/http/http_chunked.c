#include "http_chunked_internal.h"
#include "http_text_internal.h"

/* 15 digits keep sizes below 2^60, so that sums with them cannot wrap. */
#define SIZE_DIGITS_MAX 15

static enum http_chunked_state failed(struct http_chunked *chunked, uint16_t status, const char *reason) {
  chunked->status = status;
  chunked->reason = reason;
  return HTTP_CHUNKED_FAILED;
}

static int digit_of(uint8_t byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  const uint8_t lower = byte | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_value_byte(uint8_t byte) { return byte == '\t' || (byte >= 0x20 && byte != 0x7f); }

static enum http_chunked_state after_extension_byte(struct http_chunked *chunked, uint8_t byte) {
  if (byte == '\r') return HTTP_CHUNK_SIZE_FEED;
  if (!is_value_byte(byte)) return failed(chunked, 400, "malformed chunk extension");
  if (++chunked->extension_bytes > HTTP_CHUNK_EXTENSION_BYTES_MAX) return failed(chunked, 400, "chunk extensions too large");
  return HTTP_CHUNK_EXTENSION;
}

static enum http_chunked_state after_size_byte(struct http_chunked *chunked, uint8_t byte) {
  const int digit = digit_of(byte);
  if (digit >= 0) {
    if (++chunked->size_digits > SIZE_DIGITS_MAX) return failed(chunked, 400, "chunk size too long");
    chunked->size = chunked->size << 4 | (unsigned)digit;
    return HTTP_CHUNK_SIZE;
  }
  if (chunked->size_digits == 0) return failed(chunked, 400, "malformed chunk size");
  if (byte == '\r') return HTTP_CHUNK_SIZE_FEED;
  return byte == ';' ? after_extension_byte(chunked, byte) : failed(chunked, 400, "malformed chunk size");
}

static enum http_chunked_state after_trailer_byte(struct http_chunked *chunked, uint8_t byte) {
  if (++chunked->trailer_bytes > HTTP_TRAILER_BYTES_MAX) return failed(chunked, 431, "trailers too large");
  switch (chunked->state) {
  case HTTP_TRAILER_START:
    if (byte == '\r') return HTTP_TRAILER_LAST_FEED;
    if (http_token_lower[byte]) return HTTP_TRAILER_NAME;
    break;
  case HTTP_TRAILER_NAME:
    if (byte == ':') return HTTP_TRAILER_VALUE;
    if (http_token_lower[byte]) return HTTP_TRAILER_NAME;
    break;
  case HTTP_TRAILER_VALUE:
    if (byte == '\r') return HTTP_TRAILER_FEED;
    if (is_value_byte(byte)) return HTTP_TRAILER_VALUE;
    break;
  case HTTP_TRAILER_FEED:
    if (byte == '\n') return HTTP_TRAILER_START;
    break;
  default: /* HTTP_TRAILER_LAST_FEED */
    if (byte == '\n') return HTTP_CHUNKED_DONE;
    break;
  }
  return failed(chunked, 400, "malformed trailer");
}

static enum http_chunked_state after_framing_byte(struct http_chunked *chunked, uint8_t byte) {
  switch (chunked->state) {
  case HTTP_CHUNK_SIZE:
    return after_size_byte(chunked, byte);
  case HTTP_CHUNK_EXTENSION:
    return after_extension_byte(chunked, byte);
  case HTTP_CHUNK_SIZE_FEED:
    if (byte != '\n') return failed(chunked, 400, "malformed chunk size");
    chunked->left = chunked->size;
    chunked->size = 0;
    chunked->size_digits = 0;
    return chunked->left ? HTTP_CHUNK_DATA : HTTP_TRAILER_START;
  case HTTP_CHUNK_DATA_RETURN:
    return byte == '\r' ? HTTP_CHUNK_DATA_FEED : failed(chunked, 400, "chunk data longer than its size");
  case HTTP_CHUNK_DATA_FEED:
    return byte == '\n' ? HTTP_CHUNK_SIZE : failed(chunked, 400, "chunk data longer than its size");
  default:
    return after_trailer_byte(chunked, byte);
  }
}

uint32_t http_chunked_read(struct http_chunked *chunked, const uint8_t *bytes, uint32_t length, const uint8_t **data,
                           uint32_t *data_bytes) {
  uint32_t taken = 0;
  *data = bytes;
  *data_bytes = 0;
  while (taken < length && chunked->state < HTTP_CHUNKED_DONE) {
    if (chunked->state != HTTP_CHUNK_DATA) {
      chunked->state = after_framing_byte(chunked, bytes[taken++]);
      continue;
    }
    const uint32_t offered = length - taken;
    *data = bytes + taken;
    *data_bytes = offered < chunked->left ? offered : (uint32_t)chunked->left;
    chunked->left -= *data_bytes;
    taken += *data_bytes;
    if (chunked->left == 0) chunked->state = HTTP_CHUNK_DATA_RETURN;
    break;
  }
  return taken;
}
