#include "dpdk_port.h"
#include <dirent.h>
#include <stdio.h>

static uint64_t read_number(const char *directory, const char *size, const char *file) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s/%s", directory, size, file);
  FILE *stream = fopen(path, "re");
  if (!stream) return 0;
  unsigned long long value = 0;
  if (fscanf(stream, "%llu", &value) != 1) value = 0;
  fclose(stream);
  return value;
}

uint64_t dpdk_hugepages_free_mib(void) {
  static const char root[] = "/sys/kernel/mm/hugepages";
  DIR *directory = opendir(root);
  if (!directory) return 0;
  uint64_t free_kib = 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    unsigned long long page_kib;
    if (sscanf(entry->d_name, "hugepages-%llukB", &page_kib) != 1) continue;
    const uint64_t pages_free = read_number(root, entry->d_name, "free_hugepages");
    const uint64_t promised = read_number(root, entry->d_name, "resv_hugepages");
    if (pages_free > promised) free_kib += (pages_free - promised) * page_kib;
  }
  closedir(directory);
  return free_kib / 1024;
}
