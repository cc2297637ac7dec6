#include "http_internal.h"
#include <string.h>

static const char *reason_phrase(uint16_t status) {
  static const struct {
    uint16_t status;
    const char *phrase;
  } phrases[] = {{200, "OK"},
                 {202, "Accepted"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {409, "Conflict"},
                 {411, "Length Required"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {415, "Unsupported Media Type"},
                 {417, "Expectation Failed"},
                 {422, "Unprocessable Content"},
                 {431, "Request Header Fields Too Large"},
                 {501, "Not Implemented"},
                 {503, "Service Unavailable"},
                 {505, "HTTP Version Not Supported"}};
  for (unsigned i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
    if (phrases[i].status == status) return phrases[i].phrase;
  return "Status";
}

struct writer {
  char *at;
  char *end;
};

static void put(struct writer *writer, const char *text) {
  const size_t length = strlen(text);
  ALWAYS_ASSERT(length <= (size_t)(writer->end - writer->at));
  memcpy(writer->at, text, length);
  writer->at += length;
}

static void put_number(struct writer *writer, uint32_t number) {
  char text[11];
  unsigned at = sizeof text - 1;
  text[at] = '\0';
  do text[--at] = (char)('0' + number % 10);
  while (number /= 10);
  put(writer, text + at);
}

static void put_field(struct writer *writer, const char *name, const char *value) {
  put(writer, name);
  put(writer, value);
  put(writer, "\r\n");
}

/* No Date: the dataplane has no clock, and then RFC 9110 section 6.6.1 forbids it. */
static void put_head(struct writer *writer, const struct http_exchange *connection, const struct http_response *response) {
  put(writer, "HTTP/1.1 ");
  put_number(writer, response->status);
  put(writer, " ");
  put(writer, reason_phrase(response->status));
  put(writer, "\r\nContent-Length: ");
  put_number(writer, response->body_bytes);
  put(writer, "\r\n");
  if (response->content_type) put_field(writer, "Content-Type: ", response->content_type);
  if (response->allow) put_field(writer, "Allow: ", response->allow);
  if (response->www_authenticate) put_field(writer, "WWW-Authenticate: ", response->www_authenticate);
  if (response->retry_after_s) {
    put(writer, "Retry-After: ");
    put_number(writer, response->retry_after_s);
    put(writer, "\r\n");
  }
  if (connection->close_after) {
    put(writer, "Connection: close\r\n");
  } else if (connection->parse.version_1_0) {
    put(writer, "Connection: keep-alive\r\n");
  }
  put(writer, "\r\n");
}

/* What the stream does not take at once waits in a buffer of the pool; without one the answer cannot be given whole: reset. */
static bool send_bytes(struct http_exchange *connection, const char *bytes, uint32_t length) {
  const uint32_t taken = stream_write(connection->stream, bytes, length);
  if (taken == length) return true;
  connection->output = pool_take(&connection->server->outputs);
  if (!connection->output) return false;
  memcpy(connection->output, bytes + taken, length - taken);
  connection->output_length = length - taken;
  connection->output_sent = 0;
  return true;
}

bool http_output_continue(struct http_exchange *connection) {
  if (!connection->output) return true;
  connection->output_sent += stream_write(connection->stream, connection->output + connection->output_sent,
                                          connection->output_length - connection->output_sent);
  if (connection->output_sent < connection->output_length) return false;
  pool_give(&connection->server->outputs, connection->output);
  connection->output = NULL;
  return true;
}

void http_answer(struct http_exchange *connection, const struct http_response *response, uint64_t now_ns) {
  char text[HTTP_OUTPUT_BYTES];
  struct writer writer = {text, text + sizeof text};
  struct http_server *server = connection->server;
  ALWAYS_ASSERT(!connection->answered && response->body_bytes <= HTTP_RESPONSE_BODY_BYTES_MAX && response->status < 600);
  if (response->close || server->draining || connection->peer_finished) connection->close_after = true;
  put_head(&writer, connection, response);
  if (connection->request.method != HTTP_HEAD && response->body_bytes) {
    memcpy(writer.at, response->body, response->body_bytes);
    writer.at += response->body_bytes;
  }
  connection->answered = true;
  server->counters.answered[response->status]++;
  server->counters.answered_total++;
  server->counters.in_progress--;
  connection->counted = false;
  if (!send_bytes(connection, text, (uint32_t)(writer.at - text))) {
    stream_abort(connection->stream, now_ns);
    return;
  }
  if (connection->state != HTTP_HANDLING) http_connection_answered(connection, now_ns);
}

void http_answer_error(struct http_exchange *connection, uint16_t status, const char *reason, bool close, uint64_t now_ns) {
  uint8_t body[HTTP_RESPONSE_BODY_BYTES_MAX];
  const struct http_application *application = connection->server->config.application;
  struct http_response response = {.status = status, .body = body, .close = close, .retry_after_s = status == 503 ? 1 : 0};
  response.body_bytes = application->error_body(application->context, connection->request.local_port, &connection->request,
                                                status, reason, body, &response.content_type);
  http_answer(connection, &response, now_ns);
}
