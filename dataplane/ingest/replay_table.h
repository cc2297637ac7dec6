#pragma once
/* Which signed webhook ids have taken effect: one table a shard, for the ids it owns (hash of source and id). An id is remembered
 * until its time is over and never evicted earlier; a full table refuses. Memory: from the arena. Threads: one shard. */
#include "arena.h"
#include "siphash.h"
#include <stdbool.h>
#include <stdint.h>

struct replay_key {
  uint8_t bytes[16]; /* SHA-256(source, NUL, id), first 16 bytes */
};

struct replay_answer {
  uint16_t status;
  uint8_t correlation_id[16];
};

enum replay_verdict {
  REPLAY_NEW,      /* claimed: the caller must settle or release */
  REPLAY_PENDING,  /* same body, first one not settled yet: ask again */
  REPLAY_SAME,     /* same body: `answer` is the first one's */
  REPLAY_CONFLICT, /* another body */
  REPLAY_FULL,
};

struct replay_counters {
  uint64_t claimed, same, conflicts, full, expired, released;
  uint32_t live;
};

struct replay_table;

struct replay_key replay_key_of(const char *source, uint32_t source_length, const char *id, uint32_t id_length);
struct replay_table *replay_table_create(struct arena *arena, uint32_t capacity, const struct siphash_key *key);
enum replay_verdict replay_claim(struct replay_table *table, const struct replay_key *key, const uint8_t body_sha256[32],
                                 uint64_t remember_until_wall_ns, struct replay_answer *answer);
void replay_settle(struct replay_table *table, const struct replay_key *key, const struct replay_answer *answer);
/* The claimed webhook took no effect after all (overload): the id is free again. */
void replay_release(struct replay_table *table, const struct replay_key *key);
/* Recovery: a settled id from the journal. False when full. */
bool replay_restore(struct replay_table *table, const struct replay_key *key, const uint8_t body_sha256[32],
                    uint64_t remember_until_wall_ns, const struct replay_answer *answer);
/* Forgets ids whose time is over by the wall clock (a clock step back only delays); at most `most` entries looked at. */
uint32_t replay_expire(struct replay_table *table, uint64_t wall_ns, uint32_t most);
const struct replay_counters *replay_table_counters(const struct replay_table *table);
