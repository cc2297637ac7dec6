#include "journal_format_internal.h"
#include <isa-l/crc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t crc32c(const void *bytes, size_t length, uint32_t seed) {
  return crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)length, seed);
}

void journal_segment_name(uint64_t segment_id, char name[32]) {
  snprintf(name, 32, "journal-%016llx.seg", (unsigned long long)segment_id);
}

bool journal_segment_id(const char *name, uint64_t *segment_id) {
  char expected[32];
  unsigned long long id;
  if (sscanf(name, "journal-%16llx.seg", &id) != 1) return false;
  journal_segment_name(id, expected);
  *segment_id = id;
  return strcmp(name, expected) == 0;
}

static uint32_t header_checksum(const struct journal_segment_header *header) {
  struct journal_segment_header copy = *header;
  copy.checksum = 0;
  const uint32_t crc = crc32c(&copy, sizeof copy, ~0u);
  return crc32c((const uint8_t *)header + sizeof copy, JOURNAL_BLOCK_BYTES - sizeof copy, crc);
}

void journal_seal_header(struct journal_segment_header *header) { header->checksum = header_checksum(header); }

bool journal_header_sound(const struct journal_segment_header *header) {
  return header->magic == JOURNAL_SEGMENT_MAGIC && header->checksum == header_checksum(header);
}

/* The seed ties a batch to its place: one left over from another segment or position does not check. */
static uint32_t batch_checksum(const struct journal_batch_header *batch) {
  const uint64_t place[2] = {batch->segment_id, batch->first_lsn};
  const size_t skip = offsetof(struct journal_batch_header, batch_bytes);
  return crc32c((const uint8_t *)batch + skip, batch->batch_bytes - skip, crc32c(place, sizeof place, ~0u));
}

void journal_seal_batch(struct journal_batch_header *batch) { batch->checksum = batch_checksum(batch); }

bool journal_batch_plausible(const struct journal_batch_header *batch, uint64_t segment_id, uint32_t bytes_left) {
  return batch->magic == JOURNAL_BATCH_MAGIC && batch->segment_id == segment_id && batch->batch_bytes >= JOURNAL_BLOCK_BYTES &&
         batch->batch_bytes % JOURNAL_BLOCK_BYTES == 0 && batch->batch_bytes <= bytes_left &&
         batch->batch_bytes <= JOURNAL_BATCH_BYTES_LIMIT && batch->payload_bytes >= sizeof *batch &&
         batch->payload_bytes <= batch->batch_bytes && batch->record_count > 0;
}

bool journal_batch_sound(const struct journal_batch_header *batch) {
  if (batch->checksum != batch_checksum(batch)) return false;
  uint32_t at = sizeof *batch;
  for (uint32_t i = 0; i < batch->record_count; i++) {
    struct record_header record;
    if (at + sizeof record > batch->payload_bytes) return false;
    memcpy(&record, (const uint8_t *)batch + at, sizeof record);
    if (record.bytes < sizeof record || record.bytes > batch->payload_bytes - at) return false;
    at += journal_record_stride(record.bytes);
  }
  return at == batch->payload_bytes;
}

void *journal_buffer(size_t bytes) {
  void *buffer = aligned_alloc(JOURNAL_BLOCK_BYTES, bytes);
  if (buffer) memset(buffer, 0, bytes);
  return buffer;
}
