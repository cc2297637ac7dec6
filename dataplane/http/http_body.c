#include "always_assert.h"
#include "http_body_internal.h"
#include <string.h>

#define BODY_ALIGNMENT 16u

bool http_body_pools_init(struct http_body_pools *pools, struct arena *arena, const struct http_config *config,
                          struct http_counters *counters) {
  pools->counters = counters;
  pools->addresses = config->address_limits;
  uint32_t order[HTTP_BODY_POOLS], count = 0;
  for (uint32_t i = 0; i < HTTP_BODY_POOLS; i++) {
    if (config->body_pools[i].count == 0 || config->body_pools[i].bytes == 0) continue;
    ALWAYS_ASSERT(config->body_pools[i].bytes <= INT32_MAX);
    uint32_t place = count++;
    for (; place > 0 && config->body_pools[order[place - 1]].bytes > config->body_pools[i].bytes; place--)
      order[place] = order[place - 1];
    order[place] = i;
  }
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t bytes = config->body_pools[order[i]].bytes;
    if (!pool_init(&pools->pools[i], arena, bytes + HTTP_BODY_SLACK_BYTES, config->body_pools[order[i]].count)) return false;
    pools->bytes[i] = bytes;
  }
  pools->count = count;
  return true;
}

uint32_t http_body_largest(const struct http_body_pools *pools) { return pools->count ? pools->bytes[pools->count - 1] : 0; }

enum http_body_result http_body_reserve(struct http_body_pools *pools, struct http_body *body, uint64_t bytes) {
  if (bytes <= body->capacity) return HTTP_BODY_OK;
  if (bytes > http_body_largest(pools)) return HTTP_BODY_TOO_LARGE;
  for (uint32_t i = 0; i < pools->count; i++) {
    if (pools->bytes[i] < bytes) continue;
    if (body->pools_closed >> i & 1) {
      pools->counters->bodies_withheld++;
      return HTTP_BODY_NO_BUFFER;
    }
    uint8_t *larger = pool_take(&pools->pools[i]);
    if (!larger) continue;
    if (body->account && !address_charge(pools->addresses, body->account, ADDRESS_BODY_BYTES, pools->bytes[i])) {
      pool_give(&pools->pools[i], larger);
      return HTTP_BODY_NO_BUFFER;
    }
    if (body->length) memcpy(larger, body->bytes, body->length);
    const uint32_t length = body->length;
    http_body_release(pools, body);
    body->bytes = larger;
    body->length = length;
    body->capacity = pools->bytes[i];
    body->pool = (uint8_t)i;
    return HTTP_BODY_OK;
  }
  return HTTP_BODY_NO_BUFFER;
}

void http_body_begin(struct http_body *body, uint8_t *own, uint32_t bytes) {
  const uint32_t skipped = (uint32_t)(-(uintptr_t)own % BODY_ALIGNMENT);
  if (bytes <= skipped + HTTP_BODY_SLACK_BYTES) return;
  body->bytes = own + skipped;
  body->capacity = bytes - skipped - HTTP_BODY_SLACK_BYTES;
  body->pool = HTTP_BODY_OWN;
}

void http_body_append(struct http_body *body, const uint8_t *bytes, uint32_t length) {
  ALWAYS_ASSERT(length <= body->capacity - body->length);
  if (length) memcpy(body->bytes + body->length, bytes, length);
  body->length += length;
}

void http_body_release(struct http_body_pools *pools, struct http_body *body) {
  if (http_body_is_pooled(body)) {
    pool_give(&pools->pools[body->pool], body->bytes);
    if (body->account) address_credit(pools->addresses, body->account, ADDRESS_BODY_BYTES, body->capacity);
  }
  *body = (struct http_body){.pools_closed = body->pools_closed, .account = body->account};
}
