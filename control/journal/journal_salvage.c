#include "journal_salvage.h"
#include "cursor_records.h"
#include "journal_lsn_map_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RING_BYTES (4u << 20)
#define TAKES_MAX 4u

/* The ring's memory; given back at the end. */
struct memory {
  void *taken[TAKES_MAX];
  unsigned count;
};

static void *take(void *context, size_t bytes, size_t alignment) {
  struct memory *memory = context;
  const size_t whole = (bytes + alignment - 1) / alignment * alignment;
  void *taken = memory->count < TAKES_MAX ? aligned_alloc(alignment, whole) : NULL;
  if (!taken) return NULL;
  memset(taken, 0, whole);
  return memory->taken[memory->count++] = taken;
}

/* Records that follow one another on the disk and by their LSNs. */
struct run {
  uint64_t first_lsn, last_lsn;
  size_t index; /* on the disk */
};

struct salvage {
  struct journal *journal;
  struct journal_io *io;
  struct record_ring *ring;
  const struct journal_scan_handler *handler;
  uint64_t records;
  struct journal_lsn_map lsns; /* of the records so far */
  int error;

  /* A batch that was written to a wrong place is good, and perhaps the only one left: what was found goes over in the order of
   * its LSNs, each once; for that the disk may have to be read again. */
  struct run *runs; /* malloc'd; on the disk's order, then by LSN */
  size_t run_count, run_room;
  size_t next;         /* of them, to be copied */
  size_t met;          /* in this pass */
  uint64_t last_lsn;   /* in this pass */
  uint64_t copied_lsn; /* the last */
};

/* A cursor stands where its last acknowledged record is now. */
static void move_cursors(const struct salvage *salvage, uint64_t lsn, struct record_header *record) {
  uint32_t count;
  struct cursor_entry *entries = (struct cursor_entry *)(uintptr_t)cursor_record_entries(record, lsn, &count);
  for (uint32_t i = 0; entries && i < count; i++) {
    entries[i].lsn = journal_lsn_map_find(&salvage->lsns, entries[i].lsn);
    entries[i].removed_lsn = journal_lsn_map_find(&salvage->lsns, entries[i].removed_lsn);
  }
}

static void note_run(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  struct salvage *salvage = context;
  (void)segment, (void)offset, (void)record;
  if (salvage->run_count > 0 && lsn == salvage->runs[salvage->run_count - 1].last_lsn + 1) {
    salvage->runs[salvage->run_count - 1].last_lsn = lsn;
    return;
  }
  if (salvage->run_count == salvage->run_room) {
    const size_t room = salvage->run_room ? 2 * salvage->run_room : 64;
    struct run *grown = realloc(salvage->runs, room * sizeof *grown);
    if (!grown) salvage->error = -ENOMEM;
    if (!grown) return;
    salvage->runs = grown;
    salvage->run_room = room;
  }
  salvage->runs[salvage->run_count] = (struct run){lsn, lsn, salvage->run_count};
  salvage->run_count++;
}

