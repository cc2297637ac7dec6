#include "http2_callbacks_internal.h"
#include "http2_internal.h"

static struct http2_stream *stream_of(nghttp2_session *session, int32_t id) {
  return nghttp2_session_get_stream_user_data(session, id);
}

/* Spends one; false when there is none left. */
static bool spend(struct http2_allowance *allowance, uint32_t burst, uint32_t per_s, uint64_t now_ns) {
  const uint64_t each_ns = UINT64_C(1000000000) / per_s;
  const uint64_t earned = (now_ns - allowance->filled_ns) / each_ns;
  if (earned >= burst - allowance->left) {
    allowance->left = burst;
    allowance->filled_ns = now_ns;
  } else {
    allowance->left += (uint32_t)earned;
    allowance->filled_ns += earned * each_ns;
  }
  if (allowance->left == 0) return false;
  allowance->left--;
  return true;
}

static void spend_reset(struct http2_connection *connection) {
  if (!spend(&connection->resets, HTTP2_RESET_BURST, HTTP2_RESET_PER_S, connection->now_ns))
    http2_connection_end_for(connection, HTTP2_END_RESETS, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* Frames of unknown types are passed over by nghttp2 without a word; they cost what body bytes do. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *header, void *context) {
  struct http2_connection *connection = context;
  (void)session;
  if (header->type == NGHTTP2_HEADERS || header->type == NGHTTP2_CONTINUATION) return 0;
  if (header->type == NGHTTP2_DATA && (header->length > 0 || header->flags & NGHTTP2_FLAG_END_STREAM)) return 0;
  if (header->type == NGHTTP2_RST_STREAM)
    spend_reset(connection);
  else if (!spend(&connection->control, HTTP2_CONTROL_BURST, HTTP2_CONTROL_PER_S, connection->now_ns))
    http2_connection_end_for(connection, HTTP2_END_CONTROL, NGHTTP2_ENHANCE_YOUR_CALM);
  return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct http2_connection *connection = context;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  const uint32_t earned = connection->control.left + HTTP2_CONTROL_PER_REQUEST;
  connection->control.left = earned < HTTP2_CONTROL_BURST ? earned : HTTP2_CONTROL_BURST;
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
  struct http2_connection *connection = context;
  if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK && connection->draining && !connection->going_away)
    http2_connection_go_away(connection);
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  struct http2_stream *stream = stream_of(session, frame->hd.stream_id);
  if (!stream) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) http2_stream_admit(stream);
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) http2_stream_complete(stream);
  return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct http2_connection *connection = context;
  /* Resets that are not ours by choice were provoked. */
  if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
      frame->rst_stream.error_code != NGHTTP2_CANCEL)
    spend_reset(connection);
  if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR && !connection->end_named)
    http2_connection_end_for(connection, HTTP2_END_PROTOCOL, frame->goaway.error_code);
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
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}
