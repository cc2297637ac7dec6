#include "seed_runner.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MAX 64u

/* Waits for one seed to end. Returns whether it ended well. */
static bool reap(pid_t *children, uint64_t *seeds, uint32_t processes) {
  int status = 0;
  const pid_t ended = wait(&status);
  for (uint32_t i = 0; i < processes; i++) {
    if (children[i] != ended) continue;
    children[i] = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    printf("seed %llu FAILED\n", (unsigned long long)seeds[i]);
  }
  return false;
}

int seed_runner(int argument_count, char **arguments, void (*run)(uint64_t seed)) {
  const uint64_t first = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
  const uint64_t count = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
  uint32_t processes = argument_count > 3 ? (uint32_t)strtoul(arguments[3], NULL, 10) : 1;
  pid_t children[PROCESSES_MAX] = {0};
  uint64_t seeds[PROCESSES_MAX] = {0}, failed = 0, started = 0;
  if (processes < 1) processes = 1;
  if (processes > PROCESSES_MAX) processes = PROCESSES_MAX;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (uint64_t ended = 0; ended < count; ended++) {
    for (uint32_t i = 0; i < processes && started < count; i++) {
      if (children[i]) continue;
      seeds[i] = first + started++;
      fflush(NULL);
      children[i] = fork();
      if (children[i] == 0) {
        run(seeds[i]);
        exit(0);
      }
      if (children[i] < 0) return 2;
    }
    if (!reap(children, seeds, processes)) failed++;
  }
  printf("%llu seeds, %llu failed\n", (unsigned long long)count, (unsigned long long)failed);
  return failed ? 1 : 0;
}
