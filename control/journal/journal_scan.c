#include "journal_scan.h"
#include "journal_window_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES (4u * 1024u * 1024u)
#define CLAIMS_MAX 16u /* journals whose segments lie among each other */

struct scanner {
  struct journal_io *io;
  const struct journal_scan_handler *handler;
  struct journal_scan *scan;
  struct journal_window window;
  struct journal_identity identity;
  bool known;      /* identity: that of most good headers */
  uint64_t newest; /* segment in use */
  bool believing;  /* after damage, or at the start: the next link is taken as it is */
  uint64_t next_lsn;
  uint32_t checksum; /* of the last batch */
  uint8_t chain[JOURNAL_CHAIN_BYTES];
  bool chain_whole; /* so far */
};

/* The segment that is being scanned. */
struct scanned_segment {
  char name[SEGMENT_NAME_BYTES];
  uint64_t segment, bytes;
  struct segment_header header; /* version 0: not good */
  uint32_t seed, version;
  uint8_t block[JOURNAL_BLOCK_BYTES];
};

__attribute__((format(printf, 6, 7))) static void report(struct scanner *scanner, const struct scanned_segment *segment,
                                                         uint64_t offset, uint64_t bytes, uint64_t next_lsn, const char *format,
                                                         ...) {
  struct journal_damage damage = {.offset = offset, .bytes = bytes};
  memcpy(damage.file, segment->name, sizeof damage.file);
  /* What lies between the last good record and the next. */
  if (next_lsn > scanner->next_lsn && scanner->next_lsn > 0) {
    damage.first_lsn = scanner->next_lsn;
    damage.last_lsn = next_lsn - 1;
  }
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(damage.what, sizeof damage.what, format, arguments);
  va_end(arguments);
  if (scanner->scan->damages++ == 0) scanner->scan->first_damage = damage;
  if (scanner->handler->damage) scanner->handler->damage(scanner->handler->context, &damage);
  scanner->chain_whole = false;
}

static void give_records(struct scanner *scanner, const struct scanned_segment *segment, uint64_t offset,
                         const struct batch_header *batch) {
  uint64_t lsn = batch->first_lsn;
  for (uint32_t at = batch_header_bytes(segment->version); at < batch->used_bytes; lsn++) {
    const struct record_frame *frame = (const void *)((const uint8_t *)batch + at);
    if (scanner->handler->record)
      scanner->handler->record(scanner->handler->context, lsn, segment->segment, offset, (const void *)(frame + 1));
    at += record_frame_bytes(frame->bytes);
  }
}

static void check_links(struct scanner *scanner, const struct scanned_segment *segment, uint64_t offset,
                        const struct batch_header *batch) {
  if (scanner->believing) return;
  const uint8_t *before = segment->version >= 2 ? batch_chain_of(batch)->before : NULL;
  if (batch->first_lsn != scanner->next_lsn)
    report(scanner, segment, offset, 0, batch->first_lsn, "LSN %" PRIu64 " where %" PRIu64 " should be", batch->first_lsn,
           scanner->next_lsn);
  else if (batch->previous_checksum != scanner->checksum)
    report(scanner, segment, offset, 0, 0, "LSN %" PRIu64 " does not follow the batch before it (checksum)", batch->first_lsn);
  else if (segment->header.chain_kind == JOURNAL_CHAIN_SHA256 && before && memcmp(before, scanner->chain, sizeof scanner->chain))
    report(scanner, segment, offset, 0, 0, "LSN %" PRIu64 " does not follow the batch before it (hash chain)", batch->first_lsn);
}

static void take_batch(struct scanner *scanner, const struct scanned_segment *segment, uint64_t offset,
                       const struct batch_header *batch) {
  struct journal_scan *scan = scanner->scan;
  check_links(scanner, segment, offset, batch);
  scanner->believing = false;
  scanner->next_lsn = batch->first_lsn + batch->record_count;
  scanner->checksum = batch->checksum;
  if (segment->header.chain_kind == JOURNAL_CHAIN_SHA256)
    journal_chain_next(offset == JOURNAL_BLOCK_BYTES ? segment->block : NULL, batch, batch->batch_bytes, scanner->chain);
  if (scan->first_lsn == 0) scan->first_lsn = batch->first_lsn;
  scan->last_lsn = scanner->next_lsn - 1;
  scan->batches++;
  scan->batch_bytes += batch->batch_bytes;
  scan->records += batch->record_count;
  give_records(scanner, segment, offset, batch);
  if (scanner->handler->batch)
    scanner->handler->batch(scanner->handler->context, scan->last_lsn,
                            segment->header.chain_kind == JOURNAL_CHAIN_SHA256 ? scanner->chain : NULL);
}

