#pragma once
/* An arena on the heap for tests: each take is its own allocation, so that sanitizers see overruns. */
#include "arena.h"

struct heap_arena;
struct heap_arena *heap_arena_create(void);
struct arena *heap_arena_arena(struct heap_arena *heap);
/* From now on takes fail after `takes` more: for out-of-memory tests. */
void heap_arena_limit(struct heap_arena *heap, unsigned takes);
void heap_arena_destroy(struct heap_arena *heap);
