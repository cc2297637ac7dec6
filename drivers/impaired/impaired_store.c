#include "impaired_store_internal.h"

bool impaired_store_create(struct arena *arena, uint32_t capacity, uint32_t frame_bytes, struct impaired_store *store) {
  *store = (struct impaired_store){.frames = ARENA_ARRAY(arena, struct impaired_frame, capacity),
                                   .heap = ARENA_ARRAY(arena, uint32_t, capacity),
                                   .capacity = capacity};
  uint8_t *bytes = ARENA_ARRAY(arena, uint8_t, (size_t)capacity * frame_bytes);
  if (!store->frames || !store->heap || !bytes) return false;
  for (uint32_t i = 0; i < capacity; i++) {
    store->frames[i].bytes = bytes + (size_t)i * frame_bytes;
    store->heap[i] = i;
  }
  return true;
}

static bool earlier(const struct impaired_store *store, uint32_t a, uint32_t b) {
  const struct impaired_frame *left = &store->frames[a], *right = &store->frames[b];
  return left->due_ns != right->due_ns ? left->due_ns < right->due_ns : left->order < right->order;
}

struct impaired_frame *impaired_store_add(struct impaired_store *store, uint64_t due_ns) {
  if (store->count == store->capacity) return NULL;
  uint32_t at = store->count++;
  const uint32_t number = store->heap[at];
  struct impaired_frame *frame = &store->frames[number];
  frame->due_ns = due_ns;
  frame->order = store->next_order++;
  for (; at > 0 && earlier(store, number, store->heap[(at - 1) / 2]); at = (at - 1) / 2)
    store->heap[at] = store->heap[(at - 1) / 2];
  store->heap[at] = number;
  return frame;
}

const struct impaired_frame *impaired_store_due(const struct impaired_store *store, uint64_t now_ns) {
  if (store->count == 0) return NULL;
  const struct impaired_frame *frame = &store->frames[store->heap[0]];
  return frame->due_ns <= now_ns ? frame : NULL;
}

void impaired_store_drop_first(struct impaired_store *store) {
  const uint32_t first = store->heap[0], last = store->heap[--store->count];
  uint32_t at = 0;
  for (uint32_t child; (child = 2 * at + 1) < store->count; at = child) {
    if (child + 1 < store->count && earlier(store, store->heap[child + 1], store->heap[child])) child++;
    if (!earlier(store, store->heap[child], last)) break;
    store->heap[at] = store->heap[child];
  }
  store->heap[at] = last;
  store->heap[store->count] = first;
}
