#pragma once
/* gzip bodies (RFC 1952, RFC 9110 section 8.4.1.3) by libdeflate, whole body at once. Threads: one shard. */
#include "http_body_internal.h"

#define HTTP_GZIP_MEMBERS_MAX 1024u /* of one body; more: malformed */

struct libdeflate_decompressor;

enum http_decode_result { HTTP_DECODE_OK, HTTP_DECODE_MALFORMED, HTTP_DECODE_TOO_LARGE, HTTP_DECODE_NO_BUFFER };

/* Replaces the gzip members in `body` by what they hold, at most `limit` bytes. Nothing but members may be there. On failure
 * `body` is as it was. Work is bounded by the input, `limit` and the number of pools: a guess that was too small is decoded again
 * from the member's start in the next larger buffer. */
enum http_decode_result http_gzip_decode(struct libdeflate_decompressor *decompressor, struct http_body_pools *pools,
                                         struct http_body *body, uint32_t limit);
