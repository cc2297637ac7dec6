/* Ten thousand slow or silent clients of each kind beside a few good ones, on one shard, in virtual time. Whoever is slow has its
 * own bounded memory and no more: every good request is answered 200, and what was held is free when they have gone. usage:
 * test_slow_clients [NAME]: one kind alone. */
#include "client_crowd.h"
#include "cmocka_test.h"
#include "shard_rig.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define CROWD 2000u /* the sanitizers take ten times as long */
#else
#define CROWD 10000u
#endif
#define STEP_NS 50000ull
#define SECOND_NS 1000000000ull
#define STORM_NS (5 * SECOND_NS / 2)
#define FULL_NS (SECOND_NS * 9 / 10) /* a little later the first of them are slow, and make room */
#define TRICKLE_NS (SECOND_NS / 2)
#define GOOD_CLIENTS 6u
#define GOOD_HTTP2 4u /* on a connection that was there before */
#define GOOD_LARGE 5u /* its bodies need a buffer each: may be refused */
#define LATENCIES_MAX 65536u

#define TEXT(name) name, sizeof(name) - 1
#define SMALL_POST "POST /webhook/quick HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
#define UNKNOWN_PATH "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
#define FOUR(text) text text text text
#define SIXTEEN(text) FOUR(FOUR(text))

/* Client preface, an empty SETTINGS, and the acknowledgement of the server's. */
#define PREFACE                                                                                                                  \
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"                                                                           \
  "\0\0\0\4\1\0\0\0\0"
/* POST /v1/traces with content-type application/x-protobuf; flags: END_HEADERS 4, END_STREAM 1. */
#define HEADER_BLOCK                                                                                                             \
  "\x83\x86\x44\x0a/v1/traces\x41\x01x\x5f\x16"                                                                                  \
  "application/x-protobuf"
#define HEADERS(flags, stream) "\0\0\x29\1" flags "\0\0\0" stream HEADER_BLOCK
/* SETTINGS_INITIAL_WINDOW_SIZE 0: answers with a body have no room. */
#define NO_WINDOW                                                                                                                \
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0"                                                               \
  "\0\0\0\4\1\0\0\0\0"

static const struct crowd_script scripts[] = {
    {.name = "silent", .port = APPLIANCE_WEBHOOK_PORT, .reads = UINT16_MAX},
    {.name = "idle", .port = APPLIANCE_WEBHOOK_PORT, .first = TEXT(SMALL_POST), .reads = UINT16_MAX},
    {.name = "slow header",
     .port = APPLIANCE_WEBHOOK_PORT,
     .first = TEXT("POST /webhook/plain HTTP/1.1\r\nX-Slow: "),
     .drip = TEXT("a"),
     .every_ns = TRICKLE_NS,
     .reads = UINT16_MAX},
    {.name = "slow body",
     .port = APPLIANCE_WEBHOOK_PORT,
     .first = TEXT("POST /webhook/plain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4090\r\n\r\n"),
     .drip = TEXT(" "),
     .every_ns = TRICKLE_NS,
     .reads = UINT16_MAX},
    {.name = "slow chunks",
     .port = APPLIANCE_WEBHOOK_PORT,
     .first = TEXT("POST /webhook/plain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n"),
     .drip = TEXT("1\r\n \r\n"),
     .every_ns = TRICKLE_NS,
     .reads = UINT16_MAX},
    {.name = "slow read",
     .port = APPLIANCE_WEBHOOK_PORT,
     .first = TEXT(SIXTEEN(UNKNOWN_PATH) SIXTEEN(UNKNOWN_PATH)),
     .reads = 300},
    {.name = "http2 silent", .port = APPLIANCE_OTLP_PORT, .first = TEXT(PREFACE), .reads = UINT16_MAX},
    {.name = "http2 slow header",
     .port = APPLIANCE_OTLP_PORT,
     .first = TEXT(PREFACE "\0\0\1\1\0\0\0\0\1\x83"),
     .drip = NULL,
     .reads = UINT16_MAX},
    {.name = "http2 slow body",
     .port = APPLIANCE_OTLP_PORT,
     .first = TEXT(PREFACE HEADERS("\4", "\1") HEADERS("\4", "\3") HEADERS("\4", "\5") HEADERS("\4", "\7") HEADERS("\4", "\x9")
                       HEADERS("\4", "\xb") HEADERS("\4", "\xd") HEADERS("\4", "\xf")),
     .drip = TEXT("\0\0\1\0\0\0\0\0\1 "),
     .every_ns = TRICKLE_NS,
     .reads = UINT16_MAX},
    {.name = "http2 no window",
     .port = APPLIANCE_OTLP_PORT,
     .first = TEXT(NO_WINDOW HEADERS("\5", "\1") HEADERS("\5", "\3")),
     .reads = UINT16_MAX},
    {.name = "http2 slow read",
     .port = APPLIANCE_OTLP_PORT,
     .first = TEXT(PREFACE FOUR(HEADERS("\4", "\1")) HEADERS("\5", "\3")),
     .reads = 40},
};

