#pragma once
/* One simulated story: an appliance, its clients, the wire between them and what goes wrong, all from one seed. Ends the process
 * with a message when a law is broken, an answer is wrong, a promise is not kept, or nothing moves any more. */
#include "simulated_client.h"

struct world_story {
  uint64_t seed;
  uint16_t shards;  /* 0: by the seed */
  bool undisturbed; /* no restarts, no full disk, no rude clients: every verdict is determined */
};

struct world_result {
  uint32_t shards, clients, requests, answered, refused, connections, broken, violations;
  uint32_t power_cuts, restarts, disk_full;
  uint32_t soft, hard; /* times that a resource of a shard came into that state */
  uint64_t spans, steps, simulated_ns, frames, frames_lost, frames_handed_over;
  uint64_t verdicts; /* a digest of what was found faulty */
};

void world_run(const struct world_story *story, struct world_result *result);
