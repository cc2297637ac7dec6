#include "disk_story.h"
#include "journal_fault_io.h"
#include "journal_format_internal.h"
#include "journal_retention.h"
#include "journal_scan.h"
#include "remembered_ids.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_BYTES (64u * 1024u)
#define KEPT_BYTES (6u * RIG_SEGMENT_BYTES)
#define CONTROL_RING (DISK_RINGS - 1)
#define READER_EVERY 7u
#define KEEPER_EVERY 41u
#define RESTART_EVERY 389u

void disk_broken(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  abort();
}

/* A secret of the story's own, by the only way there is: a file. */
static struct checkpoint_key *make_key(void) {
  char path[] = "/tmp/tripline-disk-key-XXXXXX", error[160];
  const int file = mkstemp(path);
  static const char secret[] = "a secret of thirty-two bytes ...";
  if (file < 0 || write(file, secret, sizeof secret - 1) != (ssize_t)sizeof secret - 1) disk_broken("no room for a key");
  close(file);
  struct checkpoint_key *key = checkpoint_key_load("disk", path, true, error, sizeof error);
  unlink(path);
  if (!key) disk_broken("no key: %s", error);
  return key;
}

struct disk_story *disk_story_create(uint64_t seed) {
  struct disk_story *story = calloc(1, sizeof *story);
  if (!story) return NULL;
  story->random.state = seed;
  story->sim = journal_sim_io_create(&(struct journal_sim_io_options){
      .seed = seed, .latency_least_ns = 5000, .latency_most_ns = 20000 + random_below(&story->random, 200000)});
  story->io = journal_fault_io_create(story->sim);
  story->key = make_key();
  story->wall_ns = 1700000000000000000u;
  story->config = (struct journal_config){.io = story->io,
                                          .node_id = {4, 5, 6},
                                          .salt = 0x1234567890abcdefu,
                                          .segment_bytes = RIG_SEGMENT_BYTES,
                                          .batch_bytes_max = JOURNAL_BATCH_BYTES_LEAST,
                                          .segments_ahead = 1 + random_below(&story->random, 2),
                                          .hash_chain = true,
                                          .ring_count = DISK_RINGS};
  return story;
}

static void close_all(struct disk_story *story) {
  journal_reader_close(story->reader);
  journal_close(story->journal);
  if (story->arena) heap_arena_destroy(story->arena);
  story->reader = NULL;
  story->journal = NULL;
  story->arena = NULL;
}

void disk_story_destroy(struct disk_story *story) {
  close_all(story);
  checkpoint_key_free(story->key);
  story->io->operations->destroy(story->io);
  story->sim->operations->destroy(story->sim);
  free(story);
}

/* Numbers of control's records stand where their types have room that nobody else reads here. */
static struct disk_entry entry_of(const struct record_header *record) {
  struct disk_entry entry = {0, 0};
  if (record->type == RECORD_WEBHOOK) {
    if (!rig_record_check(record, &entry.ring, &entry.number) || entry.ring >= CONTROL_RING)
      disk_broken("a record with wrong bytes");
    return entry;
  }
  const size_t bytes = record->type == RECORD_RETENTION      ? sizeof(struct journal_retention_record)
                       : record->type == RECORD_STATE_COMMIT ? sizeof(struct state_commit_record)
                       : record->type == RECORD_CHECKPOINT   ? sizeof(struct checkpoint_record)
                                                             : 0;
  if (bytes == 0 || record->bytes != bytes || record->shard != RECORD_SHARD_CONTROL) disk_broken("a record that nobody wrote");
  return (struct disk_entry){CONTROL_RING, (uint32_t)(record->wall_ns & 0xffffffu)};
}

static void hold_against(struct disk_story *story, uint64_t lsn, const struct record_header *record) {
  if (lsn >= DISK_LSNS_MAX) disk_broken("LSN %" PRIu64 " is beyond the story", lsn);
  const struct disk_entry entry = entry_of(record);
  struct disk_entry *known = &story->entries[lsn];
  if (entry.number == 0 || entry.number > story->published[entry.ring])
    disk_broken("LSN %" PRIu64 " holds number %u of ring %u, which was not published", lsn, entry.number, entry.ring);
  if (known->number && (known->ring != entry.ring || known->number != entry.number))
    disk_broken("LSN %" PRIu64 " held number %u of ring %u, and now number %u of ring %u", lsn, known->number, known->ring,
                entry.number, entry.ring);
  *known = entry;
}

