#pragma once
/* 32-bit sequence space (RFC 9293 section 3.4): comparisons are modulo 2^32. */
#include <stdbool.h>
#include <stdint.h>

static inline bool seq_before(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }
static inline bool seq_at_or_before(uint32_t a, uint32_t b) { return (int32_t)(a - b) <= 0; }
static inline bool seq_after(uint32_t a, uint32_t b) { return (int32_t)(a - b) > 0; }
static inline uint32_t seq_max(uint32_t a, uint32_t b) { return seq_after(a, b) ? a : b; }
