/* The product's HTTP/1.1, HTTP/2 and gRPC on captured streams. Answers go nowhere: the client had another's. Signatures are not
 * checked, as the secrets are not here; all else is refused as the appliance would. */
#include "capture_internal.h"
#include "http_server.h"
#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000ull
#define BODY_BYTES_MAX 20971520u
#define CONNECTIONS_MAX 4096u
#define HTTP2_CONNECTIONS 256u

struct capture_stream {
  struct stream_face face;
  struct capture_http *http;
  void *state;
  struct ip_address peer;
  uint16_t peer_port;
  bool resume, closing, gone; /* closing: by the server, which reads no more */
  uint8_t *held;              /* offered and not taken yet */
  size_t held_bytes;
};

struct capture_http {
  struct capture *capture;
  struct trial_memory memory;
  struct http_application application;
  struct http_server *server;
  const struct stream_handler *handler;
};

static uint32_t stream_write_all(struct stream *stream, const void *bytes, uint32_t length) {
  (void)stream, (void)bytes;
  return length;
}
static uint32_t stream_room(const struct stream *stream) {
  (void)stream;
  return UINT32_MAX;
}
static void stream_nothing(struct stream *stream) { (void)stream; }
static uint32_t stream_none_unacknowledged(const struct stream *stream) {
  (void)stream;
  return 0;
}
static struct capture_stream *of(struct stream *stream) { return (struct capture_stream *)(void *)stream; }
static const struct capture_stream *of_const(const struct stream *stream) {
  return (const struct capture_stream *)(const void *)stream;
}
static bool stream_holds(const struct stream *stream) { return of_const(stream)->held_bytes > 0; }
static void stream_resumes(struct stream *stream) { of(stream)->resume = true; }
static void stream_closes(struct stream *stream) { of(stream)->closing = true; }
static struct ip_address stream_peer(const struct stream *stream) { return of_const(stream)->peer; }
static uint16_t stream_port(const struct stream *stream) { return of_const(stream)->peer_port; }

static void leave(struct capture_stream *stream, enum stream_end end) {
  if (stream->gone) return;
  stream->gone = true;
  stream->http->handler->closed(stream->state, end, stream->http->capture->now_ns);
}

static void stream_aborts(struct stream *stream, uint64_t now_ns) {
  (void)now_ns;
  leave(of(stream), STREAM_END_ABORTED);
}

static const struct stream_operations operations = {
    .write = stream_write_all,
    .write_room = stream_room,
    .await_room = stream_nothing,
    .unacknowledged = stream_none_unacknowledged,
    .holds_received = stream_holds,
    .resume = stream_resumes,
    .close = stream_closes,
    .abort = stream_aborts,
    .peer_address = stream_peer,
    .peer_port = stream_port,
};

struct capture_stream *capture_stream_open(struct capture_http *http, const struct capture_packet *packet) {
  struct capture_stream *stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  stream->face.operations = &operations;
  stream->http = http;
  stream->peer = ip_address_of_ipv4(0x7f000001);
  stream->peer_port = packet->source_port;
  stream->state = http->handler->opened(http->handler->context, (struct stream *)(void *)stream, packet->destination_port,
                                        http->capture->now_ns);
  if (stream->state) return stream;
  free(stream);
  return NULL;
}

/* Offers all, for as long as some is taken and the server asks for the rest. */
static void offer(struct capture_stream *stream, const uint8_t *bytes, size_t length) {
  const struct stream_handler *handler = stream->http->handler;
  size_t at = 0;
  do {
    stream->resume = false;
    const size_t left = length - at;
    at += handler->received(stream->state, bytes + at, left < UINT32_MAX ? (uint32_t)left : UINT32_MAX,
                            stream->http->capture->now_ns);
  } while (at < length && stream->resume && !stream->gone && !stream->closing);
  if (stream->gone || stream->closing) at = length;
  uint8_t *rest = at < length ? malloc(length - at) : NULL;
  if (rest) memcpy(rest, bytes + at, length - at);
  free(stream->held);
  stream->held = rest;
  stream->held_bytes = rest ? length - at : 0;
}

void capture_stream_receive(struct capture_stream *stream, const uint8_t *bytes, size_t length) {
  if (stream->gone || stream->closing) return;
  if (stream->held_bytes == 0) {
    offer(stream, bytes, length);
    return;
  }
  uint8_t *both = malloc(stream->held_bytes + length);
  if (!both) return;
  memcpy(both, stream->held, stream->held_bytes);
  memcpy(both + stream->held_bytes, bytes, length);
  offer(stream, both, stream->held_bytes + length);
  free(both);
}

void capture_stream_end(struct capture_stream *stream, bool finished) {
  if (finished && !stream->gone && !stream->closing)
    stream->http->handler->peer_finished(stream->state, stream->http->capture->now_ns);
  leave(stream, finished ? STREAM_END_FINISHED : STREAM_END_RESET);
  free(stream->held);
  free(stream);
}

struct route {
  uint16_t status; /* 0: go on */
  enum trial_format format;
};

static bool is_json(const struct http_request *request) {
  return http_media_type_is(http_request_header(request, "content-type"), "application/json");
}

