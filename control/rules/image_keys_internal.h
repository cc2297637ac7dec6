#pragma once
/* The keys of programs, one comparison an entry, on their way into the index of candidates. */
#include "image_builder_internal.h"

enum key_sort { KEY_STRING, KEY_NUMBER, KEY_ABOVE, KEY_BELOW, KEY_PATTERN, KEY_LITERAL, KEY_PRESENT, KEY_SORTS };

struct key_entry {
  uint16_t column;
  uint8_t sort; /* enum key_sort */
  uint32_t program;
  uint32_t interned;     /* KEY_STRING */
  uint32_t predicate;    /* KEY_PATTERN and KEY_LITERAL: a scanned one */
  struct value constant; /* the others; of KEY_NUMBER its identity */
};

/* The index of `entries`, which it brings into order; `always` is the caller's to set. */
struct image_candidates image_keys_index(struct image_builder *builder, const struct image_kind *kind, struct key_entry *entries,
                                         size_t entry_count);
