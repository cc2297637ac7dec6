/* Handshakes: good ones, in pieces, and each way to fail. */
#include "cmocka_test.h"
#include "tls_fixture.h"
#include <string.h>

static struct tls_fixture fixture;
static struct tls_client client;
static const struct tls_client_options plain_options = {.protocols = "\x02h2\x08http/1.1"};

static void start(const char *client_ca, const char *client_name) {
  fixture_prepare(&fixture);
  fixture.echoes = true;
  fixture_start(&fixture, "server", client_ca, client_name);
}

static void stop(void) {
  client_free(&client);
  fixture_end(&fixture);
}

static void expect_echo(struct tls_client *from) {
  char heard[16];
  for (unsigned i = 0; i < TLS_FAILURES; i++)
    if (fixture_failed(&fixture, i)) fail_msg("failed for %s", tls_failure_name(i));
  client_say(from, "hello", 5);
  client_pump(from);
  assert_int_equal(client_hear(from, heard, sizeof heard), 5);
  assert_memory_equal(heard, "hello", 5);
}

static void expect_failed(enum tls_failure failure) {
  const struct tls_counters counters = tls_server_counters(fixture.server);
  for (unsigned i = 0; i < TLS_FAILURES; i++) {
    if (counters.handshakes_failed[i] != (i == failure)) print_message("failed for %s\n", tls_failure_name(i));
    assert_int_equal(counters.handshakes_failed[i], i == failure);
  }
  assert_int_equal(counters.handshakes_done, 0);
  assert_int_equal(fixture.inner_count, 0);
}

static void connects_and_talks(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &plain_options);
  assert_true(client_connect(&client));
  assert_int_equal(SSL_version(client.ssl), TLS1_3_VERSION);
  const unsigned char *protocol;
  unsigned length;
  SSL_get0_alpn_selected(client.ssl, &protocol, &length);
  assert_int_equal(length, 2);
  assert_memory_equal(protocol, "h2", 2);
  expect_echo(&client);
  assert_int_equal(fixture.inner_count, 1);
  const struct tls_counters counters = tls_server_counters(fixture.server);
  assert_int_equal(counters.received_bytes, 5);
  assert_int_equal(counters.sent_bytes, 5);
  assert_int_equal(counters.open, 1);
  assert_int_equal(SSL_session_reused(client.ssl), 0);
  stop();
}

static void selects_http1(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &(struct tls_client_options){.protocols = "\x03xyz\x08http/1.1"});
  assert_true(client_connect(&client));
  const unsigned char *protocol;
  unsigned length;
  SSL_get0_alpn_selected(client.ssl, &protocol, &length);
  assert_int_equal(length, 8);
  stop();
}

static void needs_no_alpn(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &(struct tls_client_options){0});
  assert_true(client_connect(&client));
  expect_echo(&client);
  stop();
}

static void comes_byte_by_byte(void **state) {
  (void)state;
  start("authority", "collector.test");
  client_open(&client, &fixture, &(struct tls_client_options){.certificate = "client"});
  client.piece = 1;
  client.stream->guarded = true;
  assert_true(client_connect(&client));
  expect_echo(&client);
  stop();
}

static void other_group_after_retry(void **state) {
  (void)state;
  start("authority", NULL);
  /* The first share is of a group that the server does not take: HelloRetryRequest, and each ClientHello has its turn. */
  client_open(&client, &fixture, &(struct tls_client_options){.groups = "P-521:P-256", .certificate = "client"});
  assert_true(client_connect(&client));
  expect_echo(&client);
  stop();
}

static void plain_http(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &plain_options);
  fake_stream_deliver(client.stream, "GET / HTTP/1.1\r\n\r\n", 18, fixture.now_ns);
  assert_true(client.stream->gone);
  assert_int_equal(client.stream->sent_bytes, 0);
  expect_failed(TLS_FAILURE_NOT_TLS);
  stop();
}

static void garbage_that_begins_well(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &plain_options);
  fake_stream_deliver(client.stream, "\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff", 10, fixture.now_ns);
  assert_true(client.stream->close_called);
  assert_int_equal(client.stream->sent[0], 21); /* an alert */
  expect_failed(TLS_FAILURE_MALFORMED);
  stop();
}

static void record_too_large(void **state) {
  (void)state;
  static const uint8_t head[] = {22, 3, 1, 0xff, 0xff};
  start(NULL, NULL);
  client_open(&client, &fixture, &plain_options);
  fake_stream_deliver(client.stream, head, sizeof head, fixture.now_ns);
  expect_failed(TLS_FAILURE_MALFORMED);
  stop();
}

static void old_version(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &(struct tls_client_options){.version = TLS1_2_VERSION});
  assert_false(client_connect(&client));
  assert_true(client.stream->close_called);
  expect_failed(TLS_FAILURE_VERSION);
  stop();
}

static void nothing_shared(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &(struct tls_client_options){.groups = "P-521"});
  assert_false(client_connect(&client));
  expect_failed(TLS_FAILURE_NOTHING_SHARED);
  stop();
}

static void unknown_protocol(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &(struct tls_client_options){.protocols = "\x03xyz"});
  assert_false(client_connect(&client));
  expect_failed(TLS_FAILURE_NO_PROTOCOL);
  stop();
}

static void client_does_not_trust(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &(struct tls_client_options){.authority = "stranger"});
  assert_false(client_connect(&client));
  expect_failed(TLS_FAILURE_PEER_ALERT);
  stop();
}

static void mutual(void **state) {
  (void)state;
  start("authority", "collector.test");
  client_open(&client, &fixture, &(struct tls_client_options){.certificate = "client"});
  assert_true(client_connect(&client));
  expect_echo(&client);
  stop();
}

