#pragma once
/* Directories of benchmarks' own. */
#include <stdint.h>

/* A new directory under `base`; its name is in `path`. */
void bench_directory_make(char path[256], const char *base, const char *name);
/* With the files in it. */
void bench_directory_remove(const char *path);
