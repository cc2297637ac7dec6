/* What TLS costs a shard: a handshake, a request's record in, an answer's record out. The floors are the same cryptography alone,
 * through libcrypto: for a handshake the signature and the key exchange, for a record AES-128-GCM over its bytes. */
#include "bench.h"
#include "tls_fixture.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 11
#define RECORDS 1000u
#define HANDSHAKES 50u
#define RECORD_BYTES_MAX (16384u + 64u)

struct rig {
  struct tls_fixture fixture;
  struct tls_client client;
  struct stream *inner; /* what the handler was given */
  uint64_t heard;       /* bytes that came to it */
  uint32_t length;      /* of one message */
  uint8_t *records;
  size_t record_bytes;
  SSL_CTX *context;
  EVP_CIPHER_CTX *cipher;
  EVP_PKEY *signing;
};

static struct rig *rig_now;

static void *opened(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns) {
  (void)context, (void)local_port, (void)now_ns;
  rig_now->inner = stream;
  return rig_now;
}

static uint32_t received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  (void)now_ns;
  bench_keep(bytes[length - 1]);
  ((struct rig *)state)->heard += length;
  return length;
}

static void no_event(void *state, uint64_t now_ns) { (void)state, (void)now_ns; }
static void closed(void *state, enum stream_end end, uint64_t now_ns) { (void)state, (void)end, (void)now_ns; }

static void open_client(struct rig *rig, struct tls_client *client) {
  client_open(client, &rig->fixture, &(struct tls_client_options){.context = rig->context, .protocols = "\x02h2"});
}

static void start(struct rig *rig, const char *certificate) {
  rig_now = rig;
  fixture_prepare(&rig->fixture);
  rig->fixture.config.handshakes_a_second = 1000000000;
  rig->fixture.inner_handler = (struct stream_handler){
      .opened = opened, .received = received, .peer_finished = no_event, .writable = no_event, .closed = closed};
  fixture_start(&rig->fixture, certificate, NULL, NULL);
  rig->context = client_context(&(struct tls_client_options){0});
  open_client(rig, &rig->client);
  bench_check(client_connect(&rig->client), "a handshake failed");
  rig->records = malloc(RECORDS * (size_t)RECORD_BYTES_MAX);
  rig->cipher = EVP_CIPHER_CTX_new();
  const struct tls_text key = fixture_file(certificate[0] == 'r' ? "rsa.key" : "server.key");
  BIO *reader = BIO_new_mem_buf(key.bytes, (int)key.length);
  rig->signing = PEM_read_bio_PrivateKey(reader, NULL, NULL, NULL);
  BIO_free(reader);
}

static void stop(struct rig *rig) {
  client_free(&rig->client);
  fixture_end(&rig->fixture);
  SSL_CTX_free(rig->context);
  EVP_CIPHER_CTX_free(rig->cipher);
  EVP_PKEY_free(rig->signing);
  free(rig->records);
}

/* The client's work is no part of the figure. */
static double records_in(void *context) {
  struct rig *rig = context;
  static const uint8_t zeros[16384];
  for (unsigned i = 0; i < RECORDS; i++) client_say(&rig->client, zeros, rig->length);
  rig->record_bytes = (size_t)BIO_read(SSL_get_wbio(rig->client.ssl), rig->records, (int)(RECORDS * RECORD_BYTES_MAX)) / RECORDS;
  rig->heard = 0;
  const struct stream_handler *handler = rig->fixture.handler;
  const uint64_t start_ns = bench_now_ns();
  for (unsigned i = 0; i < RECORDS; i++)
    handler->received(rig->client.stream->state, rig->records + i * rig->record_bytes, (uint32_t)rig->record_bytes, start_ns);
  const uint64_t elapsed_ns = bench_now_ns() - start_ns;
  bench_check(rig->heard == (uint64_t)RECORDS * rig->length, "not all was decrypted");
  return (double)elapsed_ns / RECORDS;
}

static double records_out(void *context) {
  struct rig *rig = context;
  static const uint8_t zeros[16384];
  const uint64_t start_ns = bench_now_ns();
  for (unsigned i = 0; i < RECORDS; i++) {
    rig->client.stream->sent_bytes = 0;
    bench_check(stream_write(rig->inner, zeros, rig->length) == rig->length, "not all was taken");
  }
  const uint64_t elapsed_ns = bench_now_ns() - start_ns;
  bench_check(rig->client.stream->sent_bytes > rig->length, "nothing was sent");
  return (double)elapsed_ns / RECORDS;
}

