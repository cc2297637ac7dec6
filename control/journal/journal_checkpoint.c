#include "journal_checkpoint.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 4096u
#define SECRET_BYTES_LEAST 16u
#define SECRET_BYTES_MAX 1024u
#define SECRET_SIGNATURE_BYTES 32u

struct checkpoint_key {
  char id[CHECKPOINT_KEY_ID_BYTES + 1];
  EVP_PKEY *pair; /* NULL: an HMAC secret */
  uint8_t secret[SECRET_BYTES_MAX];
  size_t secret_bytes;
};

struct signed_bytes {
  uint8_t bytes[sizeof CHECKPOINT_CONTEXT - 1 + sizeof(struct checkpoint_record)];
  size_t length;
};

static struct signed_bytes signed_bytes(const struct checkpoint_record *record) {
  const size_t from = offsetof(struct checkpoint_record, header.wall_ns), to = offsetof(struct checkpoint_record, signature);
  struct signed_bytes made = {.length = sizeof CHECKPOINT_CONTEXT - 1 + to - from};
  memcpy(made.bytes, CHECKPOINT_CONTEXT, sizeof CHECKPOINT_CONTEXT - 1);
  memcpy(made.bytes + sizeof CHECKPOINT_CONTEXT - 1, (const uint8_t *)record + from, to - from);
  return made;
}

static bool take_pair(struct checkpoint_key *key, const char *text, size_t length, bool signing) {
  BIO *bio = BIO_new_mem_buf(text, (int)length);
  if (!bio) return false;
  key->pair = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
  if (!key->pair && !signing && BIO_reset(bio) == 1) key->pair = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
  BIO_free(bio);
  return key->pair && EVP_PKEY_id(key->pair) == EVP_PKEY_ED25519;
}

static bool take_secret(struct checkpoint_key *key, const char *text, size_t length) {
  if (length > 0 && text[length - 1] == '\n') length--;
  if (length < SECRET_BYTES_LEAST || length > SECRET_BYTES_MAX) return false;
  memcpy(key->secret, text, length);
  key->secret_bytes = length;
  return true;
}

/* Bytes read, or -errno; -EPERM: others may read it. */
static ssize_t read_file(const char *path, bool private, char text[FILE_BYTES_MAX]) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -errno;
  struct stat status;
  ssize_t got = fstat(file, &status) == 0 ? read(file, text, FILE_BYTES_MAX) : -1;
  if (got < 0) got = -errno;
  if (got >= 0 && private && (status.st_mode & (S_IRWXG | S_IRWXO))) got = -EPERM;
  close(file);
  return got;
}

struct checkpoint_key *checkpoint_key_load(const char *id, const char *path, bool signing, char *error, size_t room) {
  static const char pem[] = "-----BEGIN ";
  char text[FILE_BYTES_MAX];
  struct checkpoint_key *key = calloc(1, sizeof *key);
  const ssize_t length = key ? read_file(path, signing, text) : -ENOMEM;
  bool good = false;
  if (length == -EPERM) {
    snprintf(error, room, "%s may be read by others than its owner; chmod 0600 it", path);
  } else if (length < 0) {
    snprintf(error, room, "%s cannot be read: %s", path, strerror((int)-length));
  } else if (id[0] == '\0' || strlen(id) > CHECKPOINT_KEY_ID_BYTES) {
    snprintf(error, room, "a key's id has 1 to %d characters", CHECKPOINT_KEY_ID_BYTES);
  } else if ((size_t)length >= sizeof pem - 1 && memcmp(text, pem, sizeof pem - 1) == 0) {
    good = take_pair(key, text, (size_t)length, signing);
    if (!good) snprintf(error, room, "%s holds no %sEd25519 key", path, signing ? "private " : "");
  } else {
    good = take_secret(key, text, (size_t)length);
    if (!good)
      snprintf(error, room, "%s holds neither a PEM key nor a secret of %u to %u bytes", path, SECRET_BYTES_LEAST,
               SECRET_BYTES_MAX);
  }
  OPENSSL_cleanse(text, sizeof text);
  if (good) {
    memcpy(key->id, id, strlen(id));
    return key;
  }
  checkpoint_key_free(key);
  return NULL;
}

void checkpoint_key_free(struct checkpoint_key *key) {
  if (!key) return;
  EVP_PKEY_free(key->pair);
  OPENSSL_cleanse(key, sizeof *key);
  free(key);
}

const char *checkpoint_key_id(const struct checkpoint_key *key) { return key->id; }

static bool sign_by_secret(const struct checkpoint_key *key, const struct signed_bytes *content, uint8_t *signature) {
  unsigned length = 0;
  return HMAC(EVP_sha256(), key->secret, (int)key->secret_bytes, content->bytes, content->length, signature, &length) &&
         length == SECRET_SIGNATURE_BYTES;
}

static bool sign_by_pair(const struct checkpoint_key *key, const struct signed_bytes *content, uint8_t *signature) {
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  size_t length = CHECKPOINT_SIGNATURE_BYTES;
  const bool good = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key->pair) == 1 &&
                    EVP_DigestSign(context, signature, &length, content->bytes, content->length) == 1 &&
                    length == CHECKPOINT_SIGNATURE_BYTES;
  EVP_MD_CTX_free(context);
  return good;
}

int checkpoint_sign(const struct checkpoint_key *key, struct checkpoint_record *record) {
  memset(record->key_id, 0, sizeof record->key_id);
  memcpy(record->key_id, key->id, strlen(key->id));
  record->algorithm = key->pair ? CHECKPOINT_ED25519 : CHECKPOINT_HMAC_SHA256;
  record->reserved = 0;
  memset(record->signature, 0, sizeof record->signature);
  const struct signed_bytes content = signed_bytes(record);
  const bool good = key->pair ? sign_by_pair(key, &content, record->signature) : sign_by_secret(key, &content, record->signature);
  return good ? 0 : -EIO;
}

bool checkpoint_verify(const struct checkpoint_key *key, const struct checkpoint_record *record) {
  const struct signed_bytes content = signed_bytes(record);
  const uint32_t algorithm = key->pair ? CHECKPOINT_ED25519 : CHECKPOINT_HMAC_SHA256;
  if (record->algorithm != algorithm) return false;
  if (!key->pair) {
    uint8_t wanted[CHECKPOINT_SIGNATURE_BYTES] = {0};
    return sign_by_secret(key, &content, wanted) && CRYPTO_memcmp(wanted, record->signature, sizeof wanted) == 0;
  }
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  const bool good = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->pair) == 1 &&
                    EVP_DigestVerify(context, record->signature, sizeof record->signature, content.bytes, content.length) == 1;
  EVP_MD_CTX_free(context);
  return good;
}
