#pragma once
/* Real requests to a management server over its socket and over loopback. */
#include "appliance_double.h"
#include <jansson.h>

#define TCP_PORT 19464

extern struct appliance_double appliance;
extern struct management_server *asked_server;
extern char socket_path[64];

struct answer {
  long status;
  char text[1u << 20];
  size_t length;
  json_t *json;
};

int asking_set_up(void **state);
int asking_tear_down(void **state);
/* By the socket unless `tcp`. Lives until the next. */
struct answer *ask(const char *method, const char *path, const char *body, bool tcp);
/* A refusal must say why, too. */
void expect_status(const char *method, const char *path, const char *body, bool tcp, long status);
