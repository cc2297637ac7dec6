/* One round of journal load for each line `OUTSTANDING MILLISECONDS` on standard input, answered by a line of JSON; at the end of
 * the input the journal is recovered and counted. For journal_beside_fio.py, which lets fio run in between.
 * Usage: journal_rounds DIRECTORY chain|no-chain [PRODUCER_CORE JOURNAL_CORE CONTROL_CORE]. */
#include "bench.h"
#include "journal_load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define SEGMENTS_AHEAD 8
#define JOURNAL_NICE (-20)

/* As the daemon's journal thread. Before the ring: the kernel's workers inherit it. */
static void be_prompt(void) {
  prctl(PR_SET_TIMERSLACK, 1ul);
  if (setpriority(PRIO_PROCESS, 0, JOURNAL_NICE) != 0) fprintf(stderr, "journal_rounds: at the ordinary priority\n");
}

static void run_as_journal(struct journal_load *load, int core, int control_core) {
  bench_pin((uint32_t)core);
  journal_load_run(load, 1, 1000000);
  const int cores[] = {core, control_core};
  bench_check(journal_io_uring_pin_workers(load->io, cores, 2) == 0, "the workers cannot be pinned");
}

int main(int count, char **arguments) {
  bench_check(count == 3 || count == 6,
              "usage: journal_rounds DIRECTORY chain|no-chain [PRODUCER_CORE JOURNAL_CORE CONTROL_CORE]");
  const bool chain = strcmp(arguments[2], "chain") == 0;
  struct journal_load *load = journal_load_create(count == 6 ? atoi(arguments[3]) : -1);
  be_prompt();
  /* The thread of the hash chain runs where control does. */
  if (count == 6) bench_pin((uint32_t)atoi(arguments[5]));
  journal_load_open(load, arguments[1], SEGMENTS_AHEAD, chain, NULL, NULL);
  if (count == 6) run_as_journal(load, atoi(arguments[4]), atoi(arguments[5]));
  unsigned outstanding, milliseconds;
  while (scanf("%u %u", &outstanding, &milliseconds) == 2) {
    bench_check(outstanding > 0 && milliseconds > 0, "a round of nothing");
    journal_load_wait_for_segments(load);
    const struct journal_figures figures = journal_load_run(load, outstanding, milliseconds * 1000000ull);
    printf("{\"records_per_second\": %.0f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"batch_records\": %.1f, \"batch_bytes\": %.0f, "
           "\"flush_us\": %.2f}\n",
           figures.per_second, figures.p50_us, figures.p99_us, figures.records, figures.bytes, figures.flush_us);
    fflush(stdout);
  }
  const uint64_t published = load->published;
  journal_load_close(load);
  const uint64_t recovered = journal_load_recover(load, arguments[1], chain);
  printf("{\"published\": %llu, \"recovered\": %llu}\n", (unsigned long long)published, (unsigned long long)recovered);
  bench_check(recovered == published, "records are missing after recovery");
  journal_load_destroy(load);
  return 0;
}
