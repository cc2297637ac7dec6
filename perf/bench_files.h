#pragma once
/* Files and folders of benchmarks, and the spread of what they measured. Threads: one. */
#include <stddef.h>
#include <stdint.h>

/* Malloc'd, NUL-terminated; ends the program when it cannot be read. */
char *bench_read_file(const char *path, size_t *length);
/* A fresh folder in `parent`. */
void bench_make_directory(const char *parent, char *path, size_t room);
/* With the files in it; nothing when it is not there. */
void bench_remove_directory(const char *path);

struct bench_spread {
  double least, lower, median, upper, most; /* lower, upper: quartiles */
};
/* Sorts them. */
struct bench_spread bench_spread_of(double *values, uint32_t count);
