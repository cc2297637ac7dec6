#pragma once
/* Body buffers: up to four pools of fixed sizes, smallest first. A body takes the smallest free buffer that holds it and
 * moves to a larger one as it grows. Threads: one shard. */
#include "http_server.h"
#include "pool.h"

#define HTTP_BODY_POOLS 4

struct http_body_pools {
  struct pool pools[HTTP_BODY_POOLS];
  uint32_t bytes[HTTP_BODY_POOLS]; /* what a buffer holds, slack not counted; ascending */
  uint32_t count;
};

/* All zero: no buffer. */
struct http_body {
  uint8_t *bytes;
  uint32_t length, capacity;
  uint32_t pool;
};

enum http_body_result { HTTP_BODY_OK, HTTP_BODY_TOO_LARGE, HTTP_BODY_NO_BUFFER };

/* False when the arena is spent. */
bool http_body_pools_init(struct http_body_pools *pools, struct arena *arena, const struct http_config *config);
/* The largest body that any buffer holds; 0 without pools. */
uint32_t http_body_largest(const struct http_body_pools *pools);
/* Room for `bytes` in all, keeping what is there. */
enum http_body_result http_body_reserve(struct http_body_pools *pools, struct http_body *body, uint64_t bytes);
/* Into room that was reserved. */
void http_body_append(struct http_body *body, const uint8_t *bytes, uint32_t length);
void http_body_release(struct http_body_pools *pools, struct http_body *body);