/* The good batch at `offset`, or NULL with *error; a segment without a good header is tried as every version. */
static const struct batch_header *batch_at(struct scanner *scanner, struct scanned_segment *segment, uint64_t offset, bool *zero,
                                           int *error) {
  const uint64_t left = segment->bytes - offset;
  *zero = false;
  if (left < JOURNAL_BLOCK_BYTES) return NULL;
  const uint8_t *bytes = journal_window_at(&scanner->window, offset, JOURNAL_BLOCK_BYTES, left, error);
  if (!bytes) return NULL;
  *zero = journal_is_zero(bytes, JOURNAL_BLOCK_BYTES);
  const uint32_t claimed = *zero ? 0 : batch_claimed_bytes(bytes, left / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES);
  if (claimed == 0) return NULL;
  *error = journal_window_reserve(&scanner->window, claimed);
  if (*error == 0) bytes = journal_window_at(&scanner->window, offset, claimed, left, error);
  if (*error < 0 || !bytes) return NULL;
  const bool sure = segment->header.version > 0;
  for (uint32_t version = sure ? segment->version : JOURNAL_VERSION; version >= 1; version--) {
    if (batch_check(bytes, claimed, segment->segment, segment->seed, version) == BATCH_VALID) {
      segment->version = version;
      return (const void *)bytes;
    }
    if (sure) break;
  }
  return NULL;
}

/* From `offset` on there is no good batch: looks for the next one. *end: where it is, or the segment's end; *last: after the last
 * block that is not zero. */
static int skip_damage(struct scanner *scanner, struct scanned_segment *segment, uint64_t offset, uint64_t *end, uint64_t *last,
                       const struct batch_header **next) {
  int error = 0;
  bool zero = false;
  *last = offset;
  *next = NULL;
  for (; offset < segment->bytes && !*next && error == 0; offset += JOURNAL_BLOCK_BYTES) {
    *next = batch_at(scanner, segment, offset, &zero, &error);
    if (*next) break;
    if (!zero) *last = offset + JOURNAL_BLOCK_BYTES;
  }
  *end = offset < segment->bytes ? offset : segment->bytes;
  return error;
}

static int scan_batches(struct scanner *scanner, struct scanned_segment *segment, bool newest) {
  uint64_t offset = JOURNAL_BLOCK_BYTES;
  while (offset < segment->bytes) {
    int error = 0;
    bool zero = false;
    const struct batch_header *batch = batch_at(scanner, segment, offset, &zero, &error);
    if (error < 0) return error;
    if (!batch) {
      uint64_t end, last;
      error = skip_damage(scanner, segment, offset, &end, &last, &batch);
      if (error < 0) return error;
      if (!batch && newest && segment->header.version > 0 && last - offset <= segment->header.batch_bytes_max) {
        scanner->scan->torn_bytes = last - offset;
        scanner->scan->torn_offset = offset;
        return 0;
      }
      if (batch || last > offset)
        report(scanner, segment, offset, (batch ? end : last) - offset, batch ? batch->first_lsn : 0,
               "no good batch where LSN %" PRIu64 " should be", scanner->next_lsn);
      if (!batch) return 0; /* the next segment's header tells how many records are missing */
      scanner->believing = true;
      offset = end;
    }
    take_batch(scanner, segment, offset, batch);
    offset += batch->batch_bytes;
  }
  return 0;
}

/* A good header in the wrong place tells nothing of what follows it. */
static bool is_in_place(struct scanner *scanner, struct scanned_segment *segment) {
  struct segment_header *header = &segment->header;
  if (header->segment == segment->segment && header->salt == scanner->identity.salt &&
      memcmp(header->node_id, scanner->identity.node_id, sizeof header->node_id) == 0)
    return true;
  if (header->segment != segment->segment)
    report(scanner, segment, 0, JOURNAL_BLOCK_BYTES, 0, "the header is that of segment %" PRIu64, header->segment);
  else
    report(scanner, segment, 0, JOURNAL_BLOCK_BYTES, 0, "the header is that of another journal");
  memset(header, 0, sizeof *header);
  return false;
}

