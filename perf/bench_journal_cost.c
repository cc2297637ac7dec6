/* What a durable violation costs the shard that raises it: time on the core for a span of OTLP requests of 100, from frames to
 * answers, with no violations, with one in 1,000 spans and one in 10, each with a journal that makes them durable (strict, on the
 * disk) and with a thread that takes them off the ring and forgets them. The variants take turns in short slices of one and the
 * same shard, as two shards differ by a few percent for where their memory lies; ratios are of slices of the same turn, and their
 * median is what counts. Oracle: every request is answered 200, every span judged, every violation that was due is raised,
 * durable and recovered. Usage: bench_journal_cost RULES [DIRECTORY [TURNS [REQUESTS]]]. */
#include "bench.h"
#include "bench_files.h"
#include "shard_bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS_MAX 1001u

static const struct {
  const char *name;
  uint32_t violation_every;
  enum shard_bench_records records;
  uint32_t beside; /* the variant that the second ratio is to */
  double most;     /* asked for, over no violations; 0: nothing is */
} variants[] = {{"no violations", 0, SHARD_BENCH_NOWHERE, 0, 0},
                {"1 in 1,000, forgotten", 1000, SHARD_BENCH_NOWHERE, 0, 0},
                {"1 in 1,000, journal", 1000, SHARD_BENCH_JOURNAL, 1, 0.01},
                {"1 in 10, forgotten", 10, SHARD_BENCH_NOWHERE, 0, 0},
                {"1 in 10, journal", 10, SHARD_BENCH_JOURNAL, 3, 0.10},
                {"no violations, again", 0, SHARD_BENCH_NOWHERE, 0, 0}};
#define VARIANTS (sizeof variants / sizeof *variants)

static double ns_a_span[VARIANTS][TURNS_MAX];

static void print(uint32_t turns) {
  printf("%-22s %9s %20s   %28s   %28s\n", "", "ns a span", "[least..most]", "over no violations", "over those forgotten");
  for (size_t i = 0; i < VARIANTS; i++) {
    double own[TURNS_MAX], first[TURNS_MAX], second[TURNS_MAX];
    for (uint32_t turn = 0; turn < turns; turn++) {
      own[turn] = ns_a_span[i][turn];
      first[turn] = 100 * (own[turn] / ns_a_span[0][turn] - 1);
      second[turn] = 100 * (own[turn] / ns_a_span[variants[i].beside][turn] - 1);
    }
    const struct bench_spread a = bench_spread_of(own, turns), b = bench_spread_of(first, turns),
                              c = bench_spread_of(second, turns);
    printf("%-22s %9.1f [%8.1f..%8.1f]", variants[i].name, a.median, a.least, a.most);
    if (i > 0) printf("   %+7.2f %% [%+7.2f..%+7.2f]", b.median, b.lower, b.upper);
    if (variants[i].beside) printf("   %+7.2f %% [%+7.2f..%+7.2f]", c.median, c.lower, c.upper);
    if (variants[i].most > 0) printf("  asked for: %+.0f %%", 100 * variants[i].most);
    printf("\n");
  }
  printf("# in brackets behind a ratio: its quartiles\n");
}

int main(int count, char **arguments) {
  if (count < 2) {
    fprintf(stderr, "usage: bench_journal_cost RULES [DIRECTORY [TURNS [REQUESTS]]]\n");
    return 2;
  }
  const uint32_t turns = count > 3 ? (uint32_t)atoi(arguments[3]) : 501,
                 requests = count > 4 ? (uint32_t)atoi(arguments[4]) : 100;
  bench_check(turns > 0 && turns <= TURNS_MAX && requests > 0, "turns and requests");
  char base[256];
  struct shard_bench_options options = {.records = SHARD_BENCH_NOWHERE, .directory = base};
  char *rules = bench_read_file(arguments[1], &options.rules_bytes);
  options.rules = rules;
  bench_make_directory(count > 2 ? arguments[2] : ".", base, sizeof base);
  bench_header();
  bench_pin(bench_calm_core()); /* the journal is on the first core */
  struct shard_bench *bench = shard_bench_create(&options);
  struct shard_bench_figures warm = {0};
  shard_bench_run(bench, 1000, &warm);
  for (uint32_t turn = 0; turn < turns; turn++)
    for (size_t i = 0; i < VARIANTS; i++) {
      struct shard_bench_figures figures = {0};
      const size_t at = (i + turn) % VARIANTS; /* not always behind the same one */
      shard_bench_change(bench, variants[at].records, variants[at].violation_every);
      shard_bench_run(bench, requests, &figures);
      ns_a_span[at][turn] = (double)figures.shard_ns / requests / SHARD_BENCH_SPANS;
    }
  print(turns);
  const struct shard_bench_totals totals = shard_bench_finish(bench);
  printf("# oracle: %llu spans judged, %llu violations raised: %llu durable and recovered, %llu forgotten\n",
         (unsigned long long)totals.spans, (unsigned long long)totals.violations, (unsigned long long)totals.durable,
         (unsigned long long)totals.forgotten);
  bench_check(totals.durable == totals.forgotten, "as many were to be durable as forgotten");
  bench_remove_directory(base);
  free(rules);
  return 0;
}
