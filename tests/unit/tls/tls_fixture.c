#include "tls_fixture.h"
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char folder[64];
static struct tls_memory *memory; /* for the program's life: OpenSSL's caches are in it */
static struct heap_arena *memory_heap;

static void remove_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  if (system(command) != 0) abort();
}

void fixture_install(void) {
  if (folder[0]) return;
  const struct tls_heap heap = {.take = malloc, .give = free};
  char command[512];
  if (!tls_memory_install(&heap)) abort();
  snprintf(folder, sizeof folder, "/tmp/tripline-certificates-XXXXXX");
  if (!mkdtemp(folder)) abort();
  atexit(remove_folder);
  snprintf(command, sizeof command, "sh '%s' %s", MAKE_CERTIFICATES, folder);
  if (system(command) != 0) abort();
  memory_heap = heap_arena_create();
  memory = tls_memory_create(heap_arena_arena(memory_heap), 256);
  if (!memory) abort();
}

struct tls_text fixture_file(const char *name) {
  static struct {
    char name[32];
    struct tls_text text;
  } files[24];
  unsigned i = 0;
  for (; files[i].name[0]; i++)
    if (strcmp(files[i].name, name) == 0) return files[i].text;
  char path[128];
  static uint8_t bytes[24][8192];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "r");
  if (!file || i + 1 == sizeof files / sizeof *files) abort();
  snprintf(files[i].name, sizeof files[i].name, "%s", name);
  files[i].text = (struct tls_text){.bytes = bytes[i], .length = (uint32_t)fread(bytes[i], 1, sizeof bytes[i], file)};
  fclose(file);
  return files[i].text;
}

static struct tls_text file_of(const char *name, const char *ending) {
  char whole[32];
  snprintf(whole, sizeof whole, "%s.%s", name, ending);
  return fixture_file(whole);
}

struct tls_identity *fixture_identity(const char *name, const char *client_ca, const char *client_name) {
  struct tls_identity_source source = {.certificate = file_of(name, "pem"), .key = file_of(name, "key")};
  struct tls_identity_fault fault;
  if (client_ca) source.client_ca = file_of(client_ca, "pem");
  if (client_name) source.client_names[source.client_name_count++] = client_name;
  struct tls_identity *identity = tls_identity_create(&source, &fault);
  if (!identity) abort();
  return identity;
}

static struct fixture_inner *inner_of(void *state) { return state; }
static struct tls_fixture *inner_fixture;

static void *inner_opened(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns) {
  struct tls_fixture *fixture = context;
  (void)now_ns;
  if (local_port != FIXTURE_PORT || stream_peer_port(stream) != 40000) abort();
  if (fixture->refuses || fixture->inner_count == FIXTURE_INNERS_MAX) return NULL;
  struct fixture_inner *inner = &fixture->inners[fixture->inner_count++];
  *inner = (struct fixture_inner){.stream = stream};
  return inner;
}

static uint32_t inner_received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  struct fixture_inner *inner = inner_of(state);
  (void)now_ns;
  if (inner->closed || length == 0) abort();
  const uint32_t taken = length < inner_fixture->takes_most ? length : inner_fixture->takes_most;
  inner->bytes = realloc(inner->bytes, inner->length + taken + 1);
  if (!inner->bytes) abort();
  memcpy(inner->bytes + inner->length, bytes, taken);
  inner->length += taken;
  if (inner_fixture->echoes) stream_write(inner->stream, bytes, taken);
  return taken;
}

static void inner_finished(void *state, uint64_t now_ns) {
  (void)now_ns;
  inner_of(state)->finished++;
  if (inner_of(state)->closed) abort();
  if (inner_fixture->closes_when_finished) stream_close(inner_of(state)->stream);
}

static void inner_writable(void *state, uint64_t now_ns) {
  (void)now_ns;
  if (inner_of(state)->closed) abort();
  inner_of(state)->writable++;
}

static void inner_closed(void *state, enum stream_end end, uint64_t now_ns) {
  (void)now_ns;
  if (inner_of(state)->closed++) abort();
  inner_of(state)->end = end;
}