/* What a header says of the batch before its first is believed where that batch is not known. */
static void enter_segment(struct scanner *scanner, const struct scanned_segment *segment) {
  const struct segment_header *header = &segment->header;
  const bool chained = header->chain_kind == JOURNAL_CHAIN_SHA256;
  const bool was_chained = scanner->scan->newest.chain_kind == JOURNAL_CHAIN_SHA256;
  if (!scanner->believing && header->first_lsn != scanner->next_lsn)
    report(scanner, segment, 0, 0, header->first_lsn, "begins with LSN %" PRIu64 " where %" PRIu64 " should be",
           header->first_lsn, scanner->next_lsn);
  else if (!scanner->believing && header->previous_checksum != scanner->checksum)
    report(scanner, segment, 0, 0, 0, "does not follow the segment before it (checksum)");
  else if (!scanner->believing && chained && was_chained && memcmp(header->chain, scanner->chain, sizeof header->chain) != 0)
    report(scanner, segment, 0, 0, 0, "does not follow the segment before it (hash chain)");
  if (!chained) scanner->chain_whole = false;
  scanner->believing = false;
  scanner->next_lsn = header->first_lsn;
  scanner->checksum = header->previous_checksum;
  memcpy(scanner->chain, header->chain, sizeof scanner->chain);
  scanner->scan->newest = *header;
  if (scanner->handler->segment) scanner->handler->segment(scanner->handler->context, header);
}

static int scan_used(struct scanner *scanner, struct scanned_segment *segment, bool newest) {
  if (segment->header.version > 0)
    enter_segment(scanner, segment);
  else
    scanner->believing = true;
  scanner->scan->segments++;
  return scan_batches(scanner, segment, newest);
}

static int read_block(struct scanner *scanner, struct scanned_segment *segment) {
  int error = 0;
  const uint8_t *block = journal_window_at(&scanner->window, 0, JOURNAL_BLOCK_BYTES, READ_BYTES, &error);
  if (!block) return error;
  memcpy(segment->block, block, sizeof segment->block);
  if (segment_header_check(block) == SEGMENT_VALID) memcpy(&segment->header, block, sizeof segment->header);
  return 0;
}

/* Whether it is all zero, but perhaps for a header that was cut when it was written first. */
static int is_unused(struct scanner *scanner, const struct scanned_segment *segment, bool *unused) {
  *unused = false;
  for (uint64_t offset = JOURNAL_BLOCK_BYTES; offset < segment->bytes; offset += JOURNAL_BLOCK_BYTES) {
    int error = 0;
    const uint8_t *block = journal_window_at(&scanner->window, offset, JOURNAL_BLOCK_BYTES, segment->bytes - offset, &error);
    if (!block) return error;
    if (!journal_is_zero(block, JOURNAL_BLOCK_BYTES)) return 0;
  }
  *unused = true;
  return 0;
}

static int scan_open(struct scanner *scanner, struct scanned_segment *segment, int file, bool newest) {
  const int64_t size = scanner->io->operations->size(scanner->io, file);
  if (size < 0) return (int)size;
  segment->bytes = (uint64_t)size;
  journal_window_reset(&scanner->window, file);
  int result = journal_window_reserve(&scanner->window, READ_BYTES);
  if (result == 0) result = read_block(scanner, segment);
  if (result < 0) return result;
  const bool had_header = segment->header.version > 0;
  if (had_header && is_in_place(scanner, segment)) {
    if (segment->header.segment_bytes > segment->bytes)
      report(scanner, segment, segment->bytes, 0, 0, "the file ends here, its segment has %" PRIu64 " bytes",
             segment->header.segment_bytes);
    else
      segment->bytes = segment->header.segment_bytes;
    segment->version = segment->header.version;
    if (scanner->handler->newest_only && !newest) {
      enter_segment(scanner, segment);
      if (scanner->scan->segments++ == 0) scanner->scan->first_lsn = segment->header.first_lsn;
      scanner->believing = true;
      scanner->chain_whole = false;
      return 0;
    }
  } else {
    bool unused;
    result = is_unused(scanner, segment, &unused);
    if (result < 0) return result;
    if (unused) {
      scanner->scan->unused_segments++;
      if (segment->segment > scanner->newest) return 0;
      report(scanner, segment, 0, JOURNAL_BLOCK_BYTES, 0, "never used, and segments after it are");
      scanner->believing = true;
      return 0;
    }
    if (!had_header) report(scanner, segment, 0, JOURNAL_BLOCK_BYTES, 0, "the segment header is damaged");
  }
  segment->seed = journal_segment_seed(&scanner->identity, segment->segment);
  return scan_used(scanner, segment, newest);
}

