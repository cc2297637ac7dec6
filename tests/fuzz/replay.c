/* Runs one fuzz target over the files and folders named: the kept corpus as a test, and one input for debugging. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static unsigned replayed;

static int replay_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    return 1;
  }
  fseek(file, 0, SEEK_END);
  const long length = ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(length > 0 ? (size_t)length : 1);
  const size_t got = bytes ? fread(bytes, 1, (size_t)length, file) : 0;
  fclose(file);
  LLVMFuzzerTestOneInput(bytes, got);
  free(bytes);
  replayed++;
  return 0;
}

static int replay_path(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0) {
    perror(path);
    return 1;
  }
  if (!S_ISDIR(status.st_mode)) return replay_file(path);
  DIR *directory = opendir(path);
  if (!directory) return 1;
  int failed = 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    char name[4096];
    if (entry->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    failed |= replay_path(name);
  }
  closedir(directory);
  return failed;
}

int main(int count, char **arguments) {
  int failed = 0;
  for (int i = 1; i < count; i++) failed |= replay_path(arguments[i]);
  printf("%u inputs replayed\n", replayed);
  return failed || replayed == 0;
}
