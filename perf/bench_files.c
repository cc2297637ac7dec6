#include "bench_files.h"
#include "bench.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1u << 20)

char *bench_read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "re");
  char *text = malloc(FILE_BYTES_MAX);
  bench_check(file != NULL && text != NULL, "a file that is to be read");
  *length = fread(text, 1, FILE_BYTES_MAX - 1, file);
  text[*length] = '\0';
  fclose(file);
  return text;
}

void bench_make_directory(const char *parent, char *path, size_t room) {
  bench_check(snprintf(path, room, "%s/bench-XXXXXX", parent) < (int)room && mkdtemp(path), "a folder of its own");
}

void bench_remove_directory(const char *path) {
  DIR *listing = opendir(path);
  for (struct dirent *entry; listing && (entry = readdir(listing));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(listing), entry->d_name, 0);
  if (listing) closedir(listing);
  rmdir(path);
}

static int compare(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

struct bench_spread bench_spread_of(double *values, uint32_t count) {
  qsort(values, count, sizeof *values, compare);
  return (struct bench_spread){values[0], values[count / 4], values[count / 2], values[(uint64_t)count * 3 / 4],
                               values[count - 1]};
}
