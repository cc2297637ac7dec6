#include "tls_internal.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

/* The cheap and the common: what a peer may choose must not make a handshake dear. */
#define GROUPS "X25519:P-256"
#define CIPHER_SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CLIENT_CERTIFICATE_BYTES_MAX 32768
#define CLIENT_CHAIN_DEPTH_MAX 4
#define CHAIN_CERTIFICATES_MAX 10
#define CLIENT_AUTHORITIES_MAX 256

/* No pass phrase can be asked for. */
static int no_pass_phrase(char *phrase, int room, int writing, void *context) {
  (void)phrase, (void)room, (void)writing, (void)context;
  return -1;
}

static BIO *reader_of(struct tls_text text) {
  return text.length && text.length <= INT32_MAX ? BIO_new_mem_buf(text.bytes, (int)text.length) : NULL;
}

/* After the last certificate that could be read: that there is no further one, or what was wrong. */
static const char *after_last(unsigned count) {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (error && (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE))
    return "a certificate in it is damaged";
  return count ? NULL : "there is no certificate in PEM in it";
}

static int64_t end_of(const X509 *certificate) {
  ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
  int days = 0, seconds = 0;
  if (epoch) ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(certificate));
  ASN1_TIME_free(epoch);
  return (int64_t)days * 86400 + seconds;
}

static const char *use_own(struct tls_identity *identity, X509 *certificate) {
  unsigned length = 0;
  if (SSL_CTX_use_certificate(identity->context, certificate) != 1) return "the certificate cannot be used (too weak a key?)";
  if (X509_digest(certificate, EVP_sha256(), identity->sha256, &length) != 1) return "the certificate cannot be read";
  identity->not_after_s = end_of(certificate);
  return NULL;
}

static const char *use_issuer(struct tls_identity *identity, X509 *certificate) {
  if (SSL_CTX_add1_chain_cert(identity->context, certificate) != 1) return "a certificate of the chain cannot be used";
  const int64_t end_s = end_of(certificate);
  if (end_s < identity->not_after_s) identity->not_after_s = end_s;
  return NULL;
}

static const char *read_certificates(struct tls_identity *identity, struct tls_text text) {
  BIO *reader = reader_of(text);
  const char *what = NULL;
  unsigned count = 0;
  for (X509 *certificate; reader && !what && (certificate = PEM_read_bio_X509(reader, NULL, no_pass_phrase, NULL)); count++) {
    if (count == CHAIN_CERTIFICATES_MAX) {
      what = "the chain is longer than 10 certificates";
    } else {
      what = count == 0 ? use_own(identity, certificate) : use_issuer(identity, certificate);
    }
    X509_free(certificate);
  }
  BIO_free(reader);
  return what ? what : after_last(count);
}

static const char *read_key(struct tls_identity *identity, struct tls_text text) {
  BIO *reader = reader_of(text);
  EVP_PKEY *key = reader ? PEM_read_bio_PrivateKey(reader, NULL, no_pass_phrase, NULL) : NULL;
  const char *what = NULL;
  if (!key) {
    what = "there is no private key in PEM in it, or it is encrypted";
  } else if (SSL_CTX_use_PrivateKey(identity->context, key) != 1 || SSL_CTX_check_private_key(identity->context) != 1) {
    what = "the key is not the certificate's";
  }
  EVP_PKEY_free(key);
  BIO_free(reader);
  return what;
}

static const char *read_authorities(struct tls_identity *identity, struct tls_text text) {
  X509_STORE *store = SSL_CTX_get_cert_store(identity->context);
  BIO *reader = reader_of(text);
  const char *what = NULL;
  unsigned count = 0;
  for (X509 *authority; reader && !what && (authority = PEM_read_bio_X509(reader, NULL, no_pass_phrase, NULL)); count++) {
    if (count == CLIENT_AUTHORITIES_MAX) {
      what = "there are more than 256 certificates in it";
    } else if (X509_STORE_add_cert(store, authority) != 1 || SSL_CTX_add_client_CA(identity->context, authority) != 1) {
      what = "a certificate in it cannot be used";
    }
    X509_free(authority);
  }
  BIO_free(reader);
  return what ? what : after_last(count);
}

static const char *ask_clients(struct tls_identity *identity, const struct tls_identity_source *source) {
  const char *what = read_authorities(identity, source->client_ca);
  if (what) return what;
  X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(identity->context);
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS);
  for (uint32_t i = 0; i < source->client_name_count; i++)
    if (X509_VERIFY_PARAM_add1_host(parameters, source->client_names[i], 0) != 1) return "a client name cannot be used";
  SSL_CTX_set_verify(identity->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  SSL_CTX_set_verify_depth(identity->context, CLIENT_CHAIN_DEPTH_MAX);
  identity->asks_clients = true;
  return NULL;
}

static bool configure(SSL_CTX *context) {
  if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 || SSL_CTX_set_ciphersuites(context, CIPHER_SUITES) != 1 ||
      SSL_CTX_set1_groups_list(context, GROUPS) != 1 || SSL_CTX_set_num_tickets(context, 0) != 1 ||
      SSL_CTX_set_max_early_data(context, 0) != 1 || SSL_CTX_set_recv_max_early_data(context, 0) != 1)
    return false;
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(context, CLIENT_CERTIFICATE_BYTES_MAX);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  /* One record, or message, a call: what a peer may have done in one call is bounded. */
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  tls_handshake_hooks(context);
  return true;
}

struct tls_identity *tls_identity_create(const struct tls_identity_source *source, struct tls_identity_fault *fault) {
  struct tls_identity *identity = OPENSSL_zalloc(sizeof *identity);
  *fault = (struct tls_identity_fault){.file = TLS_FILE_CERTIFICATE, .what = "no memory"};
  if (identity) identity->context = SSL_CTX_new(TLS_server_method());
  const char *what = identity && identity->context && configure(identity->context) ? NULL : fault->what;
  if (!what) what = read_certificates(identity, source->certificate);
  if (!what) {
    fault->file = TLS_FILE_KEY;
    what = read_key(identity, source->key);
  }
  if (!what && source->client_ca.length) {
    fault->file = TLS_FILE_CLIENT_CA;
    what = ask_clients(identity, source);
  }
  ERR_clear_error();
  if (!what) return identity;
  fault->what = what;
  tls_identity_free(identity);
  return NULL;
}

void tls_identity_free(struct tls_identity *identity) {
  if (!identity) return;
  SSL_CTX_free(identity->context);
  OPENSSL_free(identity);
}

int64_t tls_identity_not_after_s(const struct tls_identity *identity) { return identity->not_after_s; }
const uint8_t *tls_identity_sha256(const struct tls_identity *identity) { return identity->sha256; }
