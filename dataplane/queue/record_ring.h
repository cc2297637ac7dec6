#pragma once
/* SPSC byte ring of variable-size records: violations and accepted webhooks on their way from a shard to the journal thread.
 *
 * A position is a count of bytes since start; it only grows. The producer reserves records, then publishes them all or rolls
 * them all back. The consumer releases space when it has copied a record, and sets the durable mark (a position) when that
 * record is past fsync: the shard parks a response until `record_ring_durable() >=` the position at its publish.
 * Bound: `bytes` (a power of two); reserve returns NULL when full. Threads: one producer (a shard), one consumer (journal). */
#include "arena.h"
#include "record.h"
#include <stdbool.h>
#include <stdint.h>

#define RECORD_BYTES_MAX (64u * 1024u)

struct record_ring;

/* `bytes` is a power of two, at least 64; NULL when the arena is spent. The longest record is half the ring less 8 bytes, at
 * most RECORD_BYTES_MAX: a ring of 256 KiB or more takes every record. */
struct record_ring *record_ring_create(struct arena *arena, uint32_t bytes);

/* Producer. Contiguous room for one record of exactly `bytes` (1..RECORD_BYTES_MAX), 8-byte aligned, or NULL when
 * full (or longer than the longest record). Valid until publish or rollback. */
void *record_ring_reserve(struct record_ring *ring, uint32_t bytes);
/* Shortens the last reserved record before publish. */
void record_ring_trim(struct record_ring *ring, uint32_t bytes);
/* How soon the records of the next publish are to be durable; strict when nothing is said, and again after it. */
void record_ring_set_durability(struct record_ring *ring, enum record_durability durability);
/* Publishes all reserved records; returns the position that is durable when they are: the last one's end. With none reserved,
 * the end of the last published. */
uint64_t record_ring_publish(struct record_ring *ring);
/* Drops all reserved, unpublished records. */
void record_ring_rollback(struct record_ring *ring);
/* Records reserved and not yet published. */
uint32_t record_ring_reserved_count(const struct record_ring *ring);
/* Their footprints together. */
uint32_t record_ring_reserved_bytes(const struct record_ring *ring);
/* Any thread. Of all that was published: durable when record_ring_durable is there. */
uint64_t record_ring_published_position(const struct record_ring *ring);
/* Any thread. */
uint64_t record_ring_durable(const struct record_ring *ring);
/* The size in bytes. Records of n bytes each take record_ring_footprint(n); those whose footprints and one more longest record
 * stay within the capacity fit an empty ring wherever it stands. */
uint32_t record_ring_capacity(const struct record_ring *ring);
static inline uint32_t record_ring_footprint(uint32_t bytes) { return 8 + ((bytes + 7) & ~7u); }

/* Consumer. The next unread record and its length, or NULL; it stays valid and in place until advance. Advance moves on and frees
 * its space; the record's end position is then `record_ring_read_position`. */
const void *record_ring_peek(struct record_ring *ring, uint32_t *bytes);
void record_ring_advance(struct record_ring *ring);
/* Of the peeked record, when it is the first of those that were published together: all their footprints. Otherwise 0. */
uint32_t record_ring_unit_bytes(const struct record_ring *ring);
uint64_t record_ring_read_position(const struct record_ring *ring);
/* The most urgent durability that records after `position` were published with. */
enum record_durability record_ring_urgency(const struct record_ring *ring, uint64_t position);
/* Never backwards, never past the read position. */
void record_ring_set_durable(struct record_ring *ring, uint64_t position);

/* Any thread, approximate while running. Counts are of records, bytes_waiting of bytes not yet read. The high water is sampled
 * whenever one side has to look at the other's position, so a full ring is always seen. */
struct record_ring_counters {
  uint64_t published, read, refused;
  uint64_t bytes_waiting, bytes_waiting_high_water;
};
struct record_ring_counters record_ring_read_counters(const struct record_ring *ring);