void fixture_prepare(struct tls_fixture *fixture) {
  fixture_install();
  *fixture = (struct tls_fixture){.takes_most = UINT32_MAX, .now_ns = FIXTURE_SECOND_NS};
  fixture->wall_ns = (uint64_t)time(NULL) * FIXTURE_SECOND_NS;
  fixture->config = (struct tls_config){.publication = &fixture->publication,
                                        .memory = memory,
                                        .connections_max = 64,
                                        .waiting_max = 64,
                                        .handshakes_a_second = 1000,
                                        .handshake_timeout_ns = 10 * FIXTURE_SECOND_NS};
  fixture->inner_handler = (struct stream_handler){.opened = inner_opened,
                                                   .received = inner_received,
                                                   .peer_finished = inner_finished,
                                                   .writable = inner_writable,
                                                   .closed = inner_closed};
}

void fixture_publish(struct tls_fixture *fixture, struct tls_identity *identity) {
  const struct tls_identities *before = atomic_load(&fixture->publication.identities);
  const uint64_t generation = before ? before->generation + 1 : 0;
  if (generation == 8) abort();
  fixture->identities[generation] = (struct tls_identities){.generation = generation, .listeners = {identity}};
  atomic_store(&fixture->publication.identities, &fixture->identities[generation]);
}

void fixture_start(struct tls_fixture *fixture, const char *certificate, const char *client_ca, const char *client_name) {
  fixture_start_as(fixture, fixture_identity(certificate, client_ca, client_name));
}

void fixture_start_as(struct tls_fixture *fixture, struct tls_identity *identity) {
  inner_fixture = fixture;
  fixture->heap = heap_arena_create();
  fixture_publish(fixture, identity);
  fixture->server = tls_server_create(heap_arena_arena(fixture->heap), &fixture->config, fixture->now_ns);
  if (!fixture->server) abort();
  fixture->inner_handler.context = fixture;
  fixture->handler = tls_server_listener(fixture->server, 0, &fixture->inner_handler);
}

void fixture_end(struct tls_fixture *fixture) {
  const struct tls_counters counters = tls_server_counters(fixture->server);
  if (counters.connections || counters.open || counters.handshaking || counters.waiting) abort();
  tls_server_destroy(fixture->server);
  for (unsigned i = 0; i < 8 && !fixture->keeps_identities; i++) tls_identity_free(fixture->identities[i].listeners[0]);
  for (unsigned i = 0; i < fixture->inner_count; i++) {
    if (fixture->inners[i].closed != 1) abort();
    free(fixture->inners[i].bytes);
  }
  heap_arena_destroy(fixture->heap);
}

void fixture_check(const struct tls_fixture *fixture) {
  const struct tls_counters counters = tls_server_counters(fixture->server);
  uint64_t failed = 0, ended = 0;
  for (unsigned i = 0; i < TLS_FAILURES; i++) failed += counters.handshakes_failed[i];
  for (unsigned i = 0; i < TLS_ENDS; i++) ended += counters.ended[i];
  if (counters.handshakes_begun != counters.handshakes_done + failed + counters.handshaking) abort();
  if (counters.handshakes_done != ended + counters.open) abort();
  if (counters.waiting > counters.handshaking || counters.connections < counters.open + counters.handshaking) abort();
  if (counters.connections > fixture->config.connections_max || counters.waiting > fixture->config.waiting_max) abort();
}

void fixture_step(struct tls_fixture *fixture, uint64_t nanoseconds) {
  fixture->now_ns += nanoseconds;
  fixture->wall_ns += nanoseconds;
  tls_server_step(fixture->server, fixture->now_ns, fixture->wall_ns, fixture->paused);
  fixture_check(fixture);
}

uint64_t fixture_failed(const struct tls_fixture *fixture, enum tls_failure failure) {
  return tls_server_counters(fixture->server).handshakes_failed[failure];
}

static void use_certificate(SSL_CTX *context, const char *name) {
  const struct tls_text own = file_of(name, "pem"), private = file_of(name, "key");
  BIO *certificate = BIO_new_mem_buf(own.bytes, (int)own.length), *key = BIO_new_mem_buf(private.bytes, (int)private.length);
  X509 *x509 = PEM_read_bio_X509(certificate, NULL, NULL, NULL);
  EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
  if (SSL_CTX_use_certificate(context, x509) != 1 || SSL_CTX_use_PrivateKey(context, pkey) != 1) abort();
  X509_free(x509);
  EVP_PKEY_free(pkey);
  BIO_free(certificate);
  BIO_free(key);
}

