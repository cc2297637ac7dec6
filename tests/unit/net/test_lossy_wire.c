/* Clients and the stack over a bad wire, by seed: every byte arrives once and in order both ways, every connection ends, and
 * every block and stream goes back to its pool. */
#include "cmocka_test.h"
#include "lossy_client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 6u
#define STEP_NS 1000000u
#define LIMIT_NS (400ull * 1000000000)

struct world {
  struct bench bench;
  struct wire wire;
  struct client clients[CLIENTS];
  uint64_t random;
};

static void to_wire(struct bench *bench, const uint8_t *bytes, uint32_t length) {
  wire_send(bench->on_frame_context, false, bytes, length, bench->now_ns);
}

static void world_start(struct world *world, uint64_t seed) {
  struct network_config config;
  bench_default_config(&config);
  world->random = seed * 0x9e3779b97f4a7c15ull + 1;
  uint64_t *random = &world->random;
  config.receive_buffer_bytes = 2048 + (uint32_t)(test_random(random) % 60000);
  config.receive_pool_bytes = (8 + (uint32_t)(test_random(random) % 64)) * 2048;
  config.send_buffer_bytes = 2048 + (uint32_t)(test_random(random) % 30000);
  config.send_pool_bytes = (6 + (uint32_t)(test_random(random) % 32)) * 2048;
  assert_true(bench_start(&world->bench, &config));
  world->wire = (struct wire){.random = test_random(random) | 1,
                              .loss_percent = (uint32_t)(test_random(random) % 16),
                              .double_percent = (uint32_t)(test_random(random) % 10),
                              .delay_ns = 1000 + test_random(random) % 20000000,
                              .jitter_ns = test_random(random) % 30000000};
  world->bench.on_frame = to_wire;
  world->bench.on_frame_context = &world->wire;
  world->bench.echo = test_random(random) % 4 != 0;
  world->bench.take_most = test_random(random) % 3 ? UINT32_MAX : 1 + (uint32_t)(test_random(random) % 2000);
  for (uint32_t i = 0; i < CLIENTS; i++) {
    struct client *client = &world->clients[i];
    *client = (struct client){.bench = &world->bench,
                              .wire = &world->wire,
                              .port = (uint16_t)(50000 + i),
                              .isn = (uint32_t)test_random(random),
                              .to_send = (uint32_t)(test_random(random) % 40000),
                              .own_window = 1 + (uint32_t)(test_random(random) % 65535),
                              .sack = test_random(random) % 2};
    if (test_random(random) % 5 == 0) client->isn = UINT32_MAX - (uint32_t)(test_random(random) % 20000);
    client->expected = world->bench.echo ? client->to_send : 0;
    client_start(client);
  }
}

/* The application's own whims: taking late, pausing, no frames for a moment. */
static void disturb(struct world *world) {
  const uint64_t dice = test_random(&world->random) % 100;
  struct bench *bench = &world->bench;
  if (dice == 0) network_pause_receiving(bench->network, true);
  if (dice >= 1 && dice <= 4) network_pause_receiving(bench->network, false);
  bench->no_buffer = dice >= 5 && dice <= 6;
  for (uint32_t i = 0; i < BENCH_STREAMS; i++) {
    struct bench_stream *app = &bench->streams[i];
    if (app->stream) stream_resume(app->stream);
    /* Without echo nobody answers the peer's FIN but we. */
    if (app->stream && !app->echo && app->peer_finished) stream_close(app->stream);
  }
}

static bool over(const struct world *world) {
  for (uint32_t i = 0; i < CLIENTS; i++) {
    if (world->clients[i].state != CLIENT_DONE && world->clients[i].state != CLIENT_RESET) return false;
  }
  return true;
}

static void run(struct world *world, uint64_t seed) {
  struct bench *bench = &world->bench;
  world_start(world, seed);
  const uint64_t limit = bench->now_ns + LIMIT_NS;
  while (!over(world) && bench->now_ns < limit) {
    bench->now_ns += STEP_NS;
    wire_deliver(&world->wire, bench, world->clients, CLIENTS);
    assert_true(bench_conserved(bench));
    for (uint32_t i = 0; i < CLIENTS; i++) client_step(&world->clients[i]);
    disturb(world);
    network_tick(bench->network, bench->now_ns, 100);
    bench_flush(bench);
  }
  network_pause_receiving(bench->network, false);
  bench->no_buffer = false;
}

