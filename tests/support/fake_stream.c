#include "fake_stream.h"
#include "guard_page.h"
#include <stdlib.h>
#include <string.h>

static void append(uint8_t **bytes, size_t *length, const void *more, size_t more_length) {
  if (more_length == 0) return;
  uint8_t *larger = realloc(*bytes, *length + more_length);
  if (!larger) abort();
  memcpy(larger + *length, more, more_length);
  *bytes = larger;
  *length += more_length;
}

static bool listening(const struct stream *stream) { return !stream->gone && !stream->close_called; }

/* A copy of its own, so that a read beyond the run is seen. */
static uint32_t offer_run(struct stream *stream, uint64_t now_ns) {
  const uint32_t length = (uint32_t)stream->held_bytes;
  uint32_t taken;
  if (stream->guarded) {
    struct guarded run = guarded_copy(stream->held, length);
    taken = stream->handler->received(stream->state, run.bytes, length, now_ns);
    guarded_free(&run);
  } else {
    uint8_t *run = malloc(length);
    if (!run) abort();
    memcpy(run, stream->held, length);
    taken = stream->handler->received(stream->state, run, length, now_ns);
    free(run);
  }
  if (taken > length) abort();
  return taken;
}

static void offer(struct stream *stream, uint64_t now_ns) {
  stream->resume_due = false;
  if (stream->held_bytes && listening(stream)) {
    const uint32_t taken = offer_run(stream, now_ns);
    memmove(stream->held, stream->held + taken, stream->held_bytes - taken);
    stream->held_bytes -= taken;
  }
  if (!listening(stream)) stream->held_bytes = 0;
  if (listening(stream) && stream->peer_fin && !stream->peer_fin_told && stream->held_bytes == 0) {
    stream->peer_fin_told = true;
    stream->handler->peer_finished(stream->state, now_ns);
  }
}

void fake_stream_deliver(struct stream *stream, const void *bytes, size_t length, uint64_t now_ns) {
  if (stream->gone || stream->peer_fin || length == 0) return;
  append(&stream->held, &stream->held_bytes, bytes, length);
  offer(stream, now_ns);
}

void fake_stream_step(struct stream *stream, uint64_t now_ns) {
  while (stream->resume_due) offer(stream, now_ns);
}

void fake_stream_finish(struct stream *stream, uint64_t now_ns) {
  if (stream->gone) return;
  stream->peer_fin = true;
  offer(stream, now_ns);
}

void fake_stream_end(struct stream *stream, enum stream_end end, uint64_t now_ns) {
  if (stream->gone) return;
  stream->gone = true;
  stream->end = end;
  stream->handler->closed(stream->state, end, now_ns);
}

void fake_stream_set_room(struct stream *stream, uint32_t room, uint64_t now_ns) {
  stream->room = room;
  if (!room || !stream->write_cut || !listening(stream)) return;
  stream->write_cut = false;
  stream->handler->writable(stream->state, now_ns);
}

void fake_stream_free(struct stream *stream, uint64_t now_ns) {
  fake_stream_end(stream, STREAM_END_RESET, now_ns);
  free(stream->held);
  free(stream->sent);
  free(stream);
}

static uint32_t fake_write(struct stream *stream, const void *bytes, uint32_t length) {
  if (!listening(stream)) return 0;
  const uint32_t fits = length < stream->room ? length : stream->room;
  if (fits < length) stream->write_cut = true;
  if (stream->room != UINT32_MAX) stream->room -= fits;
  append(&stream->sent, &stream->sent_bytes, bytes, fits);
  return fits;
}

static uint32_t fake_write_room(const struct stream *stream) { return listening(stream) ? stream->room : 0; }

static void fake_await_room(struct stream *stream) { stream->write_cut = listening(stream); }

static uint32_t fake_unacknowledged(const struct stream *stream) {
  (void)stream;
  return 0;
}

static bool fake_holds_received(const struct stream *stream) { return stream->held_bytes > 0; }

static void fake_resume(struct stream *stream) { stream->resume_due = true; }

static void fake_close(struct stream *stream) {
  if (!listening(stream)) return;
  stream->close_called = true;
  stream->write_cut = false;
}

static void fake_abort(struct stream *stream, uint64_t now_ns) { fake_stream_end(stream, STREAM_END_ABORTED, now_ns); }

static struct ip_address fake_peer_address(const struct stream *stream) {
  (void)stream;
  return ip_address_of_ipv4(FAKE_STREAM_PEER_IPV4);
}

static uint16_t fake_peer_port(const struct stream *stream) {
  (void)stream;
  return 40000;
}

static const struct stream_operations fake_operations = {
    .write = fake_write,
    .write_room = fake_write_room,
    .await_room = fake_await_room,
    .unacknowledged = fake_unacknowledged,
    .holds_received = fake_holds_received,
    .resume = fake_resume,
    .close = fake_close,
    .abort = fake_abort,
    .peer_address = fake_peer_address,
    .peer_port = fake_peer_port,
};

struct stream *fake_stream_open(const struct stream_handler *handler, uint16_t local_port, uint64_t now_ns) {
  struct stream *stream = calloc(1, sizeof *stream);
  if (!stream) abort();
  stream->face.operations = &fake_operations;
  stream->handler = handler;
  stream->room = UINT32_MAX;
  stream->state = handler->opened(handler->context, stream, local_port, now_ns);
  if (stream->state) return stream;
  free(stream);
  return NULL;
}