/* A good client: one request after the other on one connection. */
struct good {
  uint64_t sent_ns;
  bool waiting;
  uint32_t answered, other;
};

static struct shard_rig rig;
static struct client_crowd crowd;
static struct good good[GOOD_CLIENTS];
static uint64_t latencies[LATENCIES_MAX];
static uint32_t latency_count;

static void crowd_beside(void *context, uint64_t now_ns) { crowd_step(context, now_ns); }

static void start(const struct crowd_script *script, uint32_t count, uint32_t connections_max) {
  rig_init(&rig, 1);
  rig.options.connections_max = connections_max;
  rig.options.receive_pool_bytes = 64u << 20;
  rig.options.send_pool_bytes = 32u << 20;
  rig.options.body_buffers = 4096;
  rig.options.http2_connections = 1024;
  rig.options.record_ring_bytes = 8u << 20;
  rig.options.wire.queue_depth = 8192;
  rig.options.wire.frames = 32768;
  rig_start(&rig);
  /* Nothing may be taken any more: memory is what it is. */
  heap_arena_limit(rig.appliance.heap, 0);
  crowd_init(&crowd, script, count, rig.appliance.wires[0], RIG_CLIENTS, rig.options.wire.peer_macs[RIG_CLIENTS],
             rig.options.wire.mac, APPLIANCE_IPV4);
  rig.beside = crowd_beside;
  rig.beside_context = &crowd;
  memset(good, 0, sizeof good);
  latency_count = 0;
}

static void stop(void) {
  const struct sim_wire_counters *wire = sim_wire_counters(rig.appliance.wires[0], SIM_TO_APPLIANCE);
  assert_int_equal(wire->missed + wire->no_buffer, 0);
  rig_stop(&rig);
  crowd_free(&crowd);
}

/* The status of the next HEADERS frame; 0: none yet. */
static unsigned http2_status(uint32_t client) {
  struct client_tcp *tcp = &rig.clients[client];
  while (tcp->in_bytes - rig.parsed[client] >= 9) {
    const uint8_t *frame = tcp->in + rig.parsed[client];
    const size_t length = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
    if (tcp->in_bytes - rig.parsed[client] < 9 + length) return 0;
    rig.parsed[client] += 9 + length;
    if (frame[3] == 1) return frame[9] == 0x88 ? 200 : 503; /* :status 200 of the static table */
  }
  return 0;
}

static void post_http2(uint32_t client) {
  struct client_tcp *tcp = &rig.clients[client];
  uint8_t request[] = HEADERS("\5", "\0");
  if (tcp->state == CLIENT_TCP_IDLE) {
    rig_connect(&rig, client, APPLIANCE_OTLP_PORT);
    client_tcp_write(tcp, PREFACE, sizeof PREFACE - 1);
  }
  const uint32_t stream = 2 * (good[client].answered + good[client].other) + 1;
  request[6] = (uint8_t)(stream >> 16);
  request[7] = (uint8_t)(stream >> 8);
  request[8] = (uint8_t)stream;
  client_tcp_write(tcp, request, sizeof request - 1);
}

