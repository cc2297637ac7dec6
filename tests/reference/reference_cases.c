/* The engine beside the reference evaluator, from seeds. Exits 1 at the first seed that differs, after its smallest form. */
#include "cases.h"
#include "pattern_pool.h"
#include "yard.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  bool (*run)(uint64_t seed, struct yard *yard, struct case_totals *totals);
} kinds[] = {{"events", event_cases_run},
             {"elements", element_cases_run},
             {"traces", trace_cases_run},
             {"stories", story_cases_run},
             {"exceptions", exception_cases_run},
             {"excepted-traces", excepted_trace_cases_run},
             {"betrace", betrace_event_cases_run},
             {"betrace-traces", betrace_trace_cases_run},
             {"silences", silence_cases_run},
             {"evictions", eviction_cases_run},
             {"waits", wait_cases_run},
             {"windows", window_cases_run}};

static int usage(void) {
  fprintf(stderr, "usage: reference_cases KIND FIRST_SEED CASES | reference_cases kinds\n  KIND: one of");
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) fprintf(stderr, " %s", kinds[i].name);
  fprintf(stderr, "\n  CASES: seeds are taken until so many verdicts were compared\n");
  return 2;
}

static int list_kinds(void) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) printf("%s\n", kinds[i].name);
  return 0;
}

int main(int count, char **arguments) {
  struct case_totals totals = {0};
  size_t kind = 0;
  if (count == 2 && strcmp(arguments[1], "kinds") == 0) return list_kinds();
  if (count != 4) return usage();
  while (kind < sizeof kinds / sizeof kinds[0] && strcmp(kinds[kind].name, arguments[1]) != 0) kind++;
  if (kind == sizeof kinds / sizeof kinds[0]) return usage();
  uint64_t seed = strtoull(arguments[2], NULL, 10);
  const uint64_t cases = strtoull(arguments[3], NULL, 10);
  struct yard *yard = yard_open();
  pattern_pool_open();
  bool same = true;
  for (; same && totals.cases < cases; seed++) same = kinds[kind].run(seed, yard, &totals);
  pattern_pool_close();
  yard_close(yard);
  printf("%s: %" PRIu64 " cases of %" PRIu64 " seeds, %" PRIu64 " matches, %" PRIu64 " requests taken back, %" PRIu64
         " refused for want of room; %" PRIu64 " differences\n",
         kinds[kind].name, totals.cases, totals.seeds, totals.matches, totals.rolled_back, totals.refused, totals.differences);
  return same ? 0 : 1;
}
