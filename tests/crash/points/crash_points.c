#include "crash_points.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRONG_CHOICE 70

static const struct {
  const char *name, *phase;
  unsigned when;
} points[] = {
#define CRASH_POINT_ROW(name, when, phase) {#name, #phase, when},
    CRASH_IO_POINTS(CRASH_POINT_ROW) CRASH_CALL_POINTS(CRASH_POINT_ROW)
#undef CRASH_POINT_ROW
};
static const struct {
  const char *word;
  enum crash_when when;
} whens[] = {{"before", CRASH_BEFORE}, {"after", CRASH_AFTER}, {"torn", CRASH_TORN}};

/* Before main, then only read; but for the count. */
static enum crash_point chosen = CRASH_POINTS;
static enum crash_when chosen_when;
static uint64_t chosen_nth;
static _Atomic uint64_t times;

static void list(void) {
  for (unsigned i = 0; i < CRASH_POINTS; i++)
    for (unsigned k = 0; k < sizeof whens / sizeof *whens; k++)
      if (points[i].when & whens[k].when) printf("%s %s %s\n", points[i].name, whens[k].word, points[i].phase);
}

__attribute__((constructor)) static void choose(void) {
  const char *name = getenv("CRASH_POINT"), *when = getenv("CRASH_WHEN"), *nth = getenv("CRASH_NTH");
  if (!name) return;
  if (strcmp(name, "?") == 0) {
    list();
    exit(0);
  }
  for (unsigned i = 0; i < CRASH_POINTS; i++)
    for (unsigned k = 0; k < sizeof whens / sizeof *whens; k++) {
      if (strcmp(points[i].name, name) != 0 || !when || strcmp(whens[k].word, when) != 0 || !(points[i].when & whens[k].when))
        continue;
      chosen = (enum crash_point)i;
      chosen_when = whens[k].when;
    }
  chosen_nth = nth ? strtoull(nth, NULL, 10) : 1;
  if (chosen != CRASH_POINTS) return;
  fprintf(stderr, "no such point: %s %s\n", name, when ? when : "");
  exit(WRONG_CHOICE);
}

bool crash_point_reached(enum crash_point point, enum crash_when when) {
  return point == chosen && when == chosen_when && atomic_fetch_add_explicit(&times, 1, memory_order_relaxed) + 1 == chosen_nth;
}

_Noreturn void crash_now(void) {
  for (;;) kill(getpid(), SIGKILL);
}

void crash_point(enum crash_point point, enum crash_when when) {
  if (crash_point_reached(point, when)) crash_now();
}
