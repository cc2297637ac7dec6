/* Answers on their way into the stream. A request counts as answered when the stream has taken its whole answer. */
#include "always_assert.h"
#include "http_connection_internal.h"
#include <string.h>

static uint32_t make(struct http_connection *connection, const struct http_response *response, uint8_t *into) {
  const struct http_parse *parse = &connection->parse;
  connection->close_after |= response->close || connection->server->draining || connection->peer_finished;
  connection->answer_status = response->status;
  const struct http_answer_options options = {
      .head = connection->exchange.request.method == HTTP_HEAD,
      .close = connection->close_after,
      .keep_alive = parse->version_1_0,
      .accept_encoding = response->status == 415 && parse->content_coding == HTTP_CODING_UNSUPPORTED,
  };
  return http_answer_format(into, response, &options);
}

static void answered(struct http_connection *connection, uint64_t now_ns) {
  struct http_server *server = connection->server;
  server->counters.answered[connection->answer_status]++;
  server->counters.answered_total++;
  server->counters.in_progress--;
  http_connection_give_request(connection);
  if (connection->close_after) {
    http_connection_close(connection, now_ns);
  } else if (connection->discards_body) {
    connection->phase = HTTP_PHASE_DISCARDING;
    connection->deadline_ns = now_ns + server->config.body_timeout_ns;
    if (connection->peer_finished) http_connection_close(connection, now_ns);
  } else {
    http_connection_next(connection, now_ns);
  }
  if (connection->bytes_left && connection->phase != HTTP_PHASE_GONE) stream_resume(connection->stream);
}

static void send(struct http_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  connection->owes = connection->answer_status < 400 || (connection->owes && stream_unacknowledged(connection->stream) > 0);
  /* An interim answer that has not begun is of no more use; one that has must be finished first. */
  if (connection->continue_left == HTTP_CONTINUE_BYTES) connection->continue_left = 0;
  const uint32_t sent = http_answer_continue(connection) ? stream_write(connection->stream, bytes, length) : 0;
  if (sent == length) {
    answered(connection, now_ns);
    return;
  }
  http_body_release(&connection->server->bodies, &connection->body);
  memcpy(connection->block->headers, bytes + sent, length - sent);
  connection->answer_at = 0;
  connection->answer_left = length - sent;
  connection->phase = HTTP_PHASE_FLUSHING;
  connection->deadline_ns = now_ns + connection->server->config.body_timeout_ns;
}

void http_answer(struct http_connection *connection, const struct http_response *response, uint64_t now_ns) {
  uint8_t *into = connection->server->answer;
  const uint32_t length = make(connection, response, into);
  send(connection, into, length, now_ns);
}

void http_answer_error(struct http_connection *connection, uint16_t status, const char *reason, bool close, uint64_t now_ns) {
  struct http_server *server = connection->server;
  const struct http_application *application = server->config.application;
  struct http_response response = {.status = status, .body = server->error_body, .close = close};
  if (status == 503) response.retry_after_s = HTTP_RETRY_AFTER_S;
  response.body_bytes =
      application->error_body(application->context, connection->exchange.request.local_port, &connection->exchange.request,
                              status, reason, server->error_body, &response.content_type);
  http_answer(connection, &response, now_ns);
}

void http_answer_handled(struct http_connection *connection, uint64_t now_ns) {
  connection->answer_made = false;
  send(connection, connection->server->handled_answer, connection->server->handled_answer_bytes, now_ns);
}

_Static_assert(sizeof HTTP_CONTINUE == HTTP_CONTINUE_BYTES + 1, "its length by name");

bool http_answer_continue(struct http_connection *connection) {
  if (connection->continue_left) {
    const char *rest = &HTTP_CONTINUE[HTTP_CONTINUE_BYTES - connection->continue_left];
    const uint32_t sent = stream_write(connection->stream, rest, connection->continue_left);
    connection->continue_left = (uint8_t)(connection->continue_left - sent);
  }
  return connection->continue_left == 0;
}

void http_answer_flush(struct http_connection *connection, uint64_t now_ns) {
  if (!http_answer_continue(connection) || connection->phase != HTTP_PHASE_FLUSHING) return;
  const uint8_t *rest = (const uint8_t *)connection->block->headers + connection->answer_at;
  const uint32_t sent = stream_write(connection->stream, rest, connection->answer_left);
  connection->answer_at += sent;
  connection->answer_left -= sent;
  if (connection->answer_left == 0) answered(connection, now_ns);
}

void http_connection_respond(struct http_exchange *exchange, const struct http_response *response, uint64_t now_ns) {
  struct http_connection *connection = (struct http_connection *)exchange;
  struct http_server *server = connection->server;
  if (server->handling == connection) {
    /* The request stays valid until `handle` returns, so nothing is sent or given back yet. */
    ALWAYS_ASSERT(!connection->answer_made);
    server->handled_answer_bytes = make(connection, response, server->handled_answer);
    connection->answer_made = true;
    return;
  }
  ALWAYS_ASSERT(connection->phase == HTTP_PHASE_PARKED);
  server->counters.parked--;
  http_connection_enter(connection);
  http_answer(connection, response, now_ns);
  http_connection_leave(connection);
}

void http_respond(struct http_exchange *exchange, const struct http_response *response, uint64_t now_ns) {
  exchange->respond(exchange, response, now_ns);
}
