#include "http2_callbacks_internal.h"
#include "http2_internal.h"

static struct http2_stream *stream_of(nghttp2_session *session, int32_t id) {
  return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct http2_connection *connection = context;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  struct http2_stream *stream = http2_stream_begin(connection, frame->hd.stream_id);
  if (!stream) /* refused before anything was done: the client may send it again (RFC 9113 section 8.7) */
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
  nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
  return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_bytes,
                     const uint8_t *value, size_t value_bytes, uint8_t flags, void *context) {
  (void)flags, (void)context;
  struct http2_stream *stream = stream_of(session, frame->hd.stream_id);
  if (stream && frame->headers.cat == NGHTTP2_HCAT_REQUEST) http2_stream_header(stream, name, name_bytes, value, value_bytes);
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t length, void *context) {
  (void)flags, (void)context;
  struct http2_stream *stream = stream_of(session, id);
  if (!stream) return 0;
  http2_stream_data(stream, bytes, length);
  /* The rest of a refused request is of no interest (RFC 9113 section 8.1), but a little of it costs less than a client that
   * takes the reset for a failure. */
  if (stream->discarded_bytes <= HTTP_DISCARD_BYTES_MAX || stream->counted) return 0;
  return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)context;
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  struct http2_stream *stream = stream_of(session, frame->hd.stream_id);
  if (!stream) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) http2_stream_admit(stream);
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) http2_stream_complete(stream);
  return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)context;
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
  struct http2_stream *stream = stream_of(session, frame->hd.stream_id);
  if (stream) http2_stream_answered(stream);
  return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *context) {
  (void)context;
  struct http2_stream *stream = stream_of(session, id);
  if (stream) http2_stream_end(stream, error == NGHTTP2_NO_ERROR ? HTTP_ABORT_PEER_CLOSED : HTTP_ABORT_PEER_RESET);
  return 0;
}

void http2_callbacks_set(nghttp2_session_callbacks *callbacks) {
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}
