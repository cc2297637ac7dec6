/* The appliance with its threads, for the thread sanitizer: shards under load over wires of their own, with trace digests and
 * webhook ids crossing between them, the journal on io_uring, and control that publishes rules and frees the ones before. Every
 * answer must be 200 and every violation there once. */
#include "always_assert.h"
#include "client_tcp.h"
#include "journal_io_uring_internal.h"
#include "ledger.h"
#include "request_maker.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHARDS 3
#define REQUESTS 120
#define TRACE_IDLE_NS 3600000000000ull /* no verdict depends on how the scheduler treats us: the clock leaps when all is sent */
#define GIVE_UP_NS 240000000000ull
/* Threads that only yield can keep the kernel's workers, which write the journal, from a core for seconds. */
#define YIELDS_MOST 64u
#define IDLE_SLEEP_US 50u

struct threads {
  struct simulated_appliance appliance;
  struct traffic_plan plan;
  struct ledger ledger; /* only control writes it, before and after the run */
  uint32_t entries[REQUESTS * SHARDS], always[REQUESTS], never[REQUESTS];
  uint64_t started_ns;
  _Atomic uint64_t leap_ns;
  atomic_uint serving;
  atomic_bool stop, stop_journal;
};

struct shard_seat {
  struct threads *threads;
  uint16_t shard;
  struct client_tcp tcp;
  struct test_random random;
  uint32_t at;
  bool written;
};

static uint64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t clock_ns(struct threads *threads) { return monotonic_ns() + atomic_load(&threads->leap_ns); }

/* Request i of each shard: signed webhooks whose ids other shards own, spans of traces that the shards have in common. */
static void make_plan(struct threads *threads) {
  struct traffic_plan *plan = &threads->plan;
  plan->requests = REQUESTS * SHARDS;
  plan->clients = SHARDS;
  for (uint32_t i = 0; i < plan->requests; i++) {
    plan->request[i] = (struct plan_request){.kind = i / SHARDS % 2 ? REQUEST_SPANS_PROTOBUF : REQUEST_SIGNED,
                                             .client = (uint16_t)(i % SHARDS),
                                             .events = 1,
                                             .faulty = 1};
    threads->entries[i] = ledger_add(&threads->ledger, i / SHARDS % 2 ? RULE_SPAN : RULE_ORDER, i, true);
    ledger_sent(&threads->ledger, threads->entries[i]);
  }
  /* The charge comes by one shard; in every second trace a fraud check by the next. */
  for (uint32_t row = 1; row < REQUESTS; row += 2) {
    const uint16_t trace = (uint16_t)plan->traces++;
    const bool checked = trace % 2;
    plan->part[plan->parts++] =
        (struct plan_part){.trace = trace, .request = (uint16_t)(row * SHARDS + trace % SHARDS), .role = ROLE_CHARGE};
    plan->part[plan->parts++] = (struct plan_part){.trace = trace,
                                                   .request = (uint16_t)(row * SHARDS + (trace + 1u) % SHARDS),
                                                   .role = checked ? ROLE_FRAUD_CHECK : ROLE_FORBIDDEN};
    threads->always[trace] = ledger_add(&threads->ledger, RULE_ALWAYS, 0, !checked);
    threads->never[trace] = ledger_add(&threads->ledger, RULE_NEVER, 0, !checked);
    ledger_sent(&threads->ledger, threads->always[trace]);
    ledger_sent(&threads->ledger, threads->never[trace]);
  }
}

static void write_request(struct shard_seat *seat, uint64_t now_ns) {
  struct threads *threads = seat->threads;
  struct model_bytes body = {0}, bytes = {0};
  const struct request_entries entries = {&threads->entries[seat->at], threads->always, threads->never};
  request_make_body(&threads->plan, seat->at, &entries, &seat->random, &body);
  request_make(&threads->plan, seat->at, &body, appliance_wall_ns(&threads->appliance, now_ns), &seat->random, &bytes);
  client_tcp_write(&seat->tcp, bytes.at, bytes.length);
  model_free(&body);
  model_free(&bytes);
  seat->written = true;
}

/* The final answer is in when a head that is not 100's has come with its body. */
static bool answered(const struct shard_seat *seat) {
  const char *at = (const char *)seat->tcp.in;
  size_t left = seat->tcp.in_bytes;
  for (const char *end; left && (end = memmem(at, left, "\r\n\r\n", 4));) {
    if (memcmp(at, "HTTP/1.1 100", 12) != 0) {
      if (memcmp(at, "HTTP/1.1 200", 12) != 0) fprintf(stderr, "request %u was answered %.12s\n", seat->at, at);
      ALWAYS_ASSERT(memcmp(at, "HTTP/1.1 200", 12) == 0);
      return true;
    }
    left -= (size_t)(end + 4 - at);
    at = end + 4;
  }
  return false;
}

