/* Open connections: records in any pieces, room in either direction, and every way to end. */
#include "cmocka_test.h"
#include "tls_fixture.h"
#include <stdlib.h>
#include <string.h>

#define LARGE_BYTES 100000u

static struct tls_fixture fixture;
static struct tls_client client;
static uint8_t large[LARGE_BYTES], heard[2 * LARGE_BYTES];

static struct fixture_inner *inner(void) { return &fixture.inners[0]; }
static struct tls_counters counters(void) { return tls_server_counters(fixture.server); }

static void start(void) {
  fixture_prepare(&fixture);
  fixture_start(&fixture, "server", NULL, NULL);
  client_open(&client, &fixture, &(struct tls_client_options){.protocols = "\x02h2"});
  assert_true(client_connect(&client));
  for (size_t i = 0; i < sizeof large; i++) large[i] = (uint8_t)(i * 2654435761u >> 13);
}

static void stop(void) {
  client_free(&client);
  fixture_end(&fixture);
}

static void expect_ended(enum tls_end end) {
  for (unsigned i = 0; i < TLS_ENDS; i++) assert_int_equal(counters().ended[i], i == end);
}

/* The record that the client would send, taken out of its hands. */
static size_t record_of(const void *bytes, size_t length, uint8_t *record, size_t room) {
  client_say(&client, bytes, length);
  return (size_t)BIO_read(SSL_get_wbio(client.ssl), record, (int)room);
}

static void split_at_every_byte(void **state) {
  (void)state;
  uint8_t record[256];
  start();
  client.stream->guarded = true;
  for (size_t at = 1; at < 62; at++) {
    const size_t length = record_of(large + at, 40, record, sizeof record);
    assert_int_equal(length, 62);
    fake_stream_deliver(client.stream, record, at, fixture.now_ns);
    assert_int_equal(inner()->length, 40 * (at - 1));
    fake_stream_deliver(client.stream, record + at, length - at, fixture.now_ns);
    assert_int_equal(inner()->length, 40 * at);
    assert_memory_equal(inner()->bytes + 40 * (at - 1), large + at, 40);
  }
  stop();
}

static void many_records_at_once(void **state) {
  (void)state;
  start();
  fixture.echoes = true;
  for (unsigned i = 0; i < 100; i++) client_say(&client, large + i, 1 + i);
  client_pump(&client);
  assert_int_equal(inner()->length, 5050);
  assert_int_equal(client_hear(&client, heard, sizeof heard), 5050);
  stop();
}

/* What the handler leaves is at most a record; nothing behind it is decrypted, or even taken. */
static void handler_without_room(void **state) {
  (void)state;
  start();
  fixture.takes_most = 1000;
  client_say(&client, large, LARGE_BYTES);
  client_flush(&client);
  assert_int_equal(inner()->length, 1000);
  assert_int_equal(counters().received_bytes, 16384);
  assert_true(client.stream->held_bytes > LARGE_BYTES - 16384);
  const size_t held = client.stream->held_bytes;
  for (unsigned i = 0; i < 5; i++) {
    fixture_step(&fixture, 1000000);
    fake_stream_step(client.stream, fixture.now_ns);
  }
  assert_int_equal(inner()->length, 1000); /* it did not ask */
  fixture.takes_most = 7000;
  stream_resume(inner()->stream);
  fixture.paused = true;
  fixture_step(&fixture, 1000000);
  assert_int_equal(inner()->length, 1000);
  fixture.paused = false;
  fixture_step(&fixture, 1000000);
  assert_int_equal(inner()->length, 8000);
  assert_int_equal(client.stream->held_bytes, held);
  fixture.takes_most = UINT32_MAX;
  stream_resume(inner()->stream);
  fixture_step(&fixture, 1000000);
  fake_stream_step(client.stream, fixture.now_ns);
  assert_int_equal(inner()->length, LARGE_BYTES);
  assert_memory_equal(inner()->bytes, large, LARGE_BYTES);
  stop();
}

static void closes_while_it_holds(void **state) {
  (void)state;
  start();
  fixture.takes_most = 10;
  client_say(&client, large, 3000);
  client_flush(&client);
  stream_resume(inner()->stream);
  stream_close(inner()->stream);
  fixture_step(&fixture, 1000000);
  assert_int_equal(inner()->length, 10);
  assert_true(client.stream->close_called);
  stop();
}

