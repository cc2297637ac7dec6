/* The byte-stream face of a connection: all of it legal from within the stream's own callbacks. */
#include "tcp_internal.h"

static bool writable_state(const struct stream *stream) {
  return (stream->state == TCP_ESTABLISHED || stream->state == TCP_CLOSE_WAIT) && !(stream->flags & STREAM_CLOSE_CALLED);
}

static uint32_t tcp_stream_write(struct stream *stream, const void *bytes, uint32_t length) {
  if (!writable_state(stream) || length == 0) return 0;
  const uint32_t written = send_queue_append(stream, bytes, length);
  if (written < length) stream->flags |= STREAM_WRITE_CUT;
  stream_pend(stream);
  return written;
}

static uint32_t tcp_stream_write_room(const struct stream *stream) {
  return writable_state(stream) ? send_queue_room(stream) : 0;
}

static uint32_t tcp_stream_unacknowledged(const struct stream *stream) { return stream->send_queued; }

static bool tcp_stream_holds_received(const struct stream *stream) { return stream->receive_head != NULL; }

/* An ACK of what is queued makes room; with nothing queued it is the shared pool that has none. */
static void tcp_stream_await_room(struct stream *stream) {
  if (!writable_state(stream)) return;
  stream->flags |= STREAM_WRITE_CUT;
  if (stream->send_queued == 0) stream_pend(stream);
}

static void tcp_stream_resume(struct stream *stream) {
  if (stream->state == TCP_CLOSED || !(stream->flags & STREAM_OPENED)) return;
  stream->flags |= STREAM_OFFER_DUE;
  stream_pend(stream);
}

static void tcp_stream_close(struct stream *stream) {
  if (!writable_state(stream)) return;
  stream->flags |= STREAM_CLOSE_CALLED;
  stream->flags &= ~(uint32_t)STREAM_WRITE_CUT;
  stream->state = stream->state == TCP_ESTABLISHED ? TCP_FIN_WAIT_1 : TCP_LAST_ACK;
  /* What the handler left is discarded when the step is over; inside `received` the rest goes the same way. */
  stream->flags |= STREAM_OFFER_DUE;
  stream_pend(stream);
}

static void tcp_stream_abort(struct stream *stream, uint64_t now_ns) {
  if (stream->state == TCP_CLOSED || stream->state == TCP_TIME_WAIT) return;
  stream->network->now_ns = now_ns;
  tcp_send_reset(stream);
  tcp_end(stream, STREAM_END_ABORTED);
}

static struct ip_address tcp_stream_peer_address(const struct stream *stream) { return stream->key.peer; }
static uint16_t tcp_stream_peer_port(const struct stream *stream) { return stream->key.peer_port; }

const struct stream_operations tcp_stream_operations = {
    .write = tcp_stream_write,
    .write_room = tcp_stream_write_room,
    .await_room = tcp_stream_await_room,
    .unacknowledged = tcp_stream_unacknowledged,
    .holds_received = tcp_stream_holds_received,
    .resume = tcp_stream_resume,
    .close = tcp_stream_close,
    .abort = tcp_stream_abort,
    .peer_address = tcp_stream_peer_address,
    .peer_port = tcp_stream_peer_port,
};
