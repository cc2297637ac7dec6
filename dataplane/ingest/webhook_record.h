#pragma once
/* An accepted webhook as a record (RECORD_WEBHOOK): the proof that it was accepted, what was found in it, and what brings the
 * replay table back after a crash. Little-endian. Two forms, told apart by their length: the short one, as earlier releases wrote
 * it, is struct webhook_record alone; the long one goes on with struct webhook_audit, then the ids of violations (16 bytes each),
 * then headers (u8 length of the name, u8 flags, u16 length of the value, name, value), then the body if it was kept; nothing
 * after that. Threads: any. */
#include "event.h"
#include "record.h"
#include <stddef.h>

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

#define WEBHOOK_AUDIT_IDS_MAX 16u          /* violations named; `violations` counts all */
#define WEBHOOK_AUDIT_HEADERS_MAX 32u      /* with repetitions */
#define WEBHOOK_AUDIT_HEADER_BYTES 4096u   /* all headers, their lengths and flags included */
#define WEBHOOK_AUDIT_NAME_BYTES_MAX 47u   /* of a header's name */
#define WEBHOOK_AUDIT_VALUE_BYTES_MAX 512u /* of a header's value */
#define WEBHOOK_AUDIT_BODY_BYTES_MAX (59u * 1024u)

enum webhook_audit_flag {
  WEBHOOK_BODY_KEPT = 1 << 0,
  WEBHOOK_BODY_TOO_LARGE = 1 << 1,  /* bodies are kept, this one is longer than those that are */
  WEBHOOK_VERDICT_PARTIAL = 1 << 2, /* rules were left unasked, or values of the body: more than one judgement may look at */
};

struct webhook_audit {
  uint64_t received_ns; /* wall clock: the request was whole */
  uint64_t generation;  /* of the rules that judged it; 0: there were none */
  uint8_t peer[16];     /* IPv4 as ::ffff:a.b.c.d */
  uint16_t peer_port;
  uint16_t flags;            /* enum webhook_audit_flag; bits that are not known are ignored */
  uint32_t violations;       /* raised by this request, and in the same ring before this record */
  uint32_t shadow_matches;   /* of rules in shadow */
  uint32_t window_matches;   /* handed to windows, `threshold` and `suppress` */
  uint32_t kept_bytes;       /* of the body: all or none */
  uint16_t headers_left_out; /* on the list, and beyond what is kept */
  uint8_t header_count;
  uint8_t violation_id_count;
};

#define WEBHOOK_HEADER_CUT 1u /* flag: the value was longer */

struct webhook_audit_header {
  struct event_text name, value;
  bool cut;
};

/* Both for writing and as the result of reading, when texts, ids and body point into the record. */
struct webhook_account {
  struct webhook_record record;
  bool audited; /* the long form */
  struct webhook_audit audit;
  const uint8_t (*violation_ids)[16];
  const uint8_t *body; /* NULL: not kept */
  uint32_t header_bytes;
  struct webhook_audit_header headers[WEBHOOK_AUDIT_HEADERS_MAX];
};

/* Keeps the header as far as there is room: the value is cut, or the header is counted as left out. The name is within
 * WEBHOOK_AUDIT_NAME_BYTES_MAX. */
void webhook_account_add_header(struct webhook_account *account, struct event_text name, struct event_text value);
/* Bytes that webhook_account_write will write: at most RECORD_BYTES_MAX with a body within WEBHOOK_AUDIT_BODY_BYTES_MAX. */
uint32_t webhook_account_bytes(const struct webhook_account *account);
void webhook_account_write(const struct webhook_account *account, void *record);
/* What follows struct webhook_audit: for who fills the two in their place. Of `audit` it uses the counts alone. */
void webhook_account_write_tail(const struct webhook_account *account, uint8_t *out);
/* False when the record is not a well-formed webhook of either form. */
bool webhook_account_read(const void *record, size_t bytes, struct webhook_account *account);
