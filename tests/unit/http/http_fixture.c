#include "http_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "http fixture: %s\n", what);
  abort();
}

#define REQUIRE(expression) require((expression), #expression)

static void log_bytes(struct http_fixture *fixture, const void *bytes, size_t length) {
  fixture->log = realloc(fixture->log, fixture->log_bytes + length + 1);
  if (!fixture->log) abort();
  if (length) memcpy(fixture->log + fixture->log_bytes, bytes, length);
  fixture->log_bytes += length;
  fixture->log[fixture->log_bytes] = 0;
}

static void log_text(struct http_fixture *fixture, struct http_text text) {
  log_bytes(fixture, text.at, text.length);
  log_bytes(fixture, "|", 1);
}

static uint32_t checksum_of(const uint8_t *bytes, uint32_t length) {
  uint32_t sum = 2166136261u;
  for (uint32_t i = 0; i < length; i++) sum = (sum ^ bytes[i]) * 16777619u;
  return sum;
}

static void log_request(struct http_fixture *fixture, const struct http_request *request) {
  char line[96];
  const int length = snprintf(line, sizeof line, "%d:%u:%x:%llx:%u:%08x|", (int)request->method, request->local_port,
                              ip_address_ipv4(&request->peer), (unsigned long long)request->content_length, request->body_bytes,
                              checksum_of(request->body, request->body_bytes));
  log_bytes(fixture, line, (size_t)length);
  log_text(fixture, request->path);
  log_text(fixture, request->query);
  for (uint32_t i = 0; i < request->header_count; i++) {
    log_text(fixture, request->headers[i].name);
    log_text(fixture, request->headers[i].value);
  }
  log_bytes(fixture, "\n", 1);
}

static void respond_with_checksum(struct http_exchange *exchange, uint64_t now_ns) {
  const struct http_request *request = http_exchange_request(exchange);
  char text[32];
  const int length = snprintf(text, sizeof text, "%u %08x", request->body_bytes, checksum_of(request->body, request->body_bytes));
  const struct http_response response = {
      .status = 200, .content_type = "text/plain", .body = text, .body_bytes = (uint32_t)length};
  http_respond(exchange, &response, now_ns);
}

static void admit(void *context, const struct http_request *request, struct http_admission *admission, uint64_t now_ns) {
  struct http_fixture *fixture = context;
  (void)now_ns;
  fixture->admitted++;
  REQUIRE(!request->body && request->path.length > 0);
  admission->max_body_bytes = fixture->max_body_bytes;
  if (!http_text_equals(request->path, "/fail")) return;
  admission->status = 401;
  admission->response =
      (struct http_response){.content_type = "text/plain", .body = "no", .body_bytes = 2, .www_authenticate = "Webhook"};
}

static void take_parked(struct http_fixture *fixture, unsigned index) {
  fixture->parked_count--;
  memmove(fixture->parked + index, fixture->parked + index + 1, (fixture->parked_count - index) * sizeof fixture->parked[0]);
}

static enum http_disposition handle(void *context, struct http_exchange *exchange, const struct http_request *request,
                                    uint64_t now_ns) {
  static const char large[HTTP_RESPONSE_BODY_BYTES_MAX] = {'x'};
  struct http_fixture *fixture = context;
  fixture->handled++;
  REQUIRE(request == http_exchange_request(exchange) && http_exchange_data(exchange) == NULL);
  uint8_t slack = 0;
  for (unsigned i = 0; i < HTTP_BODY_SLACK_BYTES; i++) slack |= request->body[request->body_bytes + i];
  REQUIRE(slack == 0);
  while (fixture->answer_parked_in_handle && fixture->parked_count) {
    struct http_exchange *other = fixture->parked[0];
    take_parked(fixture, 0);
    respond_with_checksum(other, now_ns);
  }
  if (http_text_equals(request->path, "/park") && fixture->parked_count < FIXTURE_PARKED_MAX) {
    http_exchange_set_data(exchange, fixture);
    fixture->parked[fixture->parked_count++] = exchange;
    log_request(fixture, request);
    return HTTP_PARKED;
  }
  struct http_response response = {.status = 200};
  if (http_text_equals(request->path, "/close")) {
    response.close = true;
    http_respond(exchange, &response, now_ns);
  } else if (http_text_equals(request->path, "/empty")) {
    response.status = 204;
    http_respond(exchange, &response, now_ns);
  } else if (http_text_equals(request->path, "/large")) {
    response.content_type = "text/plain";
    response.body = large;
    response.body_bytes = sizeof large;
    http_respond(exchange, &response, now_ns);
  } else {
    respond_with_checksum(exchange, now_ns);
  }
  /* After the answer: the request is still there. */
  log_request(fixture, request);
  return HTTP_ANSWERED;
}

static void aborted(void *context, struct http_exchange *exchange) {
  struct http_fixture *fixture = context;
  unsigned index = 0;
  while (index < fixture->parked_count && fixture->parked[index] != exchange) index++;
  REQUIRE(index < fixture->parked_count && http_exchange_data(exchange) == fixture);
  take_parked(fixture, index);
  fixture->aborted_count++;
}

static uint32_t error_body(void *context, uint16_t local_port, const struct http_request *request, uint16_t status,
                           const char *reason, uint8_t *body, const char **content_type) {
  (void)context;
  REQUIRE(local_port == 8080 && request->local_port == 8080);
  *content_type = "text/plain";
  return (uint32_t)snprintf((char *)body, HTTP_RESPONSE_BODY_BYTES_MAX, "%u %s", status, reason);
}

