/* RFC 4987: a flood of SYNs in virtual time, and what a cookie is good for. The port takes a fixed number of frames a
 * millisecond, the rest are lost as a NIC's ring loses them; what is offered comes in random order. */
#include "cmocka_test.h"
#include "network_bench.h"
#include "test_random.h"
#include <stdlib.h>
#include <string.h>

#define STEPS 2000u         /* of a millisecond */
#define CAPACITY 200u       /* frames that the port takes a step */
#define ESTABLISHED 20u     /* connections with traffic at 30 % of it */
#define BYTES 100u          /* a segment of theirs */
#define CLIENTS_PER_STEP 4u /* new connections; each sends SYN, ACK and RST */
#define FLOOD_PER_STEP (10 * CLIENTS_PER_STEP)
#define FULL_FLOOD_PER_STEP (4 * CAPACITY)
#define CLIENTS (CLIENTS_PER_STEP * STEPS)
#define RETRY_STEPS 1000u
#define OFFERED_MAX 4096u

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10 };

struct client {
  uint32_t isn, server_iss, started; /* the step of its last SYN */
  enum { FRESH, ASKED, ANSWERED, CONNECTED } state;
};

struct flood {
  struct bench bench;
  struct test_random random;
  struct bench_segment offered[OFFERED_MAX];
  uint32_t offered_count, step;
  struct client clients[CLIENTS];
  uint32_t started, connected; /* clients */
  uint32_t server_next[ESTABLISHED], next[ESTABLISHED], acknowledged[ESTABLISHED], before[ESTABLISHED];
  uint64_t offered_bytes;
};

static struct flood *flood;

static uint16_t established_port(uint32_t i) { return (uint16_t)(1000 + i); }
static uint16_t client_port(uint32_t i) { return (uint16_t)(2000 + i); }

static void *opened(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns) {
  (void)local_port;
  (void)now_ns;
  (void)context;
  const uint32_t port = stream_peer_port(stream);
  if (port >= client_port(0) && port < client_port(0) + CLIENTS) {
    struct client *client = &flood->clients[port - client_port(0)];
    flood->connected += client->state != CONNECTED;
    client->state = CONNECTED;
  }
  return flood;
}
static uint32_t received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  (void)state;
  (void)bytes;
  (void)now_ns;
  return length;
}
static void event(void *state, uint64_t now_ns) {
  (void)state;
  (void)now_ns;
}
static void closed(void *state, enum stream_end end, uint64_t now_ns) {
  (void)state;
  (void)end;
  (void)now_ns;
}

static void frame_out(struct bench *bench, const uint8_t *bytes, uint32_t length) {
  struct bench_segment segment;
  assert_true(bench_parse(bench, bytes, length, &segment));
  const uint32_t established = segment.peer_port - established_port(0), client = segment.peer_port - client_port(0);
  if (established < ESTABLISHED) {
    if (segment.flags == (SYN | ACK)) flood->server_next[established] = segment.seq + 1;
    flood->acknowledged[established] = segment.ack;
  } else if (client < CLIENTS && segment.flags == (SYN | ACK) && flood->clients[client].state == ASKED) {
    flood->clients[client].server_iss = segment.seq;
    flood->clients[client].state = ANSWERED;
  }
}

static void offer(const struct bench_segment *segment) {
  assert_true(flood->offered_count < OFFERED_MAX);
  flood->offered[flood->offered_count++] = *segment;
}

/* Three segments a step each. A connection that got nowhere for 20 steps begins again where it was acknowledged. */
static void offer_established(void) {
  for (uint32_t i = 0; flood->step % 20 == 0 && i < ESTABLISHED; i++) {
    if (flood->acknowledged[i] == flood->before[i]) flood->next[i] = flood->acknowledged[i];
    flood->before[i] = flood->acknowledged[i];
  }
  for (uint32_t n = 0; n < CAPACITY * 30 / 100; n++) {
    const uint32_t i = n % ESTABLISHED;
    const struct bench_segment segment = {.peer_port = established_port(i),
                                          .seq = flood->next[i],
                                          .ack = flood->server_next[i],
                                          .flags = ACK,
                                          .window = 65535,
                                          .payload_bytes = BYTES};
    flood->offered_bytes += BYTES;
    if (flood->next[i] - flood->acknowledged[i] > 60000) continue;
    flood->next[i] += BYTES;
    offer(&segment);
  }
}

