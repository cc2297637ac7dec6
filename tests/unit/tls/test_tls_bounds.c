/* What is bounded: handshakes at one time and a second, the queue, connections, memory. */
#include "cmocka_test.h"
#include "tls_fixture.h"
#include "tls_internal.h"
#include <stdlib.h>

#define CLIENTS 40u

static struct tls_fixture fixture;
static struct tls_client clients[CLIENTS];

static struct tls_counters counters(void) { return tls_server_counters(fixture.server); }

static void open_clients(unsigned from, unsigned to) {
  for (unsigned i = from; i < to; i++) {
    client_open(&clients[i], &fixture, &(struct tls_client_options){0});
    if (!clients[i].stream) continue;
    SSL_do_handshake(clients[i].ssl);
    client_flush(&clients[i]);
  }
}

static void end(unsigned count) {
  for (unsigned i = 0; i < count; i++) client_free(&clients[i]);
  fixture_end(&fixture);
}

static unsigned answered(unsigned count) {
  unsigned sum = 0;
  for (unsigned i = 0; i < count; i++) sum += clients[i].stream && clients[i].stream->sent_bytes > 0;
  return sum;
}

static void one_key_operation_a_step(void **state) {
  (void)state;
  fixture_prepare(&fixture);
  fixture_start(&fixture, "server", NULL, NULL);
  open_clients(0, 10);
  assert_int_equal(counters().waiting, 10);
  for (unsigned step = 1; step <= 10; step++) {
    fixture_step(&fixture, 1000);
    assert_int_equal(answered(10), step);
    assert_true(clients[step - 1].stream->sent_bytes > 0); /* in the order they came */
  }
  assert_int_equal(counters().waiting, 0);
  assert_int_equal(counters().handshakes_deferred, 10);
  end(10);
}

static void so_many_a_second(void **state) {
  (void)state;
  fixture_prepare(&fixture);
  fixture.config.handshakes_a_second = 10;
  fixture_start(&fixture, "server", NULL, NULL);
  open_clients(0, CLIENTS);
  for (unsigned step = 0; step < 1000; step++) fixture_step(&fixture, 1000);
  assert_int_equal(answered(CLIENTS), 16); /* at once */
  for (unsigned step = 0; step < 1000; step++) fixture_step(&fixture, 1000000);
  assert_int_equal(answered(CLIENTS), 26);
  end(CLIENTS);
}

/* Each step serves those that are open, however many handshakes wait. */
static void open_connections_are_not_starved(void **state) {
  (void)state;
  char heard[16];
  fixture_prepare(&fixture);
  fixture.echoes = true;
  fixture.config.handshakes_a_second = 10;
  fixture_start(&fixture, "server", NULL, NULL);
  client_open(&clients[0], &fixture, &(struct tls_client_options){0});
  assert_true(client_connect(&clients[0]));
  open_clients(1, CLIENTS);
  for (unsigned step = 0; step < 20; step++) {
    client_say(&clients[0], "ping", 4);
    client_pump(&clients[0]);
    assert_int_equal(client_hear(&clients[0], heard, sizeof heard), 4);
    assert_true(counters().waiting > 0);
  }
  end(CLIENTS);
}

static void queue_full(void **state) {
  (void)state;
  fixture_prepare(&fixture);
  fixture.config.waiting_max = 4;
  fixture_start(&fixture, "server", NULL, NULL);
  open_clients(0, 6);
  assert_int_equal(counters().waiting, 4);
  assert_int_equal(fixture_failed(&fixture, TLS_FAILURE_QUEUE_FULL), 2);
  assert_true(clients[4].stream->gone && clients[5].stream->gone);
  for (unsigned i = 0; i < 4; i++) assert_true(client_connect(&clients[i]));
  end(6);
}

static void all_connections_in_use(void **state) {
  (void)state;
  fixture_prepare(&fixture);
  fixture.config.connections_max = 3;
  fixture_start(&fixture, "server", NULL, NULL);
  open_clients(0, 5);
  assert_null(clients[3].stream);
  assert_null(clients[4].stream);
  assert_int_equal(fixture_failed(&fixture, TLS_FAILURE_NO_CONNECTION), 2);
  client_free(&clients[0]);
  client_open(&clients[0], &fixture, &(struct tls_client_options){0});
  assert_true(client_connect(&clients[0]));
  end(5);
}