/* The client's handshake is done before the server has looked at its certificate: it learns by an alert. */
static void expect_refused_client(const char *certificate, enum tls_failure failure) {
  client_open(&client, &fixture, &(struct tls_client_options){.certificate = certificate});
  client_connect(&client);
  expect_failed(failure);
  assert_true(client.stream->close_called);
  char heard;
  const int result = SSL_read(client.ssl, &heard, 1);
  assert_int_equal(SSL_get_error(client.ssl, result), SSL_ERROR_SSL);
  stop();
}

static void mutual_missing(void **state) {
  (void)state;
  start("authority", NULL);
  expect_refused_client(NULL, TLS_FAILURE_CERTIFICATE_MISSING);
}

static void mutual_of_a_stranger(void **state) {
  (void)state;
  start("authority", NULL);
  expect_refused_client("unknown", TLS_FAILURE_CERTIFICATE);
}

static void mutual_of_another_name(void **state) {
  (void)state;
  start("authority", "collector.test");
  expect_refused_client("other", TLS_FAILURE_CERTIFICATE_NAME);
}

static void mutual_out_of_date(void **state) {
  (void)state;
  start("authority", NULL);
  fixture_step(&fixture, 40 * 86400 * FIXTURE_SECOND_NS);
  expect_refused_client("client", TLS_FAILURE_CERTIFICATE);
}

static void peer_goes(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &plain_options);
  SSL_do_handshake(client.ssl);
  client_flush(&client); /* it waits for its turn */
  assert_int_equal(tls_server_counters(fixture.server).waiting, 1);
  fake_stream_finish(client.stream, fixture.now_ns);
  assert_int_equal(tls_server_counters(fixture.server).waiting, 0);
  fixture_step(&fixture, 1000000);
  assert_int_equal(client.stream->sent_bytes, 0); /* the key was not used for it */
  expect_failed(TLS_FAILURE_PEER_GONE);
  stop();
}

static void too_slow(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &plain_options);
  fake_stream_deliver(client.stream, "\x16\x03\x01", 3, fixture.now_ns);
  for (unsigned second = 0; second < 9; second++) fixture_step(&fixture, FIXTURE_SECOND_NS);
  assert_false(client.stream->gone);
  for (unsigned second = 0; second < 2; second++) fixture_step(&fixture, FIXTURE_SECOND_NS);
  assert_true(client.stream->gone);
  expect_failed(TLS_FAILURE_TIMEOUT);
  stop();
}

static void silent(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &plain_options);
  for (unsigned second = 0; second < 11; second++) fixture_step(&fixture, FIXTURE_SECOND_NS);
  assert_true(client.stream->gone);
  expect_failed(TLS_FAILURE_TIMEOUT);
  stop();
}

/* The server's flight goes out as the peer makes room for it. */
static void little_room(void **state) {
  (void)state;
  start(NULL, NULL);
  client_open(&client, &fixture, &plain_options);
  client.stream->room = 0;
  SSL_do_handshake(client.ssl);
  client_flush(&client);
  fixture_step(&fixture, 1000000);
  for (unsigned i = 0; i < 1000 && !SSL_is_init_finished(client.ssl); i++) {
    fake_stream_set_room(client.stream, 7, fixture.now_ns);
    client_pump(&client);
  }
  client.stream->room = UINT32_MAX;
  client_pump(&client);
  assert_true(SSL_is_init_finished(client.ssl));
  expect_echo(&client);
  stop();
}

static void handler_refuses(void **state) {
  (void)state;
  start(NULL, NULL);
  fixture.refuses = true;
  client_open(&client, &fixture, &plain_options);
  client_connect(&client);
  assert_true(client.stream->gone);
  assert_int_equal(tls_server_counters(fixture.server).ended[TLS_END_ABORTED], 1);
  stop();
}

/* The connection that is open keeps the identity that it began with; the next one gets the new one. */
static void new_certificate(void **state) {
  (void)state;
  struct tls_client second;
  start(NULL, NULL);
  client_open(&client, &fixture, &plain_options);
  assert_true(client_connect(&client));
  struct tls_identity *old = fixture.identities[0].listeners[0];
  fixture_publish(&fixture, fixture_identity("renewed", NULL, NULL));
  fixture_step(&fixture, 1000000);
  assert_int_equal(tls_server_generation(fixture.server), 1);
  tls_identity_free(old);
  fixture.identities[0].listeners[0] = NULL;
  expect_echo(&client);
  client_open(&second, &fixture, &plain_options);
  assert_true(client_connect(&second));
  expect_echo(&second);
  char name[64];
  X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(second.ssl)), NID_commonName, name, sizeof name);
  assert_string_equal(name, "renewed");
  expect_echo(&client);
  client_free(&second);
  stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(connects_and_talks),
      cmocka_unit_test(selects_http1),
      cmocka_unit_test(needs_no_alpn),
      cmocka_unit_test(comes_byte_by_byte),
      cmocka_unit_test(other_group_after_retry),
      cmocka_unit_test(plain_http),
      cmocka_unit_test(garbage_that_begins_well),
      cmocka_unit_test(record_too_large),
      cmocka_unit_test(old_version),
      cmocka_unit_test(nothing_shared),
      cmocka_unit_test(unknown_protocol),
      cmocka_unit_test(client_does_not_trust),
      cmocka_unit_test(mutual),
      cmocka_unit_test(mutual_missing),
      cmocka_unit_test(mutual_of_a_stranger),
      cmocka_unit_test(mutual_of_another_name),
      cmocka_unit_test(mutual_out_of_date),
      cmocka_unit_test(peer_goes),
      cmocka_unit_test(too_slow),
      cmocka_unit_test(silent),
      cmocka_unit_test(little_room),
      cmocka_unit_test(handler_refuses),
      cmocka_unit_test(new_certificate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
