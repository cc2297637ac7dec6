#include "violation_index_internal.h"
#include <stdlib.h>
#include <string.h>

bool violation_index_create(struct violation_index *index, uint32_t capacity) {
  *index = (struct violation_index){.capacity = capacity, .group_count = capacity / INDEX_GROUP_ENTRIES + 2};
  index->entries = calloc(capacity, sizeof *index->entries);
  index->groups = calloc(index->group_count, sizeof *index->groups);
  return index->entries && index->groups;
}

void violation_index_destroy(struct violation_index *index) {
  free(index->entries);
  free(index->groups);
}

uint64_t violation_index_bytes(const struct violation_index *index) {
  return (uint64_t)index->capacity * sizeof *index->entries + (uint64_t)index->group_count * sizeof *index->groups;
}

/* Two bits a key. */
static void mark(uint64_t *words, uint32_t count, uint64_t key) {
  const uint64_t mixed = key * 0x9e3779b97f4a7c15u;
  const uint32_t bits = count * 64, a = (uint32_t)(mixed >> 32) % bits, b = (uint32_t)(mixed >> 12) % bits;
  words[a / 64] |= 1ull << a % 64;
  words[b / 64] |= 1ull << b % 64;
}

static bool marked(const uint64_t *words, uint32_t count, uint64_t key) {
  const uint64_t mixed = key * 0x9e3779b97f4a7c15u;
  const uint32_t bits = count * 64, a = (uint32_t)(mixed >> 32) % bits, b = (uint32_t)(mixed >> 12) % bits;
  return (words[a / 64] >> a % 64 & 1) && (words[b / 64] >> b % 64 & 1);
}

/* Keys of different kinds in one filter. */
static uint64_t rule_key(uint32_t rule) { return rule; }
static uint64_t service_key(uint32_t service) { return 1ull << 40 | service; }
static uint64_t id_key(uint32_t id) { return 1ull << 41 | id; }

static struct index_group *group_of(const struct violation_index *index, uint64_t number) {
  return &index->groups[number / INDEX_GROUP_ENTRIES % index->group_count];
}

void violation_index_add(struct violation_index *index, const struct index_entry *entry) {
  struct index_group *group = group_of(index, index->added);
  if (index->added % INDEX_GROUP_ENTRIES == 0) {
    memset(group, 0, sizeof *group);
    group->wall_least_ns = UINT64_MAX;
  }
  if (entry->wall_ns < group->wall_least_ns) group->wall_least_ns = entry->wall_ns;
  if (entry->wall_ns > group->wall_most_ns) group->wall_most_ns = entry->wall_ns;
  group->severities |= 1u << entry->severity % 32;
  group->sources |= 1u << entry->source % 32;
  mark(group->names, INDEX_NAME_WORDS, rule_key(entry->rule));
  mark(group->names, INDEX_NAME_WORDS, service_key(entry->service));
  mark(group->ids, INDEX_ID_WORDS, id_key(entry->id));
  if (entry->trace) mark(group->ids, INDEX_ID_WORDS, entry->trace);
  index->entries[index->added % index->capacity] = *entry;
  index->added++;
  if (index->count < index->capacity) index->count++;
}

const struct index_entry *violation_index_at(const struct violation_index *index, uint64_t nth) {
  return &index->entries[(index->added - index->count + nth) % index->capacity];
}

uint64_t violation_index_below(const struct violation_index *index, uint64_t lsn) {
  uint64_t low = 0, high = index->count;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (violation_index_at(index, middle)->lsn < lsn)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool violation_index_matches(const struct index_query *query, const struct index_entry *entry) {
  return (!query->has_rule || entry->rule == query->rule) && (!query->has_service || entry->service == query->service) &&
         (!query->has_trace || entry->trace == query->trace) && (!query->has_id || entry->id == query->id) &&
         (query->severity < 0 || entry->severity == query->severity) && (query->source < 0 || entry->source == query->source) &&
         (!query->since_ns || entry->wall_ns >= query->since_ns) && (!query->until_ns || entry->wall_ns < query->until_ns);
}

bool violation_index_group_may_match(const struct violation_index *index, const struct index_query *query, uint64_t nth,
                                     uint64_t *first, uint64_t *end) {
  const uint64_t oldest = index->added - index->count, number = oldest + nth;
  const uint64_t start = number / INDEX_GROUP_ENTRIES * INDEX_GROUP_ENTRIES;
  *first = start > oldest ? start - oldest : 0;
  *end = start + INDEX_GROUP_ENTRIES < index->added ? start + INDEX_GROUP_ENTRIES - oldest : index->count;
  const struct index_group *group = group_of(index, number);
  if (query->has_rule && !marked(group->names, INDEX_NAME_WORDS, rule_key(query->rule))) return false;
  if (query->has_service && !marked(group->names, INDEX_NAME_WORDS, service_key(query->service))) return false;
  if (query->has_id && !marked(group->ids, INDEX_ID_WORDS, id_key(query->id))) return false;
  if (query->has_trace && query->trace && !marked(group->ids, INDEX_ID_WORDS, query->trace)) return false;
  if (query->severity >= 0 && !(group->severities >> query->severity % 32 & 1)) return false;
  if (query->source >= 0 && !(group->sources >> query->source % 32 & 1)) return false;
  return (!query->since_ns || group->wall_most_ns >= query->since_ns) &&
         (!query->until_ns || group->wall_least_ns < query->until_ns);
}
