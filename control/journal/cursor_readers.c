/* Readers that are kept open between the readings of those who come back. */
#include "cursor_reader.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define READERS_KEPT 16u /* each has up to two windows of some 256 KiB, and a file */

struct cursor_readers {
  struct journal_io *io;
  pthread_mutex_t lock;
  struct {
    struct cursor_reader *reader; /* NULL: a free place */
    uint64_t used;                /* when, in uses */
  } kept[READERS_KEPT];
  uint64_t uses;
};

struct cursor_readers *cursor_readers_create(struct journal_io *io) {
  struct cursor_readers *readers = calloc(1, sizeof *readers);
  if (!readers) return NULL;
  readers->io = io;
  pthread_mutex_init(&readers->lock, NULL);
  return readers;
}

void cursor_readers_destroy(struct cursor_readers *readers) {
  if (!readers) return;
  for (unsigned i = 0; i < READERS_KEPT; i++) cursor_reader_close(readers->kept[i].reader);
  pthread_mutex_destroy(&readers->lock);
  free(readers);
}

struct cursor_reader *cursor_readers_take(struct cursor_readers *readers, uint64_t after_lsn, int *error_number) {
  struct cursor_reader *reader = NULL;
  pthread_mutex_lock(&readers->lock);
  for (unsigned i = 0; i < READERS_KEPT && !reader; i++) {
    if (!readers->kept[i].reader || cursor_reader_position(readers->kept[i].reader) != after_lsn) continue;
    reader = readers->kept[i].reader;
    readers->kept[i].reader = NULL;
  }
  pthread_mutex_unlock(&readers->lock);
  *error_number = 0;
  return reader ? reader : cursor_reader_open(readers->io, after_lsn, error_number);
}

void cursor_readers_give_back(struct cursor_readers *readers, struct cursor_reader *reader) {
  unsigned place = 0;
  pthread_mutex_lock(&readers->lock);
  for (unsigned i = 0; i < READERS_KEPT && readers->kept[place].reader; i++)
    if (!readers->kept[i].reader || readers->kept[i].used < readers->kept[place].used) place = i;
  struct cursor_reader *oldest = readers->kept[place].reader;
  readers->kept[place].reader = reader;
  readers->kept[place].used = ++readers->uses;
  pthread_mutex_unlock(&readers->lock);
  cursor_reader_close(oldest);
}

void cursor_readers_let_go(struct cursor_readers *readers, uint64_t oldest_lsn) {
  struct cursor_reader *closing[READERS_KEPT] = {NULL};
  pthread_mutex_lock(&readers->lock);
  for (unsigned i = 0; i < READERS_KEPT; i++) {
    struct cursor_reader *reader = readers->kept[i].reader;
    if (!reader || cursor_reader_position(reader) >= oldest_lsn) continue;
    closing[i] = reader;
    readers->kept[i].reader = NULL;
  }
  pthread_mutex_unlock(&readers->lock);
  for (unsigned i = 0; i < READERS_KEPT; i++) cursor_reader_close(closing[i]);
}

/* Until there is no more, or the caller has enough. 0, or -errno. */
static int read_on(struct cursor_reader *reader, uint64_t durable_lsn, uint32_t limit,
                   bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *context,
                   struct cursor_reading *reading) {
  struct violation violation;
  uint64_t lsn;
  for (;;) {
    reading->more = true;
    if (reading->given == limit) return 0;
    const enum cursor_read got = cursor_reader_next(reader, durable_lsn, &lsn, &violation);
    switch (got) {
    case CURSOR_READ_VIOLATION:
      reading->given++;
      reading->position = lsn;
      if (!each(context, lsn, &violation)) return 0;
      break;
    case CURSOR_READ_GAP:
      /* What was given before it is acknowledged first. */
      if (reading->given > 0) return 0;
      reading->gap_from = reading->position + 1;
      reading->gap_to = lsn;
      return 0;
    case CURSOR_READ_END:
    case CURSOR_READ_MORE:
      reading->position = cursor_reader_position(reader);
      reading->more = got == CURSOR_READ_MORE;
      return 0;
    case CURSOR_READ_ERROR:
      return cursor_reader_error(reader);
    }
  }
}

int cursor_readers_read(struct cursor_readers *readers, uint64_t after_lsn, uint64_t durable_lsn, uint32_t limit,
                        bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *context,
                        struct cursor_reading *reading) {
  int result;
  *reading = (struct cursor_reading){.position = after_lsn};
  struct cursor_reader *reader = cursor_readers_take(readers, after_lsn, &result);
  if (!reader) return result;
  result = read_on(reader, durable_lsn, limit, each, context, reading);
  /* Only where the position is the reader's own is it found again. */
  if (result == 0 && reading->gap_to == 0 && cursor_reader_position(reader) == reading->position)
    cursor_readers_give_back(readers, reader);
  else
    cursor_reader_close(reader);
  return result;
}
