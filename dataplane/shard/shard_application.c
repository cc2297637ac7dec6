#include "shard_internal.h"

static uint32_t append(uint8_t *body, uint32_t at, const char *text, uint32_t length) {
  if (at + length > HTTP_RESPONSE_BODY_BYTES_MAX) return at;
  memcpy(body + at, text, length);
  return at + length;
}

static uint32_t append_string(uint8_t *body, uint32_t at, const char *text) {
  return append(body, at, text, (uint32_t)strlen(text));
}

/* `code` and `message` are our own text: nothing in them needs escaping. */
uint32_t shard_error_json(struct shard *shard, const char *code, const char *message, const uint8_t correlation_id[16],
                          uint8_t *body) {
  uint8_t fresh[16];
  char text[37];
  if (!correlation_id) {
    uuid7_next(&shard->correlation, shard->wall_ns, fresh);
    correlation_id = fresh;
  }
  uuid7_text(correlation_id, text);
  uint32_t at = append_string(body, 0, "{\"code\":\"");
  at = append_string(body, at, code);
  at = append_string(body, at, "\",\"message\":\"");
  at = append_string(body, at, message);
  at = append_string(body, at, "\",\"correlation_id\":\"");
  at = append_string(body, at, text);
  return append_string(body, at, "\"}");
}

static bool is_otlp(const struct shard *shard, uint16_t local_port) { return shard_otlp_listener(shard, local_port) != NULL; }

static uint32_t error_body(void *context, uint16_t local_port, const struct http_request *request, uint16_t status,
                           const char *reason, uint8_t *body, const char **content_type) {
  struct shard *shard = context;
  if (is_otlp(shard, local_port)) {
    const enum otlp_encoding encoding = shard_otlp_encoding(request);
    *content_type = encoding == OTLP_JSON ? "application/json" : "application/x-protobuf";
    return otlp_encode_status(encoding, status, reason, (uint32_t)strlen(reason), body, HTTP_RESPONSE_BODY_BYTES_MAX);
  }
  *content_type = "application/json";
  return shard_error_json(shard, "http", reason, NULL, body);
}

/* What HTTP itself finds wrong, or has no room for. */
static uint32_t http_error_body(void *context, uint16_t local_port, const struct http_request *request, uint16_t status,
                                const char *reason, uint8_t *body, const char **content_type) {
  shard_flight_refused(context, request, status, "http");
  return error_body(context, local_port, request, status, reason, body, content_type);
}

static void build_refusal(struct shard *shard, const struct http_request *request, uint16_t status, const char *code,
                          const char *message, uint8_t *body, struct http_response *response) {
  *response = (struct http_response){.status = status, .body = body, .content_type = "application/json", .message = message};
  if (status == 503) response->retry_after_s = SHARD_RETRY_AFTER_S;
  if (status == 405) response->allow = "POST";
  if (status == 401) response->www_authenticate = "Webhook";
  if (is_otlp(shard, request->local_port)) {
    response->body_bytes = error_body(shard, request->local_port, request, status, message, body, &response->content_type);
  } else {
    response->body_bytes = shard_error_json(shard, code, message, NULL, body);
  }
}

void shard_refuse(struct shard *shard, struct http_exchange *exchange, uint16_t status, const char *code, const char *message) {
  uint8_t body[HTTP_RESPONSE_BODY_BYTES_MAX];
  struct http_response response;
  build_refusal(shard, http_exchange_request(exchange), status, code, message, body, &response);
  if (status == 503) shard->counters.overload_answers++;
  shard_respond(shard, exchange, &response, code);
}

struct route {
  uint16_t status; /* 0: go on */
  const char *code, *message;
  uint32_t max_body_bytes;
};

/* The other signals are refused by name, so that whoever sets an exporter up sees which one does not belong here. */
static bool is_any_of(struct http_text path, const char *const *paths) {
  while (*paths && !http_text_equals(path, *paths)) paths++;
  return *paths != NULL;
}

