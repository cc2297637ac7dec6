#include "http_admission_internal.h"

const char *http_admission_refusal(struct http_connection *connection, struct http_exchange *exchange) {
  struct http_server *server = connection->server;
  const struct http_config *config = &server->config;
  if (config->requests_max && server->counters.in_progress > config->requests_max) {
    server->counters.refused_requests_max++;
    return "too many requests are in progress; try again";
  }
  if (!connection->account) return NULL;
  if (!address_charge(config->address_limits, connection->account, ADDRESS_REQUESTS, 1)) {
    server->counters.refused_address++;
    return "too many requests of this address are in progress; try again";
  }
  exchange->charged = true;
  return NULL;
}

void http_admission_end(struct http_connection *connection, struct http_exchange *exchange) {
  if (!exchange->charged) return;
  exchange->charged = false;
  address_credit(connection->server->config.address_limits, connection->account, ADDRESS_REQUESTS, 1);
}
