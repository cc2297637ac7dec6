#include "rule_records.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMER_BEGIN_BYTES offsetof(struct rules_begin_record, kind)

static struct record_header header_of(uint16_t type, size_t bytes, uint64_t wall_ns) {
  return (struct record_header){.type = type, .shard = RECORD_SHARD_CONTROL, .bytes = (uint32_t)bytes, .wall_ns = wall_ns};
}

int rules_stream_write(const struct rules_writer *writer, enum rules_stream_kind kind, const void *bytes, size_t length,
                       uint64_t wall_ns, const char *who) {
  struct rules_begin_record *begin = writer->reserve(writer->context, sizeof *begin);
  if (!begin) return -EAGAIN;
  *begin = (struct rules_begin_record){
      .header = header_of(RECORD_RULES_BEGIN, sizeof *begin, wall_ns), .stream = wall_ns, .total_bytes = length, .kind = kind};
  writer->filled(writer->context, false);
  for (size_t at = 0; at < length; at += RULES_CHUNK_BYTES) {
    const size_t part = length - at < RULES_CHUNK_BYTES ? length - at : RULES_CHUNK_BYTES;
    struct rules_chunk_record *chunk = writer->reserve(writer->context, (uint32_t)(sizeof *chunk + part));
    if (!chunk) return -EAGAIN;
    *chunk = (struct rules_chunk_record){
        .header = header_of(RECORD_RULES_CHUNK, sizeof *chunk + part, wall_ns), .stream = wall_ns, .bytes = (uint32_t)part};
    memcpy(chunk->text, (const char *)bytes + at, part);
    writer->filled(writer->context, false);
  }
  struct rules_commit_record *commit = writer->reserve(writer->context, sizeof *commit);
  if (!commit) return -EAGAIN;
  *commit = (struct rules_commit_record){.header = header_of(RECORD_RULES_COMMIT, sizeof *commit, wall_ns), .stream = wall_ns};
  snprintf(commit->who, sizeof commit->who, "%s", who);
  writer->filled(writer->context, true);
  return 0;
}

static void forget(struct rules_reader *reader) {
  free(reader->bytes);
  reader->bytes = NULL;
  reader->total_bytes = reader->got_bytes = 0;
}

static void begin(struct rules_reader *reader, const struct rules_begin_record *record) {
  forget(reader);
  reader->begun++;
  const bool former = record->header.bytes == FORMER_BEGIN_BYTES;
  if ((!former && record->header.bytes != sizeof *record) || record->total_bytes > RULES_STREAM_BYTES_MAX) return;
  reader->kind = former ? RULES_STREAM_FORMER : (enum rules_stream_kind)record->kind;
  reader->bytes = malloc(record->total_bytes + 1);
  reader->stream = record->stream;
  reader->total_bytes = record->total_bytes;
}

static void take_chunk(struct rules_reader *reader, const struct rules_chunk_record *chunk) {
  if (!reader->bytes || chunk->header.bytes < sizeof *chunk || chunk->stream != reader->stream) return;
  if (chunk->bytes > chunk->header.bytes - sizeof *chunk || chunk->bytes > reader->total_bytes - reader->got_bytes) return;
  memcpy(reader->bytes + reader->got_bytes, chunk->text, chunk->bytes);
  reader->got_bytes += chunk->bytes;
}

bool rules_reader_take(struct rules_reader *reader, const struct record_header *record) {
  if (record->type == RECORD_RULES_BEGIN && record->bytes >= FORMER_BEGIN_BYTES) begin(reader, (const void *)record);
  if (record->type == RECORD_RULES_CHUNK) take_chunk(reader, (const void *)record);
  if (record->type != RECORD_RULES_COMMIT || record->bytes != sizeof(struct rules_commit_record)) return false;
  const struct rules_commit_record *commit = (const void *)record;
  if (!reader->bytes || commit->stream != reader->stream || reader->got_bytes != reader->total_bytes) return false;
  reader->bytes[reader->got_bytes] = '\0';
  reader->committed++;
  reader->stream = 0; /* one commit counts once */
  return true;
}

void rules_reader_free(struct rules_reader *reader) { forget(reader); }