void fixture_prepare(struct http_fixture *fixture) {
  *fixture = (struct http_fixture){.now_ns = 5 * FIXTURE_SECOND_NS, .max_body_bytes = 512 * 1024};
  fixture->application = (struct http_application){
      .context = fixture, .admit = admit, .handle = handle, .aborted = aborted, .error_body = error_body};
  fixture->config = (struct http_config){
      .connections_max = 32,
      .body_pools = {{1u << 20, 1}, {256, 4}, {4096, 3}, {65536, 2}}, /* any order */
      .http2 = {.connections_max = 4, .streams_max = 120},
      .header_timeout_ns = 10 * FIXTURE_SECOND_NS,
      .body_timeout_ns = 20 * FIXTURE_SECOND_NS,
      .keep_alive_timeout_ns = 60 * FIXTURE_SECOND_NS,
  };
}

void fixture_start(struct http_fixture *fixture) {
  fixture->config.application = &fixture->application;
  fixture->heap = heap_arena_create();
  fixture->server = http_server_create(heap_arena_arena(fixture->heap), &fixture->config, fixture->now_ns);
  REQUIRE(fixture->server);
  fixture->handler = http_server_stream_handler(fixture->server);
}

void fixture_end(struct http_fixture *fixture) {
  fixture_check(fixture);
  const struct http_counters *counters = http_server_counters(fixture->server);
  REQUIRE(counters->connections == 0 && counters->in_progress == 0 && counters->parked == 0 && fixture->parked_count == 0);
  http_server_destroy(fixture->server);
  heap_arena_destroy(fixture->heap);
  free(fixture->log);
}

void fixture_check(const struct http_fixture *fixture) {
  const struct http_counters *counters = http_server_counters(fixture->server);
  uint64_t answered = 0, ended = 0;
  for (unsigned i = 0; i < sizeof counters->answered / sizeof counters->answered[0]; i++) answered += counters->answered[i];
  for (unsigned i = 0; i < HTTP_ABORTS; i++) ended += counters->aborted[i];
  REQUIRE(answered == counters->answered_total);
  REQUIRE(counters->requests == answered + ended + counters->in_progress);
  REQUIRE(counters->parked == fixture->parked_count && counters->parked <= counters->in_progress);
  /* Of HTTP/2 each connection has several. */
  REQUIRE(counters->in_progress <= counters->connections + 100 * counters->http2_connections);
}

struct stream *fixture_open(struct http_fixture *fixture) {
  struct stream *stream = fake_stream_open(fixture->handler, 8080, fixture->now_ns);
  fixture_check(fixture);
  return stream;
}

void fixture_send(struct http_fixture *fixture, struct stream *stream, const void *bytes, size_t length) {
  fake_stream_deliver(stream, bytes, length, fixture->now_ns);
  fixture_check(fixture);
  fake_stream_step(stream, fixture->now_ns);
  fixture_check(fixture);
}

void fixture_say(struct http_fixture *fixture, struct stream *stream, const char *text) {
  fixture_send(fixture, stream, text, strlen(text));
}

void fixture_finish(struct http_fixture *fixture, struct stream *stream) {
  fake_stream_finish(stream, fixture->now_ns);
  fixture_check(fixture);
}

void fixture_room(struct http_fixture *fixture, struct stream *stream, uint32_t room) {
  fake_stream_set_room(stream, room, fixture->now_ns);
  fixture_check(fixture);
  fake_stream_step(stream, fixture->now_ns);
  fixture_check(fixture);
}

void fixture_wait(struct http_fixture *fixture, uint64_t nanoseconds) {
  const uint64_t end_ns = fixture->now_ns + nanoseconds, step_ns = nanoseconds / 64 + FIXTURE_SECOND_NS / 100;
  while (fixture->now_ns < end_ns) {
    fixture->now_ns = end_ns - fixture->now_ns < step_ns ? end_ns : fixture->now_ns + step_ns;
    http_server_tick(fixture->server, fixture->now_ns, 64);
    fixture_check(fixture);
  }
}

void fixture_answer_parked(struct http_fixture *fixture, struct stream *stream) {
  REQUIRE(fixture->parked_count > 0);
  struct http_exchange *exchange = fixture->parked[0];
  take_parked(fixture, 0);
  respond_with_checksum(exchange, fixture->now_ns);
  fixture_check(fixture);
  fake_stream_step(stream, fixture->now_ns);
  fixture_check(fixture);
}

unsigned fixture_answers(const struct stream *stream, struct fixture_answer *answers, unsigned most) {
  if (stream->sent_bytes == 0) return 0;
  const uint8_t *at = stream->sent, *const end = at + stream->sent_bytes;
  unsigned count = 0;
  while (at < end && count < most) {
    struct fixture_answer *answer = &answers[count];
    const uint8_t *const blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
    if (!blank) break;
    const size_t header_bytes = (size_t)(blank - at) + 2;
    REQUIRE(header_bytes < sizeof answer->header);
    memcpy(answer->header, at, header_bytes);
    answer->header[header_bytes] = 0;
    REQUIRE(sscanf(answer->header, "HTTP/1.1 %3u ", &answer->status) == 1);
    const char *length = strstr(answer->header, "\r\nContent-Length: ");
    answer->body = blank + 4;
    answer->body_bytes = length ? strtoul(length + 18, NULL, 10) : 0;
    if (answer->body_bytes > (size_t)(end - answer->body)) break;
    at = answer->body + answer->body_bytes;
    count++;
  }
  return count;
}

unsigned fixture_only_status(const struct stream *stream) {
  struct fixture_answer answers[2];
  return fixture_answers(stream, answers, 2) == 1 ? answers[0].status : 0;
}
