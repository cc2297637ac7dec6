#include "violation_counts.h"
#include <stdlib.h>
#include <string.h>

#define SLOTS 2048u /* a power of two, at least twice the rules, so that a search always meets an empty one */

struct rule_count {
  char name[VIOLATION_COUNT_NAME_BYTES];
  uint64_t count;
  uint32_t hash;
};

struct violation_counts {
  struct rule_count rules[VIOLATION_COUNTS_MAX];
  uint32_t rule_count;
  uint16_t slots[SLOTS]; /* rule number plus one; 0: empty */
  uint64_t others;
};

struct violation_counts *violation_counts_create(void) {
  return calloc(1, sizeof(struct violation_counts));
}

void violation_counts_destroy(struct violation_counts *counts) { free(counts); }

void violation_counts_add(struct violation_counts *counts, struct event_text rule, uint32_t hash) {
  uint32_t at = hash & (SLOTS - 1);
  for (; counts->slots[at]; at = (at + 1) & (SLOTS - 1)) {
    struct rule_count *known = &counts->rules[counts->slots[at] - 1];
    if (strlen(known->name) != rule.length || memcmp(known->name, rule.at, rule.length) != 0) continue;
    known->count++;
    return;
  }
  if (counts->rule_count == VIOLATION_COUNTS_MAX || rule.length == 0 || rule.length >= VIOLATION_COUNT_NAME_BYTES) {
    counts->others++;
    return;
  }
  struct rule_count *made = &counts->rules[counts->rule_count++];
  memcpy(made->name, rule.at, rule.length);
  made->count = 1;
  made->hash = hash;
  counts->slots[at] = (uint16_t)counts->rule_count;
}

void violation_counts_each(const struct violation_counts *counts, void (*each)(void *context, const char *rule, uint64_t count),
                           void *context) {
  for (uint32_t i = 0; i < counts->rule_count; i++) each(context, counts->rules[i].name, counts->rules[i].count);
  if (counts->others) each(context, "", counts->others);
}

const char *violation_counts_name(const struct violation_counts *counts, uint32_t hash) {
  for (uint32_t at = hash & (SLOTS - 1); counts->slots[at]; at = (at + 1) & (SLOTS - 1))
    if (counts->rules[counts->slots[at] - 1].hash == hash) return counts->rules[counts->slots[at] - 1].name;
  return NULL;
}
