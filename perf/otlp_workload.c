#include "otlp_workload.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
const char *const workload_services[5] = {"checkout", "cart", "frontend", "payment", "shipping"};

static struct value text(const char *at) {
  return (struct value){.text = at, .length = (uint32_t)strlen(at), .type = VALUE_STRING};
}
static struct value integer(int64_t value) { return (struct value){.integer = value, .type = VALUE_INTEGER}; }

static void add(struct model_span *span, const char *key, struct value value) {
  span->attributes[span->attribute_count++] = (struct model_attribute){.key = {key, (uint32_t)strlen(key)}, .value = value};
}

static void generate_span(struct otlp_workload *work, unsigned request, unsigned number, unsigned *seed) {
  struct model_span *span = &work->spans[request][number];
  char *path = work->paths[request][number];
  for (unsigned i = 0; i < 16; i++) span->trace_id[i] = (uint8_t)rand_r(seed);
  for (unsigned i = 0; i < 8; i++) span->span_id[i] = (uint8_t)rand_r(seed);
  for (unsigned i = 0; i < 8; i++) span->parent_id[i] = (uint8_t)rand_r(seed);
  span->trace_id[0] |= 1;
  span->span_id[0] |= 1;
  span->parent_id[0] |= 1;
  span->trace_id_bytes = 16;
  span->span_id_bytes = 8;
  span->parent_id_bytes = rand_r(seed) % 8 ? 8 : 0;
  const char *name = work->names[rand_r(seed) % WORKLOAD_NAMES];
  span->name = (struct event_text){name, (uint32_t)strlen(name)};
  span->kind = 1 + rand_r(seed) % 5;
  span->status = rand_r(seed) % 40 == 0 ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET;
  span->start_ns = 1700000000000000000u + (uint64_t)rand_r(seed);
  span->end_ns = span->start_ns + (uint64_t)rand_r(seed);
  snprintf(path, sizeof work->paths[request][number], "/api/v1/orders/%d/items/%d?page=%d&page_size=25&sort=created_at",
           rand_r(seed), rand_r(seed), rand_r(seed) % 100);
  const bool database = rand_r(seed) % 3 == 0;
  if (rand_r(seed) % 100) add(span, "http.request.method", text(methods[rand_r(seed) % 4]));
  add(span, database ? "db.system" : "network->protocol.version", text(database ? "postgresql" : "1.1"));
  add(span, "url.path", text(path));
  add(span, "http.response.status_code", integer(span->status ? 500 : 200));
  add(span, "server.address", text("orders.production.svc.cluster.local"));
  add(span, "server.port", integer(8080));
  if (span->status) {
    add(span, "error.type", text("java.net.SocketTimeoutException"));
  } else {
    add(span, "user_agent.original",
        text("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0 Safari/537.36"));
  }
  add(span, "thread.name", text("http-nio-8080-exec-17"));
  add(span, "thread.id", integer(117));
  add(span, "network->peer.address", text("10.42.17.203"));
}

void workload_generate(struct otlp_workload *work) {
  unsigned seed = 42;
  size_t largest = 0;
  for (unsigned i = 0; i < WORKLOAD_NAMES; i++) workload_name(i, work->names[i]);
  for (unsigned r = 0; r < WORKLOAD_REQUESTS; r++) {
    struct model_resource *resource = &work->resources[r];
    const char *service = workload_services[(unsigned)rand_r(&seed) % 5];
    resource->attributes[0] = (struct model_attribute){{"service.name", 12}, text(service)};
    resource->attributes[1] = (struct model_attribute){{"deployment.environment.name", 27}, text("production")};
    resource->attributes[2] = (struct model_attribute){{"host.name", 9}, text("node-17.eu-west-1")};
    resource->attributes[3] = (struct model_attribute){{"telemetry.sdk.language", 22}, text("java")};
    resource->attribute_count = 4;
    resource->span_count = WORKLOAD_SPANS;
    resource->spans = work->spans[r];
    for (unsigned i = 0; i < WORKLOAD_SPANS; i++) generate_span(work, r, i, &seed);
    for (int encoding = OTLP_PROTOBUF; encoding <= OTLP_JSON; encoding++) {
      struct model_bytes body = {0};
      if (encoding == OTLP_JSON) {
        model_encode_json(resource, 1, NULL, &body);
      } else {
        model_encode_protobuf(resource, 1, NULL, &body);
      }
      if (body.length > largest) largest = body.length;
      work->bytes[encoding][r] = body.length;
      static const uint8_t slack[WORKLOAD_SLACK];
      model_put(&body, slack, WORKLOAD_SLACK);
      work->body[encoding][r] = body.at;
    }
  }
  work->scratch = malloc(largest);
  if (!work->scratch) abort();
}

void workload_name(unsigned number, char name[24]) { snprintf(name, 24, "HTTP GET /api/r%05u", number); }

uint64_t workload_bytes(const struct otlp_workload *work) {
  uint64_t total = 0;
  for (unsigned r = 0; r < WORKLOAD_REQUESTS; r++) total += work->bytes[OTLP_PROTOBUF][r];
  return total;
}

uint64_t workload_read(const struct otlp_workload *work) {
  uint64_t sum = 0, word;
  for (unsigned r = 0; r < WORKLOAD_REQUESTS; r++)
    for (size_t at = 0; at < work->bytes[OTLP_PROTOBUF][r]; at += sizeof word) {
      memcpy(&word, work->body[OTLP_PROTOBUF][r] + at, sizeof word);
      sum += word;
    }
  return sum;
}
