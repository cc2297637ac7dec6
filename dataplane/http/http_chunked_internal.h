#pragma once
/* The chunked transfer coding (RFC 9112 section 7.1), byte by byte where framing is, in runs where data is. Strict: CRLF
 * only, no white space round the size. Extensions and trailers are checked, bounded and ignored. Threads: one shard. */
#include <stdbool.h>
#include <stdint.h>

#define HTTP_CHUNK_EXTENSION_BYTES_MAX 4096u /* of a whole body; over: 400 */
#define HTTP_TRAILER_BYTES_MAX 8192u         /* over: 431 */

enum http_chunked_state {
  HTTP_CHUNK_SIZE,
  HTTP_CHUNK_EXTENSION,
  HTTP_CHUNK_SIZE_FEED,
  HTTP_CHUNK_DATA,
  HTTP_CHUNK_DATA_RETURN,
  HTTP_CHUNK_DATA_FEED,
  HTTP_TRAILER_START,
  HTTP_TRAILER_NAME,
  HTTP_TRAILER_VALUE,
  HTTP_TRAILER_FEED,
  HTTP_TRAILER_LAST_FEED,
  HTTP_CHUNKED_DONE,
  HTTP_CHUNKED_FAILED,
};

/* All zero: at the start of a body. */
struct http_chunked {
  enum http_chunked_state state;
  uint8_t size_digits;
  uint32_t extension_bytes, trailer_bytes;
  uint64_t left; /* of the current chunk's data; set once its size line is complete */
  uint64_t size; /* being read */
  uint16_t status;
  const char *reason;
};

/* Takes framing up to and with at most one run of data, which is left in `data` (a part of `bytes`). Returns how many bytes
 * were taken; look at `state` for the end. */
uint32_t http_chunked_read(struct http_chunked *chunked, const uint8_t *bytes, uint32_t length, const uint8_t **data,
                           uint32_t *data_bytes);
