/* Records with any content under good checksums, as a forger or a later release may have left them, before all that reads them:
 * the start (webhook ids, rules, cursors), the index, the audit of checkpoints, salvage, and the command line that prints them.
 * An input is records: a type, a length of two bytes, and what follows the header. */
#include "always_assert.h"
#include "checkpoint_audit.h"
#include "cli_internal.h"
#include "cursor.h"
#include "cursor_table.h"
#include "journal_rig.h"
#include "journal_salvage.h"
#include "remembered_ids.h"
#include "rule_book.h"
#include "rule_set.h"
#include "violation_store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS_MAX 64u
#define HISTORY_BYTES (1u << 20)
#define NOW_NS 1700000000000000000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static char directory[64];

static struct journal_io *new_disk(void) { return journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1}); }

static void write_records(struct journal_rig *rig, const uint8_t *bytes, size_t length) {
  struct cursor input = cursor_over(bytes, length);
  for (uint32_t i = 0; i < RECORDS_MAX && cursor_left(&input) > 3; i++) {
    const uint8_t type = cursor_u8(&input);
    const size_t asked = cursor_le16(&input), left = cursor_left(&input);
    size_t content = asked < left ? asked : left;
    if (content > RECORD_BYTES_MAX - sizeof(struct record_header)) content = RECORD_BYTES_MAX - sizeof(struct record_header);
    const uint32_t record_bytes = (uint32_t)(sizeof(struct record_header) + content);
    struct record_header *record = record_ring_reserve(rig->config.rings[0], record_bytes);
    if (!record) return;
    *record = (struct record_header){
        .type = type, .shard = type & 1 ? RECORD_SHARD_CONTROL : 3, .bytes = record_bytes, .wall_ns = NOW_NS + i};
    if (content) memcpy(record + 1, cursor_bytes(&input, content), content);
    record_ring_publish(rig->config.rings[0]);
    if (i % 3 == 0) ALWAYS_ASSERT(journal_drain(rig->journal, rig->now_ns, rig->wall_ns) == 0);
  }
  ALWAYS_ASSERT(journal_drain(rig->journal, rig->now_ns, rig->wall_ns) == 0);
}

static int compile(void *context, const struct rule_set *set, uint64_t generation, struct rule_errors *errors, void **image,
                   uint8_t sha256[32]) {
  (void)context;
  struct rule_image *made = rule_image_compile(set, generation, NULL, 0, errors);
  if (!made) return -EINVAL;
  memcpy(sha256, made->sha256, 32);
  *image = made;
  return 0;
}

static void discard(void *context, void *image) {
  (void)context;
  rule_image_free(image);
}

static uint64_t now(void *context) {
  (void)context;
  return NOW_NS;
}

/* A table that is only recovered asks no journal for more than this. */
static uint64_t no_lsn(void *context) {
  (void)context;
  return UINT64_MAX;
}

static bool always_durable(void *context, uint64_t position) {
  (void)context, (void)position;
  return true;
}

struct start {
  struct remembered_ids *remembered;
  struct cursor_table *cursors;
  struct rule_book *book;
};

static void recover(void *context, uint64_t lsn, const struct record_header *record) {
  struct start *start = context;
  ALWAYS_ASSERT(remembered_ids_see(start->remembered, lsn, record, NOW_NS));
  rule_book_recover(start->book, record);
  cursor_table_see(start->cursors, lsn, record);
}

static void look_at_cursors(struct cursor_table *cursors) {
  static struct cursor_view views[CURSORS_MAX];
  cursor_table_recovered(cursors, 1);
  const uint32_t count = cursor_table_list(cursors, views);
  ALWAYS_ASSERT(count <= CURSORS_MAX);
  for (uint32_t i = 0; i < count; i++) ALWAYS_ASSERT(cursor_name_is_good(views[i].cursor.name));
  cursor_table_needed_lsn(cursors);
}

/* As the daemon starts. */
static void start_over(struct journal_rig *rig) {
  const struct rule_book_operations operations = {.compile = compile, .discard = discard, .publish = discard, .now = now};
  const struct cursor_journal cursor_journal = {
      .is_durable = always_durable, .durable_lsn = no_lsn, .now_ns = now, .wall_ns = now};
  struct start start = {.remembered = remembered_ids_create(),
                        .cursors = cursor_table_create(&cursor_journal),
                        .book = rule_book_create(&operations, HISTORY_BYTES)};
  struct rule_result result = {0};
  struct journal_recovery recovery;
  int error;
  rig_close(rig);
  rig->config.ring_count = 0;
  struct journal *journal = journal_open(&rig->config, recover, &start, &recovery, &error);
  ALWAYS_ASSERT(journal);
  journal_close(journal);
  remembered_ids_recovered(start.remembered);
  look_at_cursors(start.cursors);
  cursor_table_destroy(start.cursors);
  rule_book_recovered(start.book, &result);
  rule_result_free(&result);
  struct remembered_id *ids = NULL;
  size_t count = 0;
  ALWAYS_ASSERT(remembered_ids_copy(start.remembered, NOW_NS, &ids, &count) == 0);
  free(ids);
  remembered_ids_destroy(start.remembered);
  rule_book_destroy(start.book);
}

