#include "checkpoint_audit.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 1024u

struct batch_end {
  uint64_t lsn;
  uint8_t chain[JOURNAL_CHAIN_BYTES];
};

struct checkpoint_audit {
  struct checkpoint_key *const *keys;
  size_t key_count;
  /* Those after the last checkpoint's LSN: the next one is about one of them. */
  struct batch_end *ends;
  size_t count, room;
  uint64_t first_lsn; /* of the first batch that was met */
  bool out_of_memory;
  struct checkpoint_report report;
};

struct checkpoint_audit *checkpoint_audit_create(struct checkpoint_key *const *keys, size_t key_count) {
  struct checkpoint_audit *audit = calloc(1, sizeof *audit);
  if (audit) *audit = (struct checkpoint_audit){.keys = keys, .key_count = key_count};
  return audit;
}

void checkpoint_audit_free(struct checkpoint_audit *audit) {
  if (!audit) return;
  free(audit->ends);
  free(audit);
}

void checkpoint_audit_batch(struct checkpoint_audit *audit, uint64_t last_lsn, const uint8_t *chain) {
  if (!chain) return;
  if (audit->count == audit->room) {
    const size_t room = audit->room ? 2 * audit->room : ROOM_LEAST;
    struct batch_end *grown = realloc(audit->ends, room * sizeof *grown);
    if (!grown) {
      audit->out_of_memory = true;
      return;
    }
    audit->ends = grown;
    audit->room = room;
  }
  if (audit->first_lsn == 0) audit->first_lsn = last_lsn;
  struct batch_end *end = &audit->ends[audit->count++];
  end->lsn = last_lsn;
  memcpy(end->chain, chain, sizeof end->chain);
}

__attribute__((format(printf, 3, 4))) static void complain(struct checkpoint_audit *audit, uint64_t lsn, const char *format,
                                                           ...) {
  if (audit->report.wrong++ > 0) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(audit->report.first_wrong, sizeof audit->report.first_wrong, format, arguments);
  va_end(arguments);
  audit->report.first_wrong_lsn = lsn;
}

static const struct batch_end *end_at(const struct checkpoint_audit *audit, uint64_t lsn) {
  size_t low = 0, high = audit->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (audit->ends[middle].lsn < lsn)
      low = middle + 1;
    else
      high = middle;
  }
  return low < audit->count && audit->ends[low].lsn == lsn ? &audit->ends[low] : NULL;
}

/* Not that end itself: while the disk does not answer, the next checkpoint covers nothing newer. */
static void forget_before(struct checkpoint_audit *audit, const struct batch_end *end) {
  const size_t gone = (size_t)(end - audit->ends);
  audit->count -= gone;
  memmove(audit->ends, audit->ends + gone, audit->count * sizeof *audit->ends);
}

enum trust { TRUST_WRONG, TRUST_UNKNOWN, TRUST_GOOD };

/* A key that replaced another may have its id. */
static enum trust trust(struct checkpoint_audit *audit, uint64_t lsn, const struct checkpoint_record *record) {
  bool known = false;
  for (size_t i = 0; i < audit->key_count; i++) {
    if (strncmp(record->key_id, checkpoint_key_id(audit->keys[i]), sizeof record->key_id) != 0) continue;
    if (checkpoint_verify(audit->keys[i], record)) return TRUST_GOOD;
    known = true;
  }
  if (!known) return TRUST_UNKNOWN;
  complain(audit, lsn, "the signature of key %.*s does not hold", (int)sizeof record->key_id, record->key_id);
  return TRUST_WRONG;
}

void checkpoint_audit_record(struct checkpoint_audit *audit, uint64_t lsn, const struct record_header *record) {
  const struct checkpoint_record *checkpoint = (const void *)record;
  struct checkpoint_report *report = &audit->report;
  if (record->type != RECORD_CHECKPOINT) return;
  report->checkpoints++;
  if (record->bytes != sizeof *checkpoint || checkpoint->lsn >= lsn) {
    complain(audit, lsn, "a checkpoint that cannot be one");
    return;
  }
  const enum trust trusted = trust(audit, lsn, checkpoint);
  if (trusted == TRUST_WRONG) return;
  if (audit->first_lsn == 0 || checkpoint->lsn < audit->first_lsn) {
    report->older++;
    return;
  }
  const struct batch_end *end = end_at(audit, checkpoint->lsn);
  if (!end || memcmp(end->chain, checkpoint->chain, sizeof end->chain) != 0) {
    complain(audit, lsn, "the records up to LSN %" PRIu64 " are not those that were signed", checkpoint->lsn);
    return;
  }
  if (trusted == TRUST_UNKNOWN) {
    report->unknown_keys++;
  } else {
    report->verified++;
    report->signed_lsn = checkpoint->lsn;
    report->signed_wall_ns = checkpoint->header.wall_ns;
  }
  forget_before(audit, end);
}

bool checkpoint_audit_result(const struct checkpoint_audit *audit, struct checkpoint_report *report) {
  *report = audit->report;
  return !audit->out_of_memory;
}
