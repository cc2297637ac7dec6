/* Everything that reads a journal while it is written, on a disk that changes under it: the readers, the index and its queries,
 * and what retention looks at. The first half of the journal is read whole, then the edits come, then all is read on. */
#include "always_assert.h"
#include "cursor_reader.h"
#include "journal_edits.h"
#include "journal_format_internal.h"
#include "journal_retention.h"
#include "violation_store.h"
#include "webhook_store.h"
#include <stdlib.h>
#include <string.h>

#define POSITIONS_MAX 256u
#define INDEXED 100u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct disk_image whole;
static uint64_t last_lsn;

struct readings {
  uint64_t lsns[POSITIONS_MAX];
  struct journal_position positions[POSITIONS_MAX];
  uint32_t count;
  bool resealed;
};

static void check_record(const struct readings *readings, const struct record_header *record) {
  uint32_t ring, number;
  ALWAYS_ASSERT(record->bytes >= sizeof *record && record->bytes <= RECORD_BYTES_MAX);
  if (!readings->resealed && record->type == RECORD_WEBHOOK) ALWAYS_ASSERT(rig_record_check(record, &ring, &number));
}

static void read_on(struct readings *readings, struct journal_reader *reader, uint64_t limit_lsn,
                    struct webhook_store *webhooks) {
  uint64_t lsn, before = 0;
  const struct record_header *record;
  while (journal_reader_next(reader, limit_lsn, &lsn, &record) == JOURNAL_READ_RECORD) {
    ALWAYS_ASSERT(lsn <= limit_lsn && (before == 0 || lsn == before + 1));
    before = lsn;
    check_record(readings, record);
    if (webhooks) webhook_store_see(webhooks, lsn, record, journal_reader_position(reader));
    if (readings->count == POSITIONS_MAX) continue;
    readings->lsns[readings->count] = lsn;
    readings->positions[readings->count++] = journal_reader_position(reader);
  }
}

static void read_at(const struct readings *readings, struct journal_reader *reader) {
  for (uint32_t i = 0; i < readings->count; i++) {
    const struct record_header *record = journal_reader_at(reader, readings->positions[i], readings->lsns[i]);
    if (record) check_record(readings, record);
  }
}

static bool each(void *context, uint64_t lsn, const struct violation *violation) {
  uint64_t *before = context;
  ALWAYS_ASSERT(lsn > 0 && lsn != *before && violation->attribute_count <= VIOLATION_ATTRIBUTES_MAX);
  *before = lsn;
  return true;
}

static void ask(struct violation_store *store) {
  for (unsigned i = 0; i < 4; i++) {
    struct violation_filter filter = {.severity = i == 1 ? 2 : -1, .source = -1, .limit = 50, .oldest_first = i == 2};
    if (i == 3) filter.rule = "slow-checkout";
    uint64_t before = 0;
    violation_store_query(store, &filter, each, &before);
    struct violation_count *counts = NULL;
    size_t count;
    uint64_t total;
    if (violation_store_count_groups(store, &filter, (enum violation_group)(i % 3), 1000, &counts, &count, &total) == 0)
      free(counts);
  }
}

static bool each_webhook(void *context, uint64_t lsn, const struct webhook_account *account) {
  (void)context;
  ALWAYS_ASSERT(lsn > 0 && lsn <= last_lsn && account->record.header.type == RECORD_WEBHOOK);
  return true;
}

static void ask_webhooks(struct webhook_store *webhooks) {
  uint64_t more_lsn;
  webhook_store_query(webhooks, &(struct webhook_filter){.limit = 100}, each_webhook, NULL, &more_lsn);
  webhook_store_query(webhooks, &(struct webhook_filter){.limit = 10, .source = "x", .before_lsn = 60}, each_webhook, NULL,
                      &more_lsn);
}

/* As a tail does, from the start and from the middle. */
static void follow_cursors(struct journal_io *io, uint64_t after_lsn) {
  struct cursor_readers *readers = cursor_readers_create(io);
  ALWAYS_ASSERT(readers);
  for (unsigned i = 0; i < 4; i++) {
    struct cursor_reading reading;
    uint64_t before = 0;
    if (cursor_readers_read(readers, after_lsn, last_lsn, 20, each, &before, &reading) < 0) break;
    ALWAYS_ASSERT(reading.gap_to ? reading.given == 0 && reading.gap_to >= reading.gap_from : reading.position >= after_lsn);
    if (reading.gap_to) reading.position = reading.gap_to;
    after_lsn = reading.position;
  }
  cursor_readers_destroy(readers);
}

static void look_at_segments(struct journal_io *io) {
  struct journal_segment *segments;
  size_t count;
  uint64_t oldest;
  journal_oldest_lsn(io, &oldest);
  if (journal_segments(io, &segments, &count) < 0) return;
  const struct journal_limits limits = {.bytes = 1, .records = 3, .age_ns = 5};
  const struct journal_needs needs = {.state_lsn = 20, .cursor_lsn = 10};
  const struct journal_retention judged = journal_retention_judge(segments, count, &limits, &needs, last_lsn, UINT64_MAX);
  ALWAYS_ASSERT(judged.removable + judged.held_by_state + judged.held_by_cursors < count || count == 0);
  free(segments);
}

static void make_whole(void) {
  struct journal_rig rig;
  edits_make(&whole, true);
  struct journal_io *io = edits_disk();
  disk_image_restore(&whole, io);
  rig_init(&rig, io, 1);
  ALWAYS_ASSERT(rig_open(&rig) == 0);
  last_lsn = journal_durable_lsn(rig.journal);
  rig_free(&rig);
  io->operations->destroy(io);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  if (whole.count == 0) make_whole();
  if (length == 0) return 0;
  struct journal_io *io = edits_disk();
  disk_image_restore(&whole, io);
  int error;
  struct readings readings = {.count = 0};
  struct journal_reader *reader = journal_reader_open(io, 1, &error);
  struct violation_store *store = violation_store_create(io, INDEXED);
  ALWAYS_ASSERT(reader && store);
  const uint64_t half = last_lsn * bytes[0] / 255;
  struct webhook_store *webhooks = webhook_store_create(io);
  ALWAYS_ASSERT(webhooks);
  read_on(&readings, reader, half, webhooks);
  ALWAYS_ASSERT(violation_store_catch_up(store, half) == 0);
  readings.resealed = edits_put(io, bytes + 1, length - 1);
  read_on(&readings, reader, last_lsn, webhooks);
  read_at(&readings, reader);
  violation_store_catch_up(store, last_lsn);
  ask(store);
  ask_webhooks(webhooks);
  follow_cursors(io, 0);
  follow_cursors(io, half);
  look_at_segments(io);
  struct journal_reader *later = journal_reader_open(io, half ? half : 1, &error);
  read_on(&readings, later, last_lsn, NULL);
  journal_reader_close(later);
  journal_reader_close(reader);
  violation_store_destroy(store);
  webhook_store_destroy(webhooks);
  io->operations->destroy(io);
  return 0;
}
