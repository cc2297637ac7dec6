#include "histogram.h"

#define SUB_BUCKET_BITS 3
_Static_assert(1 << SUB_BUCKET_BITS == HISTOGRAM_SUB_BUCKETS, "sub-buckets are a power of two");

/* Values below 8 have a bucket each; then each power of two is cut into 8. */
static inline unsigned bucket_of(uint64_t value) {
  if (value < HISTOGRAM_SUB_BUCKETS) return (unsigned)value;
  const unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
  const unsigned sub = (unsigned)(value >> (exponent - SUB_BUCKET_BITS)) & (HISTOGRAM_SUB_BUCKETS - 1);
  return (exponent - SUB_BUCKET_BITS + 1) * HISTOGRAM_SUB_BUCKETS + sub;
}

static inline uint64_t bucket_upper_bound(unsigned bucket) {
  if (bucket < HISTOGRAM_SUB_BUCKETS) return bucket;
  const unsigned shift = bucket / HISTOGRAM_SUB_BUCKETS - 1;
  const uint64_t sub = bucket % HISTOGRAM_SUB_BUCKETS;
  /* The very last bucket's bound wraps to 2^64 - 1, as it should. */
  return ((HISTOGRAM_SUB_BUCKETS + sub + 1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t value) {
  histogram->count++;
  histogram->sum += value;
  if (value > histogram->maximum) histogram->maximum = value;
  histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile) {
  if (histogram->count == 0) return 0;
  const double exact = (quantile > 0 ? quantile : 0) * (double)histogram->count;
  uint64_t rank = exact < (double)histogram->count ? (uint64_t)exact : histogram->count;
  if ((double)rank < exact && rank < histogram->count) rank++;
  if (rank == 0) rank = 1;
  uint64_t seen = 0;
  for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    seen += histogram->buckets[bucket];
    if (seen < rank) continue;
    const uint64_t bound = bucket_upper_bound(bucket);
    return bound < histogram->maximum ? bound : histogram->maximum;
  }
  return histogram->maximum;
}

uint64_t histogram_count_at_most(const struct histogram *histogram, uint64_t value) {
  const unsigned last = bucket_of(value);
  uint64_t count = bucket_upper_bound(last) == value ? histogram->buckets[last] : 0;
  for (unsigned bucket = 0; bucket < last; bucket++) count += histogram->buckets[bucket];
  return count;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
  into->count += from->count;
  into->sum += from->sum;
  if (from->maximum > into->maximum) into->maximum = from->maximum;
  for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) into->buckets[bucket] += from->buckets[bucket];
}