static int compare_runs(const void *left, const void *right) {
  const struct run *a = left, *b = right;
  if (a->first_lsn != b->first_lsn) return a->first_lsn < b->first_lsn ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

/* Whether the record's run is the one to be copied. */
static bool has_its_turn(struct salvage *salvage, uint64_t lsn) {
  if (salvage->met == 0 || lsn != salvage->last_lsn + 1) salvage->met++;
  salvage->last_lsn = lsn;
  if (salvage->next == salvage->run_count) return false;
  const struct run *run = &salvage->runs[salvage->next];
  if (run->index + 1 != salvage->met || lsn <= salvage->copied_lsn) return false;
  salvage->copied_lsn = lsn;
  while (salvage->next < salvage->run_count && salvage->runs[salvage->next].last_lsn <= lsn) salvage->next++;
  return true;
}

static void put(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  struct salvage *salvage = context;
  (void)segment, (void)offset;
  if (!has_its_turn(salvage, lsn)) return;
  /* What they say is of the old journal alone. */
  if (record->type == RECORD_RETENTION || record->type == RECORD_CHECKPOINT) return;
  void *room = NULL;
  while (salvage->error == 0 && !(room = record_ring_reserve(salvage->ring, record->bytes))) {
    const uint64_t now_ns = salvage->io->operations->now(salvage->io);
    const int result = journal_step(salvage->journal, now_ns, record->wall_ns, 1000000);
    if (result < 0) salvage->error = result;
    if (journal_stalled(salvage->journal)) salvage->error = journal_stalled(salvage->journal);
  }
  if (!room) return;
  memcpy(room, record, record->bytes);
  move_cursors(salvage, lsn, room);
  record_ring_publish(salvage->ring);
  salvage->records++;
  if (!journal_lsn_map_add(&salvage->lsns, lsn, salvage->records)) salvage->error = -ENOMEM;
}

static void tell(void *context, const struct journal_damage *damage) {
  struct salvage *salvage = context;
  if (salvage->handler->damage) salvage->handler->damage(salvage->handler->context, damage);
}

static int copy(struct salvage *salvage, struct journal_io *from, struct journal_scan *scan) {
  struct journal_scan_handler handler = {.context = salvage, .record = put, .damage = tell};
  int result = 0;
  size_t before;
  do {
    before = salvage->next;
    salvage->met = 0;
    result = journal_scan(from, &handler, scan);
    if (result == 0) result = salvage->error;
    handler.damage = NULL;
  } while (result == 0 && salvage->next < salvage->run_count && salvage->next > before);
  const uint64_t now_ns = salvage->io->operations->now(salvage->io);
  if (result == 0) result = journal_drain(salvage->journal, now_ns, scan->newest.created_wall_ns);
  return result;
}

static int open_new(struct salvage *salvage, const struct segment_header *old, uint64_t salt, const char **why) {
  static struct journal_recovery recovery;
  struct journal_config config = {.io = salvage->io,
                                  .salt = salt,
                                  .segment_bytes = old->segment_bytes,
                                  .batch_bytes_max = old->batch_bytes_max,
                                  .segments_ahead = 1,
                                  .hash_chain = true,
                                  .ring_count = 1,
                                  .rings = {salvage->ring}};
  int error;
  memcpy(config.node_id, old->node_id, sizeof config.node_id);
  salvage->journal = journal_open(&config, NULL, NULL, &recovery, &error);
  *why = recovery.refusal;
  if (salvage->journal && recovery.segments > 0) {
    *why = "there is a journal already";
    error = -EEXIST;
  }
  return error;
}

int journal_salvage(struct journal_io *from, struct journal_io *to, uint64_t salt, const struct journal_scan_handler *handler,
                    struct journal_scan *scan, uint64_t *records, const char **why) {
  struct memory memory = {0};
  struct salvage salvage = {.io = to, .handler = handler};
  *why = "the old journal cannot be read";
  *records = 0;
  int result = journal_scan(from, &(struct journal_scan_handler){.context = &salvage, .record = note_run}, scan);
  if (result == 0) result = salvage.error;
  if (salvage.run_count > 1) qsort(salvage.runs, salvage.run_count, sizeof *salvage.runs, compare_runs);
  if (result == 0 && scan->newest.version == 0) {
    *why = "no segment has a good header";
    result = -ENODATA;
  }
  if (result == 0) {
    struct arena arena = {.take = take, .context = &memory};
    salvage.ring = record_ring_create(&arena, RING_BYTES);
    result = salvage.ring ? open_new(&salvage, &scan->newest, salt, why) : -ENOMEM;
  }
  if (result == 0) {
    *why = "the new journal cannot be written";
    result = copy(&salvage, from, scan);
  }
  *records = salvage.records;
  journal_lsn_map_free(&salvage.lsns);
  journal_close(salvage.journal);
  free(salvage.runs);
  while (memory.count > 0) free(memory.taken[--memory.count]);
  return result;
}
