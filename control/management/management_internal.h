#pragma once
/* Inside the management room: one request and its answer. Runs on a thread of its connection: no request waits for another. */
#include "json_values.h"
#include "management_server.h"
#include <jansson.h>
#include <microhttpd.h>

#define REQUEST_BODY_BYTES_MAX (256u << 20)

struct management_server {
  const struct appliance *appliance;
  struct MHD_Daemon *on_socket, *on_tcp;
  char socket_path[256];
};

struct management_request {
  const struct appliance *appliance;
  struct MHD_Connection *connection;
  const char *method, *path;
  bool may_change; /* it came by the unix socket */
  unsigned peer_uid;
  char *body;
  size_t body_length, body_capacity;
  bool too_large;
  unsigned retry_after_s; /* of a 503; 0: one second */
};

/* Each queues exactly one answer and returns what libmicrohttpd wants back. */
enum MHD_Result answer_json(struct management_request *request, unsigned status, json_t *json); /* steals it */
enum MHD_Result answer_text(struct management_request *request, unsigned status, const char *type, char *text,
                            size_t length); /* frees it */
enum MHD_Result answer_error(struct management_request *request, unsigned status, const char *code, const char *message);
void correlation_text(char text[40]);
/* management_arguments.c. A UUID as uuid7_text writes it. */
bool argument_number(const char *text, uint64_t least, uint64_t most, uint64_t *number);
bool argument_uuid(const char *text, uint8_t id[16]);
uint64_t argument_now_ns(void);
const char *request_argument(const struct management_request *request, const char *name);

enum MHD_Result management_route(struct management_request *request);
/* Before the appliance runs: its health, its status and its metrics; all else is answered 503. */
enum MHD_Result management_route_starting(struct management_request *request, const struct appliance_start *start);
json_t *recovery_json(const struct appliance_recovery *recovery);
/* The index that an answer came from. */
json_t *index_json(const struct appliance_index *index);
enum MHD_Result handle_metrics(struct management_request *request);
enum health { HEALTH_LIVE, HEALTH_READY, HEALTH_BETRACE_LIVE, HEALTH_BETRACE_READY };
enum MHD_Result handle_health(struct management_request *request, enum health health);
enum MHD_Result handle_status(struct management_request *request);
enum MHD_Result handle_config_reload(struct management_request *request);
enum MHD_Result handle_shards(struct management_request *request);
enum MHD_Result handle_rules_list(struct management_request *request);
enum MHD_Result handle_rule(struct management_request *request, const char *name);
bool rule_is_known(const struct management_request *request, const char *name);
enum MHD_Result handle_rule_create(struct management_request *request);
enum MHD_Result handle_rule_update(struct management_request *request, const char *name);
enum MHD_Result handle_rule_delete(struct management_request *request, const char *name);
enum MHD_Result handle_rule_toggle(struct management_request *request, const char *name, bool enabled);
enum MHD_Result handle_rule_rollback(struct management_request *request, const char *name);
enum MHD_Result handle_rule_history(struct management_request *request, const char *name);
enum MHD_Result handle_rule_diff(struct management_request *request, const char *name);
enum MHD_Result handle_rules_bulk(struct management_request *request, enum rule_action action);
enum MHD_Result handle_rules_apply(struct management_request *request);
enum MHD_Result handle_rules_import(struct management_request *request);
enum MHD_Result handle_rules_validate(struct management_request *request);
enum MHD_Result handle_set_export(struct management_request *request);
enum MHD_Result handle_set_history(struct management_request *request);
enum MHD_Result handle_set_diff(struct management_request *request);
enum MHD_Result handle_set_rollback(struct management_request *request);
enum MHD_Result handle_set_failed(struct management_request *request);
enum MHD_Result handle_cursors_list(struct management_request *request);
enum MHD_Result handle_cursor(struct management_request *request, const char *name);
enum MHD_Result handle_cursor_put(struct management_request *request, const char *name);
enum MHD_Result handle_cursor_reset(struct management_request *request, const char *name);
enum MHD_Result handle_cursor_delete(struct management_request *request, const char *name);
/* Instead of a list: from where the cursor is, oldest first. */
enum MHD_Result handle_violations_of_cursor(struct management_request *request, const char *node);
enum MHD_Result handle_journal_flush(struct management_request *request);
/* A page of an answer: up to `room` of them, and whether there are more. */
struct answer_page {
  json_t *list;
  const char *node;
  uint64_t last_lsn;
  uint32_t room;
  bool with_body, more;
};
/* False: the page is full. */
static inline bool answer_page_takes(struct answer_page *listing, uint64_t lsn) {
  listing->more = listing->room == 0;
  if (listing->more) return false;
  listing->room--;
  listing->last_lsn = lsn;
  return true;
}

enum MHD_Result handle_webhooks(struct management_request *request);
enum MHD_Result handle_webhook(struct management_request *request, const char *correlation_id);
enum MHD_Result handle_blackbox(struct management_request *request);
enum MHD_Result handle_blackbox_stats(struct management_request *request);
enum MHD_Result handle_violations(struct management_request *request);
enum MHD_Result handle_violations_counts(struct management_request *request);
enum MHD_Result handle_violations_tail(struct management_request *request);
