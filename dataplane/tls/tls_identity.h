#pragma once
/* What a listener proves to its clients, and asks of them: a certificate with its key and, for mutual TLS, the authority and the
 * names of clients. Made by control from the bytes of PEM files, published to all shards, never changed; a connection keeps the
 * one it began with, so a reload ends none.
 * Threads: made and freed by control; a set is freed when every shard has adopted a later one. */
#include "arena.h"
#include <stdatomic.h>
#include <stdint.h>

#define TLS_LISTENERS_MAX 8
#define TLS_CLIENT_NAMES_MAX 16

struct tls_text {
  const void *bytes;
  uint32_t length;
};

struct tls_identity_source {
  struct tls_text certificate; /* PEM: its own first, then what leads to the authority */
  struct tls_text key;         /* PEM, not encrypted */
  struct tls_text client_ca;   /* PEM; empty: clients are not asked for a certificate */
  uint32_t client_name_count;  /* with client_ca: the certificate must be for one of these (DNS names) */
  const char *client_names[TLS_CLIENT_NAMES_MAX];
};

enum tls_identity_file { TLS_FILE_CERTIFICATE, TLS_FILE_KEY, TLS_FILE_CLIENT_CA };

struct tls_identity_fault {
  enum tls_identity_file file;
  const char *what; /* a constant */
};

struct tls_identity;

/* NULL, and `fault` says why. */
struct tls_identity *tls_identity_create(const struct tls_identity_source *source, struct tls_identity_fault *fault);
void tls_identity_free(struct tls_identity *identity);
/* Unix time; the earliest end in the chain. */
int64_t tls_identity_not_after_s(const struct tls_identity *identity);
/* Of the certificate in DER. */
const uint8_t *tls_identity_sha256(const struct tls_identity *identity);

/* Of every listener, by the number it was given; NULL: without TLS. */
struct tls_identities {
  uint64_t generation;
  struct tls_identity *listeners[TLS_LISTENERS_MAX];
};

struct tls_publication {
  CACHE_ALIGNED _Atomic(const struct tls_identities *) identities; /* control:rw shard:ro */
};