/* A connection for each request: some thousand handshakes are part of the load. */
static bool serve_client(struct shard_seat *seat, uint64_t now_ns) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  struct client_tcp *tcp = &seat->tcp;
  if (seat->at >= REQUESTS * SHARDS) return false;
  for (uint32_t length; (length = sim_wire_peer_receive(tcp->wire, 0, frame, sizeof frame));)
    client_tcp_frame(tcp, frame, length, now_ns);
  if (tcp->state == CLIENT_TCP_IDLE) {
    const bool spans = seat->threads->plan.request[seat->at].kind == REQUEST_SPANS_PROTOBUF;
    client_tcp_start(tcp, spans ? APPLIANCE_OTLP_PORT : APPLIANCE_WEBHOOK_PORT, &seat->random, now_ns);
    seat->written = false;
  }
  ALWAYS_ASSERT(tcp->state == CLIENT_TCP_OPENING || tcp->state == CLIENT_TCP_OPEN);
  if (tcp->state == CLIENT_TCP_OPEN && !seat->written) write_request(seat, now_ns);
  if (seat->written && answered(seat)) {
    client_tcp_abort(tcp);
    seat->at += SHARDS;
    if (seat->at >= REQUESTS * SHARDS) atomic_fetch_sub(&seat->threads->serving, 1);
  }
  client_tcp_step(tcp, now_ns);
  return true;
}

static void *shard_thread(void *context) {
  struct shard_seat *seat = context;
  struct threads *threads = seat->threads;
  for (uint32_t idle = 0; !atomic_load(&threads->stop);) {
    const uint64_t now_ns = clock_ns(threads);
    sim_wire_advance(threads->appliance.wires[seat->shard], now_ns);
    const bool busy = shard_step(threads->appliance.shards[seat->shard], now_ns, appliance_wall_ns(&threads->appliance, now_ns));
    serve_client(seat, now_ns);
    idle = busy ? 0 : idle + 1;
    if (idle > YIELDS_MOST)
      usleep(IDLE_SLEEP_US);
    else if (idle > 0)
      sched_yield();
  }
  return NULL;
}

static void *journal_thread(void *context) {
  struct threads *threads = context;
  while (!atomic_load(&threads->stop_journal)) {
    const uint64_t now_ns = clock_ns(threads);
    const int result = journal_step(threads->appliance.journal, now_ns, appliance_wall_ns(&threads->appliance, now_ns), 200000);
    ALWAYS_ASSERT(result >= 0);
  }
  ALWAYS_ASSERT(journal_drain(threads->appliance.journal, monotonic_ns(), 0) == 0);
  ALWAYS_ASSERT(journal_rest(threads->appliance.journal) == 0);
  return NULL;
}

/* Every digest came to its owner, and every trace had its verdict. */
static bool settled(const struct threads *threads) {
  uint64_t on_their_way = 0, live = 0;
  for (uint16_t i = 0; i < SHARDS; i++) {
    const struct engine_counters *engine = &threads->appliance.snapshots[i].engine;
    on_their_way += engine->digests_sent - engine->digests_applied;
    live += engine->traces_live;
  }
  return on_their_way == 0 && live == 0;
}

/* Control: rules and snapshots while the shards run, the index as the durable mark moves. Returns generations published. */
static uint64_t govern(struct threads *threads) {
  struct simulated_appliance *appliance = &threads->appliance;
  uint32_t settled_looks = 0;
  for (;;) {
    struct shard_snapshot snapshot;
    const uint64_t now_ns = monotonic_ns();
    ALWAYS_ASSERT(now_ns - threads->started_ns < GIVE_UP_NS);
    appliance_retire_rules(appliance);
    appliance_swap_rules(appliance);
    for (uint16_t i = 0; i < SHARDS; i++) {
      if (shard_snapshot_read(appliance->shards[i], &snapshot)) appliance->snapshots[i] = snapshot;
      shard_snapshot_request(appliance->shards[i]);
    }
    ALWAYS_ASSERT(violation_store_catch_up(appliance->violations, journal_durable_lsn(appliance->journal)) == 0);
    if (atomic_load(&threads->serving) == 0) atomic_store(&threads->leap_ns, 2 * TRACE_IDLE_NS);
    settled_looks = atomic_load(&threads->leap_ns) && settled(threads) ? settled_looks + 1 : 0;
    /* The shards' counters are as old as their last answers. */
    if (settled_looks > 1000) return appliance->generation;
    usleep(500);
  }
}

