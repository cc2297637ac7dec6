#include "always_assert.h"
#include "journal_stream_internal.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES_MOST (4u * 1024u * 1024u) /* or as much as is asked for at once */
#define PIECES 4u
#define HELPERS (PIECES - 1) /* while one is looked at the others are read */

enum piece_state { PIECE_FREE, PIECE_WANTED, PIECE_UNDER_WAY, PIECE_READ };

/* Behind `ahead` bytes of room, into which the end of the piece before is copied when what is asked for begins there. */
struct piece {
  uint8_t *bytes;
  size_t room;
  uint64_t offset;
  uint32_t length;
  int result;
  enum piece_state state;
};

struct journal_stream {
  struct journal_io *io;
  int file;
  uint64_t next, end;          /* of the next piece to be wanted; of the last */
  uint32_t ahead, piece_bytes; /* room before a piece, and in it */
  uint32_t at_once;
  uint32_t first; /* the piece that is looked at, or will be next */
  bool looking;   /* at `first` */
  const uint8_t *view;
  uint64_t view_from, view_to;
  pthread_mutex_t lock; /* guards the pieces' states, and `ending` */
  pthread_cond_t wanted, read;
  pthread_t helpers[HELPERS];
  uint32_t helper_count;
  bool ending;
  struct piece pieces[PIECES];
};

static void read_piece(struct journal_stream *stream, struct piece *piece) {
  uint8_t *into = piece->bytes + stream->ahead;
  piece->result = stream->io->operations->read(stream->io, stream->file, into, piece->length, piece->offset);
  if (piece->result >= 0) memset(into + piece->result, 0, piece->length - (uint32_t)piece->result);
}

/* The one whose turn comes first. */
static struct piece *next_wanted(struct journal_stream *stream) {
  struct piece *found = NULL;
  for (uint32_t i = 0; i < PIECES; i++) {
    struct piece *piece = &stream->pieces[i];
    if (piece->state == PIECE_WANTED && (!found || piece->offset < found->offset)) found = piece;
  }
  return found;
}

static void *help(void *argument) {
  struct journal_stream *stream = argument;
  pthread_mutex_lock(&stream->lock);
  while (!stream->ending) {
    struct piece *piece = next_wanted(stream);
    if (!piece) {
      pthread_cond_wait(&stream->wanted, &stream->lock);
      continue;
    }
    piece->state = PIECE_UNDER_WAY;
    pthread_mutex_unlock(&stream->lock);
    read_piece(stream, piece);
    pthread_mutex_lock(&stream->lock);
    piece->state = PIECE_READ;
    pthread_cond_broadcast(&stream->read);
  }
  pthread_mutex_unlock(&stream->lock);
  return NULL;
}

struct journal_stream *journal_stream_create(struct journal_io *io) {
  struct journal_stream *stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  stream->io = io;
  pthread_mutex_init(&stream->lock, NULL);
  pthread_cond_init(&stream->wanted, NULL);
  pthread_cond_init(&stream->read, NULL);
  while (io->operations->reads_on_any_thread && stream->helper_count < HELPERS &&
         pthread_create(&stream->helpers[stream->helper_count], NULL, help, stream) == 0)
    stream->helper_count++;
  return stream;
}

/* Under the lock. */
static void want_more(struct journal_stream *stream) {
  for (uint32_t i = 0; i < PIECES && stream->next < stream->end; i++) {
    struct piece *piece = &stream->pieces[(stream->first + i) % PIECES];
    if (piece->state != PIECE_FREE) continue;
    const uint64_t left = stream->end - stream->next;
    piece->offset = stream->next;
    piece->length = left < stream->piece_bytes ? (uint32_t)left : stream->piece_bytes;
    piece->state = PIECE_WANTED;
    stream->next += piece->length;
  }
  pthread_cond_broadcast(&stream->wanted);
}

/* Only as many pieces as the stretch has, and of one alone no room before it. */
static int make_room(struct journal_stream *stream, uint64_t stretch_bytes, uint32_t at_once) {
  const uint64_t wanted = stretch_bytes < PIECE_BYTES_MOST ? stretch_bytes : PIECE_BYTES_MOST;
  stream->piece_bytes = wanted > at_once ? (uint32_t)wanted : at_once;
  const uint64_t count = (stretch_bytes + stream->piece_bytes - 1) / stream->piece_bytes;
  stream->ahead = count > 1 ? at_once : 0;
  stream->at_once = at_once;
  const size_t room = (size_t)stream->ahead + stream->piece_bytes;
  for (uint32_t i = 0; i < PIECES && i < count; i++) {
    struct piece *piece = &stream->pieces[i];
    if (piece->room >= room) continue;
    free(piece->bytes);
    piece->bytes = aligned_alloc(JOURNAL_BLOCK_BYTES, room);
    piece->room = piece->bytes ? room : 0;
    if (!piece->bytes) return -ENOMEM;
  }
  return 0;
}

