#pragma once
/* Body buffers: up to four pools of fixed sizes, smallest first. A body takes the smallest free buffer that holds it and
 * moves to a larger one as it grows. Threads: one shard. */
#include "http_server.h"
#include "pool.h"

struct http_body_pools {
  struct pool pools[HTTP_BODY_POOLS];
  uint32_t bytes[HTTP_BODY_POOLS]; /* what a buffer holds, slack not counted; ascending */
  uint32_t count;
  struct http_counters *counters;
  struct address_limits *addresses;
};

/* All zero: no buffer. */
struct http_body {
  uint8_t *bytes;
  uint32_t length, capacity;
  uint8_t pool;                    /* or HTTP_BODY_OWN */
  uint8_t pools_closed;            /* http_admission's */
  struct address_account *account; /* that its buffers are charged to; NULL: to nobody */
};

/* In memory that its request has anyhow. */
#define HTTP_BODY_OWN HTTP_BODY_POOLS

enum http_body_result { HTTP_BODY_OK, HTTP_BODY_TOO_LARGE, HTTP_BODY_NO_BUFFER };

/* False when the arena is spent. */
bool http_body_pools_init(struct http_body_pools *pools, struct arena *arena, const struct http_config *config,
                          struct http_counters *counters);
/* The largest body that any buffer holds; 0 without pools. */
uint32_t http_body_largest(const struct http_body_pools *pools);
/* Room for `bytes` in all, keeping what is there. NO_BUFFER too when the pool of that size is closed to this body. */
enum http_body_result http_body_reserve(struct http_body_pools *pools, struct http_body *body, uint64_t bytes);
/* Into room that was reserved. */
void http_body_append(struct http_body *body, const uint8_t *bytes, uint32_t length);
/* Empty, with `pools_closed` and `account` as they are. A body that fits the rest of its request's own memory, of `bytes` from
 * `own` on, takes no buffer: whoever sends it slowly holds nothing that others want. */
void http_body_begin(struct http_body *body, uint8_t *own, uint32_t bytes);
static inline bool http_body_is_pooled(const struct http_body *body) { return body->bytes && body->pool != HTTP_BODY_OWN; }
/* Keeps `pools_closed` and `account`. */
void http_body_release(struct http_body_pools *pools, struct http_body *body);
