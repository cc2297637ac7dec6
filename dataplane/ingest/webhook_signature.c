#include "sha256_of_run.h"
#include "webhook.h"
#include <openssl/crypto.h>
#include <string.h>

#define HMAC_BLOCK_BYTES 64
#define SHA256_BYTES 32
#define NANOSECONDS 1000000000ull

static int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

/* RFC 4648 section 4, padding required, nothing else between. Bytes written, or -1. */
static int base64_decode(const char *text, uint32_t length, uint8_t *bytes, uint32_t room) {
  if (length == 0 || length % 4 != 0) return -1;
  uint32_t written = 0;
  for (uint32_t i = 0; i < length; i += 4) {
    const bool last = i + 4 == length;
    const unsigned padding = !last ? 0 : text[i + 2] == '=' ? 2 : text[i + 3] == '=' ? 1 : 0;
    uint32_t group = 0;
    for (unsigned j = 0; j < 4; j++) {
      const int digit = j >= 4 - padding ? (text[i + j] == '=' ? 0 : -1) : base64_digit(text[i + j]);
      if (digit < 0) return -1;
      group = group << 6 | (uint32_t)digit;
    }
    for (unsigned j = 0; j < 3 - padding; j++) {
      if (written == room) return -1;
      bytes[written++] = (uint8_t)(group >> (16 - 8 * j));
    }
  }
  return (int)written;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool hex_digest(const char *text, uint32_t length, uint8_t digest[SHA256_BYTES]) {
  if (length != 2 * SHA256_BYTES) return false;
  for (unsigned i = 0; i < SHA256_BYTES; i++) {
    const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    digest[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

/* HMAC (RFC 2104) with the padded key blocks hashed once, so that a message costs only its own blocks and one more. */
static void prepare_hmac(const uint8_t *key, uint32_t length, struct webhook_secret *secret) {
  uint8_t block[HMAC_BLOCK_BYTES] = {0};
  if (length > HMAC_BLOCK_BYTES) {
    sha256(key, length, block);
  } else {
    memcpy(block, key, length);
  }
  for (unsigned i = 0; i < HMAC_BLOCK_BYTES; i++) block[i] ^= 0x36;
  SHA256_Init(&secret->inner);
  SHA256_Update(&secret->inner, block, sizeof block);
  for (unsigned i = 0; i < HMAC_BLOCK_BYTES; i++) block[i] ^= 0x36 ^ 0x5c;
  SHA256_Init(&secret->outer);
  SHA256_Update(&secret->outer, block, sizeof block);
  OPENSSL_cleanse(block, sizeof block);
}

int webhook_secret_prepare(enum webhook_kind kind, const char *text, uint32_t length, struct webhook_secret *secret) {
  static const char prefix[] = "whsec_";
  uint8_t key[1024];
  if (length == 0 || length > sizeof key) return -1;
  int key_length = (int)length;
  if (kind == WEBHOOK_STANDARD) {
    const uint32_t skip = length > sizeof prefix - 1 && memcmp(text, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
    key_length = base64_decode(text + skip, length - skip, key, sizeof key);
    if (key_length < 16) return -1; /* the specification asks for 24 to 64 bytes; less than 16 is no secret */
  } else {
    memcpy(key, text, length);
  }
  prepare_hmac(key, (uint32_t)key_length, secret);
  sha256(text, length, secret->bearer_sha256);
  OPENSSL_cleanse(key, sizeof key);
  return 0;
}

struct signed_parts {
  struct event_text id, timestamp; /* standard-webhooks: `id.timestamp.` comes before the body */
  const uint8_t *body;
  uint32_t bytes;
};

static void hmac(const struct webhook_secret *secret, const struct signed_parts *parts, uint8_t digest[SHA256_BYTES]) {
  SHA256_CTX context = secret->inner;
  if (parts->id.at) {
    SHA256_Update(&context, parts->id.at, parts->id.length);
    SHA256_Update(&context, ".", 1);
    SHA256_Update(&context, parts->timestamp.at, parts->timestamp.length);
    SHA256_Update(&context, ".", 1);
  }
  SHA256_Update(&context, parts->body, parts->bytes);
  SHA256_Final(digest, &context);
  context = secret->outer;
  SHA256_Update(&context, digest, SHA256_BYTES);
  SHA256_Final(digest, &context);
}

/* Every secret and every candidate is compared, without early exit, so that time tells nothing of which one matched. */
static bool any_matches(const struct webhook_source *source, const struct signed_parts *parts,
                        const uint8_t (*candidates)[SHA256_BYTES], uint32_t candidate_count, uint32_t *secret_index) {
  uint32_t matched = 0;
  for (uint32_t s = 0; s < source->secret_count; s++) {
    uint8_t digest[SHA256_BYTES];
    hmac(&source->secrets[s], parts, digest);
    for (uint32_t c = 0; c < candidate_count; c++)
      if (CRYPTO_memcmp(digest, candidates[c], SHA256_BYTES) == 0) matched |= 1u << s;
  }
  if (matched && secret_index) *secret_index = (uint32_t)__builtin_ctz(matched);
  return matched != 0;
}

#define SIGNATURES_MAX 16

static enum webhook_verdict check_timestamp(const struct webhook_source *source, struct event_text text, uint64_t wall_ns) {
  uint64_t seconds = 0;
  if (text.length == 0 || text.length > 12) return WEBHOOK_BAD_TIMESTAMP;
  for (uint32_t i = 0; i < text.length; i++) {
    if (text.at[i] < '0' || text.at[i] > '9') return WEBHOOK_BAD_TIMESTAMP;
    seconds = seconds * 10 + (uint64_t)(text.at[i] - '0');
  }
  if (seconds > UINT64_MAX / NANOSECONDS) return WEBHOOK_TOO_NEW;
  const uint64_t then_ns = seconds * NANOSECONDS, allowed_ns = source->window_ns + source->skew_ns;
  if (then_ns < wall_ns && wall_ns - then_ns > allowed_ns) return WEBHOOK_TOO_OLD;
  if (then_ns > wall_ns && then_ns - wall_ns > allowed_ns) return WEBHOOK_TOO_NEW;
  return WEBHOOK_GENUINE;
}

/* Standard Webhooks 1.0: a space-separated list of `v1,BASE64`; other versions are passed over. */
static uint32_t parse_standard_signatures(struct event_text text, uint8_t (*candidates)[SHA256_BYTES]) {
  uint32_t count = 0, at = 0;
  while (at < text.length && count < SIGNATURES_MAX) {
    uint32_t end = at;
    while (end < text.length && text.at[end] != ' ') end++;
    uint8_t digest[SHA256_BYTES + 3];
    if (end - at > 3 && memcmp(text.at + at, "v1,", 3) == 0 &&
        base64_decode(text.at + at + 3, end - at - 3, digest, sizeof digest) == SHA256_BYTES)
      memcpy(candidates[count++], digest, SHA256_BYTES);
    at = end + 1;
  }
  return count;
}

static enum webhook_verdict check_id(struct event_text id, bool dots_allowed) {
  if (!id.at || id.length == 0) return WEBHOOK_MISSING_ID;
  if (id.length > WEBHOOK_ID_BYTES_MAX) return WEBHOOK_BAD_ID;
  if (!dots_allowed && memchr(id.at, '.', id.length)) return WEBHOOK_BAD_ID;
  return WEBHOOK_GENUINE;
}

static enum webhook_verdict authenticate_standard(const struct webhook_source *source, const struct webhook_headers *headers,
                                                  const uint8_t *body, uint32_t bytes, uint64_t wall_ns, uint32_t *secret_index) {
  uint8_t candidates[SIGNATURES_MAX][SHA256_BYTES];
  const enum webhook_verdict id = check_id(headers->id, false);
  if (id != WEBHOOK_GENUINE) return id;
  if (!headers->signature.at) return WEBHOOK_MISSING_SIGNATURE;
  if (!headers->timestamp.at) return WEBHOOK_BAD_TIMESTAMP;
  const enum webhook_verdict time = check_timestamp(source, headers->timestamp, wall_ns);
  if (time != WEBHOOK_GENUINE) return time;
  const uint32_t count = parse_standard_signatures(headers->signature, candidates);
  const struct signed_parts parts = {.id = headers->id, .timestamp = headers->timestamp, .body = body, .bytes = bytes};
  return any_matches(source, &parts, candidates, count, secret_index) ? WEBHOOK_GENUINE : WEBHOOK_BAD_SIGNATURE;
}

/* `sha256=HEX` over the raw body (GitHub); json and alertmanager also take the hex alone. */
static enum webhook_verdict authenticate_body_hex(const struct webhook_source *source, struct event_text signature,
                                                  bool prefix_required, const uint8_t *body, uint32_t bytes,
                                                  uint32_t *secret_index) {
  static const char prefix[] = "sha256=";
  uint8_t candidate[1][SHA256_BYTES];
  const bool prefixed = signature.length > sizeof prefix - 1 && memcmp(signature.at, prefix, sizeof prefix - 1) == 0;
  if (!prefixed && prefix_required) return WEBHOOK_BAD_SIGNATURE;
  const uint32_t skip = prefixed ? sizeof prefix - 1 : 0;
  if (!hex_digest(signature.at + skip, signature.length - skip, candidate[0])) return WEBHOOK_BAD_SIGNATURE;
  const struct signed_parts parts = {.body = body, .bytes = bytes};
  return any_matches(source, &parts, candidate, 1, secret_index) ? WEBHOOK_GENUINE : WEBHOOK_BAD_SIGNATURE;
}

/* Alertmanager signs nothing: its http_config can send a bearer token. Compared by digest, so that length tells nothing. */
static bool bearer_matches(const struct webhook_source *source, struct event_text authorization, uint32_t *secret_index) {
  static const char scheme[] = "Bearer ";
  uint8_t digest[SHA256_BYTES];
  if (authorization.length <= sizeof scheme - 1 || memcmp(authorization.at, scheme, sizeof scheme - 1) != 0) return false;
  sha256(authorization.at + sizeof scheme - 1, authorization.length - (sizeof scheme - 1), digest);
  uint32_t matched = 0;
  for (uint32_t s = 0; s < source->secret_count; s++)
    if (CRYPTO_memcmp(digest, source->secrets[s].bearer_sha256, SHA256_BYTES) == 0) matched |= 1u << s;
  if (matched && secret_index) *secret_index = (uint32_t)__builtin_ctz(matched);
  return matched != 0;
}

static enum webhook_verdict authenticate_plain(const struct webhook_source *source, const struct webhook_headers *headers,
                                               const uint8_t *body, uint32_t bytes, uint32_t *secret_index) {
  if (source->secret_count == 0) return WEBHOOK_UNSIGNED;
  if (headers->id.at) {
    const enum webhook_verdict id = check_id(headers->id, true);
    if (id != WEBHOOK_GENUINE) return id;
  }
  if (headers->signature.at) return authenticate_body_hex(source, headers->signature, false, body, bytes, secret_index);
  if (!headers->authorization.at) return WEBHOOK_MISSING_SIGNATURE;
  return bearer_matches(source, headers->authorization, secret_index) ? WEBHOOK_GENUINE : WEBHOOK_BAD_SIGNATURE;
}

enum webhook_verdict webhook_authenticate(const struct webhook_source *source, const struct webhook_headers *headers,
                                          const uint8_t *body, uint32_t bytes, uint64_t wall_ns, uint32_t *secret_index) {
  switch (source->kind) {
  case WEBHOOK_STANDARD:
    return authenticate_standard(source, headers, body, bytes, wall_ns, secret_index);
  case WEBHOOK_GITHUB: {
    const enum webhook_verdict id = check_id(headers->id, true);
    if (id != WEBHOOK_GENUINE) return id;
    if (!headers->signature.at) return WEBHOOK_MISSING_SIGNATURE;
    return authenticate_body_hex(source, headers->signature, true, body, bytes, secret_index);
  }
  case WEBHOOK_JSON:
  case WEBHOOK_ALERTMANAGER:
    return authenticate_plain(source, headers, body, bytes, secret_index);
  }
  return WEBHOOK_BAD_SIGNATURE;
}

const char *webhook_verdict_name(enum webhook_verdict verdict) {
  static const char *const names[WEBHOOK_VERDICTS] = {
      [WEBHOOK_GENUINE] = "genuine",
      [WEBHOOK_UNSIGNED] = "unsigned",
      [WEBHOOK_MISSING_SIGNATURE] = "missing_signature",
      [WEBHOOK_BAD_SIGNATURE] = "bad_signature",
      [WEBHOOK_MISSING_ID] = "missing_id",
      [WEBHOOK_BAD_ID] = "bad_id",
      [WEBHOOK_BAD_TIMESTAMP] = "bad_timestamp",
      [WEBHOOK_TOO_OLD] = "too_old",
      [WEBHOOK_TOO_NEW] = "too_new",
  };
  return names[verdict];
}
