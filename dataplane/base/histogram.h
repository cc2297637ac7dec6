#pragma once
/* Log-linear histogram of unsigned values: 8 sub-buckets per power of two, relative error at most 12.5 %.
 * Threads: one writer; a reader on another thread takes a copy through the shard's snapshot. */
#include <stdint.h>

#define HISTOGRAM_SUB_BUCKETS 8
#define HISTOGRAM_BUCKETS (64 * HISTOGRAM_SUB_BUCKETS)

struct histogram {
  uint64_t count, sum, maximum;
  uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_record(struct histogram *histogram, uint64_t value);
/* The upper bound of the bucket that holds the given quantile (0 to 1), never above the maximum; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
/* How many recorded values are certainly at or below `value` (bucket upper bound <= value). */
uint64_t histogram_count_at_most(const struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
