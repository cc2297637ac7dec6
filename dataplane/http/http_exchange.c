/* One request from its complete header block to the application: admission, body, decoding, handling. */
#include "always_assert.h"
#include "http_admission_internal.h"
#include "http_connection_internal.h"
#include "http_content_coding_internal.h"
#include <string.h>

void http_exchange_set_data(struct http_exchange *exchange, void *data) { exchange->data = data; }
void *http_exchange_data(const struct http_exchange *exchange) { return exchange->data; }
const struct http_request *http_exchange_request(const struct http_exchange *exchange) { return &exchange->request; }

/* Before any byte of the body was read: it is dropped when it is short, else the answer ends the connection. */
static void plan_discard(struct http_connection *connection) {
  const struct http_parse *parse = &connection->parse;
  const uint64_t most = parse->expect_continue ? HTTP_DISCARD_EXPECTED_BYTES_MAX : HTTP_DISCARD_BYTES_MAX;
  if (!parse->chunked && parse->content_length == 0) return;
  if (!parse->chunked && parse->content_length > most) {
    connection->close_after = true;
    return;
  }
  connection->discards_body = true;
  connection->body_left = parse->chunked ? most : parse->content_length;
}

static void refuse(struct http_connection *connection, uint16_t status, const char *reason, uint64_t now_ns) {
  plan_discard(connection);
  http_answer_error(connection, status, reason, false, now_ns);
}

static void handle(struct http_connection *connection, uint64_t now_ns) {
  static const uint8_t no_body[HTTP_BODY_SLACK_BYTES];
  struct http_server *server = connection->server;
  const struct http_application *application = server->config.application;
  struct http_body *body = &connection->body;
  server->counters.body_bytes_decoded += body->length;
  if (body->bytes) memset(body->bytes + body->length, 0, HTTP_BODY_SLACK_BYTES);
  connection->exchange.request.body = body->bytes ? body->bytes : no_body;
  connection->exchange.request.body_bytes = body->length;
  connection->phase = HTTP_PHASE_HANDLING;
  server->handling = connection;
  const enum http_disposition disposition =
      application->handle(application->context, &connection->exchange, &connection->exchange.request, now_ns);
  server->handling = NULL;
  if (connection->answer_made) {
    http_answer_handled(connection, now_ns);
    return;
  }
  ALWAYS_ASSERT(disposition == HTTP_PARKED);
  connection->phase = HTTP_PHASE_PARKED;
  connection->deadline_ns = HTTP_NO_DEADLINE;
  server->counters.parked++;
}

static void body_complete(struct http_connection *connection, uint64_t now_ns) {
  struct http_server *server = connection->server;
  struct http_body *body = &connection->body;
  server->counters.body_bytes += body->length;
  if (connection->parse.content_coding != HTTP_CODING_GZIP || body->length == 0) {
    handle(connection, now_ns);
    return;
  }
  switch (http_gzip_decode(server->decompressor, &server->bodies, body, connection->max_body_bytes)) {
  case HTTP_DECODE_OK:
    handle(connection, now_ns);
    return;
  case HTTP_DECODE_MALFORMED:
    http_answer_error(connection, 400, "malformed gzip body", false, now_ns);
    return;
  case HTTP_DECODE_TOO_LARGE:
    http_answer_error(connection, 413, "decompressed body too large", false, now_ns);
    return;
  case HTTP_DECODE_NO_BUFFER:
    server->counters.no_body_buffer++;
    http_answer_error(connection, 503, "no free body buffer", false, now_ns);
    return;
  }
}

static void expect_body(struct http_connection *connection, uint64_t now_ns) {
  struct http_server *server = connection->server;
  const struct http_parse *parse = &connection->parse;
  if (!parse->chunked) {
    if (parse->content_length > connection->max_body_bytes) {
      refuse(connection, 413, "body too large", now_ns);
      return;
    }
    const enum http_body_result result = http_body_reserve(&server->bodies, &connection->body, parse->content_length);
    if (result == HTTP_BODY_TOO_LARGE) {
      refuse(connection, 413, "body too large", now_ns);
      return;
    }
    if (result == HTTP_BODY_NO_BUFFER) {
      server->counters.no_body_buffer++;
      refuse(connection, 503, "no free body buffer", now_ns);
      return;
    }
  }
  connection->phase = HTTP_PHASE_BODY;
  connection->body_left = parse->content_length;
  connection->body_end_ns = now_ns + server->config.body_timeout_ns;
  connection->body_seen_bytes = 0;
  connection->deadline_ns = http_body_look_ns(&server->config, connection->body_end_ns, now_ns);
  if (parse->expect_continue) {
    connection->continue_left = HTTP_CONTINUE_BYTES;
    (void)http_answer_continue(connection);
  }
}

