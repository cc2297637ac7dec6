#pragma once
/* A log in memory for a table of cursors: what is published is kept in order, becomes durable when a test says so, and can be
 * read back into another table, as recovery does. */
#include "cursor_table.h"

#define LOG_RECORDS_MAX 4096u

struct cursor_log {
  struct {
    uint64_t lsn;
    struct record_header *record; /* malloc'd */
  } records[LOG_RECORDS_MAX];
  uint32_t count;
  uint32_t durable; /* of them */
  bool at_once;     /* each is durable as soon as it is waited for */
  bool full;        /* publish finds no room */
  int trouble;
  uint64_t last_lsn; /* of any record */
  uint64_t now_ns;
  uint64_t paused_ns;
  void (*on_pause)(void *context); /* what others do meanwhile */
  void *pause_context;
};

void cursor_log_init(struct cursor_log *log);
void cursor_log_free(struct cursor_log *log);
/* Records of other types. */
void cursor_log_append(struct cursor_log *log, uint32_t count);
void cursor_log_sync(struct cursor_log *log);
struct cursor_journal cursor_log_face(struct cursor_log *log);
/* A table that has seen the durable ones (or, with `all`, all) from `from` on. */
struct cursor_table *cursor_log_recover(struct cursor_log *log, uint32_t from, bool all);
