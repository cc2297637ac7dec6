#pragma once
/* Blocking file calls that the implementations on real disks share. -errno on failure. Threads: any. */
#include "journal_io.h"

int64_t journal_files_size(struct journal_io *io, int file);
/* Fewer than `bytes` only at the end of the file. */
int journal_files_read(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset);
int journal_files_list(int directory, void (*each)(void *context, const char *name), void *context);
uint64_t journal_files_now(struct journal_io *io);
