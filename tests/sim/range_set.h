#pragma once
/* A few byte ranges apart from each other, in order: what lies beyond a hole. */
#include <stdbool.h>
#include <stdint.h>

#define RANGE_SET_MAX 16u

struct range_set {
  uint32_t count, latest; /* `latest`: the range that grew last */
  struct {
    uint32_t start, end;
  } ranges[RANGE_SET_MAX];
};

/* False when there is no room for another range. */
bool range_set_add(struct range_set *set, uint32_t start, uint32_t end);
/* Takes off all that begins at or before `at`; returns where they reach, at least `at`. */
uint32_t range_set_reach(struct range_set *set, uint32_t at);
/* The end of the range that `at` lies in, else `at`; `*start` is where the next range begins, UINT32_MAX when none does. */
uint32_t range_set_skip(const struct range_set *set, uint32_t at, uint32_t *start);
