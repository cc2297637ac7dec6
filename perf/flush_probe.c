/* What one flush of the device takes: 4 KiB written with O_DIRECT and RWF_DSYNC, one after another, into a file that was filled
 * before, as the journal's segments are. Prints `p50_us p99_us`. Usage: flush_probe DIRECTORY WRITES. */
#include "bench.h"
#include "bench_files.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK_BYTES 4096u
#define FILE_BLOCKS 2048u
#define WRITES_MAX 100000u

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: flush_probe DIRECTORY WRITES\n");
    return 2;
  }
  const uint32_t writes = (uint32_t)atoi(arguments[2]);
  bench_check(writes >= 100 && writes <= WRITES_MAX, "100 to 100,000 writes");
  char path[300];
  snprintf(path, sizeof path, "%s/flush-probe", arguments[1]);
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
  uint8_t *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
  double *us = malloc(writes * sizeof *us);
  bench_check(file >= 0 && block && us, "a file for direct writes");
  memset(block, 0, BLOCK_BYTES);
  for (uint32_t i = 0; i < FILE_BLOCKS; i++)
    bench_check(pwrite(file, block, BLOCK_BYTES, (off_t)i * BLOCK_BYTES) == BLOCK_BYTES, "the file is filled");
  bench_check(fsync(file) == 0, "the file is filled");
  memset(block, 0x5a, BLOCK_BYTES);
  for (uint32_t i = 0; i < writes; i++) {
    const struct iovec vector = {.iov_base = block, .iov_len = BLOCK_BYTES};
    const uint64_t start_ns = bench_now_ns();
    bench_check(pwritev2(file, &vector, 1, (off_t)(i % FILE_BLOCKS) * BLOCK_BYTES, RWF_DSYNC) == BLOCK_BYTES, "a durable write");
    us[i] = (double)(bench_now_ns() - start_ns) / 1e3;
  }
  const struct bench_spread spread = bench_spread_of(us, writes);
  printf("%.1f %.1f\n", spread.median, us[(uint64_t)writes * 99 / 100]); /* sorted by now */
  close(file);
  unlink(path);
  free(block);
  free(us);
  return 0;
}
