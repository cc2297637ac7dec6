/* A journal as it lies: what was raised, and that webhooks were accepted. Bodies are not in it. */
#include "journal_scan.h"
#include "trial_document_internal.h"
#include "trial_input_internal.h"
#include <errno.h>
#include <string.h>

struct journal_reading {
  const struct trial_reader *reader;
  struct trial_report *report;
};

static void take_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  struct journal_reading *reading = context;
  struct violation violation;
  (void)lsn, (void)segment, (void)offset;
  reading->report->journal_records++;
  if (record->type == RECORD_WEBHOOK) reading->report->recorded_webhooks++;
  if (record->type == RECORD_VIOLATION && violation_decode(record, record->bytes, &violation)) {
    reading->report->recorded_violations++;
    if (reading->reader->violation) reading->reader->violation(reading->reader->context, &violation);
  }
  if (reading->reader->progress) reading->reader->progress(reading->reader->context, 0, 0);
}

bool trial_journal_read(const char *directory, const struct trial_reader *reader, struct trial_report *report,
                        struct rule_errors *errors) {
  struct journal_reading reading = {.reader = reader, .report = report};
  const struct journal_scan_handler handler = {.context = &reading, .record = take_record};
  struct journal_scan scan;
  int error = 0;
  report->recording = RECORDING_JOURNAL;
  report->format = "journal";
  struct journal_io *io = journal_read_only_io_create(directory, &error);
  if (io) {
    error = journal_scan(io, &handler, &scan);
    io->operations->destroy(io);
  }
  if (error < 0) {
    trial_error_file(errors, directory, "the journal cannot be read: %s",
                     error == -EPROTONOSUPPORT ? "a later version wrote it" : strerror(-error));
    return false;
  }
  if (scan.newest.version == 0) {
    trial_error_file(errors, directory, "is no journal's folder");
    return false;
  }
  report->journal_damages = scan.damages;
  report->total_bytes = scan.batch_bytes;
  return true;
}