static bool each(void *context, uint64_t lsn, const struct violation *violation) {
  (void)context;
  ALWAYS_ASSERT(lsn > 0 && violation->attribute_count <= VIOLATION_ATTRIBUTES_MAX);
  return true;
}

static void index_all(struct journal_io *io, uint64_t last_lsn) {
  struct violation_store *store = violation_store_create(io, 100);
  struct violation_filter filter = {.severity = -1, .source = -1, .limit = 100};
  ALWAYS_ASSERT(violation_store_catch_up(store, last_lsn) == 0);
  ALWAYS_ASSERT(violation_store_query(store, &filter, each, NULL) >= 0);
  for (unsigned group = VIOLATIONS_BY_RULE; group <= VIOLATIONS_BY_TIME; group++) {
    struct violation_count *counts = NULL;
    size_t count;
    uint64_t total;
    if (violation_store_count_groups(store, &filter, (enum violation_group)group, 1, &counts, &count, &total) == 0) free(counts);
  }
  violation_store_destroy(store);
}

static void audit_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  (void)segment, (void)offset;
  checkpoint_audit_record(context, lsn, record);
}

static void audit_batch(void *context, uint64_t last_lsn, const uint8_t *chain) {
  checkpoint_audit_batch(context, last_lsn, chain);
}

static void audit(struct journal_io *io) {
  struct checkpoint_audit *made = checkpoint_audit_create(NULL, 0);
  const struct journal_scan_handler handler = {.context = made, .batch = audit_batch, .record = audit_record};
  struct journal_scan scan;
  struct checkpoint_report report;
  ALWAYS_ASSERT(journal_scan(io, &handler, &scan) == 0 && scan.damages == 0);
  ALWAYS_ASSERT(checkpoint_audit_result(made, &report) && report.verified == 0);
  checkpoint_audit_free(made);
}

static void salvage(struct journal_io *io) {
  struct journal_io *to = new_disk();
  struct journal_scan scan;
  uint64_t records;
  const char *why;
  ALWAYS_ASSERT(journal_salvage(io, to, 9, &(struct journal_scan_handler){0}, &scan, &records, &why) == 0);
  ALWAYS_ASSERT(records <= scan.records);
  to->operations->destroy(to);
}

static void put_file(void *context, const char *name) {
  struct journal_io *sim = context;
  char path[160];
  size_t length;
  const uint8_t *bytes = journal_sim_io_bytes(sim, name, &length);
  snprintf(path, sizeof path, "%s/%s", directory, name);
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ALWAYS_ASSERT(file >= 0 && write(file, bytes, length) == (ssize_t)length);
  close(file);
}

static void remove_file(void *context, const char *name) {
  char path[160];
  (void)context;
  snprintf(path, sizeof path, "%s/%s", directory, name);
  unlink(path);
}

static void remove_directory(void) { rmdir(directory); }

/* Its files, its output to nowhere. */
static void print(struct journal_io *io) {
  static const char *const verbs[] = {"info", "verify", "dump", "export", "export", "export", "export"};
  io->operations->list(io, put_file, io);
  for (unsigned i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    const struct cli cli = {.directory = directory,
                            .output = i % 2 ? OUTPUT_JSON : OUTPUT_TABLE,
                            .format = i % 2 ? "csv" : "jsonl",
                            .type = i < 5 ? "violation" : "webhook",
                            .word_count = 2,
                            .words = {"journal", verbs[i]}};
    const int result = cli_journal(&cli);
    ALWAYS_ASSERT(result == CLI_OK || result == CLI_FAILED);
  }
  io->operations->list(io, remove_file, NULL);
}

/* Of main, which is not here; every verb that is asked for is one. */
int cli_usage(const struct cli *cli, bool asked) {
  (void)cli, (void)asked;
  abort();
}

static void prepare_output(void) {
  /* In memory where there is such a place. */
  snprintf(directory, sizeof directory, "%s/tripline-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  ALWAYS_ASSERT(mkdtemp(directory) && freopen("/dev/null", "w", stdout));
  atexit(remove_directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  if (!directory[0]) prepare_output();
  struct journal_io *io = new_disk();
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  rig.ring_bytes = 256 * 1024;
  ALWAYS_ASSERT(rig_open(&rig) == 0);
  write_records(&rig, bytes, length);
  const uint64_t last_lsn = journal_durable_lsn(rig.journal);
  start_over(&rig);
  index_all(io, last_lsn);
  audit(io);
  if (last_lsn > 0) salvage(io);
  print(io);
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}
