/* The lower stream's events, and what the inner handler asks of its stream, by the connection's phase. */
#include "tls_internal.h"
#include <string.h>

void tls_connection_enter(struct tls_connection *connection, uint64_t now_ns) {
  connection->depth++;
  connection->server->now_ns = now_ns;
}

static void free_ssl(struct tls_connection *connection) {
  if (!connection->ssl) return;
  tls_use_memory(connection);
  SSL_free(connection->ssl);
  tls_memory_leave();
  connection->ssl = NULL;
}

static void release(struct tls_connection *connection) {
  struct tls_server *server = connection->server;
  timer_cancel(&connection->deadline);
  tls_link_remove(&connection->due);
  if (connection->next) connection->next->previous = connection->previous;
  *(connection->previous ? &connection->previous->next : &server->all) = connection->next;
  server->counters.memory_refused += connection->budget.refused;
  server->counters.connections--;
  pool_give(&server->connections, connection);
}

/* The handler may still read what it was given and the caller may still look at `ssl`, until the last of them is done. */
void tls_connection_leave(struct tls_connection *connection) {
  if (--connection->depth) return;
  if (connection->phase > TLS_PHASE_OPEN) tls_record_forget(connection);
  if (connection->phase >= TLS_PHASE_CLOSED) free_ssl(connection);
  if (connection->phase == TLS_PHASE_GONE) release(connection);
}

static void stop_waiting(struct tls_connection *connection) {
  if (tls_link_alone(&connection->waiting)) return;
  tls_link_remove(&connection->waiting);
  connection->server->counters.waiting--;
}

static void count_failed(struct tls_connection *connection, enum tls_failure failure) {
  connection->server->counters.handshakes_failed[failure]++;
  connection->server->counters.handshaking--;
  stop_waiting(connection);
  timer_cancel(&connection->deadline);
}

static void count_end(struct tls_connection *connection, enum tls_end end) {
  if (!connection->open) return;
  connection->open = false;
  connection->server->counters.ended[end]++;
  connection->server->counters.open--;
}

static void end_inner(struct tls_connection *connection, enum stream_end end, uint64_t now_ns) {
  if (!connection->inner_open) return;
  connection->inner_open = false;
  connection->listener->inner->closed(connection->inner_state, end, now_ns);
}

static void end_lower(struct tls_connection *connection, bool polite, uint64_t now_ns) {
  connection->phase = TLS_PHASE_CLOSED;
  if (polite) {
    stream_close(connection->lower);
  } else {
    stream_abort(connection->lower, now_ns);
  }
}

void tls_connection_fail(struct tls_connection *connection, enum tls_failure failure, bool polite, uint64_t now_ns) {
  count_failed(connection, failure);
  end_lower(connection, polite, now_ns);
}

void tls_connection_break(struct tls_connection *connection, enum tls_end end, uint64_t now_ns) {
  count_end(connection, end);
  connection->phase = TLS_PHASE_CLOSED;
  end_inner(connection, STREAM_END_RESET, now_ns);
  end_lower(connection, end == TLS_END_PROTOCOL || end == TLS_END_TRUNCATED, now_ns);
}

void tls_connection_open(struct tls_connection *connection, uint64_t now_ns) {
  struct tls_counters *counters = &connection->server->counters;
  const struct stream_handler *inner = connection->listener->inner;
  counters->handshakes_done++;
  counters->handshaking--;
  counters->open++;
  timer_cancel(&connection->deadline);
  connection->open = connection->inner_open = true;
  connection->phase = TLS_PHASE_OPEN;
  connection->inner_state = inner->opened(inner->context, (struct stream *)(void *)connection, connection->local_port, now_ns);
  if (connection->inner_state) return;
  connection->inner_open = false;
  count_end(connection, TLS_END_ABORTED);
  if (connection->phase != TLS_PHASE_GONE) end_lower(connection, false, now_ns);
}

void tls_connection_deadline(struct timer *timer, void *context, uint64_t now_ns) {
  (void)context;
  struct tls_connection *connection = TLS_LINK_OWNER(timer, deadline);
  tls_connection_enter(connection, now_ns);
  tls_connection_fail(connection, TLS_FAILURE_TIMEOUT, false, now_ns);
  tls_connection_leave(connection);
}