static void post(uint32_t client) {
  static char large[4090];
  if (client == GOOD_HTTP2) {
    post_http2(client);
  } else if (client == GOOD_LARGE) {
    memset(large, ' ', sizeof large);
    memcpy(large, "{}", 2);
    rig_post(&rig, client, APPLIANCE_WEBHOOK_PORT,
             "POST /webhook/plain HTTP/1.1\r\nContent-Type: application/json\r\nX-Filler:", large, sizeof large);
  } else if (client % 2) {
    rig_post(&rig, client, APPLIANCE_OTLP_PORT, "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nX-Filler:", "{}",
             2);
  } else {
    rig_post_order(&rig, client, client ? "quick" : "plain", "e1", 5);
  }
}

static void good_client(uint32_t client) {
  struct good *self = &good[client];
  if (self->waiting) {
    const unsigned status = client == GOOD_HTTP2 ? http2_status(client) : rig_answer(&rig, client).status;
    if (!status) return;
    self->waiting = false;
    *(status == 200 || status == 202 ? &self->answered : &self->other) += 1;
    if (latency_count < LATENCIES_MAX) latencies[latency_count++] = rig.now_ns - self->sent_ns;
  }
  self->sent_ns = rig.now_ns;
  self->waiting = true;
  post(client);
}

static void pass(uint64_t ns) {
  for (const uint64_t until_ns = rig.now_ns + ns; rig.now_ns < until_ns;) {
    rig_step(&rig, STEP_NS);
    for (uint32_t client = 0; client < GOOD_CLIENTS; client++) good_client(client);
  }
}

