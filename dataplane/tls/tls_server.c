#include "tls_internal.h"

#define TIMERS_A_STEP 64u
#define DUE_A_STEP 256u
#define TURNS_A_STEP 1u /* a P-256 handshake is about 200 us, one with RSA-2048 about 500 us */
#define TURNS_AT_ONCE 16u

struct tls_server *tls_server_create(struct arena *arena, const struct tls_config *config, uint64_t now_ns) {
  ALWAYS_ASSERT(config->memory && config->publication && config->connections_max && config->handshakes_a_second);
  struct tls_server *server = ARENA_NEW(arena, struct tls_server);
  if (!server) return NULL;
  server->config = *config;
  server->now_ns = server->stepped_ns = now_ns;
  server->turn_cost_ns = 1000000000ull / config->handshakes_a_second;
  server->turns_ns = TURNS_AT_ONCE * server->turn_cost_ns;
  server->identities = atomic_load_explicit(&config->publication->identities, memory_order_acquire);
  ALWAYS_ASSERT(server->identities);
  server->timers = timer_wheel_create(arena, now_ns);
  tls_link_init(&server->waiting);
  tls_link_init(&server->due);
  if (!server->timers || !pool_init(&server->connections, arena, sizeof(struct tls_connection), config->connections_max))
    return NULL;
  server->bio_method = tls_bio_method();
  return server->bio_method ? server : NULL;
}

void tls_server_destroy(struct tls_server *server) {
  for (struct tls_connection *connection = server->all; connection; connection = connection->next) {
    tls_record_forget(connection);
    tls_use_memory(connection);
    SSL_free(connection->ssl);
    tls_memory_leave();
  }
  BIO_meth_free(server->bio_method);
}

bool tls_server_has(const struct tls_server *server, uint32_t listener) {
  return listener < TLS_LISTENERS_MAX && server->identities->listeners[listener];
}

const struct stream_handler *tls_server_listener(struct tls_server *server, uint32_t number, const struct stream_handler *inner) {
  ALWAYS_ASSERT(tls_server_has(server, number));
  struct tls_listener *listener = &server->listeners[number];
  *listener = (struct tls_listener){.server = server, .inner = inner, .handler = tls_connection_handler, .number = number};
  listener->handler.context = listener;
  return &listener->handler;
}

static uint32_t give_turns(struct tls_server *server, uint64_t elapsed_ns) {
  const uint64_t most_ns = TURNS_AT_ONCE * server->turn_cost_ns;
  server->turns_ns = elapsed_ns < most_ns - server->turns_ns ? server->turns_ns + elapsed_ns : most_ns;
  const uint32_t waiting = server->counters.waiting;
  for (uint32_t i = 0; i < TURNS_A_STEP && !tls_link_alone(&server->waiting); i++) {
    if (server->turns_ns < server->turn_cost_ns) break;
    server->turns_ns -= server->turn_cost_ns;
    struct tls_connection *connection = TLS_LINK_OWNER(server->waiting.next, waiting);
    tls_link_remove(&connection->waiting);
    server->counters.waiting--;
    if (connection->waiting_ns != server->now_ns) server->counters.handshakes_deferred++;
    tls_connection_enter(connection, server->now_ns);
    tls_handshake_turn(connection, server->now_ns);
    tls_connection_leave(connection);
  }
  return waiting;
}

static uint32_t run_due(struct tls_server *server) {
  uint32_t done = 0;
  /* What becomes due again meanwhile waits for the next step. */
  const struct tls_link *last = server->due.previous;
  while (done < DUE_A_STEP && !tls_link_alone(&server->due)) {
    struct tls_link *link = server->due.next;
    const bool was_last = link == last;
    struct tls_connection *connection = TLS_LINK_OWNER(link, due);
    tls_link_remove(link);
    tls_connection_due(connection, server->now_ns);
    done++;
    if (was_last) break;
  }
  return done;
}

uint32_t tls_server_step(struct tls_server *server, uint64_t now_ns, uint64_t wall_ns, bool paused) {
  const uint64_t elapsed_ns = now_ns - server->stepped_ns;
  server->stepped_ns = server->now_ns = now_ns;
  server->wall_ns = wall_ns;
  server->identities = atomic_load_explicit(&server->config.publication->identities, memory_order_acquire);
  uint32_t work = timer_wheel_advance(server->timers, server, now_ns, TIMERS_A_STEP);
  work += give_turns(server, elapsed_ns);
  return paused ? work : work + run_due(server);
}

uint64_t tls_server_generation(const struct tls_server *server) { return server->identities->generation; }

struct tls_counters tls_server_counters(const struct tls_server *server) {
  struct tls_counters counters = server->counters;
  counters.memory_bytes = tls_memory_used_bytes(server->config.memory);
  counters.memory_most_bytes = tls_memory_most_used_bytes(server->config.memory);
  for (const struct tls_connection *connection = server->all; connection; connection = connection->next)
    counters.memory_refused += connection->budget.refused;
  return counters;
}

const char *tls_failure_name(enum tls_failure failure) {
  static const char *const names[TLS_FAILURES] = {
      "not_tls",    "version",   "nothing_shared", "no_protocol", "certificate_missing", "certificate",   "certificate_name",
      "peer_alert", "malformed", "peer_gone",      "timeout",     "queue_full",          "no_connection", "no_memory"};
  ALWAYS_ASSERT(failure < TLS_FAILURES);
  return names[failure];
}

const char *tls_end_name(enum tls_end end) {
  static const char *const names[TLS_ENDS] = {"closed",   "truncated",   "network",  "aborted",
                                              "protocol", "key_updates", "no_memory"};
  ALWAYS_ASSERT(end < TLS_ENDS);
  return names[end];
}