static void writes_as_room_allows(void **state) {
  (void)state;
  start();
  size_t said = 0, got = 0;
  client.stream->room = 0;
  assert_int_equal(stream_write_room(inner()->stream), 0);
  for (unsigned turn = 0; got < LARGE_BYTES && turn < 10000; turn++) {
    said += stream_write(inner()->stream, large + said, LARGE_BYTES - (uint32_t)said);
    const unsigned told = inner()->writable;
    fake_stream_set_room(client.stream, 50 + turn * 37 % 2000, fixture.now_ns);
    if (client.stream->room > 64 && said < LARGE_BYTES) assert_int_equal(inner()->writable, told + 1);
    if (client.stream->room <= 64) assert_int_equal(inner()->writable, told);
    client_pump(&client);
    got += client_hear(&client, heard + got, sizeof heard - got);
  }
  assert_int_equal(got, LARGE_BYTES);
  assert_memory_equal(heard, large, LARGE_BYTES);
  assert_int_equal(counters().sent_bytes, LARGE_BYTES);
  stop();
}

static void waits_for_room_on_request(void **state) {
  (void)state;
  start();
  stream_await_room(inner()->stream);
  fake_stream_set_room(client.stream, 40, fixture.now_ns);
  assert_int_equal(inner()->writable, 0);
  fake_stream_set_room(client.stream, 4000, fixture.now_ns);
  assert_int_equal(inner()->writable, 1);
  stop();
}

static void handler_closes(void **state) {
  (void)state;
  start();
  stream_write(inner()->stream, "bye", 3);
  stream_close(inner()->stream);
  assert_int_equal(stream_write(inner()->stream, "more", 4), 0);
  assert_true(client.stream->close_called);
  client_pump(&client);
  assert_int_equal(client_hear(&client, heard, sizeof heard), 3);
  assert_true(client_was_told_end(&client));
  assert_int_equal(inner()->closed, 0);
  expect_ended(TLS_END_CLOSED);
  fake_stream_end(client.stream, STREAM_END_FINISHED, fixture.now_ns);
  assert_int_equal(inner()->closed, 1);
  assert_int_equal(inner()->end, STREAM_END_FINISHED);
  stop();
}

static void close_waits_for_room(void **state) {
  (void)state;
  start();
  client.stream->room = 10;
  stream_close(inner()->stream);
  assert_false(client.stream->close_called);
  fake_stream_deliver(client.stream, "dropped", 7, fixture.now_ns);
  assert_int_equal(client.stream->held_bytes, 0);
  fake_stream_set_room(client.stream, 1000, fixture.now_ns);
  assert_true(client.stream->close_called);
  client_pump(&client);
  assert_int_equal(client_hear(&client, heard, sizeof heard), 0);
  assert_true(client_was_told_end(&client));
  stop();
}

/* RFC 8446 section 6.1: the other direction stays open, and what follows is ignored. */
static void client_closes(void **state) {
  (void)state;
  start();
  client_say(&client, "last words", 10);
  SSL_shutdown(client.ssl);
  client_flush(&client);
  assert_int_equal(inner()->length, 10);
  assert_int_equal(inner()->finished, 1);
  fake_stream_deliver(client.stream, "beyond the end", 14, fixture.now_ns);
  assert_int_equal(client.stream->held_bytes, 0);
  fake_stream_finish(client.stream, fixture.now_ns);
  assert_int_equal(inner()->finished, 1);
  assert_int_equal(stream_write(inner()->stream, "answer", 6), 6);
  stream_close(inner()->stream);
  client_pump(&client);
  assert_int_equal(client_hear(&client, heard, sizeof heard), 6);
  expect_ended(TLS_END_CLOSED);
  stop();
}

static void client_closes_behind_what_is_left(void **state) {
  (void)state;
  start();
  fixture.takes_most = 4;
  fixture.closes_when_finished = true;
  client_say(&client, "last words", 10);
  SSL_shutdown(client.ssl);
  client_flush(&client);
  fake_stream_finish(client.stream, fixture.now_ns);
  assert_int_equal(inner()->finished, 0);
  for (unsigned i = 0; i < 3; i++) {
    stream_resume(inner()->stream);
    fixture_step(&fixture, 1000000);
    fake_stream_step(client.stream, fixture.now_ns);
  }
  assert_int_equal(inner()->length, 10);
  assert_int_equal(inner()->finished, 1);
  assert_true(client.stream->close_called);
  stop();
}

static void truncated(void **state) {
  (void)state;
  start();
  client_say(&client, "half a request", 14);
  client_flush(&client);
  fake_stream_finish(client.stream, fixture.now_ns);
  assert_int_equal(inner()->finished, 0);
  assert_int_equal(inner()->closed, 1);
  assert_int_equal(inner()->end, STREAM_END_RESET);
  assert_true(client.stream->close_called);
  expect_ended(TLS_END_TRUNCATED);
  stop();
}

