/* From the first byte to an open connection. OpenSSL stops by itself when the ClientHello is complete, before the private key is
 * used; the check of a client's certificate is put off by leaving the client's flight in the stream. */
#include "tls_internal.h"
#include <openssl/err.h>

static int select_protocol(SSL *ssl, const unsigned char **selected, unsigned char *selected_bytes, const unsigned char *offered,
                           unsigned offered_bytes, void *context) {
  static const unsigned char served[] = "\x02h2\x08http/1.1";
  (void)ssl, (void)context;
  unsigned char *found = NULL;
  if (SSL_select_next_proto(&found, selected_bytes, served, sizeof served - 1, offered, offered_bytes) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *selected = found;
  return SSL_TLSEXT_ERR_OK;
}

/* Called when the ClientHello is complete, and again for each time that it was put off. A client without TLS 1.3 costs no turn:
 * it is refused before the key is used. */
static int on_client_hello(SSL *ssl, int *alert, void *context) {
  struct tls_connection *connection = SSL_get_app_data(ssl);
  const unsigned char *extension;
  size_t length;
  (void)alert, (void)context;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &extension, &length)) return SSL_CLIENT_HELLO_SUCCESS;
  if (!connection->key_granted) return SSL_CLIENT_HELLO_RETRY;
  connection->key_granted = false; /* after a HelloRetryRequest there is a second one */
  connection->hello_answered = true;
  return SSL_CLIENT_HELLO_SUCCESS;
}

static void on_message(int write, int version, int content_type, const void *bytes, size_t length, SSL *ssl, void *context) {
  struct tls_connection *connection = SSL_get_app_data(ssl);
  (void)version, (void)context;
  if (write || content_type != SSL3_RT_HANDSHAKE || length == 0 || *(const uint8_t *)bytes != SSL3_MT_KEY_UPDATE) return;
  connection->server->counters.key_updates++;
  if (connection->updates_left) connection->updates_left--;
}

void tls_handshake_hooks(SSL_CTX *context) {
  SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
  SSL_CTX_set_client_hello_cb(context, on_client_hello, NULL);
  SSL_CTX_set_msg_callback(context, on_message);
}

static bool make_ssl(struct tls_connection *connection, const struct tls_identity *identity) {
  connection->ssl = SSL_new(identity->context);
  BIO *bio = connection->ssl ? BIO_new(connection->server->bio_method) : NULL;
  if (!bio) return false;
  BIO_set_data(bio, connection);
  BIO_set_init(bio, 1);
  SSL_set_bio(connection->ssl, bio, bio);
  SSL_set_app_data(connection->ssl, connection);
  SSL_set_accept_state(connection->ssl);
  return true;
}

bool tls_handshake_begin(struct tls_connection *connection) {
  const struct tls_server *server = connection->server;
  const struct tls_identity *identity = server->identities->listeners[connection->listener->number];
  connection->asks_client = identity->asks_clients;
  if (!tls_memory_has_room(server->config.memory)) {
    connection->budget.refused++;
    return false;
  }
  tls_use_memory(connection);
  const bool made = make_ssl(connection, identity);
  if (!made) ERR_clear_error();
  tls_memory_leave();
  return made;
}

static enum tls_failure failure_of(const struct tls_connection *connection, unsigned long error) {
  if (connection->budget.refused) return TLS_FAILURE_NO_MEMORY;
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return TLS_FAILURE_MALFORMED;
  if (reason >= SSL_AD_REASON_OFFSET) return TLS_FAILURE_PEER_ALERT;
  switch (reason) {
  case SSL_R_UNSUPPORTED_PROTOCOL:
  case SSL_R_NO_PROTOCOLS_AVAILABLE:
  case SSL_R_VERSION_TOO_LOW:
  case SSL_R_WRONG_SSL_VERSION:
    return TLS_FAILURE_VERSION;
  case SSL_R_NO_SHARED_CIPHER:
  case SSL_R_NO_SHARED_GROUPS:
  case SSL_R_NO_SUITABLE_KEY_SHARE:
  case SSL_R_NO_SUITABLE_GROUPS:
  case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
  case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    return TLS_FAILURE_NOTHING_SHARED;
  case SSL_R_NO_APPLICATION_PROTOCOL:
    return TLS_FAILURE_NO_PROTOCOL;
  case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    return TLS_FAILURE_CERTIFICATE_MISSING;
  case SSL_R_CERTIFICATE_VERIFY_FAILED:
    return SSL_get_verify_result(connection->ssl) == X509_V_ERR_HOSTNAME_MISMATCH ? TLS_FAILURE_CERTIFICATE_NAME
                                                                                  : TLS_FAILURE_CERTIFICATE;
  default:
    return TLS_FAILURE_MALFORMED;
  }
}

static void wait_for_turn(struct tls_connection *connection, bool for_key, uint64_t now_ns) {
  struct tls_server *server = connection->server;
  if (server->counters.waiting == server->config.waiting_max) {
    tls_connection_fail(connection, TLS_FAILURE_QUEUE_FULL, false, now_ns);
    return;
  }
  server->counters.waiting++;
  connection->phase = TLS_PHASE_WAITING;
  connection->waits_for_key = for_key;
  connection->waiting_ns = now_ns;
  tls_link_append(&server->waiting, &connection->waiting);
}

static bool handshake_stopped(struct tls_connection *connection, int error, unsigned long reason, uint64_t now_ns) {
  switch (error) {
  case SSL_ERROR_WANT_READ:
    return connection->input_left > 0;
  case SSL_ERROR_WANT_WRITE:
    stream_await_room(connection->lower);
    return false;
  case SSL_ERROR_WANT_CLIENT_HELLO_CB:
    wait_for_turn(connection, true, now_ns);
    return false;
  default:
    tls_connection_fail(connection, failure_of(connection, reason), true, now_ns);
    return false;
  }
}

bool tls_handshake_drive(struct tls_connection *connection, uint64_t now_ns) {
  if (connection->asks_client && connection->hello_answered && !connection->check_granted && connection->input_left) {
    wait_for_turn(connection, false, now_ns);
    return false;
  }
  const uint32_t input_before = connection->input_left;
  tls_use_memory(connection);
  const int result = SSL_do_handshake(connection->ssl);
  const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(connection->ssl, result);
  const unsigned long reason = ERR_peek_last_error();
  ERR_clear_error();
  tls_memory_leave();
  if (result == 1) {
    tls_connection_open(connection, now_ns);
    return connection->phase == TLS_PHASE_OPEN;
  }
  return handshake_stopped(connection, error, reason, now_ns) && connection->input_left < input_before;
}

void tls_handshake_turn(struct tls_connection *connection, uint64_t now_ns) {
  connection->phase = TLS_PHASE_HANDSHAKE;
  if (connection->waits_for_key) {
    connection->key_granted = true;
    tls_handshake_drive(connection, now_ns);
  } else {
    connection->check_granted = true;
    X509_VERIFY_PARAM_set_time(SSL_get0_param(connection->ssl), (time_t)(connection->server->wall_ns / 1000000000u));
  }
  if (connection->phase != TLS_PHASE_GONE) stream_resume(connection->lower);
}
