#include "http_content_coding_internal.h"
#include <libdeflate.h>
#include <string.h>

#define GZIP_BYTES_MIN 18u
/* Deflate cannot do better: 258 bytes from two bits. */
#define DEFLATE_RATIO_MAX 1032u

/* The last member's length modulo 2^32 stands at its end: right for nearly all bodies, and only a guess. It is not believed
 * beyond what the input can hold, so that a small body cannot claim a large buffer. */
static uint32_t length_guess(const struct http_body *body, uint32_t most) {
  if (body->length < GZIP_BYTES_MIN) return 1;
  const uint8_t *trailer = body->bytes + body->length - 4;
  const uint64_t claimed =
      (uint64_t)trailer[0] | (uint64_t)trailer[1] << 8 | (uint64_t)trailer[2] << 16 | (uint64_t)trailer[3] << 24;
  const uint64_t possible = (uint64_t)body->length * DEFLATE_RATIO_MAX;
  uint64_t guess = claimed < possible ? claimed : possible;
  if (guess > most) guess = most;
  return guess ? (uint32_t)guess : 1;
}

static enum http_decode_result decode_result_of(enum http_body_result result) {
  switch (result) {
  case HTTP_BODY_OK:
    return HTTP_DECODE_OK;
  case HTTP_BODY_TOO_LARGE:
    return HTTP_DECODE_TOO_LARGE;
  default:
    return HTTP_DECODE_NO_BUFFER;
  }
}

/* Decodes all members into `plain`. */
static enum http_decode_result members_decoded(struct libdeflate_decompressor *decompressor, struct http_body_pools *pools,
                                               const struct http_body *body, struct http_body *plain, uint32_t most) {
  uint32_t at = 0, members = 0;
  while (at < body->length) {
    const uint32_t room = (plain->capacity < most ? plain->capacity : most) - plain->length;
    size_t used = 0, made = 0;
    const enum libdeflate_result result = libdeflate_gzip_decompress_ex(decompressor, body->bytes + at, body->length - at,
                                                                        plain->bytes + plain->length, room, &used, &made);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
      if (plain->capacity >= most) return HTTP_DECODE_TOO_LARGE;
      const enum http_decode_result grown = decode_result_of(http_body_reserve(pools, plain, (uint64_t)plain->capacity + 1));
      if (grown != HTTP_DECODE_OK) return grown;
      continue;
    }
    if (result != LIBDEFLATE_SUCCESS || ++members > HTTP_GZIP_MEMBERS_MAX) return HTTP_DECODE_MALFORMED;
    at += (uint32_t)used;
    plain->length += (uint32_t)made;
  }
  return members ? HTTP_DECODE_OK : HTTP_DECODE_MALFORMED;
}

enum http_decode_result http_gzip_decode(struct libdeflate_decompressor *decompressor, struct http_body_pools *pools,
                                         struct http_body *body, uint32_t limit) {
  const uint32_t largest = http_body_largest(pools);
  const uint32_t most = limit < largest ? limit : largest;
  struct http_body plain = {.pools_closed = body->pools_closed, .account = body->account};
  enum http_decode_result result = decode_result_of(http_body_reserve(pools, &plain, length_guess(body, most)));
  if (result == HTTP_DECODE_OK) result = members_decoded(decompressor, pools, body, &plain, most);
  if (result != HTTP_DECODE_OK) {
    http_body_release(pools, &plain);
    return result;
  }
  http_body_release(pools, body);
  *body = plain;
  return HTTP_DECODE_OK;
}