static void *opened(void *context, struct stream *lower, uint16_t local_port, uint64_t now_ns) {
  struct tls_listener *listener = context;
  struct tls_server *server = listener->server;
  struct tls_connection *connection = pool_take(&server->connections);
  server->counters.handshakes_begun++;
  if (!connection) {
    server->counters.handshakes_failed[TLS_FAILURE_NO_CONNECTION]++;
    return NULL;
  }
  *connection = (struct tls_connection){.face = {.operations = &tls_connection_operations},
                                        .server = server,
                                        .listener = listener,
                                        .lower = lower,
                                        .local_port = local_port,
                                        .updates_left = TLS_KEY_UPDATES_AT_ONCE,
                                        .deadline = {.fire = tls_connection_deadline},
                                        .next = server->all};
  tls_link_init(&connection->waiting);
  tls_link_init(&connection->due);
  if (server->all) server->all->previous = connection;
  server->all = connection;
  server->counters.connections++;
  server->counters.handshaking++;
  timer_arm(server->timers, &connection->deadline, now_ns + server->config.handshake_timeout_ns);
  return connection;
}

static bool begin(struct tls_connection *connection, uint64_t now_ns) {
  if (connection->input[0] != TLS_RECORD_HANDSHAKE) {
    tls_connection_fail(connection, TLS_FAILURE_NOT_TLS, false, now_ns);
  } else if (!tls_handshake_begin(connection)) {
    tls_connection_fail(connection, TLS_FAILURE_NO_MEMORY, false, now_ns);
  } else {
    connection->phase = TLS_PHASE_HANDSHAKE;
  }
  return true;
}

/* One step by phase; false when no more is taken for now. */
static bool take(struct tls_connection *connection, uint64_t now_ns) {
  switch (connection->phase) {
  case TLS_PHASE_FRESH:
    return begin(connection, now_ns);
  case TLS_PHASE_HANDSHAKE:
    return tls_handshake_drive(connection, now_ns);
  case TLS_PHASE_OPEN:
    return tls_record_receive(connection, now_ns);
  case TLS_PHASE_CLOSING:
  case TLS_PHASE_CLOSED:
  case TLS_PHASE_GONE:
    connection->input_left = 0;
    return false;
  case TLS_PHASE_WAITING:
    break;
  }
  return false;
}

static uint32_t received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  struct tls_connection *connection = state;
  tls_connection_enter(connection, now_ns);
  connection->input = bytes;
  connection->input_left = length;
  while (take(connection, now_ns)) continue;
  const uint32_t taken = length - connection->input_left;
  connection->input = NULL;
  connection->input_left = 0;
  tls_connection_leave(connection);
  return taken;
}

static void peer_finished(void *state, uint64_t now_ns) {
  struct tls_connection *connection = state;
  tls_connection_enter(connection, now_ns);
  switch (connection->phase) {
  case TLS_PHASE_FRESH:
  case TLS_PHASE_HANDSHAKE:
  case TLS_PHASE_WAITING:
    tls_connection_fail(connection, TLS_FAILURE_PEER_GONE, true, now_ns);
    break;
  case TLS_PHASE_OPEN:
    if (!connection->notified) tls_connection_break(connection, TLS_END_TRUNCATED, now_ns);
    break;
  case TLS_PHASE_CLOSING:
  case TLS_PHASE_CLOSED:
  case TLS_PHASE_GONE:
    break;
  }
  tls_connection_leave(connection);
}

static void close_when_sent(struct tls_connection *connection, uint64_t now_ns) {
  if (tls_record_send_close(connection)) {
    end_lower(connection, true, now_ns);
  } else {
    stream_await_room(connection->lower);
  }
}

static void tell_room(struct tls_connection *connection, uint64_t now_ns) {
  if (!connection->room_awaited) return;
  if (stream_write_room(connection->lower) <= TLS_RECORD_OVERHEAD_BYTES) {
    stream_await_room(connection->lower);
    return;
  }
  connection->room_awaited = false;
  connection->listener->inner->writable(connection->inner_state, now_ns);
}

static void writable(void *state, uint64_t now_ns) {
  struct tls_connection *connection = state;
  tls_connection_enter(connection, now_ns);
  if (connection->phase == TLS_PHASE_HANDSHAKE) {
    tls_handshake_drive(connection, now_ns);
    if (connection->phase != TLS_PHASE_GONE) stream_resume(connection->lower);
  } else if (connection->phase == TLS_PHASE_OPEN) {
    tell_room(connection, now_ns);
  } else if (connection->phase == TLS_PHASE_CLOSING) {
    close_when_sent(connection, now_ns);
  }
  tls_connection_leave(connection);
}

static enum tls_failure failure_by(enum stream_end end) {
  return end == STREAM_END_TIMED_OUT ? TLS_FAILURE_TIMEOUT : TLS_FAILURE_PEER_GONE;
}