static int by_value(const void *a, const void *b) {
  const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

static uint64_t percentile(uint32_t percent) {
  assert_true(latency_count > 100);
  qsort(latencies, latency_count, sizeof *latencies, by_value);
  return latencies[(uint64_t)latency_count * percent / 100];
}

static uint32_t answered(void) {
  uint32_t total = 0;
  for (uint32_t i = 0; i < GOOD_CLIENTS; i++) {
    if (i != GOOD_LARGE) assert_int_equal(good[i].other, 0);
    total += good[i].answered;
  }
  return total;
}

static void tell(const struct crowd_script *script, uint64_t p99_without, uint64_t p99_with, double seconds) {
  const struct shard_snapshot *now = &rig.appliance.snapshots[0];
  print_message("# %s: %u connected, %llu connects; good requests %u (large ones refused: %u), p99 %llu us, without %llu us of "
                "virtual time; ended:",
                script->name, crowd.connected, (unsigned long long)crowd.connects, answered(), good[GOOD_LARGE].other,
                (unsigned long long)(p99_with / 1000), (unsigned long long)(p99_without / 1000));
  for (unsigned what = 0; what < HTTP_SHEDS; what++)
    if (now->http.shed[what])
      print_message(" %llu %s", (unsigned long long)now->http.shed[what], http_shed_name((enum http_shed)what));
  print_message("; pressure:");
  for (unsigned r = 0; r < RESOURCES; r++)
    if (now->pressure[r].entered[PRESSURE_SOFT] + now->pressure[r].entered[PRESSURE_HARD])
      print_message(" %s %s", pressure_resource_name((enum pressure_resource)r), pressure_name(now->pressure[r].state));
  print_message("; %.1f s\n", seconds);
}

/* Whatever they held is free, and no state remembers them. */
static void expect_nothing_left(void) {
  const struct shard_snapshot *now = &rig.appliance.snapshots[0];
  for (unsigned r = 0; r < RESOURCES; r++)
    if (now->pressure[r].state != PRESSURE_NORMAL) fail_msg("%s is short", pressure_resource_name((enum pressure_resource)r));
  for (unsigned pool = 0; pool < HTTP_BODY_POOLS; pool++) assert_int_equal(now->pressure[RESOURCE_BODIES_1 + pool].used, 0);
  assert_int_equal(now->pressure[RESOURCE_SEND_BLOCKS].used, 0);
  assert_int_equal(now->pressure[RESOURCE_HTTP2_STREAMS].used, 0);
  assert_true(now->pressure[RESOURCE_CONNECTIONS].used <= RIG_CLIENTS);
}

static void good_clients_are_served_beside(void **state) {
  const struct crowd_script *script = *state;
  const clock_t begun = clock();
  start(script, CROWD, 16384);
  crowd.leaving = true; /* not there yet */
  crowd.open_at = CROWD;
  pass(SECOND_NS);
  const uint64_t without = percentile(99);
  latency_count = 0;
  crowd.leaving = false;
  crowd.open_at = 0;
  pass(STORM_NS);
  const uint64_t with = percentile(99);
  /* Those of HTTP/2 are limited; of the others some have just been thrown out. */
  const bool http2 = script->port == APPLIANCE_OTLP_PORT;
  if (!http2) assert_in_range(crowd.connected, CROWD / 4, CROWD);
  tell(script, without, with, (double)(clock() - begun) / CLOCKS_PER_SEC);
  for (uint32_t i = 0; i < GOOD_CLIENTS; i++) assert_true(good[i].answered > 1000);
  crowd_leave(&crowd, true);
  pass(SECOND_NS);
  /* The good ones rest as well, when the journal has caught up. */
  for (uint64_t until_ns = rig.now_ns + 20 * SECOND_NS; rig.now_ns < until_ns && rig.appliance.snapshots[0].http.in_progress;)
    rig_step(&rig, STEP_NS);
  rig_sleep(&rig, SECOND_NS / 100);
  expect_nothing_left();
  stop();
}

/* The port is full, and then nothing is heard of those who filled it, or a RST. New clients, whose first SYN may find no room,
 * are served within a second. */
static void a_full_port_recovers(void **state) {
  const bool resets = *state != NULL;
  const uint32_t connections_max = 2048;
  start(&scripts[2], 3000, connections_max);
  for (uint64_t until_ns = rig.now_ns + FULL_NS; rig.now_ns < until_ns;) rig_step(&rig, STEP_NS);
  const struct shard_snapshot *now = &rig.appliance.snapshots[0];
  assert_true(now->pressure[RESOURCE_CONNECTIONS].entered[PRESSURE_HARD] > 0);
  assert_int_equal(now->network.tcp_connections, connections_max);
  assert_true(now->network.tcp_refused_full > 0);
  crowd_leave(&crowd, resets);
  const uint64_t left_ns = rig.now_ns;
  uint32_t served = 0;
  while (served < RIG_CLIENTS && rig.now_ns - left_ns < 2 * SECOND_NS) {
    for (uint32_t client = 0; client < RIG_CLIENTS; client++) {
      struct client_tcp *tcp = &rig.clients[client];
      if (tcp->state == CLIENT_TCP_IDLE || tcp->state == CLIENT_TCP_RESET) {
        client_tcp_start(tcp, APPLIANCE_WEBHOOK_PORT, &rig.random, rig.now_ns);
        tcp->maximum_segment = 1460;
        tcp->own_window = 65535;
        rig.parsed[client] = 0;
      }
      if (tcp->state == CLIENT_TCP_OPEN && tcp->out_bytes == 0) client_tcp_write(tcp, SMALL_POST, sizeof SMALL_POST - 1);
      served += rig_answer(&rig, client).status == 202;
    }
    rig_step(&rig, STEP_NS);
  }
  assert_int_equal(served, RIG_CLIENTS);
  print_message("# a full port, %s: all new clients served after %llu ms\n", resets ? "reset" : "silent",
                (unsigned long long)((rig.now_ns - left_ns) / 1000000));
  assert_true(rig.now_ns - left_ns <= SECOND_NS + SECOND_NS / 100);
  stop();
}

int main(int argument_count, char **arguments) {
  enum { KINDS = sizeof scripts / sizeof *scripts };
  struct CMUnitTest tests[KINDS + 2];
  size_t count = 0;
  for (size_t i = 0; i < KINDS; i++) {
    if (argument_count > 1 && strcmp(arguments[1], scripts[i].name) != 0) continue;
    tests[count++] = (struct CMUnitTest){
        .name = scripts[i].name, .test_func = good_clients_are_served_beside, .initial_state = (void *)(uintptr_t)&scripts[i]};
  }
  if (argument_count == 1) {
    tests[count++] = (struct CMUnitTest){.name = "full port, silent", .test_func = a_full_port_recovers};
    tests[count++] = (struct CMUnitTest){
        .name = "full port, reset", .test_func = a_full_port_recovers, .initial_state = (void *)(uintptr_t)scripts};
  }
  return _cmocka_run_group_tests("slow clients", tests, count, NULL, NULL);
}
