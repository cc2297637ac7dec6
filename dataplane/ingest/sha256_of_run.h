#pragma once
/* SHA-256 of one run of bytes by the block functions: OpenSSL 3's one-shot call allocates. */
#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>

static inline void sha256(const void *bytes, size_t length, uint8_t digest[32]) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes, length);
  SHA256_Final(digest, &context);
}
