#pragma once
/* Records of accepted webhooks, made up, for the tests of their readers. */
#include "record_ring.h"
#include "webhook.h"

struct webhook_fixture {
  const char *source;
  enum webhook_kind kind;
  uint16_t status, shard;
  uint64_t wall_ns, number; /* the correlation id follows from them */
  const char *claimed_id;   /* NULL: none */
  const char *body;         /* kept, unless `too_large` */
  const char *header_value; /* of x-sent-by; NULL: no header */
  uint32_t violations;      /* raised, none of them named */
  bool short_form, too_large;
};

void webhook_fixture_correlation_id(const struct webhook_fixture *webhook, uint8_t id[16]);
/* False when the ring is full. */
bool webhook_fixture_publish(struct record_ring *ring, const struct webhook_fixture *webhook);
