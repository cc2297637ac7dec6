#pragma once
/* A violation as a record (RECORD_VIOLATION): written by shards, read by control. Bounded: VIOLATION_BYTES_MAX.
 * Layout, little-endian, after struct record_header: struct violation_fixed, then for rule, message, service: u16 length (0xffff
 * = null) and bytes; then u16 attribute count and for each: u16 key length, key, u8 value type, value (u8, i64, f64, or u16
 * length and bytes). Strings are cut at whole UTF-8 characters to fit. */
#include "event.h"
#include "record.h"
#include <stddef.h>

#define VIOLATION_BYTES_MAX 4096u
#define VIOLATION_SPAN_IDS_MAX 16
#define VIOLATION_ATTRIBUTES_MAX 32
#define VIOLATION_VALUE_BYTES_MAX 256u

struct violation_fixed {
  uint8_t id[16]; /* UUIDv7 */
  uint32_t rule_version;
  uint8_t severity; /* enum severity */
  uint8_t source;   /* enum rule_on */
  uint8_t has_trace;
  uint8_t span_count;
  uint8_t trace_id[16]; /* has_trace 0: the correlation id of the webhook it was raised by; zero: none is known */
  uint8_t span_ids[VIOLATION_SPAN_IDS_MAX][8];
  uint64_t first_seen_ns, last_seen_ns; /* event time, Unix */
  uint32_t count;                       /* spans or events that make it up */
  uint32_t reserved;
};

struct violation_attribute {
  struct event_text key;
  struct value value;
};

/* Both for writing and as the result of reading. */
struct violation {
  uint64_t wall_ns; /* of the verdict */
  uint16_t shard;
  struct violation_fixed fixed;
  struct event_text rule, message, service; /* service may be null */
  uint32_t attribute_count;
  struct violation_attribute attributes[VIOLATION_ATTRIBUTES_MAX];
};

/* Bytes that violation_encode will write (after cutting). */
uint32_t violation_encoded_bytes(const struct violation *violation);
/* Writes exactly that many into `record`. */
void violation_encode(const struct violation *violation, void *record);
/* False when the record is not a well-formed violation; text points into it. */
bool violation_decode(const void *record, size_t bytes, struct violation *violation);