static void visit(void *context, uint64_t lsn, const struct record_header *record) {
  struct disk_story *story = context;
  if (story->seen.first_lsn == 0)
    story->seen.first_lsn = lsn;
  else if (lsn != story->seen.last_lsn + 1)
    disk_broken("recovery gives LSN %" PRIu64 " after %" PRIu64, lsn, story->seen.last_lsn);
  story->seen.last_lsn = lsn;
  hold_against(story, lsn, record);
  const struct disk_entry entry = story->entries[lsn];
  uint32_t *last = &story->seen.last[entry.ring];
  if (*last && entry.number != *last + 1) disk_broken("ring %u: number %u after %u", entry.ring, entry.number, *last);
  *last = entry.number;
}

/* What is not there after a restart was never acknowledged; its LSNs and numbers are used again. */
static void take_in(struct disk_story *story) {
  const uint64_t last_lsn = story->recovery.next_lsn - 1;
  if (last_lsn < story->durable_lsn)
    disk_broken("LSN %" PRIu64 " was acknowledged, recovery ends at %" PRIu64, story->durable_lsn, last_lsn);
  if (story->recovery.records &&
      (story->seen.last_lsn != last_lsn || story->seen.last_lsn - story->seen.first_lsn + 1 != story->recovery.records))
    disk_broken("recovery counts %" PRIu64 " records up to LSN %" PRIu64, story->recovery.records, last_lsn);
  if (story->recovery.first_lsn > 1 && story->recovery.first_lsn > story->oldest_lsn)
    disk_broken("the oldest record is LSN %" PRIu64 ", retention let go up to %" PRIu64, story->recovery.first_lsn,
                story->oldest_lsn);
  if (story->seen.first_lsn > 1 && story->seen.first_lsn > story->state_lsn)
    disk_broken("recovery begins at LSN %" PRIu64 ", the state at %" PRIu64, story->seen.first_lsn, story->state_lsn);
  for (uint32_t ring = 0; ring < DISK_RINGS; ring++) {
    uint32_t last = 0;
    for (uint64_t lsn = last_lsn; lsn > 0 && last == 0; lsn--)
      if (story->entries[lsn].number && story->entries[lsn].ring == ring) last = story->entries[lsn].number;
    if (last < story->durable[ring])
      disk_broken("ring %u: number %u was acknowledged, recovery ends at %u", ring, story->durable[ring], last);
    story->published[ring] = story->durable[ring] = last;
  }
  for (uint64_t lsn = last_lsn + 1; lsn < DISK_LSNS_MAX; lsn++) story->entries[lsn] = (struct disk_entry){0, 0};
  story->durable_lsn = last_lsn;
}

int disk_story_start(struct disk_story *story) {
  story->actor = DISK_START;
  story->arena = heap_arena_create();
  for (uint32_t ring = 0; ring < DISK_RINGS; ring++)
    story->config.rings[ring] = record_ring_create(heap_arena_arena(story->arena), RING_BYTES);
  memset(&story->seen, 0, sizeof story->seen);
  memset(story->life.count, 0, sizeof story->life.count);
  story->snapshot_position = story->removal_position = 0;
  story->removals = 0;
  int error;
  story->journal = journal_open(&story->config, visit, story, &story->recovery, &error);
  story->now_ns = story->sim->operations->now(story->sim);
  if (!story->journal) {
    if (!story->recovery.refusal[0]) disk_broken("it does not open (%s), and does not say why", strerror(-error));
    return story->failed = error;
  }
  take_in(story);
  story->reader = journal_reader_open(story->io, story->recovery.first_lsn, &error);
  return 0;
}

/* The mark of each ring, and the LSN up to which all is durable. */
static void note_durable(struct disk_story *story) {
  const uint64_t lsn = journal_durable_lsn(story->journal);
  if (lsn < story->durable_lsn) disk_broken("the durable LSN goes back from %" PRIu64 " to %" PRIu64, story->durable_lsn, lsn);
  story->durable_lsn = lsn;
  for (uint32_t ring = 0; ring < DISK_RINGS; ring++) {
    const uint64_t mark = record_ring_durable(story->config.rings[ring]);
    while (story->durable[ring] < story->published[ring]) {
      const uint32_t at = story->durable[ring] + 1 - story->life.first[ring];
      if (story->life.positions[ring][at] > mark) break;
      story->durable[ring]++;
    }
  }
}

static uint64_t note_published(struct disk_story *story, uint32_t ring, uint32_t number, enum record_durability durability) {
  struct disk_life *life = &story->life;
  record_ring_set_durability(story->config.rings[ring], durability);
  const uint64_t position = record_ring_publish(story->config.rings[ring]);
  if (life->count[ring] == 0) life->first[ring] = number;
  if (life->count[ring] == DISK_NUMBERS_MAX) disk_broken("ring %u: too many records for one life", ring);
  life->positions[ring][life->count[ring]++] = position;
  story->published[ring] = number;
  return position;
}

