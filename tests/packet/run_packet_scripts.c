/* Runs the packet scripts named, or all of a folder, as TAP. */
#include "packet_script.h"
#include <glob.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments) {
  if (count != 2) return 2;
  char pattern[4096];
  snprintf(pattern, sizeof pattern, strstr(arguments[1], ".pkt") ? "%s" : "%s/*.pkt", arguments[1]);
  glob_t found;
  if (glob(pattern, 0, NULL, &found) != 0) return 1;
  printf("1..%zu\n", found.gl_pathc);
  int failed = 0;
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const char *name = strrchr(found.gl_pathv[i], '/');
    const bool good = packet_script_run(found.gl_pathv[i]);
    failed |= !good;
    printf("%s %zu - %s\n", good ? "ok" : "not ok", i + 1, name ? name + 1 : found.gl_pathv[i]);
  }
  globfree(&found);
  return failed;
}