static void offer_clients(void) {
  for (uint32_t n = 0; n < CLIENTS_PER_STEP && flood->started < CLIENTS; n++) {
    flood->clients[flood->started] = (struct client){.isn = (uint32_t)random_next(&flood->random)};
    flood->started++;
  }
  for (uint32_t i = 0; i < flood->started; i++) {
    struct client *client = &flood->clients[i];
    struct bench_segment segment = {.peer_port = client_port(i), .seq = client->isn, .flags = SYN, .window = 65535};
    const bool again = client->state == ASKED && flood->step - client->started >= RETRY_STEPS;
    if (client->state == FRESH || again) {
      client->state = ASKED;
      client->started = flood->step;
      offer(&segment);
    } else if (client->state == ANSWERED) {
      /* It goes on with a byte until it is connected: a request. */
      segment.seq++;
      segment.ack = client->server_iss + 1;
      segment.flags = ACK;
      segment.payload_bytes = 1;
      if ((flood->step - client->started) % 200 == 1) offer(&segment);
    }
  }
}

static void offer_strangers(uint32_t count) {
  for (uint32_t n = 0; n < count; n++) {
    const struct bench_segment segment = {.peer_port = (uint16_t)(20000 + random_below(&flood->random, 40000)),
                                          .seq = (uint32_t)random_next(&flood->random),
                                          .flags = SYN,
                                          .window = 65535};
    offer(&segment);
  }
}

/* In random order, as much as the port takes. */
static void offered_in(void) {
  for (uint32_t i = 0; i < flood->offered_count; i++) {
    const uint32_t other = i + random_below(&flood->random, flood->offered_count - i);
    const struct bench_segment segment = flood->offered[other];
    flood->offered[other] = flood->offered[i];
    if (i < CAPACITY) bench_segment_in(&flood->bench, &segment);
  }
  flood->offered_count = 0;
}

static void flood_start(void) {
  struct network_config config;
  flood = calloc(1, sizeof *flood);
  flood->random = (struct test_random){21};
  bench_default_config(&config);
  config.connections_max = 256 + CLIENTS;
  config.half_open_max = 128;
  config.idle_timeout_ns = 0;
  assert_true(bench_start(&flood->bench, &config));
  flood->bench.on_frame = frame_out;
  flood->bench.handler = (struct stream_handler){
      .opened = opened, .received = received, .peer_finished = event, .writable = event, .closed = closed};
  for (uint32_t i = 0; i < ESTABLISHED; i++) {
    struct bench_segment segment = {.peer_port = established_port(i), .seq = 7, .flags = SYN, .window = 65535};
    bench_segment_in(&flood->bench, &segment);
    flood->next[i] = segment.seq = 8;
    segment.ack = flood->server_next[i];
    segment.flags = ACK;
    bench_segment_in(&flood->bench, &segment);
  }
  assert_int_equal(network_counters(flood->bench.network)->tcp_established, ESTABLISHED);
}

static void flood_stop(void) {
  bench_stop(&flood->bench);
  free(flood);
}

/* Of the bytes that established connections had to send, those that were acknowledged. */
static uint64_t acknowledged_bytes(void) {
  uint64_t acknowledged = 0;
  for (uint32_t i = 0; i < ESTABLISHED; i++) acknowledged += flood->acknowledged[i] - 8;
  return acknowledged;
}

static void run(uint32_t strangers, uint32_t steps) {
  const struct network_counters *counters = network_counters(flood->bench.network);
  for (uint32_t end = flood->step + steps; flood->step < end; flood->step++) {
    offer_established();
    offer_clients();
    offer_strangers(strangers);
    offered_in();
    bench_pass(&flood->bench, 1000000);
    assert_true(counters->tcp_half_open <= flood->bench.config.half_open_max);
    assert_true(counters->tcp_connections <= ESTABLISHED + flood->connected + flood->bench.config.half_open_max);
    assert_true(bench_conserved(&flood->bench));
  }
}

/* Ten SYNs of strangers for each new client, within what the port takes. */
static void a_flood_keeps_nobody_out(void **state) {
  (void)state;
  flood_start();
  run(FLOOD_PER_STEP, STEPS);
  const struct network_counters *counters = network_counters(flood->bench.network);
  assert_int_equal(flood->started, CLIENTS);
  run(0, 2 * RETRY_STEPS / 10);
  assert_true(flood->connected * 100 >= CLIENTS * 95);
  assert_true(acknowledged_bytes() * 100 >= flood->offered_bytes * 90);
  /* Nearly all of it met the bound and was answered from nothing. */
  assert_true(counters->tcp_cookies_sent > (uint64_t)FLOOD_PER_STEP * STEPS * 9 / 10);
  assert_true(counters->tcp_cookies_accepted > CLIENTS * 9 / 10);
  assert_int_equal(counters->tcp_cookies_rejected, 0);
  flood_stop();
}

