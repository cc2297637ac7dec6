/* Records after the handshake, and the BIO through which OpenSSL sees the lower stream: it reads from the run at hand and writes
 * what the stream takes. */
#include "tls_internal.h"
#include <openssl/err.h>
#include <string.h>

#define KEY_UPDATE_EVERY_NS 1000000000ull

static int bio_read(BIO *bio, char *to, int room) {
  struct tls_connection *connection = BIO_get_data(bio);
  const uint32_t length = (uint32_t)room < connection->input_left ? (uint32_t)room : connection->input_left;
  BIO_clear_retry_flags(bio);
  if (length == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  memcpy(to, connection->input, length);
  connection->input += length;
  connection->input_left -= length;
  return (int)length;
}

static int bio_write(BIO *bio, const char *bytes, int length) {
  struct tls_connection *connection = BIO_get_data(bio);
  const uint32_t written = stream_write(connection->lower, bytes, (uint32_t)length);
  BIO_clear_retry_flags(bio);
  if (written) return (int)written;
  BIO_set_retry_write(bio);
  return -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
  if (method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) &&
      BIO_meth_set_ctrl(method, bio_control))
    return method;
  BIO_meth_free(method);
  return NULL;
}

void tls_record_forget(struct tls_connection *connection) {
  if (connection->held) tls_memory_give(&connection->budget, connection->held);
  connection->held = NULL;
  connection->held_at = connection->held_bytes = 0;
}

static void hold(struct tls_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  connection->held = tls_memory_take(connection->server->config.memory, &connection->budget, length);
  if (!connection->held) {
    tls_connection_break(connection, TLS_END_NO_MEMORY, now_ns);
    return;
  }
  memcpy(connection->held, bytes, length);
  connection->held_bytes = length;
}

bool tls_record_offer(struct tls_connection *connection, uint64_t now_ns) {
  if (!connection->held) return true;
  const uint32_t length = connection->held_bytes - connection->held_at;
  const uint32_t taken =
      connection->listener->inner->received(connection->inner_state, connection->held + connection->held_at, length, now_ns);
  ALWAYS_ASSERT(taken <= length);
  connection->held_at += taken;
  if (taken == length) tls_record_forget(connection);
  return taken == length;
}

static void finish_inner(struct tls_connection *connection, uint64_t now_ns) {
  connection->notified = true;
  connection->listener->inner->peer_finished(connection->inner_state, now_ns);
}

static bool updates_too_fast(struct tls_connection *connection, uint64_t now_ns) {
  if (connection->updates_left == 0) return true;
  if (now_ns - connection->updates_ns < KEY_UPDATE_EVERY_NS || connection->updates_left >= TLS_KEY_UPDATES_AT_ONCE) return false;
  connection->updates_ns = now_ns;
  connection->updates_left++;
  return false;
}

static bool receive_failed(struct tls_connection *connection, int error, uint64_t now_ns) {
  switch (error) {
  case SSL_ERROR_WANT_READ:
    return connection->input_left > 0;
  case SSL_ERROR_ZERO_RETURN:
    finish_inner(connection, now_ns);
    return false;
  default:
    ERR_clear_error();
    tls_connection_break(connection, connection->budget.refused ? TLS_END_NO_MEMORY : TLS_END_PROTOCOL, now_ns);
    return false;
  }
}

bool tls_record_receive(struct tls_connection *connection, uint64_t now_ns) {
  struct tls_server *server = connection->server;
  if (connection->notified) {
    connection->input_left = 0; /* RFC 8446 section 6.1: what follows close_notify is ignored */
    return false;
  }
  if (connection->held || connection->broken) return false;
  const uint32_t input_before = connection->input_left;
  size_t length = 0;
  tls_use_memory(connection);
  const int result = SSL_read_ex(connection->ssl, server->plaintext, sizeof server->plaintext, &length);
  const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(connection->ssl, result);
  tls_memory_leave();
  if (updates_too_fast(connection, now_ns)) {
    tls_connection_break(connection, TLS_END_KEY_UPDATES, now_ns);
    return false;
  }
  if (result != 1) return receive_failed(connection, error, now_ns) && connection->input_left < input_before;
  server->counters.received_bytes += length;
  const uint32_t taken =
      connection->listener->inner->received(connection->inner_state, server->plaintext, (uint32_t)length, now_ns);
  ALWAYS_ASSERT(taken <= length);
  if (connection->phase != TLS_PHASE_OPEN) return connection->phase != TLS_PHASE_GONE;
  if (taken < length) hold(connection, server->plaintext + taken, (uint32_t)length - taken, now_ns);
  return true;
}

uint32_t tls_record_send(struct tls_connection *connection, const uint8_t *bytes, uint32_t length) {
  uint32_t sent = 0;
  while (sent < length && !connection->broken) {
    const uint32_t left = length - sent, room = stream_write_room(connection->lower);
    const uint32_t worth = left < TLS_RECORD_WORTH_BYTES ? left : TLS_RECORD_WORTH_BYTES;
    if (room < TLS_RECORD_OVERHEAD_BYTES + worth) {
      connection->room_awaited = true;
      stream_await_room(connection->lower);
      break;
    }
    uint32_t part = room - TLS_RECORD_OVERHEAD_BYTES;
    if (part > left) part = left;
    if (part > TLS_PLAINTEXT_BYTES_MAX) part = TLS_PLAINTEXT_BYTES_MAX;
    size_t written = 0;
    tls_use_memory(connection);
    const bool good = SSL_write_ex(connection->ssl, bytes + sent, part, &written) == 1 && written == part;
    if (!good) ERR_clear_error();
    tls_memory_leave();
    if (!good) {
      /* The handler is in the middle of its work: it hears of it in the next step. */
      connection->broken = true;
      connection->end = connection->budget.refused ? TLS_END_NO_MEMORY : TLS_END_PROTOCOL;
      if (tls_link_alone(&connection->due)) tls_link_append(&connection->server->due, &connection->due);
      break;
    }
    sent += part;
  }
  connection->server->counters.sent_bytes += sent;
  return sent;
}

bool tls_record_send_close(struct tls_connection *connection) {
  if (stream_write_room(connection->lower) < TLS_RECORD_OVERHEAD_BYTES) return false;
  tls_use_memory(connection);
  SSL_shutdown(connection->ssl);
  ERR_clear_error();
  tls_memory_leave();
  return true;
}
