#pragma once
/* Where the rules of a text stand, without judging them: for answers that tell of each. Threads: any. */
#include <stddef.h>
#include <stdint.h>

struct rule_outline_item {
  uint32_t line;  /* 1-based, where it begins; it goes on to the next one's */
  char name[129]; /* as written, cut; empty: none. The id where that is the rule's name */
  char id[129];
};

struct rule_outline {
  struct rule_outline_item *items;
  size_t count, capacity;
};

/* As far as the text is YAML. */
void rule_outline_read(const char *text, size_t length, struct rule_outline *outline);
/* The item that a line lies in; SIZE_MAX: none. */
size_t rule_outline_at(const struct rule_outline *outline, uint32_t line);
void rule_outline_free(struct rule_outline *outline);
