/* The accepted webhooks: newest first, and one with its body. */
#include "json_webhook.h"
#include "management_internal.h"
#include "replay_table.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX (WEBHOOK_QUERY_LIMIT_MAX - 1)

static const char *read_times(const struct management_request *request, struct webhook_filter *filter) {
  const char *since = request_argument(request, "since"), *until = request_argument(request, "until");
  if (since && !parse_time(since, argument_now_ns(), &filter->since_ns))
    return "since is an RFC 3339 time, Unix seconds, or a duration such as 5m";
  if (until && !parse_time(until, argument_now_ns(), &filter->until_ns))
    return "until is an RFC 3339 time, Unix seconds, or a duration such as 5m";
  return NULL;
}

/* What is wrong with the arguments, or NULL. */
static const char *read_filter(const struct management_request *request, struct webhook_filter *filter) {
  const char *status = request_argument(request, "status"), *limit = request_argument(request, "limit"),
             *after = request_argument(request, "after"), *id = request_argument(request, "webhook_id"),
             *correlation = request_argument(request, "correlation_id");
  uint64_t number = LIMIT_DEFAULT, wanted_status = 0;
  *filter = (struct webhook_filter){.source = request_argument(request, "source")};
  if (status && !argument_number(status, 200, 599, &wanted_status)) return "status is 200 (durable) or 202 (received)";
  filter->status = (uint16_t)wanted_status;
  filter->has_correlation_id = correlation != NULL;
  if (correlation && !argument_uuid(correlation, filter->correlation_id)) return "correlation_id has 36 characters";
  if (id && !filter->source) return "webhook_id needs the source that used it";
  filter->has_id_key = id != NULL;
  if (id) {
    const struct replay_key key = replay_key_of(filter->source, (uint32_t)strlen(filter->source), id, (uint32_t)strlen(id));
    memcpy(filter->id_key, key.bytes, sizeof filter->id_key);
  }
  if (limit && !argument_number(limit, 1, LIMIT_MAX, &number)) return "limit is a number from 1 to 10000";
  filter->limit = (uint32_t)number;
  if (after && !argument_number(after, 1, INT64_MAX, &filter->before_lsn)) return "after is the cursor of an answer before";
  return read_times(request, filter);
}

static bool add_webhook(void *context, uint64_t lsn, const struct webhook_account *account) {
  struct answer_page *listing = context;
  if (!answer_page_takes(listing, lsn)) return false;
  json_array_append_new(listing->list, json_webhook(account, lsn, listing->node, listing->with_body));
  return true;
}

static enum MHD_Result answer_unreadable(struct management_request *request, int error) {
  if (error == -ENOMEM) return answer_error(request, 503, "memory", "no memory for this query; a smaller limit may do");
  return answer_error(request, 503, "journal", "the journal cannot be read");
}

enum MHD_Result handle_webhooks(struct management_request *request) {
  struct webhook_filter filter;
  char cursor[24];
  const char *wrong = read_filter(request, &filter);
  if (wrong) return answer_error(request, 400, "argument", wrong);
  struct webhook_store *store = request->appliance->webhooks(request->appliance->context);
  struct answer_page listing = {.list = json_array(), .node = request->appliance->node, .room = filter.limit};
  uint64_t more_lsn = 0;
  filter.limit++; /* one more tells whether there are more */
  const int given = webhook_store_query(store, &filter, add_webhook, &listing, &more_lsn);
  if (given < 0) {
    json_decref(listing.list);
    return answer_unreadable(request, given);
  }
  const uint64_t next_lsn = listing.more ? listing.last_lsn : more_lsn;
  snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)next_lsn);
  const struct webhook_store_figures figures = webhook_store_figures(store);
  return answer_json(request, 200,
                     json_pack("{s:o, s:o, s:I}", "webhooks", listing.list, "next", next_lsn ? json_string(cursor) : json_null(),
                               "oldest_lsn", (json_int_t)figures.first_lsn));
}

enum MHD_Result handle_webhook(struct management_request *request, const char *correlation_id) {
  struct webhook_filter filter = {.has_correlation_id = true, .limit = 1};
  uint64_t more_lsn = 0;
  if (!argument_uuid(correlation_id, filter.correlation_id))
    return answer_error(request, 400, "argument", "a webhook is named by its correlation id, 36 characters");
  struct webhook_store *store = request->appliance->webhooks(request->appliance->context);
  struct answer_page listing = {.list = json_array(), .node = request->appliance->node, .room = 1, .with_body = true};
  int given;
  /* Ids of one millisecond are in one or two parts; a clock that stood still may have put more there. */
  do {
    filter.before_lsn = more_lsn;
    given = webhook_store_query(store, &filter, add_webhook, &listing, &more_lsn);
  } while (given == 0 && more_lsn);
  json_t *webhook = given > 0 ? json_incref(json_array_get(listing.list, 0)) : NULL;
  json_decref(listing.list);
  if (given < 0) return answer_unreadable(request, given);
  if (!webhook) return answer_error(request, 404, "not_found", "no accepted webhook of this id is in the journal");
  return answer_json(request, 200, webhook);
}