/* Headers of several journals: a segment may have come from elsewhere, and be the first of all. */
struct claim {
  struct journal_identity identity;
  uint64_t headers, newest;
};

static void count_claim(struct claim *claims, size_t *count, const struct scanned_segment *segment) {
  struct claim claim = {.identity = {.salt = segment->header.salt}, .newest = segment->segment};
  memcpy(claim.identity.node_id, segment->header.node_id, sizeof claim.identity.node_id);
  size_t i = 0;
  while (i < *count && memcmp(&claims[i].identity, &claim.identity, sizeof claim.identity) != 0) i++;
  if (i == CLAIMS_MAX) return;
  if (i == *count) claims[(*count)++] = claim;
  claims[i].headers++;
  if (segment->header.segment == segment->segment) claims[i].newest = segment->segment;
}

/* Who wrote it, and which segment is the newest in use: what most headers say, and of as many the newer. */
static int find_identity(struct scanner *scanner, const uint64_t *ids, size_t count) {
  struct claim claims[CLAIMS_MAX] = {0};
  size_t claimed = 0;
  for (size_t i = 0; i < count; i++) {
    struct scanned_segment segment = {.segment = ids[i]};
    segment_name(segment.name, ids[i], NAME_SEGMENT);
    const int file = scanner->io->operations->open(scanner->io, segment.name, false);
    if (file < 0) continue; /* removed meanwhile */
    journal_window_reset(&scanner->window, file);
    int result = journal_window_reserve(&scanner->window, READ_BYTES);
    if (result == 0) result = read_block(scanner, &segment);
    scanner->io->operations->close(scanner->io, file);
    if (result < 0) return result;
    if (segment_header_check(segment.block) == SEGMENT_NEWER) return -EPROTONOSUPPORT;
    if (segment.header.version > 0) count_claim(claims, &claimed, &segment);
  }
  const struct claim *most = claims;
  for (size_t i = 1; i < claimed; i++)
    if (claims[i].headers > most->headers || (claims[i].headers == most->headers && claims[i].newest > most->newest))
      most = &claims[i];
  scanner->identity = most->identity;
  scanner->newest = most->newest;
  return 0;
}

static int scan_segments(struct scanner *scanner, const uint64_t *ids, size_t count) {
  uint64_t expected = 0;
  for (size_t i = 0; i < count; i++) {
    struct scanned_segment segment = {.segment = ids[i]};
    segment_name(segment.name, ids[i], NAME_SEGMENT);
    const int file = scanner->io->operations->open(scanner->io, segment.name, false);
    if (file == -ENOENT) continue;
    if (file < 0) return file;
    if (expected && ids[i] != expected && ids[i] <= scanner->newest) {
      report(scanner, &segment, 0, 0, 0, "segment %" PRIu64 " is missing before it", expected);
      scanner->believing = true;
    }
    expected = ids[i] + 1;
    const int result = scan_open(scanner, &segment, file, ids[i] == scanner->newest);
    scanner->io->operations->close(scanner->io, file);
    if (result < 0) return result;
  }
  return 0;
}

int journal_scan(struct journal_io *io, const struct journal_scan_handler *handler, struct journal_scan *scan) {
  struct scanner scanner = {
      .io = io, .handler = handler, .scan = scan, .window = {.io = io, .file = -1}, .believing = true, .chain_whole = true};
  uint64_t *ids = NULL;
  size_t count = 0;
  memset(scan, 0, sizeof *scan);
  int result = journal_list_segments(io, &ids, &count);
  if (result == 0) result = find_identity(&scanner, ids, count);
  if (result == 0) result = scan_segments(&scanner, ids, count);
  scan->chained = scanner.chain_whole && scan->batches > 0;
  if (scan->last_lsn == 0 && scan->newest.version) scan->last_lsn = scan->newest.first_lsn - 1;
  memcpy(scan->chain, scanner.chain, sizeof scan->chain);
  journal_window_free(&scanner.window);
  free(ids);
  return result;
}