static enum tls_end end_by(enum stream_end end) {
  return end == STREAM_END_ABORTED ? TLS_END_ABORTED : end == STREAM_END_FINISHED ? TLS_END_CLOSED : TLS_END_NETWORK;
}

static void closed(void *state, enum stream_end end, uint64_t now_ns) {
  struct tls_connection *connection = state;
  tls_connection_enter(connection, now_ns);
  if (connection->phase < TLS_PHASE_OPEN) count_failed(connection, failure_by(end));
  count_end(connection, end_by(end));
  connection->phase = TLS_PHASE_GONE;
  end_inner(connection, end, now_ns);
  tls_connection_leave(connection);
}

void tls_connection_due(struct tls_connection *connection, uint64_t now_ns) {
  tls_connection_enter(connection, now_ns);
  if (connection->phase == TLS_PHASE_OPEN && connection->broken) {
    tls_connection_break(connection, connection->end, now_ns);
  } else if (connection->phase == TLS_PHASE_OPEN && connection->offer_due) {
    connection->offer_due = false;
    if (tls_record_offer(connection, now_ns) && connection->phase == TLS_PHASE_OPEN) stream_resume(connection->lower);
  }
  tls_connection_leave(connection);
}

static struct tls_connection *connection_of(const struct stream *stream) { return (struct tls_connection *)(uintptr_t)stream; }

static uint32_t write_stream(struct stream *stream, const void *bytes, uint32_t length) {
  struct tls_connection *connection = connection_of(stream);
  return connection->phase == TLS_PHASE_OPEN ? tls_record_send(connection, bytes, length) : 0;
}

static uint32_t stream_room(const struct stream *stream) {
  const struct tls_connection *connection = connection_of(stream);
  if (connection->phase != TLS_PHASE_OPEN) return 0;
  const uint32_t room = stream_write_room(connection->lower);
  const uint32_t records = room / TLS_PLAINTEXT_BYTES_MAX + 1;
  return room > records * TLS_RECORD_OVERHEAD_BYTES ? room - records * TLS_RECORD_OVERHEAD_BYTES : 0;
}

static void await_stream_room(struct stream *stream) {
  struct tls_connection *connection = connection_of(stream);
  if (connection->phase != TLS_PHASE_OPEN) return;
  connection->room_awaited = true;
  stream_await_room(connection->lower);
}

/* With what TLS adds. */
static uint32_t unacknowledged_bytes(const struct stream *stream) { return stream_unacknowledged(connection_of(stream)->lower); }

static bool holds_bytes(const struct stream *stream) {
  const struct tls_connection *connection = connection_of(stream);
  return connection->held || stream_holds_received(connection->lower);
}

static void resume_stream(struct stream *stream) {
  struct tls_connection *connection = connection_of(stream);
  if (connection->phase != TLS_PHASE_OPEN) return;
  connection->offer_due = true;
  if (tls_link_alone(&connection->due)) tls_link_append(&connection->server->due, &connection->due);
}

static void close_stream(struct stream *stream) {
  struct tls_connection *connection = connection_of(stream);
  if (connection->phase != TLS_PHASE_OPEN) return;
  const uint64_t now_ns = connection->server->now_ns;
  tls_connection_enter(connection, now_ns);
  count_end(connection, TLS_END_CLOSED);
  connection->phase = TLS_PHASE_CLOSING;
  close_when_sent(connection, now_ns);
  tls_connection_leave(connection);
}

static void abort_stream(struct stream *stream, uint64_t now_ns) {
  struct tls_connection *connection = connection_of(stream);
  if (connection->phase == TLS_PHASE_GONE) return;
  tls_connection_enter(connection, now_ns);
  stream_abort(connection->lower, now_ns);
  tls_connection_leave(connection);
}

static struct ip_address stream_address(const struct stream *stream) { return stream_peer_address(connection_of(stream)->lower); }

static uint16_t stream_port(const struct stream *stream) { return stream_peer_port(connection_of(stream)->lower); }

const struct stream_operations tls_connection_operations = {
    .write = write_stream,
    .write_room = stream_room,
    .await_room = await_stream_room,
    .unacknowledged = unacknowledged_bytes,
    .holds_received = holds_bytes,
    .resume = resume_stream,
    .close = close_stream,
    .abort = abort_stream,
    .peer_address = stream_address,
    .peer_port = stream_port,
};

const struct stream_handler tls_connection_handler = {
    .opened = opened,
    .received = received,
    .peer_finished = peer_finished,
    .writable = writable,
    .closed = closed,
};
