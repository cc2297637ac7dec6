#pragma once
/* A buffer whose last byte is followed by an inaccessible page, so that one byte of over-read faults. */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guarded {
  uint8_t *mapping;
  size_t mapping_bytes;
  uint8_t *bytes; /* `length` bytes that end at the guard page */
};

static inline struct guarded guarded_copy(const void *source, size_t length) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t body = (length + page - 1) / page * page + (length == 0 ? page : 0);
  struct guarded guarded = {.mapping_bytes = body + page};
  guarded.mapping = mmap(NULL, guarded.mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(guarded.mapping + body, page, PROT_NONE);
  guarded.bytes = guarded.mapping + body - length;
  if (length) memcpy(guarded.bytes, source, length);
  return guarded;
}

static inline void guarded_free(struct guarded *guarded) { munmap(guarded->mapping, guarded->mapping_bytes); }
