#include "always_assert.h"
#include "siphash.h"
#include "webhook_index_internal.h"
#include <stdlib.h>
#include <string.h>

#define KEY_BITS (WEBHOOK_KEY_WORDS * 64u)
#define KEY_PROBES 4u

bool webhook_index_create(struct webhook_index *index, uint32_t capacity) {
  ALWAYS_ASSERT(capacity >= 2 && capacity % 2 == 0);
  /* Not touched until it is used: what is never used costs no memory. */
  *index = (struct webhook_index){.entries = calloc(capacity, sizeof(struct webhook_entry)), .capacity = capacity};
  return index->entries != NULL;
}

void webhook_index_destroy(struct webhook_index *index) { free(index->entries); }

uint64_t webhook_source_bit(const char *name, size_t length) {
  const struct siphash_key key = {0x736f75726365, 1};
  return 1ull << (siphash(&key, name, length) & 63);
}

uint32_t webhook_status_bit(uint16_t status) { return status == 200 ? 1u : status == 202 ? 2u : 4u; }

uint64_t webhook_id_ms(const uint8_t correlation_id[16]) {
  uint64_t ms = 0;
  for (unsigned i = 0; i < 6; i++) ms = ms << 8 | correlation_id[i];
  return ms;
}

/* The key is a part of a SHA-256: its words are as good as any hash. */
static uint32_t probe_of(const uint8_t key[16], uint32_t probe) {
  uint32_t word;
  memcpy(&word, key + 4 * (size_t)probe, sizeof word);
  return word % KEY_BITS;
}

static bool has_key(const uint8_t key[16]) {
  static const uint8_t none[16];
  return memcmp(key, none, sizeof none) != 0;
}

static bool may_hold_key(const struct webhook_entry *entry, const uint8_t key[16]) {
  for (uint32_t i = 0; i < KEY_PROBES; i++) {
    const uint32_t bit = probe_of(key, i);
    if (!(entry->keys[bit / 64] & 1ull << bit % 64)) return false;
  }
  return true;
}

static void widen(uint64_t *least, uint64_t *most, uint64_t low, uint64_t high) {
  if (low < *least) *least = low;
  if (high > *most) *most = high;
}

static void merge_into(struct webhook_entry *entry, const struct webhook_entry *next) {
  entry->span.last_lsn = next->span.last_lsn;
  widen(&entry->wall_least_ns, &entry->wall_most_ns, next->wall_least_ns, next->wall_most_ns);
  widen(&entry->id_least_ms, &entry->id_most_ms, next->id_least_ms, next->id_most_ms);
  entry->sources |= next->sources;
  entry->statuses |= next->statuses;
  entry->webhooks += next->webhooks;
  for (uint32_t i = 0; i < WEBHOOK_KEY_WORDS; i++) entry->keys[i] |= next->keys[i];
}

static void make_room(struct webhook_index *index) {
  if (index->begin + index->count < index->capacity) return;
  if (index->begin > 0) {
    memmove(index->entries, index->entries + index->begin, index->count * sizeof *index->entries);
    index->begin = 0;
    return;
  }
  for (uint32_t i = 0; i < index->count / 2; i++) {
    if (i > 0) index->entries[i] = index->entries[2 * (size_t)i];
    merge_into(&index->entries[i], &index->entries[2 * (size_t)i + 1]);
  }
  index->count /= 2;
  index->merges++;
}

static bool goes_on(const struct webhook_entry *entry, struct journal_position position) {
  return entry->webhooks < WEBHOOK_ENTRY_WEBHOOKS && entry->span.at.segment == position.segment &&
         position.offset - entry->span.at.offset < WEBHOOK_ENTRY_BYTES;
}

void webhook_index_add(struct webhook_index *index, uint64_t lsn, const struct webhook_record *record,
                       struct journal_position position) {
  struct webhook_entry *entry = index->count ? &index->entries[index->begin + index->count - 1] : NULL;
  ALWAYS_ASSERT(!entry || lsn > entry->span.last_lsn);
  if (!entry || !goes_on(entry, position)) {
    make_room(index);
    entry = &index->entries[index->begin + index->count++];
    memset(entry, 0, sizeof *entry);
    entry->span = (struct webhook_span){.first_lsn = lsn, .at = position};
    entry->wall_least_ns = entry->id_least_ms = UINT64_MAX;
  }
  const uint64_t id_ms = webhook_id_ms(record->correlation_id);
  const size_t length = record->source_length < sizeof record->source ? record->source_length : sizeof record->source;
  entry->span.last_lsn = lsn;
  widen(&entry->wall_least_ns, &entry->wall_most_ns, record->header.wall_ns, record->header.wall_ns);
  widen(&entry->id_least_ms, &entry->id_most_ms, id_ms, id_ms);
  entry->sources |= webhook_source_bit(record->source, length);
  entry->statuses |= webhook_status_bit(record->status);
  entry->webhooks++;
  index->webhooks++;
  for (uint32_t i = 0; has_key(record->id_key) && i < KEY_PROBES; i++) {
    const uint32_t bit = probe_of(record->id_key, i);
    entry->keys[bit / 64] |= 1ull << bit % 64;
  }
}

static bool may_match(const struct webhook_entry *entry, const struct webhook_wanted *wanted) {
  if (wanted->since_ns && entry->wall_most_ns < wanted->since_ns) return false;
  if (wanted->until_ns && entry->wall_least_ns >= wanted->until_ns) return false;
  if (wanted->id_ms && (entry->id_most_ms < wanted->id_ms || entry->id_least_ms > wanted->id_ms)) return false;
  if (wanted->sources && !(entry->sources & wanted->sources)) return false;
  if (wanted->statuses && !(entry->statuses & wanted->statuses)) return false;
  return !wanted->key || may_hold_key(entry, wanted->key);
}

const struct webhook_entry *webhook_index_find(const struct webhook_index *index, uint64_t below,
                                               const struct webhook_wanted *wanted) {
  uint32_t low = 0, high = index->count; /* entries before `low` begin below it */
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (index->entries[index->begin + middle].span.first_lsn < below)
      low = middle + 1;
    else
      high = middle;
  }
  while (low-- > 0) {
    const struct webhook_entry *entry = &index->entries[index->begin + low];
    if (may_match(entry, wanted)) return entry;
  }
  return NULL;
}

void webhook_index_forget(struct webhook_index *index, uint64_t before_lsn) {
  while (index->count > 0 && index->entries[index->begin].span.last_lsn < before_lsn) {
    index->webhooks -= index->entries[index->begin].webhooks;
    index->begin++;
    index->count--;
  }
  /* Only an entry that was merged reaches over segments: how many of its webhooks are gone is not known. */
  if (index->count > 0 && index->entries[index->begin].span.first_lsn < before_lsn)
    index->entries[index->begin].span =
        (struct webhook_span){.first_lsn = before_lsn, .last_lsn = index->entries[index->begin].span.last_lsn};
}