static void check(struct world *world, uint64_t seed) {
  struct bench *bench = &world->bench;
  char text[200];
  for (uint32_t i = 0; i < CLIENTS; i++) {
    const struct client *client = &world->clients[i];
    snprintf(text, sizeof text, "seed %llu client %u state %d acked %u of %u received %u of %u fin %d window %u loss %u",
             (unsigned long long)seed, i, (int)client->state, client->acked, client->to_send + 1, client->received,
             client->expected, client->fin_received, client->own_window, world->wire.loss_percent);
    if (client->state != CLIENT_DONE || client->corrupt || client->received != client->expected) fail_msg("%s", text);
  }
  assert_int_equal(world->wire.overrun, 0);
  /* Clients are gone: what is half closed ends by its timers. */
  for (uint32_t i = 0; i < 700 && network_counters(bench->network)->tcp_connections; i++) {
    bench->now_ns += 1000000000;
    memset(world->wire.frames, 0, sizeof world->wire.frames);
    network_tick(bench->network, bench->now_ns, 100);
    bench_flush(bench);
  }
  if (!network_pools_full(bench->network)) fail_msg("seed %llu: blocks or streams are left", (unsigned long long)seed);
  const struct network_counters *counters = network_counters(bench->network);
  assert_int_equal(counters->tcp_half_open, 0);
  assert_int_equal(bench->opened, bench->closed);
  for (uint32_t i = 0; i < BENCH_STREAMS; i++) assert_false(bench->streams[i].corrupt);
}

struct totals {
  uint64_t told_bytes, blocks_heard;
};

static void every_byte_arrives_over_a_bad_wire(void **state) {
  (void)state;
  const char *one = getenv("NETWORK_SEED");
  const uint64_t first = one ? strtoull(one, NULL, 0) : 1, last = one ? first : 300;
  struct world *world = malloc(sizeof *world);
  struct totals totals = {0};
  for (uint64_t seed = first; seed <= last; seed++) {
    run(world, seed);
    check(world, seed);
    for (uint32_t i = 0; i < CLIENTS; i++) {
      totals.told_bytes += world->clients[i].told_bytes;
      totals.blocks_heard += world->clients[i].blocks_heard;
    }
    bench_stop(&world->bench);
  }
  free(world);
  /* Both halves of SACK were at work. */
  if (!one) assert_true(totals.told_bytes > 1000000 && totals.blocks_heard > 1000);
}

struct answer {
  uint64_t lost, retransmits, timeouts, nanoseconds;
};

/* One connection whose answer of 40 KB comes over a wire that keeps order and loses one frame in twenty. */
static void answer_over_losses(struct world *world, uint64_t seed, bool sack, struct answer *answer) {
  struct bench *bench = &world->bench;
  assert_true(bench_start(bench, NULL));
  world->wire =
      (struct wire){.random = seed * 0x9e3779b97f4a7c15ull + 1, .loss_percent = 5, .one_way = true, .delay_ns = 20000000};
  bench->on_frame = to_wire;
  bench->on_frame_context = &world->wire;
  bench->echo = true;
  memset(world->clients, 0, sizeof world->clients);
  struct client *client = &world->clients[0];
  *client = (struct client){.bench = bench,
                            .wire = &world->wire,
                            .port = 50000,
                            .to_send = CLIENT_BYTES_MAX,
                            .expected = CLIENT_BYTES_MAX,
                            .own_window = 65535,
                            .sack = sack};
  client_start(client);
  while (client->state != CLIENT_DONE) {
    bench->now_ns += STEP_NS;
    wire_deliver(&world->wire, bench, client, 1);
    client_step(client);
    network_tick(bench->network, bench->now_ns, 100);
    bench_flush(bench);
    assert_true(client->state != CLIENT_RESET && bench->now_ns < LIMIT_NS);
  }
  assert_false(client->corrupt);
  answer->lost += world->wire.lost;
  answer->retransmits += network_counters(bench->network)->tcp_retransmits;
  answer->timeouts += network_counters(bench->network)->tcp_rto_fired;
  answer->nanoseconds += bench->now_ns;
  bench_stop(bench);
}

static void sack_sends_again_what_was_lost_and_little_else(void **state) {
  (void)state;
  struct answer with = {0}, without = {0};
  struct world *world = malloc(sizeof *world);
  for (uint64_t seed = 1; seed <= 200; seed++) {
    answer_over_losses(world, seed, true, &with);
    answer_over_losses(world, seed, false, &without);
  }
  free(world);
  /* Lost ACKs need not go again, so one for one is the bound. The client without SACK keeps nothing early. */
  assert_true(with.lost > 300);
  assert_true(with.retransmits <= with.lost);
  assert_true(with.retransmits * 2 < without.retransmits);
  assert_true(with.timeouts < without.timeouts);
  assert_true(with.nanoseconds < without.nanoseconds);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_byte_arrives_over_a_bad_wire),
                                     cmocka_unit_test(sack_sends_again_what_was_lost_and_little_else)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