static struct route route_grpc(const struct shard_span_listener *listener, const struct http_request *request) {
  static const char export_path[] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
  static const char *const other_signals[] = {"/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                                              "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", NULL};
  if (is_any_of(request->path, other_signals))
    return (struct route){404, "not_found", "only traces are taken here: TraceService/Export", 0};
  if (!http_text_equals(request->path, export_path))
    return (struct route){404, "not_found", "no such method: TraceService/Export", 0};
  if (request->method != HTTP_POST) return (struct route){405, "method", "only POST is answered here", 0};
  const struct http_text type = http_request_header(request, "content-type");
  if (!http_media_type_is(type, "application/grpc") && !http_media_type_is(type, "application/grpc+proto"))
    return (struct route){415, "media_type", "content type must be application/grpc", 0};
  return (struct route){.max_body_bytes = listener->max_body_bytes};
}

static struct route route_otlp(const struct shard *shard, const struct http_request *request) {
  static const char *const other_signals[] = {"/v1/logs", "/v1/metrics", NULL};
  const struct shard_span_listener *listener = shard_otlp_listener(shard, request->local_port);
  if (request->grpc) return route_grpc(listener, request);
  if (listener == &shard->config.otlp_grpc)
    return (struct route){415, "media_type", "this port speaks gRPC; OTLP/HTTP has its own", 0};
  if (is_any_of(request->path, other_signals))
    return (struct route){404, "not_found", "only traces are taken here: POST /v1/traces", 0};
  if (!http_text_equals(request->path, "/v1/traces")) return (struct route){404, "not_found", "no such path: POST /v1/traces", 0};
  if (request->method != HTTP_POST) return (struct route){405, "method", "only POST is answered here", 0};
  const struct http_text type = http_request_header(request, "content-type");
  if (!http_media_type_is(type, "application/x-protobuf") && !http_media_type_is(type, "application/json"))
    return (struct route){415, "media_type", "content type must be application/x-protobuf or application/json", 0};
  return (struct route){.max_body_bytes = listener->max_body_bytes};
}

static struct route route_zipkin(const struct shard *shard, const struct http_request *request) {
  if (!http_text_equals(request->path, "/api/v2/spans"))
    return (struct route){404, "not_found", "no such path: POST /api/v2/spans", 0};
  if (request->method != HTTP_POST) return (struct route){405, "method", "only POST is answered here", 0};
  if (!http_media_type_is(http_request_header(request, "content-type"), "application/json"))
    return (struct route){415, "media_type", "content type must be application/json", 0};
  return (struct route){.max_body_bytes = shard->config.zipkin.max_body_bytes};
}

static struct route route_webhook(const struct shard *shard, const struct http_request *request) {
  const struct webhook_source *source = shard_webhook_source(shard, request->path);
  if (!source) return (struct route){404, "unknown_source", "no such webhook source", 0};
  if (request->method != HTTP_POST) return (struct route){405, "method", "only POST is answered here", 0};
  if (!http_media_type_is(http_request_header(request, "content-type"), "application/json"))
    return (struct route){415, "media_type", "content type must be application/json", 0};
  return (struct route){.max_body_bytes = source->max_body_bytes};
}

static struct route route(const struct shard *shard, const struct http_request *request) {
  if (is_otlp(shard, request->local_port)) return route_otlp(shard, request);
  return shard_is_zipkin(shard, request->local_port) ? route_zipkin(shard, request) : route_webhook(shard, request);
}

/* Under which name an admitted request is shed. */
static enum shed kind_of(const struct shard *shard, const struct http_request *request) {
  const struct shard_span_listener *listener = shard_otlp_listener(shard, request->local_port);
  if (!listener && shard_is_zipkin(shard, request->local_port)) listener = &shard->config.zipkin;
  if (listener) return listener->acknowledge_durable ? SHED_DURABLE_SPANS : SHED_SPANS;
  const struct webhook_source *source = shard_webhook_source(shard, request->path);
  return source && source->acknowledge_durable ? SHED_DURABLE_WEBHOOKS : SHED_WEBHOOKS;
}

static void admit(void *context, const struct http_request *request, struct http_admission *admission, uint64_t now_ns) {
  struct shard *shard = context;
  (void)now_ns;
  struct route taken = route(shard, request);
  const enum shed kind = kind_of(shard, request);
  if (!taken.status && shard_sheds(shard, kind)) {
    taken = (struct route){503, "overloaded", shard->shed_message, 0};
    shard->counters.overload_answers++;
  }
  *admission = (struct http_admission){
      .status = taken.status, .max_body_bytes = taken.max_body_bytes, .body_pools_closed = shard_withheld_bodies(shard, kind)};
  if (!taken.status) return;
  build_refusal(shard, request, taken.status, taken.code, taken.message, shard->admission_body, &admission->response);
  shard_flight_refused(shard, request, taken.status, taken.code);
}

static enum http_disposition handle(void *context, struct http_exchange *exchange, const struct http_request *request,
                                    uint64_t now_ns) {
  struct shard *shard = context;
  (void)now_ns;
  shard_flight_received(shard, request);
  if (is_otlp(shard, request->local_port)) return shard_handle_otlp(shard, exchange, request);
  if (shard_is_zipkin(shard, request->local_port)) return shard_handle_zipkin(shard, exchange, request);
  return shard_handle_webhook(shard, exchange, request);
}

static void aborted(void *context, struct http_exchange *exchange) {
  (void)context;
  struct parked *parked = http_exchange_data(exchange);
  if (parked) parked->exchange = NULL;
}

void shard_application_init(struct shard *shard) {
  shard->application = (struct http_application){
      .context = shard, .admit = admit, .handle = handle, .aborted = aborted, .error_body = http_error_body};
  if (!shard->recorder) return;
  shard->application.connection_accepted = shard_flight_accepted;
  shard->application.connection_ended = shard_flight_ended;
}
