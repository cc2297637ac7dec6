#pragma once
/* A simulated disk: files in memory, virtual time, and crashes that lose what a real disk may lose. All of it follows from the
 * seed. For tests and the simulator; the daemon does not link it. Threads: one.
 *
 * A crash resolves every write that was not durable: it survives, is lost, or is torn into 512-byte or 4 KiB pieces of which any
 * subset survives; file sizes and the latest names (in order) may be lost. Buffers in flight are read when their write
 * completes or the disk crashes, as a real device would: crash before journal_close, which then sees -ECANCELED. */
#include "journal_io.h"
#include <stddef.h>

struct journal_sim_io_options {
  uint64_t seed;
  uint64_t latency_least_ns, latency_most_ns; /* of each asynchronous operation */
  uint64_t capacity_bytes;                    /* of all files; 0: no limit. Beyond it ALLOCATE and growing writes say -ENOSPC */
};

struct journal_io *journal_sim_io_create(const struct journal_sim_io_options *options); /* NULL: out of memory */
/* Time goes on by itself only inside a reap that waits. */
void journal_sim_io_set_time(struct journal_io *io, uint64_t now_ns);
/* Power is lost and comes back: handles are closed, what was under way is resolved. */
void journal_sim_io_crash(struct journal_io *io);
/* From here on chance goes another way: several crashes of one history. */
void journal_sim_io_reseed(struct journal_io *io, uint64_t seed);
/* Whoever wants to see all outcomes of a crash decides instead of chance: 0 to bound - 1, for each unsynced sector of 512 bytes
 * that would change something, each length, each operation under way, and how many of the latest names are kept. NULL: chance. */
void journal_sim_io_choose(struct journal_io *io, uint64_t (*choose)(void *context, uint64_t bound), void *context);
void journal_sim_io_set_capacity(struct journal_io *io, uint64_t bytes);
/* When the next operation completes; UINT64_MAX: none is under way. */
uint64_t journal_sim_io_next_due_ns(const struct journal_io *io);
/* The bytes of a file, for damage and inspection; NULL when there is none. Valid until the file grows. */
uint8_t *journal_sim_io_bytes(struct journal_io *io, const char *name, size_t *length);
/* Makes or replaces a durable file. 0 or -ENOMEM. */
int journal_sim_io_put(struct journal_io *io, const char *name, const void *bytes, size_t length);