static double cipher_alone(struct rig *rig, int encrypting) {
  static uint8_t bytes[16384], out[16384], tag[16], vector[12], key[16];
  int length = 0;
  EVP_CipherInit_ex(rig->cipher, EVP_aes_128_gcm(), NULL, key, vector, encrypting);
  const uint64_t start_ns = bench_now_ns();
  for (unsigned i = 0; i < RECORDS; i++) {
    vector[0]++;
    EVP_CipherInit_ex(rig->cipher, NULL, NULL, NULL, vector, encrypting);
    if (!encrypting) EVP_CIPHER_CTX_ctrl(rig->cipher, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag);
    EVP_CipherUpdate(rig->cipher, NULL, &length, key, 5);
    EVP_CipherUpdate(rig->cipher, out, &length, bytes, (int)rig->length);
    EVP_CipherFinal_ex(rig->cipher, out, &length);
    if (encrypting) EVP_CIPHER_CTX_ctrl(rig->cipher, EVP_CTRL_AEAD_GET_TAG, sizeof tag, tag);
  }
  bench_keep(out[0]);
  return (double)(bench_now_ns() - start_ns) / RECORDS;
}

static double decrypting_alone(void *context) { return cipher_alone(context, 0); }
static double encrypting_alone(void *context) { return cipher_alone(context, 1); }

/* The server's share: what the client sends is made before the clock runs. */
static double handshakes(void *context) {
  struct rig *rig = context;
  static struct tls_client clients[HANDSHAKES];
  struct tls_fixture *fixture = &rig->fixture;
  const uint64_t done = tls_server_counters(fixture->server).handshakes_done;
  uint64_t elapsed_ns = 0;
  for (unsigned i = 0; i < HANDSHAKES; i++) {
    struct tls_client *client = &clients[i];
    open_client(rig, client);
    for (unsigned flight = 0; flight < 2; flight++) {
      SSL_do_handshake(client->ssl);
      const uint64_t start_ns = bench_now_ns();
      client_flush(client);
      fixture_step(fixture, 1000);
      fake_stream_step(client->stream, fixture->now_ns);
      elapsed_ns += bench_now_ns() - start_ns;
      BIO_write(SSL_get_rbio(client->ssl), client->stream->sent + client->taken,
                (int)(client->stream->sent_bytes - client->taken));
      client->taken = client->stream->sent_bytes;
    }
    client_free(client);
  }
  bench_check(tls_server_counters(fixture->server).handshakes_done == done + HANDSHAKES, "not every handshake was done");
  return (double)elapsed_ns / HANDSHAKES;
}

static EVP_PKEY *new_x25519(void) {
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_id(EVP_PKEY_X25519, NULL);
  if (EVP_PKEY_keygen_init(maker) != 1 || EVP_PKEY_keygen(maker, &key) != 1) bench_fail("no key");
  EVP_PKEY_CTX_free(maker);
  return key;
}

static double key_operations_alone(void *context) {
  struct rig *rig = context;
  static const uint8_t transcript[130];
  EVP_PKEY *peer = new_x25519();
  const uint64_t start_ns = bench_now_ns();
  for (unsigned i = 0; i < HANDSHAKES; i++) {
    uint8_t secret[32], signature[512];
    size_t secret_bytes = sizeof secret, signature_bytes = sizeof signature;
    EVP_PKEY *own = new_x25519();
    EVP_PKEY_CTX *exchange = EVP_PKEY_CTX_new(own, NULL);
    EVP_MD_CTX *signer = EVP_MD_CTX_new();
    bench_check(EVP_PKEY_derive_init(exchange) == 1 && EVP_PKEY_derive_set_peer(exchange, peer) == 1 &&
                    EVP_PKEY_derive(exchange, secret, &secret_bytes) == 1 &&
                    EVP_DigestSignInit(signer, NULL, EVP_sha256(), NULL, rig->signing) == 1 &&
                    EVP_DigestSign(signer, signature, &signature_bytes, transcript, sizeof transcript) == 1,
                "an operation failed");
    EVP_MD_CTX_free(signer);
    EVP_PKEY_CTX_free(exchange);
    EVP_PKEY_free(own);
  }
  const uint64_t elapsed_ns = bench_now_ns() - start_ns;
  EVP_PKEY_free(peer);
  return (double)elapsed_ns / HANDSHAKES;
}

static void run(struct rig *rig, const char *name, bench_round *ours, bench_round *alone, const char *alone_name,
                uint32_t length) {
  rig->length = length;
  bench_run(
      &(struct bench){.name = name, .ours = ours, .floor = alone, .floor_name = alone_name, .context = rig, .rounds = ROUNDS});
}

int main(void) {
  static struct rig rig;
  bench_header();
  start(&rig, "server");
  run(&rig, "record in, 256 B", records_in, decrypting_alone, "AES-128-GCM", 256);
  run(&rig, "record in, 768 B", records_in, decrypting_alone, "AES-128-GCM", 768);
  run(&rig, "record in, 16 KiB", records_in, decrypting_alone, "AES-128-GCM", 16384);
  run(&rig, "record out, 256 B", records_out, encrypting_alone, "AES-128-GCM", 256);
  run(&rig, "handshake, P-256, server's share", handshakes, key_operations_alone, "sign, X25519", 0);
  stop(&rig);
  start(&rig, "rsa");
  run(&rig, "handshake, RSA-2048, server's share", handshakes, key_operations_alone, "sign, X25519", 0);
  stop(&rig);
  return 0;
}
