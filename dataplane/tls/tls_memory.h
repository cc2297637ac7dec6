#pragma once
/* Where OpenSSL's memory comes from. What it takes while it serves a shard's connection comes from that shard's region of the
 * arena: counted, and bounded by the region and by a budget for each connection. What it takes otherwise (reading certificates)
 * comes from the heap that control gives. This is the one room of the dataplane with thread-local state: OpenSSL's hooks are the
 * process's and are not told for whom they are called (docs/decisions/0009-tls.md).
 * Threads: install once, before anything of OpenSSL; a region by its shard, but that any thread may give back blocks. */
#include "arena.h"
#include <stdbool.h>
#include <stdint.h>

struct tls_heap {
  void *(*take)(size_t bytes);
  void (*give)(void *bytes);
};

/* False when OpenSSL has taken memory already. */
bool tls_memory_install(const struct tls_heap *heap);

struct tls_memory;

/* A region for so many connections; NULL when the arena is spent. It must live as long as the process, since what OpenSSL keeps
 * for all connections (its caches) is there too. */
struct tls_memory *tls_memory_create(struct arena *arena, uint32_t connections_max);
uint64_t tls_memory_used_bytes(const struct tls_memory *memory);
uint64_t tls_memory_most_used_bytes(const struct tls_memory *memory);