/* With each connection that begins but does not end there is less, until the next is refused; and when they end all is back. */
static void memory_is_bounded(void **state) {
  (void)state;
  fixture_prepare(&fixture);
  struct heap_arena *heap = heap_arena_create();
  fixture.config.memory = tls_memory_create(heap_arena_arena(heap), 4);
  fixture_start(&fixture, "server", NULL, NULL);
  struct tls_budget other = {0};
  void *taken[64];
  unsigned count = 0;
  while (tls_memory_has_room(fixture.config.memory)) {
    other.used_bytes = 0;
    taken[count++] = tls_memory_take(fixture.config.memory, &other, 40000);
    assert_true(count < 64);
  }
  open_clients(0, 1);
  assert_true(clients[0].stream->gone);
  assert_int_equal(fixture_failed(&fixture, TLS_FAILURE_NO_MEMORY), 1);
  assert_int_equal(counters().memory_refused, 1);
  while (count) tls_memory_give(&other, taken[--count]);
  client_free(&clients[0]);
  assert_int_equal(counters().memory_bytes, 0);
  fixture_end(&fixture);
  heap_arena_destroy(heap);
}

/* Memory ends at any of OpenSSL's calls: the connection fails or ends, is counted, and nothing else happens. */
static void memory_ends_anywhere(void **state) {
  (void)state;
  char heard[16];
  unsigned failed = 0, connected = 0;
  fixture_prepare(&fixture);
  fixture.echoes = true;
  fixture_start(&fixture, "server", "authority", NULL);
  for (unsigned left = 0; left < TLS_BUDGET_BYTES; left += left < 20000 ? 97 : 331) {
    fixture.inner_count = 0;
    client_open(&clients[0], &fixture, &(struct tls_client_options){.certificate = "client"});
    fixture.server->all->budget.used_bytes = TLS_BUDGET_BYTES - left;
    if (client_connect(&clients[0]) && fixture.inner_count == 1) {
      connected++;
      client_say(&clients[0], "ping", 4);
      client_pump(&clients[0]);
      client_hear(&clients[0], heard, sizeof heard);
    } else {
      failed++;
    }
    client_free(&clients[0]);
    for (unsigned i = 0; i < fixture.inner_count; i++) {
      assert_int_equal(fixture.inners[i].closed, 1);
      free(fixture.inners[i].bytes);
    }
    fixture.inner_count = 0;
  }
  assert_true(failed > 100 && connected > 100);
  assert_int_equal(counters().handshakes_done, connected);
  assert_true(fixture_failed(&fixture, TLS_FAILURE_NO_MEMORY) > failed / 2);
  fixture_end(&fixture);
}

/* A record is worth its memory only while it is being decrypted. */
static void idle_connections_hold_little(void **state) {
  (void)state;
  fixture_prepare(&fixture);
  fixture_start(&fixture, "server", NULL, NULL);
  client_open(&clients[0], &fixture, &(struct tls_client_options){0});
  assert_true(client_connect(&clients[0]));
  client_free(&clients[0]);
  const uint64_t before = counters().memory_bytes; /* OpenSSL's caches */
  for (unsigned i = 0; i < 20; i++) {
    client_open(&clients[i], &fixture, &(struct tls_client_options){0});
    assert_true(client_connect(&clients[i]));
  }
  assert_true(counters().memory_bytes - before < 20 * 16384);
  for (unsigned i = 0; i < 20; i++) client_free(&clients[i]);
  assert_int_equal(counters().memory_bytes, before);
  fixture_end(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_key_operation_a_step),
      cmocka_unit_test(so_many_a_second),
      cmocka_unit_test(open_connections_are_not_starved),
      cmocka_unit_test(queue_full),
      cmocka_unit_test(all_connections_in_use),
      cmocka_unit_test(memory_is_bounded),
      cmocka_unit_test(memory_ends_anywhere),
      cmocka_unit_test(idle_connections_hold_little),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
