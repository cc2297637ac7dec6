#include "shard_time.h"
#include "bench.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

static double of_thread(int process, const char *thread) {
  char path[128];
  unsigned long long on_core_ns = 0;
  snprintf(path, sizeof path, "/proc/%d/task/%.16s/schedstat", process, thread);
  FILE *file = fopen(path, "re");
  bench_check(file && fscanf(file, "%llu", &on_core_ns) == 1, "the kernel does not tell a thread's time");
  fclose(file);
  return (double)on_core_ns / 1e9;
}

double shard_time_seconds(int process) {
  if (process == 0) return 0;
  char path[128];
  snprintf(path, sizeof path, "/proc/%d/task", process);
  DIR *threads = opendir(path);
  bench_check(threads != NULL, "the appliance is gone");
  double seconds = -1;
  for (struct dirent *entry; seconds < 0 && (entry = readdir(threads));) {
    char name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%.16s/comm", process, entry->d_name);
    FILE *file = fopen(path, "re");
    if (!file) continue;
    if (fgets(name, sizeof name, file) && strcmp(name, "shard-0\n") == 0) seconds = of_thread(process, entry->d_name);
    fclose(file);
  }
  closedir(threads);
  bench_check(seconds >= 0, "the appliance has no thread shard-0");
  return seconds;
}