static struct route route_otlp(const struct http_request *request) {
  if (request->grpc) {
    const bool known = http_text_equals(request->path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    return (struct route){known ? 0 : 404, TRIAL_OTLP_PROTOBUF};
  }
  if (request->local_port == CAPTURE_GRPC_PORT) return (struct route){.status = 415};
  if (!http_text_equals(request->path, "/v1/traces")) return (struct route){.status = 404};
  if (is_json(request)) return (struct route){.format = TRIAL_OTLP_JSON};
  const bool protobuf = http_media_type_is(http_request_header(request, "content-type"), "application/x-protobuf");
  return (struct route){protobuf ? 0 : 415, TRIAL_OTLP_PROTOBUF};
}

#define WEBHOOK_PATH "/webhook/"

static struct route route(const struct http_request *request) {
  struct route taken = {.status = 404};
  const size_t prefix = sizeof WEBHOOK_PATH - 1;
  if (request->method != HTTP_POST) return (struct route){.status = 405};
  switch (request->local_port) {
  case CAPTURE_OTLP_PORT:
  case CAPTURE_GRPC_PORT:
    return route_otlp(request);
  case CAPTURE_ZIPKIN_PORT:
    if (http_text_equals(request->path, "/api/v2/spans")) taken = (struct route){is_json(request) ? 0 : 415, TRIAL_ZIPKIN};
    break;
  case CAPTURE_WEBHOOK_PORT:
    if (request->path.length > prefix && memcmp(request->path.at, WEBHOOK_PATH, prefix) == 0)
      taken = (struct route){is_json(request) ? 0 : 415, TRIAL_ANY_WEBHOOK};
    break;
  }
  return taken;
}

static void admit(void *context, const struct http_request *request, struct http_admission *admission, uint64_t now_ns) {
  struct capture_http *http = context;
  const struct route taken = route(request);
  (void)now_ns;
  *admission = (struct http_admission){
      .status = taken.status, .max_body_bytes = BODY_BYTES_MAX, .response = {.status = taken.status ? taken.status : 200}};
  if (taken.status) http->capture->report->unread[UNREAD_OTHER_REQUESTS]++;
}

static enum http_disposition handle(void *context, struct http_exchange *exchange, const struct http_request *request,
                                    uint64_t now_ns) {
  struct capture_http *http = context;
  const struct route taken = route(request);
  const size_t prefix = sizeof WEBHOOK_PATH - 1;
  char source[64] = "";
  struct trial_answer answer = {0};
  if (taken.format == TRIAL_ANY_WEBHOOK) {
    const size_t length = request->path.length - prefix;
    memcpy(source, request->path.at + prefix, length < sizeof source ? length : sizeof source - 1);
  }
  const struct trial_body body = {
      .format = taken.format, .bytes = request->body, .length = request->body_bytes, .source = source};
  http->capture->report->requests++;
  http->capture->reader->body(http->capture->reader->context, http->capture->now_ns, &body, &answer);
  const struct http_response response = {.status = answer.refusal == TRIAL_TAKEN ? 200 : 400};
  http_respond(exchange, &response, now_ns);
  return HTTP_ANSWERED;
}

static void aborted(void *context, struct http_exchange *exchange) { (void)context, (void)exchange; }

static uint32_t error_body(void *context, uint16_t local_port, const struct http_request *request, uint16_t status,
                           const char *reason, uint8_t *body, const char **content_type) {
  struct capture_http *http = context;
  (void)local_port, (void)request, (void)status, (void)reason, (void)body;
  *content_type = NULL;
  http->capture->report->unread[UNREAD_OTHER_REQUESTS]++;
  return 0;
}

struct capture_http *capture_http_create(struct capture *capture) {
  struct capture_http *http = calloc(1, sizeof *http);
  if (!http) return NULL;
  http->capture = capture;
  trial_memory_init(&http->memory);
  http->application =
      (struct http_application){.context = http, .admit = admit, .handle = handle, .aborted = aborted, .error_body = error_body};
  /* Nobody waits for an answer here: deadlines are beyond what a slow sender in a capture needs. */
  const struct http_config config = {.connections_max = CONNECTIONS_MAX,
                                     .body_pools = {{8192, 512}, {131072, 128}, {2u << 20, 32}, {22u << 20, 8}},
                                     .http2 = {HTTP2_CONNECTIONS, 4 * HTTP2_CONNECTIONS},
                                     .header_timeout_ns = 3600 * SECOND_NS,
                                     .body_timeout_ns = 3600 * SECOND_NS,
                                     .keep_alive_timeout_ns = 86400 * SECOND_NS,
                                     .application = &http->application};
  http->server = http_server_create(&http->memory.arena, &config, capture->now_ns);
  if (!http->server) {
    trial_memory_free(&http->memory);
    free(http);
    return NULL;
  }
  http->handler = http_server_stream_handler(http->server);
  return http;
}

void capture_http_tick(struct capture_http *http) { http_server_tick(http->server, http->capture->now_ns, 1024); }

void capture_http_free(struct capture_http *http) {
  if (!http) return;
  const struct http_counters *counters = http_server_counters(http->server);
  for (unsigned reason = 0; reason < HTTP_ABORTS; reason++)
    http->capture->report->unread[UNREAD_UNFINISHED] += counters->aborted[reason];
  http_server_destroy(http->server);
  trial_memory_free(&http->memory);
  free(http);
}
