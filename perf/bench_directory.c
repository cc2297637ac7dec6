#include "bench_directory.h"
#include "bench.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void bench_directory_make(char path[256], const char *base, const char *name) {
  snprintf(path, 256, "%s/%s-XXXXXX", base, name);
  bench_check(mkdtemp(path) != NULL, "a directory of its own");
}

void bench_directory_remove(const char *path) {
  DIR *listing = opendir(path);
  for (struct dirent *entry; listing && (entry = readdir(listing));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(listing), entry->d_name, 0);
  if (listing) closedir(listing);
  rmdir(path);
}