int journal_stream_begin(struct journal_stream *stream, int file, uint64_t from, uint64_t to, uint32_t at_once) {
  ALWAYS_ASSERT(from % JOURNAL_BLOCK_BYTES == 0 && to % JOURNAL_BLOCK_BYTES == 0 && at_once % JOURNAL_BLOCK_BYTES == 0);
  journal_stream_end(stream);
  const int result = make_room(stream, to > from ? to - from : 0, at_once);
  if (result < 0) return result;
  pthread_mutex_lock(&stream->lock);
  stream->file = file;
  stream->next = from;
  stream->end = to > from ? to : from;
  stream->first = 0;
  stream->looking = false;
  stream->view_from = stream->view_to = from;
  want_more(stream);
  pthread_mutex_unlock(&stream->lock);
  return 0;
}

/* Until the piece is read: by a helper, or here when none has it. */
static int await(struct journal_stream *stream, struct piece *piece) {
  pthread_mutex_lock(&stream->lock);
  if (piece->state == PIECE_WANTED && stream->helper_count == 0) {
    piece->state = PIECE_UNDER_WAY;
    pthread_mutex_unlock(&stream->lock);
    read_piece(stream, piece);
    pthread_mutex_lock(&stream->lock);
    piece->state = PIECE_READ;
  }
  while (piece->state != PIECE_READ) pthread_cond_wait(&stream->read, &stream->lock);
  pthread_mutex_unlock(&stream->lock);
  return piece->result;
}

/* The next piece, and before it what is left of this one from `offset` on. */
static int look_on(struct journal_stream *stream, uint64_t offset) {
  struct piece *before = &stream->pieces[stream->first];
  struct piece *piece = stream->looking ? &stream->pieces[(stream->first + 1) % PIECES] : before;
  ALWAYS_ASSERT(piece->state != PIECE_FREE && piece->offset == stream->view_to);
  const int result = await(stream, piece);
  if (result < 0) return result;
  const uint32_t kept = offset < stream->view_to ? (uint32_t)(stream->view_to - offset) : 0;
  ALWAYS_ASSERT(kept <= stream->ahead);
  uint8_t *from = piece->bytes + stream->ahead - kept;
  if (kept > 0) memcpy(from, stream->view + (offset - stream->view_from), kept);
  stream->view = from;
  stream->view_from = piece->offset - kept;
  stream->view_to = piece->offset + piece->length;
  if (stream->looking) {
    pthread_mutex_lock(&stream->lock);
    before->state = PIECE_FREE;
    stream->first = (stream->first + 1) % PIECES;
    want_more(stream);
    pthread_mutex_unlock(&stream->lock);
  }
  stream->looking = true;
  return 0;
}

const uint8_t *journal_stream_at(struct journal_stream *stream, uint64_t offset, uint32_t bytes, int *error_number) {
  ALWAYS_ASSERT(offset >= stream->view_from && bytes <= stream->at_once && offset + bytes <= stream->end);
  while (offset + bytes > stream->view_to)
    if ((*error_number = look_on(stream, offset)) < 0) return NULL;
  return stream->view + (offset - stream->view_from);
}

void journal_stream_end(struct journal_stream *stream) {
  pthread_mutex_lock(&stream->lock);
  for (uint32_t i = 0; i < PIECES; i++) {
    struct piece *piece = &stream->pieces[i];
    while (piece->state == PIECE_UNDER_WAY) pthread_cond_wait(&stream->read, &stream->lock);
    piece->state = PIECE_FREE;
  }
  stream->next = stream->end = 0;
  pthread_mutex_unlock(&stream->lock);
}

void journal_stream_destroy(struct journal_stream *stream) {
  if (!stream) return;
  journal_stream_end(stream);
  pthread_mutex_lock(&stream->lock);
  stream->ending = true;
  pthread_cond_broadcast(&stream->wanted);
  pthread_mutex_unlock(&stream->lock);
  for (uint32_t i = 0; i < stream->helper_count; i++) pthread_join(stream->helpers[i], NULL);
  for (uint32_t i = 0; i < PIECES; i++) free(stream->pieces[i].bytes);
  pthread_cond_destroy(&stream->read);
  pthread_cond_destroy(&stream->wanted);
  pthread_mutex_destroy(&stream->lock);
  free(stream);
}
