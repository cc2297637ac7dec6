#include "cursor_log.h"
#include "cmocka_test.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool publish(void *context, const void *record, uint32_t bytes, uint64_t *position) {
  struct cursor_log *log = context;
  if (log->full) return false;
  assert_true(log->count < LOG_RECORDS_MAX);
  log->records[log->count].lsn = ++log->last_lsn;
  log->records[log->count].record = malloc(bytes);
  assert_non_null(log->records[log->count].record);
  memcpy(log->records[log->count].record, record, bytes);
  assert_int_equal(log->records[log->count].record->bytes, bytes);
  *position = ++log->count;
  return true;
}

static bool is_durable(void *context, uint64_t position) { return ((struct cursor_log *)context)->durable >= position; }

static int wait_durable(void *context, uint64_t position) {
  struct cursor_log *log = context;
  if (log->at_once) cursor_log_sync(log);
  return log->durable >= position ? 0 : -ETIMEDOUT;
}

static uint64_t durable_lsn(void *context) {
  const struct cursor_log *log = context;
  return log->durable < log->count ? log->records[log->durable].lsn - 1 : log->last_lsn;
}

static int trouble(void *context) { return ((struct cursor_log *)context)->trouble; }
static uint64_t now_ns(void *context) { return ((struct cursor_log *)context)->now_ns; }
static uint64_t wall_ns(void *context) { return 1700000000000000000u + ((struct cursor_log *)context)->now_ns; }

static void pause_for(void *context, uint64_t ns) {
  struct cursor_log *log = context;
  assert_true(ns > 0 && ns <= CURSOR_RECORD_EVERY_NS);
  log->now_ns += ns;
  log->paused_ns += ns;
  if (log->on_pause) log->on_pause(log->pause_context);
}

void cursor_log_init(struct cursor_log *log) {
  memset(log, 0, sizeof *log);
  log->at_once = true;
  log->now_ns = 1000000000;
}

void cursor_log_free(struct cursor_log *log) {
  for (uint32_t i = 0; i < log->count; i++) free(log->records[i].record);
}

void cursor_log_append(struct cursor_log *log, uint32_t count) { log->last_lsn += count; }

void cursor_log_sync(struct cursor_log *log) { log->durable = log->count; }

struct cursor_journal cursor_log_face(struct cursor_log *log) {
  return (struct cursor_journal){.context = log,
                                 .publish = publish,
                                 .is_durable = is_durable,
                                 .wait_durable = wait_durable,
                                 .durable_lsn = durable_lsn,
                                 .trouble = trouble,
                                 .now_ns = now_ns,
                                 .wall_ns = wall_ns,
                                 .pause = pause_for};
}

struct cursor_table *cursor_log_recover(struct cursor_log *log, uint32_t from, bool all) {
  const struct cursor_journal face = cursor_log_face(log);
  struct cursor_table *table = cursor_table_create(&face);
  assert_non_null(table);
  for (uint32_t i = from; i < (all ? log->count : log->durable); i++)
    cursor_table_see(table, log->records[i].lsn, log->records[i].record);
  assert_int_equal(cursor_table_recovered(table, 1), 0);
  return table;
}
