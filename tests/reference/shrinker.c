#include "shrinker.h"

static unsigned drop(bool *dropped, bool *mine, unsigned first, unsigned end) {
  unsigned count = 0;
  for (unsigned i = first; i < end; i++) {
    mine[i - first] = !dropped[i];
    count += mine[i - first];
    dropped[i] = true;
  }
  return count;
}

void shrink(bool *dropped, unsigned count, bool (*still_differs)(void *context), void *context) {
  bool mine[4096];
  unsigned part = count / 2;
  if (part > sizeof mine) part = sizeof mine;
  for (; part > 0; part /= 2) {
    for (unsigned first = 0; first < count; first += part) {
      const unsigned end = first + part < count ? first + part : count;
      if (drop(dropped, mine, first, end) == 0 || still_differs(context)) continue;
      for (unsigned i = first; i < end; i++) dropped[i] = !mine[i - first];
    }
  }
}
