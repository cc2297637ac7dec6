#include "hexadecimal.h"
#include "trial_test_internal.h"
#include <stdlib.h>
#include <string.h>

static bool is_id(const char *name, size_t bytes) {
  return strlen(name) == 2 * bytes && strspn(name, "0123456789abcdefABCDEF") == 2 * bytes;
}

static void make_id(const char *name, size_t bytes, char id[33]) {
  const size_t length = strlen(name);
  uint8_t raw[16];
  if (is_id(name, bytes)) {
    for (size_t i = 0; i <= length; i++) id[i] = name[i] >= 'A' && name[i] <= 'F' ? (char)(name[i] - 'A' + 'a') : name[i];
    return;
  }
  for (uint64_t half = 0; half < bytes / 8; half++) {
    const struct siphash_key key = {bytes, half};
    const uint64_t hash = siphash(&key, name, length) | 1; /* an id of zeros is none */
    memcpy(raw + 8 * half, &hash, sizeof hash);
  }
  hex_encode(raw, bytes, id);
  id[2 * bytes] = '\0';
}

bool trial_names_id(struct trial_names *names, const char *name, size_t bytes, char id[33]) {
  make_id(name, bytes, id);
  if (trial_names_find(names, id)) return true;
  if (names->count == names->capacity) {
    const size_t capacity = names->capacity ? 2 * names->capacity : 16;
    struct trial_name *items = realloc(names->items, capacity * sizeof *items);
    if (!items) return false;
    names->items = items;
    names->capacity = capacity;
  }
  struct trial_name *item = &names->items[names->count];
  item->name = strdup(name);
  if (!item->name) return false;
  memcpy(item->id, id, sizeof item->id);
  names->count++;
  return true;
}

const char *trial_names_find(const struct trial_names *names, const char *id) {
  for (size_t i = 0; i < names->count; i++)
    if (strcmp(names->items[i].id, id) == 0) return names->items[i].name;
  return NULL;
}

void trial_names_free(struct trial_names *names) {
  for (size_t i = 0; i < names->count; i++) free(names->items[i].name);
  free(names->items);
  *names = (struct trial_names){0};
}
