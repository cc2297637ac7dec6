#pragma once
/* SPSC ring of messages of one or more 64-byte lines: trace digests and replay claims between shards.
 *
 * Messages are contiguous; the first line starts with a `struct line_header`, of which the caller sets `type` and the ring
 * `lines` (at the latest at publish: a caller may overwrite the whole line). A producer may reserve several messages, then
 * publish all or roll all back: a request's digests are sent whole or not at all. Bound: `lines` (a power of two); reserve
 * returns NULL when full and counts it; a shard never waits. Memory: from the arena. Threads: one producer, one consumer. */
#include "arena.h"
#include <stdbool.h>
#include <stdint.h>

#define LINE_BYTES 64
#define LINE_MESSAGE_LINES_MAX 64 /* 4 KiB */

struct line_header {
  uint16_t lines; /* written by the ring */
  uint16_t type;  /* the caller's */
  uint32_t reserved;
};

struct line_ring;

/* `lines` is a power of two, at least 2; NULL when the arena is spent. The longest message is half the ring, at most
 * LINE_MESSAGE_LINES_MAX. */
struct line_ring *line_ring_create(struct arena *arena, uint32_t lines);

/* Producer. A pointer to `lines` * 64 contiguous bytes, 64-byte aligned, valid until publish or rollback.
 * NULL when full, or when `lines` is more than the longest message. */
void *line_ring_reserve(struct line_ring *ring, uint32_t lines);
void line_ring_publish(struct line_ring *ring);
void line_ring_rollback(struct line_ring *ring);
/* A message of `lines` would fit now (counting what is reserved). */
bool line_ring_has_room(struct line_ring *ring, uint32_t lines);
/* The most lines that an empty ring takes at once wherever it stands; a request that needs more might never fit. */
uint32_t line_ring_capacity(const struct line_ring *ring);

/* Consumer. The oldest published message, or NULL; it stays valid and in place until consume frees it. Consume follows a peek
 * that found one. */
const void *line_ring_peek(struct line_ring *ring);
void line_ring_consume(struct line_ring *ring);
/* Up to `most` of the oldest published messages, in order, to look ahead at; returns how many. */
uint32_t line_ring_look_ahead(struct line_ring *ring, const struct line_header **messages, uint32_t most);

/* Any thread, approximate while running: messages published, consumed, reserves refused. */
struct line_ring_counters {
  uint64_t published, consumed, refused;
  uint32_t lines_waiting;
};
struct line_ring_counters line_ring_read_counters(const struct line_ring *ring);
