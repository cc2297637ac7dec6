#pragma once
/* Inside the management room: one request and its answer. Runs on a libmicrohttpd thread. */
#include "json_values.h"
#include "management_server.h"
#include <jansson.h>
#include <microhttpd.h>

#define REQUEST_BODY_BYTES_MAX (64u << 20)

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
};

/* Each queues exactly one answer and returns what libmicrohttpd wants back. */
enum MHD_Result answer_json(struct management_request *request, unsigned status, json_t *json); /* steals it */
enum MHD_Result answer_text(struct management_request *request, unsigned status, const char *type, char *text,
                            size_t length); /* frees it */
enum MHD_Result answer_error(struct management_request *request, unsigned status, const char *code, const char *message);
const char *request_argument(const struct management_request *request, const char *name);

enum MHD_Result handle_metrics(struct management_request *request);
enum MHD_Result handle_health(struct management_request *request, bool readiness);
enum MHD_Result handle_status(struct management_request *request);
enum MHD_Result handle_config_reload(struct management_request *request);
enum MHD_Result handle_shards(struct management_request *request);
enum MHD_Result handle_rules_list(struct management_request *request);
enum MHD_Result handle_rule(struct management_request *request, const char *name);
enum MHD_Result handle_rules_apply(struct management_request *request);
enum MHD_Result handle_rules_validate(struct management_request *request);
enum MHD_Result handle_journal_flush(struct management_request *request);
enum MHD_Result handle_violations(struct management_request *request);
enum MHD_Result handle_violations_counts(struct management_request *request);
enum MHD_Result handle_violations_tail(struct management_request *request);
