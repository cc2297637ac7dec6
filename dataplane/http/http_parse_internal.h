#pragma once
/* The request line and the header block of one request (RFC 9112 sections 2 to 6), line by line as bytes arrive.
 *
 * Lines are copied into a header block and parsed there in place, so that the request outlives the receive buffer and the
 * result does not depend on how the bytes were cut. Strict: CRLF only, no folding, no space before the colon.
 * Threads: one shard. */
#include "http_server.h"

#define HTTP_REQUEST_LINE_BYTES_MAX 8192u /* longer: 414 */

/* Text of one header block and the headers that point into it. The text follows the array of headers. */
struct http_header_block {
  uint32_t text_capacity, header_capacity;
  uint32_t text_bytes; /* filled so far */
  struct http_header headers[];
};

static inline char *http_header_block_text(struct http_header_block *block) {
  return (char *)(block->headers + block->header_capacity);
}
static inline uint32_t http_header_block_bytes(uint32_t text_capacity, uint32_t header_capacity) {
  return (uint32_t)(sizeof(struct http_header_block) + header_capacity * sizeof(struct http_header)) + text_capacity;
}

enum http_parse_progress {
  HTTP_PARSE_MORE,     /* all bytes taken, the block is not complete */
  HTTP_PARSE_DONE,     /* the empty line was read */
  HTTP_PARSE_NO_SPACE, /* the block is full below the limits: move to a larger one and go on */
  HTTP_PARSE_FAILED,   /* `status` and `reason` say why */
};

enum http_content_coding { HTTP_CODING_IDENTITY, HTTP_CODING_GZIP, HTTP_CODING_UNSUPPORTED };

struct http_parse {
  uint32_t line_start; /* of the line being gathered */
  uint16_t status;     /* of the failure */
  const char *reason;
  bool request_line_done;
  bool version_1_0;
  bool connection_close, connection_keep_alive;
  bool expect_continue, expect_other;
  bool content_length_seen, transfer_encoding_seen;
  bool chunked;          /* `chunked` is the last transfer coding so far */
  bool chunked_repeated; /* or not the last */
  bool coding_unknown, coding_other;
  uint8_t host_count; /* saturates at 2 */
  uint64_t content_length;
  enum http_content_coding content_coding;
};

/* Begins a request in an empty block. */
void http_parse_begin(struct http_parse *parse, struct http_header_block *block, struct http_request *request);
/* Returns how many bytes were taken. `request` grows; its texts point into `block`. */
uint32_t http_parse_bytes(struct http_parse *parse, struct http_header_block *block, struct http_request *request,
                          const uint8_t *bytes, uint32_t length, enum http_parse_progress *progress);
/* Copies text and headers into a larger block and lets `request` point there. */
void http_parse_move(struct http_header_block *to, struct http_header_block *from, struct http_request *request);

/* RFC 9110 section 7.2 by characters only: name, address or bracketed address, and port. No list, no user information. */
bool http_authority_valid(struct http_text value);
/* One field of the header block: what framing and connection handling need of it is kept in `parse`. False: failed. */
bool http_field_noted(struct http_parse *parse, const struct http_header *header);
/* After HTTP_PARSE_DONE: host, framing and expectation as a whole. False: `status` and `reason` are set. */
bool http_fields_agree(struct http_parse *parse, struct http_request *request);
