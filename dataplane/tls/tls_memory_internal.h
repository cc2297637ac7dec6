#pragma once
/* The region as the TLS room itself sees it. */
#include "tls_memory.h"

/* On the average of all connections: a handshake holds about 45 KiB, an open connection about 13 KiB between records. */
#define TLS_MEMORY_BYTES_A_CONNECTION (64u * 1024u)
/* One connection alone: a handshake's peak with a client's certificates. */
#define TLS_BUDGET_BYTES (160u * 1024u)

/* What a connection has taken less what was given back in its name. OpenSSL's caches may be filled in one connection's name and
 * emptied in another's, so it may be below zero. */
struct tls_budget {
  int64_t used_bytes;
  uint64_t refused; /* the budget or the region was spent */
};

/* Between the two OpenSSL's memory is this region's, on this thread. */
void tls_memory_enter(struct tls_memory *memory, struct tls_budget *budget);
void tls_memory_leave(void);

/* For the room's own use, within enter and leave or not. */
void *tls_memory_take(struct tls_memory *memory, struct tls_budget *budget, size_t bytes);
void tls_memory_give(struct tls_budget *budget, void *bytes);
/* Whether the region holds another connection of the usual size. */
bool tls_memory_has_room(const struct tls_memory *memory);
