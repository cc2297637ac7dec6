#include "replay_table.h"
#include "always_assert.h"
#include <openssl/sha.h>
#include <string.h>

/* Open addressing with backward-shift deletion: no tombstones, so probes stay short for ever. Load at most 1/2. */
struct replay_slot {
  struct replay_key key;
  uint8_t body_sha256[32];
  uint64_t remember_until_ns;
  struct replay_answer answer; /* status 0 while pending */
  bool used;
};

struct replay_table {
  struct siphash_key key;
  struct replay_slot *slots;
  uint32_t mask, capacity;
  uint32_t expire_at; /* next slot that expiry looks at */
  struct replay_counters counters;
};

struct replay_key replay_key_of(const char *source, uint32_t source_length, const char *id, uint32_t id_length) {
  uint8_t digest[32];
  struct replay_key key;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, source, source_length);
  SHA256_Update(&context, "", 1);
  SHA256_Update(&context, id, id_length);
  SHA256_Final(digest, &context);
  memcpy(key.bytes, digest, sizeof key.bytes);
  return key;
}

struct replay_table *replay_table_create(struct arena *arena, uint32_t capacity, const struct siphash_key *key) {
  struct replay_table *table = ARENA_NEW(arena, struct replay_table);
  uint32_t slots = 16;
  while (slots < 2 * (uint64_t)capacity) slots *= 2;
  if (!table || !(table->slots = ARENA_ARRAY(arena, struct replay_slot, slots))) return NULL;
  table->key = *key;
  table->mask = slots - 1;
  table->capacity = capacity;
  return table;
}

static uint32_t home_of(const struct replay_table *table, const struct replay_key *key) {
  return (uint32_t)siphash(&table->key, key->bytes, sizeof key->bytes) & table->mask;
}

/* The slot of the key, or the free one where it would go. */
static struct replay_slot *find(struct replay_table *table, const struct replay_key *key) {
  uint32_t at = home_of(table, key);
  while (table->slots[at].used && memcmp(&table->slots[at].key, key, sizeof *key) != 0) at = (at + 1) & table->mask;
  return &table->slots[at];
}

static void remove_slot(struct replay_table *table, struct replay_slot *slot) {
  uint32_t hole = (uint32_t)(slot - table->slots);
  for (uint32_t at = (hole + 1) & table->mask; table->slots[at].used; at = (at + 1) & table->mask) {
    const uint32_t home = home_of(table, &table->slots[at].key);
    if (((at - home) & table->mask) < ((at - hole) & table->mask)) continue; /* already between its home and here */
    table->slots[hole] = table->slots[at];
    hole = at;
  }
  table->slots[hole].used = false;
  table->counters.live--;
}

static bool insert(struct replay_table *table, struct replay_slot *slot, const struct replay_key *key,
                   const uint8_t body_sha256[32], uint64_t remember_until_ns, const struct replay_answer *answer) {
  if (table->counters.live == table->capacity) return false;
  *slot = (struct replay_slot){.key = *key, .remember_until_ns = remember_until_ns, .answer = *answer, .used = true};
  memcpy(slot->body_sha256, body_sha256, sizeof slot->body_sha256);
  table->counters.live++;
  return true;
}

enum replay_verdict replay_claim(struct replay_table *table, const struct replay_key *key, const uint8_t body_sha256[32],
                                 uint64_t remember_until_wall_ns, struct replay_answer *answer) {
  static const struct replay_answer pending = {0};
  struct replay_slot *slot = find(table, key);
  if (!slot->used) {
    if (!insert(table, slot, key, body_sha256, remember_until_wall_ns, &pending)) {
      table->counters.full++;
      return REPLAY_FULL;
    }
    table->counters.claimed++;
    return REPLAY_NEW;
  }
  if (memcmp(slot->body_sha256, body_sha256, sizeof slot->body_sha256) != 0) {
    table->counters.conflicts++;
    return REPLAY_CONFLICT;
  }
  if (slot->answer.status == 0) return REPLAY_PENDING;
  table->counters.same++;
  *answer = slot->answer;
  return REPLAY_SAME;
}

void replay_settle(struct replay_table *table, const struct replay_key *key, const struct replay_answer *answer) {
  struct replay_slot *slot = find(table, key);
  ALWAYS_ASSERT(slot->used && slot->answer.status == 0 && answer->status != 0);
  slot->answer = *answer;
}

void replay_release(struct replay_table *table, const struct replay_key *key) {
  struct replay_slot *slot = find(table, key);
  ALWAYS_ASSERT(slot->used && slot->answer.status == 0);
  remove_slot(table, slot);
  table->counters.released++;
}

bool replay_restore(struct replay_table *table, const struct replay_key *key, const uint8_t body_sha256[32],
                    uint64_t remember_until_wall_ns, const struct replay_answer *answer) {
  struct replay_slot *slot = find(table, key);
  return slot->used || insert(table, slot, key, body_sha256, remember_until_wall_ns, answer);
}

/* A pending id is never forgotten: its request still holds it and will settle or release. */
uint32_t replay_expire(struct replay_table *table, uint64_t wall_ns, uint32_t most) {
  uint32_t expired = 0;
  for (uint32_t i = 0; i < most; i++) {
    struct replay_slot *slot = &table->slots[table->expire_at];
    if (slot->used && slot->answer.status != 0 && slot->remember_until_ns <= wall_ns) {
      remove_slot(table, slot); /* another may have moved here: look again */
      expired++;
    } else {
      table->expire_at = (table->expire_at + 1) & table->mask;
    }
  }
  table->counters.expired += expired;
  return expired;
}

const struct replay_counters *replay_table_counters(const struct replay_table *table) { return &table->counters; }
