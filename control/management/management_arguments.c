/* What a query's arguments say. */
#include "hexadecimal.h"
#include "management_internal.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t argument_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

bool argument_number(const char *text, uint64_t least, uint64_t most, uint64_t *number) {
  char *end = NULL;
  if (*text < '0' || *text > '9') return false;
  *number = strtoull(text, &end, 10);
  return *end == '\0' && *number >= least && *number <= most;
}

bool argument_uuid(const char *text, uint8_t id[16]) {
  static const unsigned groups[] = {4, 2, 2, 2, 6};
  unsigned at = 0;
  if (strlen(text) != 36) return false;
  for (unsigned i = 0; i < 5; i++) {
    if (!hex_decode(text, groups[i], id + at)) return false;
    at += groups[i];
    text += 2 * groups[i];
    if (i < 4 && *text++ != '-') return false;
  }
  return true;
}