static void trust(SSL_CTX *context, const char *name) {
  const struct tls_text text = file_of(name, "pem");
  BIO *reader = BIO_new_mem_buf(text.bytes, (int)text.length);
  X509 *authority = PEM_read_bio_X509(reader, NULL, NULL, NULL);
  if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) != 1) abort();
  X509_free(authority);
  BIO_free(reader);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
}

SSL_CTX *client_context(const struct tls_client_options *options) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_max_proto_version(context, options->version ? options->version : TLS1_3_VERSION);
  trust(context, options->authority ? options->authority : "authority");
  if (options->certificate) use_certificate(context, options->certificate);
  if (options->groups && SSL_CTX_set1_groups_list(context, options->groups) != 1) abort();
  return context;
}

void client_open(struct tls_client *client, struct tls_fixture *fixture, const struct tls_client_options *options) {
  SSL_CTX *context = options->context ? options->context : client_context(options);
  *client = (struct tls_client){.fixture = fixture, .ssl = SSL_new(context)};
  if (!options->context) SSL_CTX_free(context); /* `ssl` keeps it */
  if (options->protocols)
    SSL_set_alpn_protos(client->ssl, (const uint8_t *)options->protocols, (unsigned)strlen(options->protocols));
  SSL_set1_host(client->ssl, "tripline.test");
  SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(client->ssl);
  client->stream = fake_stream_open(fixture->handler, FIXTURE_PORT, fixture->now_ns);
  fixture_check(fixture);
}

void client_flush(struct tls_client *client) {
  char *bytes;
  BIO *out = SSL_get_wbio(client->ssl);
  const size_t length = (size_t)BIO_get_mem_data(out, &bytes);
  uint8_t *copy = malloc(length + 1);
  if (!copy) abort();
  if (length) memcpy(copy, bytes, length);
  (void)BIO_reset(out);
  for (size_t at = 0; at < length;) {
    const size_t piece = client->piece && client->piece < length - at ? client->piece : length - at;
    fake_stream_deliver(client->stream, copy + at, piece, client->fixture->now_ns);
    at += piece;
  }
  free(copy);
}

static bool collect(struct tls_client *client) {
  const size_t more = client->stream->sent_bytes - client->taken;
  if (more) BIO_write(SSL_get_rbio(client->ssl), client->stream->sent + client->taken, (int)more);
  client->taken += more;
  return more > 0;
}

void client_pump(struct tls_client *client) {
  bool more = true;
  for (unsigned quiet = 0; quiet < 3; quiet = more ? 0 : quiet + 1) {
    if (!SSL_is_init_finished(client->ssl)) SSL_do_handshake(client->ssl);
    ERR_clear_error();
    more = BIO_ctrl_pending(SSL_get_wbio(client->ssl)) > 0;
    client_flush(client);
    fixture_step(client->fixture, 1000000);
    fake_stream_step(client->stream, client->fixture->now_ns);
    more = collect(client) || more;
  }
}

bool client_connect(struct tls_client *client) {
  client_pump(client);
  return SSL_is_init_finished(client->ssl);
}

void client_say(struct tls_client *client, const void *bytes, size_t length) {
  if (SSL_write(client->ssl, bytes, (int)length) != (int)length) abort();
}

size_t client_hear(struct tls_client *client, void *bytes, size_t room) {
  size_t heard = 0;
  for (int got; heard < room && (got = SSL_read(client->ssl, (char *)bytes + heard, (int)(room - heard))) > 0;)
    heard += (size_t)got;
  ERR_clear_error();
  return heard;
}

bool client_was_told_end(const struct tls_client *client) { return SSL_get_shutdown(client->ssl) & SSL_RECEIVED_SHUTDOWN; }

void client_free(struct tls_client *client) {
  if (client->stream) fake_stream_free(client->stream, client->fixture->now_ns);
  fixture_check(client->fixture);
  SSL_free(client->ssl);
  *client = (struct tls_client){0};
}