static void expect_protocol_end(void) {
  assert_int_equal(inner()->closed, 1);
  assert_int_equal(inner()->end, STREAM_END_RESET);
  assert_true(client.stream->close_called);
  expect_ended(TLS_END_PROTOCOL);
  const size_t taken = client.taken;
  assert_true(client.stream->sent_bytes > taken); /* an alert */
  stop();
}

static void tampered(void **state) {
  (void)state;
  uint8_t record[64];
  start();
  const size_t length = record_of("twelve bytes", 12, record, sizeof record);
  record[length - 3] ^= 1;
  fake_stream_deliver(client.stream, record, length, fixture.now_ns);
  assert_int_equal(inner()->length, 0);
  expect_protocol_end();
}

static void replayed(void **state) {
  (void)state;
  uint8_t record[64];
  start();
  const size_t length = record_of("twelve bytes", 12, record, sizeof record);
  fake_stream_deliver(client.stream, record, length, fixture.now_ns);
  fake_stream_deliver(client.stream, record, length, fixture.now_ns);
  assert_int_equal(inner()->length, 12);
  expect_protocol_end();
}

static void record_too_large(void **state) {
  (void)state;
  static const uint8_t head[] = {23, 3, 3, 0x41, 0x01}; /* 2^14 + 257 */
  start();
  fake_stream_deliver(client.stream, head, sizeof head, fixture.now_ns);
  expect_protocol_end();
}

static void plain_text_after_the_handshake(void **state) {
  (void)state;
  start();
  fake_stream_deliver(client.stream, "GET / HTTP/1.1\r\n\r\n", 18, fixture.now_ns);
  expect_protocol_end();
}

static void key_updates(void **state) {
  (void)state;
  start();
  fixture.echoes = true;
  /* Few, and the server updates its own when asked. */
  for (unsigned i = 0; i < 8; i++) {
    assert_int_equal(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    client_say(&client, "x", 1);
    client_pump(&client);
    assert_int_equal(client_hear(&client, heard, sizeof heard), 1);
  }
  /* One a second for ever. */
  for (unsigned i = 0; i < 40; i++) {
    fixture_step(&fixture, 1001000000);
    SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    client_say(&client, "y", 1);
    client_pump(&client);
    assert_int_equal(client_hear(&client, heard, sizeof heard), 1);
  }
  assert_int_equal(counters().key_updates, 48);
  /* A flood of them. */
  for (unsigned i = 0; i < 64; i++) {
    SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED);
    client_say(&client, "z", 1);
  }
  client_flush(&client);
  assert_true(client.stream->gone);
  assert_true(counters().key_updates < 48 + 20);
  assert_int_equal(inner()->closed, 1);
  expect_ended(TLS_END_KEY_UPDATES);
  stop();
}

static void handler_aborts(void **state) {
  (void)state;
  start();
  stream_abort(inner()->stream, fixture.now_ns);
  assert_true(client.stream->gone);
  assert_int_equal(inner()->closed, 1);
  assert_int_equal(inner()->end, STREAM_END_ABORTED);
  expect_ended(TLS_END_ABORTED);
  stop();
}

static void network_resets(void **state) {
  (void)state;
  start();
  fixture.takes_most = 1;
  client_say(&client, "abc", 3);
  client_flush(&client);
  stream_resume(inner()->stream);
  fake_stream_end(client.stream, STREAM_END_RESET, fixture.now_ns);
  fixture_step(&fixture, 1000000);
  assert_int_equal(inner()->end, STREAM_END_RESET);
  expect_ended(TLS_END_NETWORK);
  stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(split_at_every_byte),
      cmocka_unit_test(many_records_at_once),
      cmocka_unit_test(handler_without_room),
      cmocka_unit_test(closes_while_it_holds),
      cmocka_unit_test(writes_as_room_allows),
      cmocka_unit_test(waits_for_room_on_request),
      cmocka_unit_test(handler_closes),
      cmocka_unit_test(close_waits_for_room),
      cmocka_unit_test(client_closes),
      cmocka_unit_test(client_closes_behind_what_is_left),
      cmocka_unit_test(truncated),
      cmocka_unit_test(tampered),
      cmocka_unit_test(replayed),
      cmocka_unit_test(record_too_large),
      cmocka_unit_test(plain_text_after_the_handshake),
      cmocka_unit_test(key_updates),
      cmocka_unit_test(handler_aborts),
      cmocka_unit_test(network_resets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