static void check_outcome(struct threads *threads) {
  struct simulated_appliance *appliance = &threads->appliance;
  for (const struct record_header *record; (record = appliance_read(appliance));) ledger_read(&threads->ledger, record);
  for (uint32_t i = 0; i < threads->ledger.count; i++)
    if (threads->ledger.entries[i].faulty) ledger_answered(&threads->ledger, i, LEDGER_DURABLE);
  uint64_t evaluated = 0, rejected = 0;
  for (uint16_t i = 0; i < SHARDS; i++) {
    evaluated += appliance->snapshots[i].shard.spans_evaluated;
    rejected += appliance->snapshots[i].shard.spans_decoded - appliance->snapshots[i].shard.spans_evaluated;
  }
  ALWAYS_ASSERT(evaluated == REQUESTS * SHARDS / 2 + threads->plan.parts && rejected == 0);
  ALWAYS_ASSERT(threads->ledger.webhook_records == REQUESTS * SHARDS / 2);
}

static void remove_directory(const char *path) {
  DIR *listing = opendir(path);
  for (struct dirent *entry; (entry = readdir(listing));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(listing), entry->d_name, 0);
  closedir(listing);
  rmdir(path);
}

static void start_appliance(struct threads *threads, struct journal_io *io) {
  struct appliance_options options = {.shards = SHARDS,
                                      .wire_each = true,
                                      .disk = io,
                                      .spans_durable = true,
                                      .record_ring_bytes = 1u << 20,
                                      .connections_max = 64,
                                      .receive_pool_bytes = 1u << 20,
                                      .send_pool_bytes = 1u << 20,
                                      .body_buffers = 16,
                                      .trace_idle_ns = TRACE_IDLE_NS,
                                      .traces_max = 4096,
                                      .replay_capacity = 4096,
                                      .rules = simulation_rules};
  options.wire = (struct sim_wire_config){.peers = 1,
                                          .mtu = 1500,
                                          .frames = 1024,
                                          .queue_depth = 256,
                                          .mac = {0x02, 0, 0, 0, 0, 2},
                                          .peer_macs = {{0x02, 0, 0, 0, 1, 0}},
                                          .impairment = {{.delay_ns = 1000}, {.delay_ns = 1000}}};
  request_maker_sources(&options);
  appliance_init(&threads->appliance, &options, 42);
  threads->started_ns = monotonic_ns();
  appliance_boot(&threads->appliance, threads->started_ns);
}

static void run(struct threads *threads, struct shard_seat seats[SHARDS]) {
  pthread_t shards[SHARDS], journal;
  atomic_store(&threads->serving, SHARDS);
  ALWAYS_ASSERT(pthread_create(&journal, NULL, journal_thread, threads) == 0);
  for (uint16_t i = 0; i < SHARDS; i++) {
    seats[i] = (struct shard_seat){.threads = threads, .shard = i, .random = {i + 1u}, .at = i};
    seats[i].tcp.wire = threads->appliance.wires[i];
    seats[i].tcp.ends = (struct segment_ends){.client_mac = {0x02, 0, 0, 0, 1, 0},
                                              .server_mac = {0x02, 0, 0, 0, 0, 2},
                                              .client_ipv4 = 0x0a560064u + i,
                                              .server_ipv4 = APPLIANCE_IPV4};
    ALWAYS_ASSERT(pthread_create(&shards[i], NULL, shard_thread, &seats[i]) == 0);
  }
  const uint64_t generations = govern(threads);
  atomic_store(&threads->stop, true);
  for (uint16_t i = 0; i < SHARDS; i++) pthread_join(shards[i], NULL);
  atomic_store(&threads->stop_journal, true);
  pthread_join(journal, NULL);
  printf("%u requests on %u shards, %llu generations of rules\n", REQUESTS * SHARDS, SHARDS, (unsigned long long)generations);
  ALWAYS_ASSERT(generations > 10);
}

int main(void) {
  char directory[] = "threads-XXXXXX";
  const char *why = "";
  int error = 0;
  struct threads *threads = calloc(1, sizeof *threads);
  struct shard_seat seats[SHARDS];
  ALWAYS_ASSERT(threads && mkdtemp(directory));
  struct journal_io *io = journal_io_uring_create(directory, &error, &why);
  if (!io) {
    printf("io_uring is not permitted here (%s): skipped\n", why);
    return 77;
  }
  make_plan(threads);
  start_appliance(threads, io);
  run(threads, seats);
  check_outcome(threads);
  appliance_stop(&threads->appliance, false);
  appliance_free(&threads->appliance);
  for (uint16_t i = 0; i < SHARDS; i++) client_tcp_free(&seats[i].tcp);
  ledger_free(&threads->ledger);
  io->operations->destroy(io);
  free(threads);
  remove_directory(directory);
  return 0;
}
