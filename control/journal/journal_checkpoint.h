#pragma once
/* Checkpoints: records that sign the hash chain (Ed25519, RFC 8032, or HMAC-SHA256, RFC 2104). The chain alone tells whether
 * anything was changed since somebody noted its end; a checkpoint tells it to whoever holds the key, or its public half.
 * Threads: any; a key may be used by several for verifying, by one for signing. */
#include "journal_format_internal.h"
#include <stdbool.h>

#define CHECKPOINT_KEY_ID_BYTES 32
#define CHECKPOINT_SIGNATURE_BYTES 64

enum checkpoint_algorithm { CHECKPOINT_ED25519 = 1, CHECKPOINT_HMAC_SHA256 = 2 };

/* RECORD_CHECKPOINT, little-endian. Signed: CHECKPOINT_CONTEXT, then the bytes from header.wall_ns up to the signature. */
#define CHECKPOINT_CONTEXT "tripline journal checkpoint 1"
struct checkpoint_record {
  struct record_header header;
  uint64_t lsn;                       /* the last record it covers, the last of its batch */
  uint8_t chain[JOURNAL_CHAIN_BYTES]; /* after that batch */
  uint8_t node_id[16];
  char key_id[CHECKPOINT_KEY_ID_BYTES]; /* then zeros */
  uint32_t algorithm;                   /* enum checkpoint_algorithm */
  uint32_t reserved;
  uint8_t signature[CHECKPOINT_SIGNATURE_BYTES]; /* of HMAC: 32 bytes, then zeros */
};
_Static_assert(sizeof(struct checkpoint_record) == 176, "format");

struct checkpoint_key;

/* From a PEM file, which is an Ed25519 key, or else from the bytes of a file (16 to 1,024, without a newline at the end), which
 * are an HMAC secret. For signing a private key or a secret, in a file that is its owner's alone; for verifying a public key
 * will do. NULL, and `error` says why. */
struct checkpoint_key *checkpoint_key_load(const char *id, const char *path, bool signing, char *error, size_t room);
void checkpoint_key_free(struct checkpoint_key *key);
const char *checkpoint_key_id(const struct checkpoint_key *key);

/* Fills in key id, algorithm and signature. 0 or -EIO. */
int checkpoint_sign(const struct checkpoint_key *key, struct checkpoint_record *record);
/* Whether the record is one of this key and as it was signed. */
bool checkpoint_verify(const struct checkpoint_key *key, const struct checkpoint_record *record);
