#pragma once
/* Clients that move bytes through a stream server over a bad wire, all from one seed. Ends the process with a message when a byte
 * is wrong, a law is broken, or nothing moves any more. */
#include <stdint.h>

struct stream_story_result {
  uint32_t shards, clients, transfers;
  uint64_t bytes; /* that arrived at an application, either way, each where it belongs */
  uint64_t frames, frames_lost, frames_corrupted, frames_reordered, frames_duplicated, steps, simulated_ns;
};

void stream_story_run(uint64_t seed, struct stream_story_result *result);
