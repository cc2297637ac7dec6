#pragma once
/* Rules in the journal: a stream is begun, given in chunks, and counts from its commit. What it holds is a change, a snapshot of
 * the ledger, or, from an earlier release, the text of a whole set. Streams never interleave. Layouts are part of the journal's
 * format (docs/journal-format.md). */
#include "record.h"
#include "rule_ledger.h"

#define RULES_CHUNK_BYTES (32u * 1024u)
#define RULES_STREAM_BYTES_MAX (1ull << 30)

enum rules_stream_kind {
  RULES_STREAM_FORMER = 0, /* YAML; begun by RECORD_RULES_BEGIN */
  RULES_STREAM_CHANGE = 1,
  RULES_STREAM_SNAPSHOT = 2,
};

/* RECORD_RULES_BEGIN of an earlier release ends before `kind`. */
struct rules_begin_record {
  struct record_header header;
  uint64_t stream, total_bytes;
  uint32_t kind, reserved;
};

struct rules_chunk_record {
  struct record_header header;
  uint64_t stream;
  uint32_t bytes, reserved;
  char text[];
};

struct rules_commit_record {
  struct record_header header;
  uint64_t stream;
  char who[RULE_WHO_BYTES];
};

/* malloc'd. */
void *rule_change_encode(const struct rule_change *change, size_t *length);
/* Into what `bytes` holds; `items` is malloc'd. 0 or -EBADMSG. */
int rule_change_decode(const void *bytes, size_t length, struct rule_change *change);
void *rule_ledger_encode(const struct rule_ledger *ledger, size_t *length);
/* NULL: not a snapshot. */
struct rule_ledger *rule_ledger_decode(const void *bytes, size_t length, size_t history_bytes_max);

/* A way for records to leave. What is filled may be kept back until `last`, so that a small stream is one write. */
struct rules_writer {
  void *context;
  void *(*reserve)(void *context, uint32_t bytes); /* waits for room; NULL: none is to be had */
  void (*filled)(void *context, bool last);
};

/* 0, or -EAGAIN when there was no room: then nothing of it counts. */
int rules_stream_write(const struct rules_writer *writer, enum rules_stream_kind kind, const void *bytes, size_t length,
                       uint64_t wall_ns, const char *who);

/* Puts streams together again. */
struct rules_reader {
  uint64_t stream, total_bytes, got_bytes;
  enum rules_stream_kind kind;
  char *bytes;
  uint64_t begun, committed;
};

/* True when the record completes a stream: `reader->bytes` (NUL-terminated) has `total_bytes`, until the next call. */
bool rules_reader_take(struct rules_reader *reader, const struct record_header *record);
void rules_reader_free(struct rules_reader *reader);
