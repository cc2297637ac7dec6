#pragma once
/* An accepted webhook as a record (RECORD_WEBHOOK): the proof that it was accepted, and what brings the replay table back after a
 * crash. Little-endian. */
#include "record.h"

struct webhook_record {
  struct record_header header;
  uint8_t correlation_id[16];
  uint8_t id_key[16]; /* replay key; zero when the webhook claimed no id */
  uint8_t body_sha256[32];
  uint64_t remember_until_ns; /* wall clock; 0 when no id */
  uint16_t status;            /* the answer given */
  uint8_t source_kind;        /* enum webhook_kind */
  uint8_t source_length;
  uint32_t body_bytes;
  char source[64];
};
