#pragma once
/* 20,000 spans of about 565 bytes (10 attributes) in requests of 100, one resource each, as plain data and encoded. Threads: one.
 */
#include "otlp.h"
#include "otlp_model.h"

enum { WORKLOAD_REQUESTS = 200, WORKLOAD_SPANS = 100, WORKLOAD_NAMES = 1000, WORKLOAD_SLACK = 64 };
#define WORKLOAD_TOTAL (WORKLOAD_REQUESTS * WORKLOAD_SPANS)

struct otlp_workload {
  struct model_span spans[WORKLOAD_REQUESTS][WORKLOAD_SPANS];
  struct model_resource resources[WORKLOAD_REQUESTS];
  char paths[WORKLOAD_REQUESTS][WORKLOAD_SPANS][128];
  char names[WORKLOAD_NAMES][24];
  uint8_t *body[2][WORKLOAD_REQUESTS]; /* by encoding */
  size_t bytes[2][WORKLOAD_REQUESTS];
  char *scratch; /* as large as the largest body */
};

extern const char *const workload_services[5];
/* The name number `number` of the spans. */
void workload_name(unsigned number, char name[24]);
void workload_generate(struct otlp_workload *work);
/* The bytes of all protobuf bodies, and a reading of each of them. */
uint64_t workload_bytes(const struct otlp_workload *work);
uint64_t workload_read(const struct otlp_workload *work);
