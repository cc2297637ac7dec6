#pragma once
/* Inside the webhook decoders: one decode in progress. */
#include "json.h"
#include "webhook.h"

struct webhook_decode {
  const struct webhook_source *source;
  struct json_reader reader;
  struct event_batch *webhooks, *alerts;
  const struct event_sink *sink;
  uint64_t wall_ns;
  struct webhook_result *result;
};

/* Fills the columns of a webhook row with what rules read of the body: the reader is at the top value. */
void webhook_read_body(struct webhook_decode *decode, uint32_t row);
/* First pass over an Alertmanager body: is it one, and how many alerts has it. */
bool alertmanager_validate(struct webhook_decode *decode);
/* Second pass: an event for each alert. */
void alertmanager_read(struct webhook_decode *decode);
/* Records the outcome unless one is recorded already; returns false. */
bool webhook_reject(struct webhook_decode *decode, enum webhook_outcome outcome, const char *error);
