#pragma once
/* Inside the room of trials. */
#include "trial_host.h"

/* An arena of mappings, given back whole. Must not move after init. */
struct trial_memory {
  struct arena arena;
  struct trial_mapping *mappings;
};
void trial_memory_init(struct trial_memory *memory);
void trial_memory_free(struct trial_memory *memory);

#define TRIAL_COLUMNS 1024u /* a kind's; no image has more */

struct trial_shard {
  struct engine *engine;
  struct record_ring *records;
  struct line_ring *messages_to[IMAGE_SHARDS_MAX];
};

struct trial_host {
  struct trial_config config;
  struct trial_memory memory;
  struct rule_image *image;
  struct trial_shard shards[IMAGE_SHARDS_MAX];
  uint16_t next_shard; /* bodies go round, as connections do */
  uint64_t now_ns, wall_ns;
  struct trial_counters counters;
  uint8_t *body; /* the copy that decoders may read beyond the end of, and their scratch */
  char *scratch;
  size_t body_room;
};

/* trial_host.c: after whatever may have raised or sent something: digests to their owners, then violations out. */
void trial_host_pump(struct trial_host *host);
