/* Bytes into fresh TLS servers and into open connections: raw ones, those of a real client whole, in pieces or with a bit turned
 * over, with little room, a handler that takes little, closes or aborts, time, FIN and RST. The input is a first byte (mutual
 * TLS, echo) and a list of operations of two bytes and what they take. The fixture checks the conservation laws after each;
 * whatever is left open at the end must give everything back. */
#include "tls_fixture.h"
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS 3

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct run {
  struct tls_fixture fixture;
  struct tls_client clients[STREAMS];
  const uint8_t *at, *end;
};

static uint8_t next_byte(struct run *run) { return run->at < run->end ? *run->at++ : 0; }

static void deliver_raw(struct run *run, struct tls_client *client, size_t length) {
  const size_t left = (size_t)(run->end - run->at);
  if (length > left) length = left;
  fake_stream_deliver(client->stream, run->at, length, run->fixture.now_ns);
  run->at += length;
}

/* What the client would send next, with one bit the other way. */
static void turn_over(struct tls_client *client, uint8_t place) {
  char *bytes;
  const size_t length = (size_t)BIO_get_mem_data(SSL_get_wbio(client->ssl), &bytes);
  if (length) bytes[place % length] = (char)(bytes[place % length] ^ (1 << place / 8 % 8));
  client_flush(client);
}

static void say(struct tls_client *client, size_t length) {
  static const uint8_t zeros[16384];
  if (SSL_is_init_finished(client->ssl)) SSL_write(client->ssl, zeros, (int)(length ? length : 1));
  ERR_clear_error();
}

static struct fixture_inner *inner_of(struct run *run, uint8_t argument) {
  struct fixture_inner *inner = run->fixture.inner_count ? &run->fixture.inners[argument % run->fixture.inner_count] : NULL;
  return inner && !inner->closed ? inner : NULL;
}

/* What the handler does by itself. */
static void act(struct run *run, struct fixture_inner *inner, uint8_t argument) {
  static const uint8_t zeros[40000];
  switch (argument >> 5) {
  case 0:
    stream_resume(inner->stream);
    break;
  case 1:
    stream_close(inner->stream);
    break;
  case 2:
    stream_abort(inner->stream, run->fixture.now_ns);
    break;
  case 3:
    stream_await_room(inner->stream);
    break;
  default:
    stream_write(inner->stream, zeros, (uint32_t)argument * 150);
    break;
  }
}

static void perform(struct run *run, uint8_t operation, struct tls_client *client, uint8_t argument) {
  struct tls_fixture *fixture = &run->fixture;
  struct fixture_inner *inner;
  switch (operation) {
  case 0:
    deliver_raw(run, client, argument);
    break;
  case 1:
    client->piece = argument;
    client_pump(client);
    break;
  case 2:
    say(client, (size_t)argument * 64);
    if (argument & 1) SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED);
    if (argument & 2) client_flush(client);
    break;
  case 3:
    if (!SSL_is_init_finished(client->ssl)) SSL_do_handshake(client->ssl);
    turn_over(client, argument);
    break;
  case 4:
    fake_stream_set_room(client->stream, argument == 255 ? UINT32_MAX : (uint32_t)argument * 8, fixture->now_ns);
    break;
  case 5:
    fixture_step(fixture, (uint64_t)argument * FIXTURE_SECOND_NS / 64);
    break;
  case 6:
    if (argument & 1) SSL_shutdown(client->ssl);
    if (argument & 2) client_flush(client);
    if (argument & 4) fake_stream_finish(client->stream, fixture->now_ns);
    if (argument & 8) fake_stream_end(client->stream, (enum stream_end)(argument >> 4 & 3), fixture->now_ns);
    break;
  default:
    fixture->takes_most = argument & 16 ? argument : UINT32_MAX;
    if ((inner = inner_of(run, argument))) act(run, inner, argument);
    break;
  }
  ERR_clear_error();
}

/* Made once: reading PEM takes longer than all the rest. */
static struct tls_identity *identities[2];
static SSL_CTX *client_certified;

static void make_identities(void) {
  if (client_certified) return;
  identities[0] = fixture_identity("server", NULL, NULL);
  identities[1] = fixture_identity("server", "authority", "collector.test");
  client_certified = client_context(&(struct tls_client_options){.certificate = "client"});
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct run run;
  memset(&run, 0, sizeof run);
  run.at = bytes;
  run.end = bytes + length;
  const uint8_t first = next_byte(&run);
  fixture_prepare(&run.fixture);
  run.fixture.echoes = first & 1;
  run.fixture.closes_when_finished = first & 2;
  run.fixture.config.connections_max = STREAMS;
  run.fixture.config.waiting_max = first & 8 ? 1 : STREAMS;
  run.fixture.keeps_identities = true;
  make_identities();
  fixture_start_as(&run.fixture, identities[first >> 2 & 1]);
  for (unsigned operations = 0; run.at < run.end && operations < 64; operations++) {
    const uint8_t what = next_byte(&run), argument = next_byte(&run);
    struct tls_client *client = &run.clients[(what >> 3) % STREAMS];
    if (client->stream && client->stream->gone) client_free(client);
    if (!client->ssl) {
      client_open(client, &run.fixture, &(struct tls_client_options){.context = client_certified, .protocols = "\x02h2"});
      if (!client->stream) abort(); /* there is a connection for each */
    }
    perform(&run, what & 7, client, argument);
    fixture_step(&run.fixture, 1000);
    for (unsigned i = 0; i < STREAMS; i++)
      if (run.clients[i].stream) fake_stream_step(run.clients[i].stream, run.fixture.now_ns);
    fixture_check(&run.fixture);
  }
  for (unsigned i = 0; i < STREAMS; i++)
    if (run.clients[i].ssl) client_free(&run.clients[i]);
  fixture_end(&run.fixture);
  return 0;
}
