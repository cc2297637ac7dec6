#include "journal_retention.h"
#include "journal_format_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 1: in use, 0: not, or -errno. */
static int read_segment(struct journal_io *io, uint64_t id, uint8_t *block, struct journal_segment *segment) {
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, id, NAME_SEGMENT);
  const int file = io->operations->open(io, name, false);
  if (file < 0) return file == -ENOENT ? 0 : file;
  const int got = io->operations->read(io, file, block, JOURNAL_BLOCK_BYTES, 0);
  io->operations->close(io, file);
  if (got < 0) return got;
  if (got < (int)JOURNAL_BLOCK_BYTES || segment_header_check(block) != SEGMENT_VALID) return 0;
  struct segment_header header;
  memcpy(&header, block, sizeof header);
  *segment = (struct journal_segment){.segment = id,
                                      .first_lsn = header.first_lsn,
                                      .created_wall_ns = header.created_wall_ns,
                                      .bytes = header.segment_bytes,
                                      .version = header.version};
  return 1;
}

int journal_segments(struct journal_io *io, struct journal_segment **segments, size_t *count) {
  uint64_t *ids = NULL;
  size_t files = 0;
  *segments = NULL;
  *count = 0;
  int result = journal_list_segments(io, &ids, &files);
  if (result < 0) return result;
  uint8_t *block = aligned_alloc(JOURNAL_BLOCK_BYTES, JOURNAL_BLOCK_BYTES);
  struct journal_segment *list = calloc(files ? files : 1, sizeof *list);
  if (!block || !list) result = -ENOMEM;
  for (size_t i = 0; i < files && result >= 0; i++) {
    result = read_segment(io, ids[i], block, &list[*count]);
    /* Removed meanwhile, or not in use yet. */
    if (result == 0 && *count > 0) break;
    if (result == 1) ++*count;
  }
  free(block);
  free(ids);
  if (result < 0) {
    free(list);
    *count = 0;
    return result;
  }
  *segments = list;
  return 0;
}

static bool over_limit(const struct journal_segment *segments, size_t i, const struct journal_limits *limits,
                       uint64_t durable_lsn, uint64_t wall_ns, uint64_t bytes_left) {
  const struct journal_segment *next = &segments[i + 1];
  if (limits->age_ns && next->created_wall_ns < wall_ns && wall_ns - next->created_wall_ns > limits->age_ns) return true;
  if (limits->bytes && bytes_left > limits->bytes) return true;
  if (limits->bytes_hard && bytes_left > limits->bytes_hard) return true;
  return limits->records && durable_lsn + 1 >= next->first_lsn && durable_lsn + 1 - next->first_lsn >= limits->records;
}

/* Who is asked first keeps it: what recovery needs is never removed. */
static void judge_one(struct journal_retention *retention, const struct journal_segment *segment, uint64_t end_lsn,
                      const struct journal_limits *limits, const struct journal_needs *needs, uint64_t bytes_left) {
  const bool may_overtake = limits->no_room || (limits->bytes_hard && bytes_left > limits->bytes_hard);
  const bool state = end_lsn > needs->state_lsn, cursor = end_lsn > needs->cursor_lsn;
  if (retention->held_by_state + retention->held_by_cursors == 0 && !state && (!cursor || may_overtake)) {
    retention->removable++;
    retention->overtaking += cursor;
    return;
  }
  retention->held_by_state += state;
  retention->held_by_cursors += !state;
  retention->held_bytes += segment->bytes;
}

struct journal_retention journal_retention_judge(const struct journal_segment *segments, size_t count,
                                                 const struct journal_limits *limits, const struct journal_needs *needs,
                                                 uint64_t durable_lsn, uint64_t wall_ns) {
  struct journal_retention retention = {0};
  uint64_t bytes_left = 0;
  for (size_t i = 0; i < count; i++) bytes_left += segments[i].bytes;
  for (size_t i = 0; i + 1 < count && over_limit(segments, i, limits, durable_lsn, wall_ns, bytes_left); i++) {
    judge_one(&retention, &segments[i], segments[i + 1].first_lsn, limits, needs, bytes_left);
    bytes_left -= segments[i].bytes;
  }
  return retention;
}

int journal_remove_segment(struct journal_io *io, uint64_t segment) {
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, segment, NAME_SEGMENT);
  const int result = io->operations->remove(io, name);
  return result == -ENOENT ? 0 : result;
}