void http_exchange_admit(struct http_connection *connection, uint64_t now_ns) {
  const struct http_application *application = connection->server->config.application;
  const struct http_parse *parse = &connection->parse;
  connection->close_after = parse->connection_close || (parse->version_1_0 && !parse->connection_keep_alive);
  struct http_admission admission = {0};
  const char *refusal = http_admission_refusal(connection, &connection->exchange);
  if (refusal) {
    refuse(connection, 503, refusal, now_ns);
    return;
  }
  application->admit(application->context, &connection->exchange.request, &admission, now_ns);
  connection->max_body_bytes = admission.max_body_bytes;
  const bool has_body = parse->chunked || parse->content_length > 0;
  if (admission.status) {
    admission.response.status = admission.status;
    plan_discard(connection);
    http_answer(connection, &admission.response, now_ns);
  } else if (!has_body) {
    handle(connection, now_ns);
  } else if (parse->content_coding == HTTP_CODING_UNSUPPORTED) {
    refuse(connection, 415, "content encoding must be gzip or identity", now_ns);
  } else {
    struct http_header_block *block = connection->block;
    connection->body.pools_closed = (uint8_t)admission.body_pools_closed;
    connection->body.account = connection->account;
    http_body_begin(&connection->body, (uint8_t *)http_header_block_text(block) + block->text_bytes,
                    block->text_capacity - block->text_bytes);
    expect_body(connection, now_ns);
  }
}

/* False: answered with the refusal. The rest of a chunk counts before it comes, so that the answer does too. */
static bool chunk_kept(struct http_connection *connection, const uint8_t *data, uint32_t data_bytes, uint64_t now_ns) {
  struct http_server *server = connection->server;
  const uint64_t total = (uint64_t)connection->body.length + data_bytes + connection->chunked.left;
  if (total > connection->max_body_bytes) {
    http_answer_error(connection, 413, "body too large", true, now_ns);
    return false;
  }
  if (data_bytes == 0) return true;
  switch (http_body_reserve(&server->bodies, &connection->body, total)) {
  case HTTP_BODY_OK:
    http_body_append(&connection->body, data, data_bytes);
    return true;
  case HTTP_BODY_TOO_LARGE:
    http_answer_error(connection, 413, "body too large", true, now_ns);
    return false;
  case HTTP_BODY_NO_BUFFER:
    server->counters.no_body_buffer++;
    http_answer_error(connection, 503, "no free body buffer", true, now_ns);
    return false;
  }
  return false;
}

static uint32_t take_chunked(struct http_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  const uint8_t *data;
  uint32_t data_bytes;
  const uint32_t taken = http_chunked_read(&connection->chunked, bytes, length, &data, &data_bytes);
  if (connection->chunked.state == HTTP_CHUNKED_FAILED) {
    http_answer_error(connection, connection->chunked.status, connection->chunked.reason, true, now_ns);
  } else if (chunk_kept(connection, data, data_bytes, now_ns) && connection->chunked.state == HTTP_CHUNKED_DONE) {
    body_complete(connection, now_ns);
  }
  return taken;
}

uint32_t http_exchange_take_body(struct http_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  if (connection->parse.chunked) return take_chunked(connection, bytes, length, now_ns);
  const uint32_t taken = length < connection->body_left ? length : (uint32_t)connection->body_left;
  http_body_append(&connection->body, bytes, taken);
  connection->body_left -= taken;
  if (connection->body_left == 0) body_complete(connection, now_ns);
  return taken;
}

uint32_t http_exchange_discard(struct http_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  uint32_t taken = length < connection->body_left ? length : (uint32_t)connection->body_left;
  bool done = taken == connection->body_left, failed = false;
  if (connection->parse.chunked) {
    const uint8_t *data;
    uint32_t data_bytes;
    taken = http_chunked_read(&connection->chunked, bytes, taken, &data, &data_bytes);
    done = connection->chunked.state == HTTP_CHUNKED_DONE;
    failed = connection->chunked.state == HTTP_CHUNKED_FAILED || (!done && taken == connection->body_left);
  }
  connection->body_left -= taken;
  if (failed)
    http_connection_close(connection, now_ns);
  else if (done)
    http_connection_next(connection, now_ns);
  return taken;
}