static void publish_some(struct disk_story *story) {
  for (uint32_t n = random_below(&story->random, 8); n > 0; n--) {
    const uint32_t ring = random_below(&story->random, CONTROL_RING), number = story->published[ring] + 1;
    if (!rig_record_make(story->config.rings[ring], ring, number, story->record_bytes)) continue;
    note_published(story, ring, number, (enum record_durability)(random_below(&story->random, 6) % DURABILITIES));
  }
}

static void *reserve_control(struct disk_story *story, uint16_t type, uint32_t bytes) {
  struct record_header *record = record_ring_reserve(story->config.rings[CONTROL_RING], bytes);
  if (!record) return NULL;
  memset(record, 0, bytes);
  *record = (struct record_header){.type = type,
                                   .shard = RECORD_SHARD_CONTROL,
                                   .bytes = bytes,
                                   .wall_ns = (story->wall_ns & ~0xffffffull) | (story->published[CONTROL_RING] + 1)};
  return record;
}

static uint64_t publish_control(struct disk_story *story) {
  return note_published(story, CONTROL_RING, story->published[CONTROL_RING] + 1, DURABILITY_STRICT);
}

static bool is_durable(const struct disk_story *story, uint64_t position) {
  return position > 0 && record_ring_durable(story->config.rings[CONTROL_RING]) >= position;
}

static void snapshot(struct disk_story *story) {
  if (is_durable(story, story->snapshot_position)) {
    story->snapshot_position = 0;
    story->snapshots++;
    story->state_lsn = story->covered_lsn + 1;
    journal_set_state_lsn(story->journal, story->state_lsn);
  }
  if (story->snapshot_position || story->durable_lsn < story->state_lsn + 40) return;
  struct state_commit_record *record = reserve_control(story, RECORD_STATE_COMMIT, sizeof *record);
  if (!record) return;
  record->covered_lsn = story->covered_lsn = story->durable_lsn;
  story->snapshot_position = publish_control(story);
}

static void sign(struct disk_story *story) {
  struct checkpoint_record *record = reserve_control(story, RECORD_CHECKPOINT, sizeof *record);
  if (!record) return;
  if (!journal_chain_mark(story->journal, &record->lsn, record->chain)) {
    record_ring_rollback(story->config.rings[CONTROL_RING]);
    return;
  }
  memcpy(record->node_id, story->config.node_id, sizeof record->node_id);
  if (checkpoint_sign(story->key, record) != 0) disk_broken("a checkpoint cannot be signed");
  publish_control(story);
  story->checkpoints++;
}

/* As the daemon's keeper does it: said in the headers to come, then in a record, then done. */
static void retain(struct disk_story *story) {
  if (is_durable(story, story->removal_position)) {
    for (; story->removals > 0; story->removals--, story->remove_from++, story->segments_removed++)
      if (journal_remove_segment(story->io, story->remove_from) < 0) return;
    story->removal_position = 0;
  }
  if (story->removal_position) return;
  struct journal_segment *segments;
  size_t count;
  if (journal_segments(story->io, &segments, &count) < 0) return;
  const struct journal_limits limits = {.bytes = KEPT_BYTES};
  const struct journal_needs needs = {.state_lsn = journal_state_lsn(story->journal), .cursor_lsn = UINT64_MAX};
  const struct journal_retention judged =
      journal_retention_judge(segments, count, &limits, &needs, journal_durable_lsn(story->journal), story->wall_ns);
  if (judged.removable > 0) {
    const struct journal_segment *oldest = &segments[judged.removable];
    journal_set_oldest_segment(story->journal, oldest->segment);
    struct journal_retention_record *record = reserve_control(story, RECORD_RETENTION, sizeof *record);
    if (record) {
      record->oldest_segment = story->oldest_segment = oldest->segment;
      record->oldest_lsn = story->oldest_lsn = oldest->first_lsn;
      story->remove_from = segments[0].segment;
      story->removals = judged.removable;
      story->removal_position = publish_control(story);
    }
  }
  free(segments);
}

static void follow(struct disk_story *story) {
  uint64_t lsn;
  const struct record_header *record;
  for (unsigned i = 0; i < 64; i++) {
    const enum journal_read read = journal_reader_next(story->reader, story->durable_lsn, &lsn, &record);
    if (read == JOURNAL_READ_END) return;
    if (read == JOURNAL_READ_ERROR) {
      story->reader_errors++;
      return;
    }
    if (read != JOURNAL_READ_RECORD)
      disk_broken("a reader is told %s", read == JOURNAL_READ_DAMAGED ? "of damage" : "of removed records");
    hold_against(story, lsn, record);
  }
}

