#pragma once
/* A file of the journal read from one place to another, once, with several reads under way. Where the I/O can only be used by one
 * thread (the simulated disk, the fault injector) each is made when it is needed, in the same order. Threads: one owner; its
 * helpers only read. */
#include "journal_format_internal.h"

struct journal_stream;
/* NULL: out of memory. Helpers that cannot be had are done without. */
struct journal_stream *journal_stream_create(struct journal_io *io);
/* Reads `file` from `from` to `to` (multiples of 4096); what lies beyond its end reads as zero. At most `at_once` bytes are asked
 * for at a time. Ends what was read before. 0 or -ENOMEM. */
int journal_stream_begin(struct journal_stream *stream, int file, uint64_t from, uint64_t to, uint32_t at_once);
/* The bytes at `offset`, which never falls. NULL and *error_number on failure. Valid until the next call. */
const uint8_t *journal_stream_at(struct journal_stream *stream, uint64_t offset, uint32_t bytes, int *error_number);
/* Before its file is closed. */
void journal_stream_end(struct journal_stream *stream);
void journal_stream_destroy(struct journal_stream *stream);
