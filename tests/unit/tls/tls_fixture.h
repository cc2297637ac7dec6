#pragma once
/* A TLS server over fake streams with a handler that writes down what it is given, and clients of OpenSSL's. After each step the
 * conservation laws are checked; a breach aborts the program. Certificates are made by the openssl command line once a program.
 */
#include "fake_stream.h"
#include "heap_arena.h"
#include "tls_server.h"
#include <openssl/ssl.h>

#define FIXTURE_SECOND_NS UINT64_C(1000000000)
#define FIXTURE_INNERS_MAX 64
#define FIXTURE_PORT 4318

/* What the inner handler saw of one stream. */
struct fixture_inner {
  struct stream *stream;
  uint8_t *bytes;
  size_t length;
  unsigned finished, writable, closed;
  enum stream_end end;
};

struct tls_fixture {
  struct heap_arena *heap;
  struct tls_config config;
  struct tls_publication publication;
  struct tls_identities identities[8]; /* by generation */
  struct tls_server *server;
  const struct stream_handler *handler;
  struct stream_handler inner_handler;
  uint64_t now_ns, wall_ns;
  bool paused, keeps_identities; /* those are freed by others, or not */
  /* How the inner handler behaves. */
  bool refuses, echoes, closes_when_finished;
  uint32_t takes_most; /* of one offer */
  struct fixture_inner inners[FIXTURE_INNERS_MAX];
  unsigned inner_count;
};

/* Once a program, before anything else of OpenSSL. The folder of certificates goes at exit. */
void fixture_install(void);
/* The text of a file of that folder; kept for the program's life. */
struct tls_text fixture_file(const char *name);
struct tls_identity *fixture_identity(const char *name, const char *client_ca, const char *client_name);

/* Limits that no test meets by chance; change `config` before fixture_start. `client_ca` and `client_name` may be NULL. */
void fixture_prepare(struct tls_fixture *fixture);
void fixture_start(struct tls_fixture *fixture, const char *certificate, const char *client_ca, const char *client_name);
void fixture_start_as(struct tls_fixture *fixture, struct tls_identity *identity);
void fixture_publish(struct tls_fixture *fixture, struct tls_identity *identity);
void fixture_end(struct tls_fixture *fixture);
/* Time passes and the server takes its step; streams are stepped by their owner. */
void fixture_step(struct tls_fixture *fixture, uint64_t nanoseconds);
void fixture_check(const struct tls_fixture *fixture);
uint64_t fixture_failed(const struct tls_fixture *fixture, enum tls_failure failure);

struct tls_client {
  struct tls_fixture *fixture;
  SSL *ssl;
  struct stream *stream; /* the server's end */
  size_t taken;          /* of what the server sent */
  size_t piece;          /* bytes given to the server at once; 0: all */
};

struct tls_client_options {
  const char *certificate; /* its own, or NULL */
  const char *authority;   /* whom it trusts; NULL: "authority" */
  const char *protocols;   /* ALPN as on the wire, or NULL */
  const char *groups;
  int version;      /* the highest; 0: TLS 1.3 */
  SSL_CTX *context; /* made before from all of the above but the protocols; NULL: made for this client */
};

SSL_CTX *client_context(const struct tls_client_options *options);

/* Nothing is sent yet; `stream` is NULL when the server refused it. */
void client_open(struct tls_client *client, struct tls_fixture *fixture, const struct tls_client_options *options);
/* What each side has for the other, until neither has more. The server steps in between, in a millisecond each. */
void client_pump(struct tls_client *client);
/* Only what the client has for the server. */
void client_flush(struct tls_client *client);
/* Handshakes to the end; whether it came to one. */
bool client_connect(struct tls_client *client);
void client_say(struct tls_client *client, const void *bytes, size_t length);
/* What the server said, decrypted; the number of bytes. */
size_t client_hear(struct tls_client *client, void *bytes, size_t room);
/* The client has the server's close_notify. */
bool client_was_told_end(const struct tls_client *client);
void client_free(struct tls_client *client);