static bool restart(struct disk_story *story) {
  const bool power_cut = random_below(&story->random, 2);
  if (!power_cut && disk_story_drain(story) < 0) return false;
  disk_story_stop(story, power_cut);
  story->restarts++;
  story->power_cuts += power_cut;
  return disk_story_start(story) == 0;
}

bool disk_story_turn(struct disk_story *story) {
  story->turns++;
  if (random_below(&story->random, 3) == 0) publish_some(story);
  if (random_below(&story->random, 50) == 0) journal_request_flush(story->journal);
  story->actor = DISK_JOURNAL;
  const uint64_t elapsed_ns = random_below(&story->random, random_below(&story->random, 40) ? 60000 : 120000000);
  story->now_ns += elapsed_ns;
  story->wall_ns += elapsed_ns;
  journal_sim_io_set_time(story->sim, story->now_ns);
  const int result = journal_step(story->journal, story->now_ns, story->wall_ns, 0);
  note_durable(story);
  if (result < 0) {
    story->failed = result;
    if (journal_failed(story->journal) != result) disk_broken("a step fails and the journal does not say so");
    return false;
  }
  story->actor = DISK_READER;
  if (story->turns % READER_EVERY == 0) follow(story);
  story->actor = DISK_KEEPER;
  if (story->turns % KEEPER_EVERY == 0) {
    snapshot(story);
    retain(story);
    if (random_below(&story->random, 4) == 0) sign(story);
  }
  if (!story->cut_off && story->turns % RESTART_EVERY == 0) return restart(story);
  return true;
}

int disk_story_drain(struct disk_story *story) {
  story->actor = DISK_JOURNAL;
  const int result = journal_drain(story->journal, story->now_ns, story->wall_ns);
  story->now_ns = story->sim->operations->now(story->sim);
  note_durable(story);
  if (result < 0) return story->failed = result;
  for (uint32_t ring = 0; ring < DISK_RINGS; ring++)
    if (story->durable[ring] != story->published[ring]) disk_broken("ring %u: drained, and not all is durable", ring);
  return 0;
}

void disk_story_stop(struct disk_story *story, bool power_cut) {
  if (power_cut) journal_sim_io_crash(story->sim);
  close_all(story);
}

static void damage(void *context, const struct journal_damage *damage) {
  (void)context;
  disk_broken("verify finds damage: %s: offset %" PRIu64 ": %s", damage->file, damage->offset, damage->what);
}

static void audit_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  (void)segment, (void)offset;
  checkpoint_audit_record(context, lsn, record);
}

static void audit_batch(void *context, uint64_t last_lsn, const uint8_t *chain) {
  checkpoint_audit_batch(context, last_lsn, chain);
}

/* All that is there, as an auditor reads it. */
static void verify(struct disk_story *story) {
  struct checkpoint_audit *audit = checkpoint_audit_create(&story->key, 1);
  const struct journal_scan_handler handler = {.context = audit, .batch = audit_batch, .record = audit_record, .damage = damage};
  struct journal_scan scan;
  struct checkpoint_report report;
  if (journal_scan(story->io, &handler, &scan) != 0) disk_broken("verify cannot read the journal");
  if (!checkpoint_audit_result(audit, &report) || report.wrong > 0)
    disk_broken("checkpoints do not hold: %s", report.first_wrong);
  if (scan.last_lsn != story->durable_lsn) disk_broken("verify ends at LSN %" PRIu64, scan.last_lsn);
  if (scan.torn_bytes > 0) disk_broken("verify finds a torn tail after recovery");
  checkpoint_audit_free(audit);
}

void disk_story_judge(struct disk_story *story) {
  journal_fault_io_arm(story->io, &(struct journal_fault){.nth = 0});
  journal_fault_io_watch(story->io, NULL, NULL);
  if (disk_story_start(story) < 0) disk_broken("refused: %s", story->recovery.refusal);
  verify(story);
  const uint64_t first = story->recovery.first_lsn;
  while (story->reader && story->durable_lsn >= first) {
    uint64_t lsn;
    const struct record_header *record;
    const enum journal_read read = journal_reader_next(story->reader, story->durable_lsn, &lsn, &record);
    if (read == JOURNAL_READ_END) break;
    if (read != JOURNAL_READ_RECORD) disk_broken("a reader stops with %d", read);
    hold_against(story, lsn, record);
  }
  /* It goes on. */
  for (uint32_t i = 0; i < 8; i++) publish_some(story);
  if (disk_story_drain(story) < 0) disk_broken("it opens and does not go on: %s", strerror(-story->failed));
  verify(story);
}
