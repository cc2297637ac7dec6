#pragma once
/* What both rings share. Every shared word has one writing thread, so it is advanced by load and store, never by a locked
 * instruction. */
#include <stdatomic.h>
#include <stdint.h>

static inline void counter_add(_Atomic uint64_t *counter, uint64_t amount) {
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount, memory_order_relaxed);
}

static inline void counter_raise(_Atomic uint64_t *counter, uint64_t value) {
  if (value > atomic_load_explicit(counter, memory_order_relaxed)) atomic_store_explicit(counter, value, memory_order_relaxed);
}
