#pragma once
/* The one management API: REST + JSON over libmicrohttpd, on a unix socket (0660, all verbs) and loopback TCP (GET only).
 * Paths: /metrics, /healthz, /readyz, /v1/status, /v1/shards, /v1/rules, /v1/rules/{name}, /v1/rules/apply, /v1/rules/validate,
 * /v1/violations, /v1/violations/tail. Threads: control starts and stops it; requests run on its own thread. */
#include "appliance.h"
#include <stdint.h>

struct management_config {
  const char *socket_path;  /* a leftover is taken over */
  const char *socket_group; /* NULL or empty: the process's */
  const char *listen_address;
  uint16_t listen_port; /* 0: no TCP */
};

struct management_server;
struct management_server *management_server_start(const struct management_config *config, const struct appliance *appliance,
                                                  int *error_number);
void management_server_stop(struct management_server *server);
