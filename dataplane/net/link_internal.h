#pragma once
/* Circular doubly-linked list with a sentinel: O(1) append, removal without knowing the list, and splice. An item that is in
 * no list points at itself. Threads: one owner. */
#include <stdbool.h>
#include <stddef.h>

struct link {
  struct link *next, *previous;
};

#define LINK_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void link_init(struct link *link) { link->next = link->previous = link; }
static inline bool link_alone(const struct link *link) { return link->next == link; }

static inline void link_remove(struct link *link) {
  link->previous->next = link->next;
  link->next->previous = link->previous;
  link_init(link);
}

static inline void link_append(struct link *list, struct link *link) {
  link->next = list;
  link->previous = list->previous;
  list->previous->next = link;
  list->previous = link;
}

/* Moves all of `from` to the end of `to`. */
static inline void link_splice(struct link *to, struct link *from) {
  if (link_alone(from)) return;
  from->next->previous = to->previous;
  to->previous->next = from->next;
  from->previous->next = to;
  to->previous = from->previous;
  link_init(from);
}
