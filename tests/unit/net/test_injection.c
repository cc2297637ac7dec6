/* A blind attacker who knows addresses and ports: forged RST, SYN and data segments with random numbers change nothing and
 * deliver nothing (RFC 5961 sections 3 to 5). TRIPLINE_INJECTIONS forged segments of each kind a connection; 2^20 is the volume.
 */
#include "cmocka_test.h"
#include "network_bench.h"
#include "test_random.h"
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 4
#define WINDOW 65535u

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10 };

struct victim {
  uint16_t port;
  uint32_t next, server_next; /* sequence numbers that both sides agree on */
  struct bench_stream *app;
};

static struct bench bench;

static uint32_t injections(void) {
  const char *text = getenv("TRIPLINE_INJECTIONS");
  return text ? (uint32_t)strtoul(text, NULL, 0) : 1u << 16;
}

static void open_victims(struct victim *victims) {
  for (uint16_t i = 0; i < CONNECTIONS; i++) {
    const uint32_t isn = i == 0 ? UINT32_MAX - 10 : 1000000u * i; /* one wraps */
    victims[i] = (struct victim){.port = (uint16_t)(40000 + i), .next = isn + 1};
    victims[i].server_next = bench_connect(&bench, victims[i].port, isn) + 1;
    victims[i].app = &bench.streams[bench.opened - 1];
  }
}

/* Real bytes still arrive, exactly once. */
static void expect_alive(struct victim *victim) {
  const uint32_t before = victim->app->received;
  const struct bench_segment segment = {.peer_port = victim->port,
                                        .seq = victim->next,
                                        .ack = victim->server_next,
                                        .flags = ACK | PSH,
                                        .window = WINDOW,
                                        .payload_bytes = 100,
                                        .pattern_at = before};
  bench_segment_in(&bench, &segment);
  bench_flush(&bench);
  victim->next += 100;
  assert_int_equal(victim->app->received, before + 100);
  assert_false(victim->app->corrupt);
  assert_false(victim->app->closed);
}

/* Anywhere; or, every fourth, where the window is: the attacker was lucky with one number. */
static uint32_t guess(struct test_random *random, uint32_t truth, bool lucky) {
  if (!lucky) return (uint32_t)random_next(random);
  const uint32_t offset = 1 + random_below(random, WINDOW - 1); /* the exact number is not what is tested */
  return truth + offset;
}

static void inject(struct test_random *random, const struct victim *victim, uint8_t flags) {
  const bool lucky = random_below(random, 4) == 0;
  struct bench_segment segment = {
      .peer_port = victim->port,
      .seq = guess(random, victim->next, lucky),
      .ack = (uint32_t)random_next(random),
      .flags = flags,
      .window = WINDOW,
      .payload_bytes = flags & (RST | SYN) ? 0 : 1 + random_below(random, 64),
  };
  /* An acknowledgement that the receiver must take would be a guess of 1 in 2^15: it is not blind any more. */
  const uint32_t behind = victim->server_next - segment.ack;
  if (behind <= 2 * WINDOW) segment.ack -= 4 * WINDOW;
  bench_segment_in(&bench, &segment);
}

static void forged_segments_change_nothing(void **state) {
  static const uint8_t kinds[] = {RST, RST | ACK, SYN, SYN | ACK, ACK | PSH, ACK | FIN, PSH, 0};
  (void)state;
  struct victim victims[CONNECTIONS];
  struct test_random random = {11};
  const uint32_t each = injections();
  assert_true(bench_start(&bench, NULL));
  open_victims(victims);
  for (uint32_t i = 0; i < each; i++) {
    for (uint32_t v = 0; v < CONNECTIONS; v++) {
      for (size_t k = 0; k < sizeof kinds; k++) inject(&random, &victims[v], kinds[k]);
      assert_int_equal(victims[v].app->received % 100, 0);
      assert_false(victims[v].app->closed || victims[v].app->peer_finished);
    }
    if (i % 64 == 0) bench_pass(&bench, 1000000);
    if (i % 4096 == 0)
      for (uint32_t v = 0; v < CONNECTIONS; v++) expect_alive(&victims[v]);
    bench.seen = bench.sent;
  }
  for (uint32_t v = 0; v < CONNECTIONS; v++) expect_alive(&victims[v]);
  const struct network_counters *counters = network_counters(bench.network);
  assert_int_equal(counters->tcp_connections, CONNECTIONS);
  assert_int_equal(counters->tcp_resets_received, 0);
  assert_true(counters->tcp_challenge_acks > 0);
  /* At most ten a second and connection (RFC 5961 section 7). */
  assert_true(counters->tcp_challenge_acks <= CONNECTIONS * (10 + 10 * (bench.now_ns / 1000000000)));
  assert_true(bench_conserved(&bench));
  bench_stop(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(forged_segments_change_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
