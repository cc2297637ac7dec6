#pragma once
/* Frames that wait for their time, ordered by it; those due at one instant leave as they came. */
#include "arena.h"
#include <stdbool.h>
#include <stdint.h>

struct impaired_frame {
  uint64_t due_ns, order;
  uint32_t length, offload;
  bool checksum_bad;
  uint8_t *bytes;
};

struct impaired_store {
  struct impaired_frame *frames;
  uint32_t *heap; /* the first `count` wait, the rest is free */
  uint32_t count, capacity;
  uint64_t next_order;
};

bool impaired_store_create(struct arena *arena, uint32_t capacity, uint32_t frame_bytes, struct impaired_store *store);
/* A frame to fill, due at `due_ns`; NULL when the store is full. */
struct impaired_frame *impaired_store_add(struct impaired_store *store, uint64_t due_ns);
/* The next frame when it is due, else NULL; it is the store's until dropped. */
const struct impaired_frame *impaired_store_due(const struct impaired_store *store, uint64_t now_ns);
void impaired_store_drop_first(struct impaired_store *store);
