/* Per-rule counts over all shards. A slot's count never falls in a shard; what it held when a rule got it is not the rule's.
 * Begin and end under rules.lock, the readers take it. */
#include "daemon_internal.h"
#include <stdlib.h>

static uint64_t counted(const struct daemon *daemon, uint32_t slot) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < daemon->shard_count; i++) sum += shard_rule_matches(daemon->shards[i].shard, slot);
  return sum;
}

void match_counts_begin(struct daemon *daemon, const struct rule_image *image) {
  struct daemon_match_counts *counts = &daemon->rules.matches;
  const uint32_t slots = rule_image_match_slots(image);
  if (slots > counts->capacity) {
    uint64_t *grown = realloc(counts->at_start, slots * sizeof *grown);
    if (!grown) return; /* the new ones then tell what the slot told before */
    counts->at_start = grown;
    counts->capacity = slots;
  }
  for (uint32_t slot = 0; slot < slots; slot++) {
    enum rule_mode mode;
    bool fresh;
    if (rule_image_match_slot_used(image, slot, &mode, &fresh) && fresh) counts->at_start[slot] = counted(daemon, slot);
  }
}

void match_counts_end(struct daemon *daemon, const struct rule_image *before, const struct rule_image *after) {
  struct daemon_match_counts *counts = &daemon->rules.matches;
  for (uint32_t slot = daemon->config.rule_series_max; slot < rule_image_match_slots(before) && slot < counts->capacity; slot++) {
    enum rule_mode mode, now;
    bool fresh;
    if (!rule_image_match_slot_used(before, slot, &mode, &fresh) || rule_image_match_slot_used(after, slot, &now, &fresh))
      continue;
    counts->gone[mode] += counted(daemon, slot) - counts->at_start[slot];
  }
}

bool match_counts_read(void *context, const struct rule_definition *rule, uint64_t *matches, bool *own_series) {
  struct daemon *daemon = context;
  const struct daemon_match_counts *counts = &daemon->rules.matches;
  pthread_mutex_lock(&daemon->rules.lock);
  const uint32_t slot = daemon->rules.image ? rule_image_match_slot(daemon->rules.image, rule) : RULE_MATCH_SLOT_NONE;
  if (slot != RULE_MATCH_SLOT_NONE) *matches = counted(daemon, slot) - (slot < counts->capacity ? counts->at_start[slot] : 0);
  pthread_mutex_unlock(&daemon->rules.lock);
  if (slot == RULE_MATCH_SLOT_NONE) return false;
  *own_series = slot < daemon->config.rule_series_max;
  return true;
}

void match_counts_gone(void *context, uint64_t gone[RULE_MODES]) {
  struct daemon *daemon = context;
  pthread_mutex_lock(&daemon->rules.lock);
  for (unsigned mode = 0; mode < RULE_MODES; mode++) gone[mode] = daemon->rules.matches.gone[mode];
  pthread_mutex_unlock(&daemon->rules.lock);
}