/* Four times what the port takes: most of everything is lost before it is seen. Memory stays, and within a second of its end all
 * is as before. */
static void a_flood_beyond_the_port_ends_without_a_trace(void **state) {
  (void)state;
  flood_start();
  run(FULL_FLOOD_PER_STEP, STEPS / 4);
  /* A second after it. */
  run(0, RETRY_STEPS);
  const uint32_t started = flood->started, connected = flood->connected;
  const uint64_t offered = flood->offered_bytes, acknowledged = acknowledged_bytes();
  run(0, 500);
  assert_true((flood->connected - connected) * 100 >= (flood->started - started) * 95);
  assert_true((acknowledged_bytes() - acknowledged) * 100 >= (flood->offered_bytes - offered) * 90);
  flood_stop();
}

/* A SYN above the bound; returns the cookie. */
static uint32_t cookie_of(struct bench *bench, uint16_t port) {
  const struct bench_segment syn = {.peer_port = port, .seq = 100, .flags = SYN, .window = 65535};
  struct bench_segment answer;
  bench->seen = bench->sent;
  bench_segment_in(bench, &syn);
  assert_true(bench_next_segment(bench, &answer));
  assert_int_equal(answer.flags, SYN | ACK);
  return answer.seq;
}

static bool proves(struct bench *bench, uint16_t port, uint32_t cookie) {
  const struct bench_segment ack = {.peer_port = port, .seq = 101, .ack = cookie + 1, .flags = ACK, .window = 65535};
  const uint32_t opened = bench->opened;
  bench_segment_in(bench, &ack);
  return bench->opened > opened;
}

static void bound_of_one(struct bench *bench) {
  struct network_config config;
  bench_default_config(&config);
  config.half_open_max = 1;
  assert_true(bench_start(bench, &config));
}

static void a_cookie_has_its_time(void **state) {
  (void)state;
  static struct bench bench;
  bound_of_one(&bench);
  cookie_of(&bench, 1000); /* half open */
  const uint32_t cookie = cookie_of(&bench, 1001);
  bench_pass(&bench, 70ull * 1000000000);
  /* The first has given up; cookies are sent again, so that ACKs are looked at. */
  cookie_of(&bench, 1002);
  const uint32_t fresh = cookie_of(&bench, 1003);
  assert_int_equal(network_counters(bench.network)->tcp_cookies_sent, 2);
  assert_false(proves(&bench, 1001, cookie));
  assert_true(proves(&bench, 1003, fresh));
  assert_int_equal(network_counters(bench.network)->tcp_cookies_rejected, 1);
  bench_stop(&bench);
}

/* Each of the 29 hashed bits counts, and so does the secret. */
static void guesses_prove_nothing(void **state) {
  (void)state;
  static struct bench bench;
  struct test_random random = {22};
  bound_of_one(&bench);
  cookie_of(&bench, 1000);
  const uint32_t cookie = cookie_of(&bench, 1001);
  for (uint32_t bit = 0; bit < 32; bit++) assert_false(proves(&bench, 1001, cookie ^ 1u << bit));
  for (uint32_t i = 0; i < 200000; i++) assert_false(proves(&bench, 1001, (uint32_t)random_next(&random)));
  assert_true(proves(&bench, 1001, cookie));
  assert_true(bench_conserved(&bench));
  bench_stop(&bench);
}

static void cookies_differ_by_connection_and_secret(void **state) {
  (void)state;
  static struct bench bench;
  bound_of_one(&bench);
  cookie_of(&bench, 1000);
  const uint32_t first = cookie_of(&bench, 1001), second = cookie_of(&bench, 1002);
  assert_true(first != second);
  bench_stop(&bench);
  struct network_config config;
  bench_default_config(&config);
  config.half_open_max = 1;
  config.isn_key.k1++;
  assert_true(bench_start(&bench, &config));
  cookie_of(&bench, 1000);
  assert_true(cookie_of(&bench, 1001) != first);
  bench_stop(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_flood_keeps_nobody_out),
      cmocka_unit_test(a_flood_beyond_the_port_ends_without_a_trace),
      cmocka_unit_test(a_cookie_has_its_time),
      cmocka_unit_test(guesses_prove_nothing),
      cmocka_unit_test(cookies_differ_by_connection_and_secret),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
