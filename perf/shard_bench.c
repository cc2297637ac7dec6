#include "shard_bench.h"
#include "bench.h"
#include "heap_arena.h"
#include "journal.h"
#include "journal_io.h"
#include "load_request.h"
#include "load_tcp.h"
#include "memory_wire.h"
#include "rule_set.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS 8u
#define OUTSTANDING 8u /* requests */
#define FIRST_PORT 10000u
#define CLIENT_IPV4 0x0a560a01u
#define SERVER_IPV4 0x0a560002u
#define BURST 64u
#define RECORD_RING_BYTES (8u << 20)
#define SEGMENT_BYTES (64ull << 20)
#define BATCH_BYTES_MAX (1u << 20)
#define JOURNAL_WAIT_NS 200000u
#define SETTLE_MOST_NS 20000000000ull
#define WALL_START_NS 1767225600000000000ull

struct shard_bench {
  struct shard_bench_options options;
  struct heap_arena *heap;
  struct memory_wire *wire;
  struct record_ring *records;
  struct rule_set *set;
  struct rule_image *image;
  struct image_publication publication;
  struct shard *shard;
  uint64_t clock_ns, snapshot_at_ns, snapshots;

  struct load_request request;
  struct load_wire client;
  struct load_tcp tcps[CONNECTIONS];
  struct load_slot slots[OUTSTANDING];
  uint32_t free_slots[OUTSTANDING], free_count, turn;
  uint64_t posted, answered, violations;

  struct journal_io *io;
  struct journal *journal; /* NULL: there is none */
  pthread_t thread;
  atomic_bool stop;
  _Atomic enum shard_bench_records wanted, kept_by; /* kept_by: thread:rw */
  _Atomic uint64_t forgotten;                       /* thread:rw */
};

static uint64_t thread_clock(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t shard_bench_thread_ns(void) { return thread_clock(CLOCK_THREAD_CPUTIME_ID); }

static void open_journal(struct shard_bench *bench, journal_record_visitor *visit, void *context) {
  const char *why = "";
  int error = 0;
  struct journal_recovery recovery;
  bench->io = journal_io_uring_create(bench->options.directory, &error, &why);
  if (!bench->io) bench_fail(why);
  const struct journal_config config = {.io = bench->io,
                                        .salt = 1,
                                        .segment_bytes = SEGMENT_BYTES,
                                        .batch_bytes_max = BATCH_BYTES_MAX,
                                        .segments_ahead = 1,
                                        .hash_chain = true,
                                        .ring_count = 1,
                                        .rings = {bench->records}};
  bench->journal = journal_open(&config, visit, context, &recovery, &error);
  if (!bench->journal) bench_fail(recovery.refusal[0] ? recovery.refusal : strerror(-error));
}

static void close_journal(struct shard_bench *bench) {
  journal_close(bench->journal);
  bench->io->operations->destroy(bench->io);
}

static void forget_records(struct shard_bench *bench) {
  const struct timespec pause = {.tv_nsec = JOURNAL_WAIT_NS};
  uint32_t bytes;
  uint64_t count = 0;
  for (; record_ring_peek(bench->records, &bytes); count++) record_ring_advance(bench->records);
  record_ring_set_durable(bench->records, record_ring_read_position(bench->records));
  atomic_fetch_add_explicit(&bench->forgotten, count, memory_order_release);
  if (count == 0) nanosleep(&pause, NULL);
}

static void *keep_records(void *context) {
  struct shard_bench *bench = context;
  bench_pin(0);
  while (!atomic_load_explicit(&bench->stop, memory_order_relaxed)) {
    const enum shard_bench_records wanted = atomic_load(&bench->wanted);
    atomic_store(&bench->kept_by, wanted);
    if (wanted == SHARD_BENCH_JOURNAL)
      bench_check(journal_step(bench->journal, bench_now_ns(), WALL_START_NS, JOURNAL_WAIT_NS) >= 0, "the journal failed");
    else
      forget_records(bench);
  }
  return NULL;
}

static void compile(struct shard_bench *bench) {
  struct rule_errors errors = {0};
  bench->set = rule_set_parse("rules", bench->options.rules, bench->options.rules_bytes, &errors);
  bench->image = bench->set ? rule_image_compile(bench->set, 1, NULL, 1, &errors) : NULL;
  if (!bench->image) rule_errors_print(&errors, stderr);
  bench_check(bench->image != NULL, "the rules compile");
  atomic_store(&bench->publication.image, bench->image);
}

/* As the daemon fills it, with pools for few connections. */
static void fill(const struct shard_bench *bench, struct shard_config *config) {
  *config = (struct shard_config){
      .shards = 1,
      .publication = &bench->publication,
      .port_shards = 1,
      .queue = memory_wire_end(bench->wire, 0),
      .port = {.name = "memory",
               .mac = {0x02, 0, 0, 0, 0, 2},
               .mtu = MEMORY_WIRE_MTU,
               .queues = 1,
               .flow_steering = true,
               .frame_bytes = 2048},
      .address_count = 1,
      .addresses = {ip_address_of_ipv4(SERVER_IPV4)},
      .node = 1,
      .network = {.connections_max = 64,
                  .half_open_max = 32,
                  .receive_buffer_bytes = 262144,
                  .receive_pool_bytes = 8u << 20,
                  .send_buffer_bytes = 16384,
                  .send_pool_bytes = 4u << 20,
                  .idle_timeout_ns = 120000000000,
                  .time_wait_ns = 1000000000},
      .http = {.connections_max = 64,
               .body_pools = {{8192, 64}, {131072, 64}, {2u << 20, 2}},
               .header_timeout_ns = 10000000000,
               .body_timeout_ns = 60000000000,
               .keep_alive_timeout_ns = 75000000000},
      .otlp = {.port = 4318, .max_body_bytes = 1u << 20},
      .webhooks = {.port = 8080, .replay_capacity = 1024},
      .parked_max = 64,
      .column_capacity = 512,
      .traces_max = 1u << 17,
      .captures_max = 1u << 14,
      .spills_max = 1u << 14,
      .trace_idle_ns = 100000000, /* so that the live ones stay a cacheful */
      .trace_limits = {.max_age_ns = 60000000000, .max_spans = 10000},
      .window_keys_max = 64,
      .window_blocks_max = 128,
      .records = bench->records,
      .recorder = {.events = bench->options.recorder_events, .sample_every = bench->options.recorder_sample_every},
  };
  if (!bench->options.limits) return;
  config->address_limits[ADDRESS_CONNECTIONS] = config->address_limits[ADDRESS_REQUESTS] = 64;
  config->address_limits[ADDRESS_HALF_OPEN] = 32;
  config->address_limits[ADDRESS_BODY_BYTES] = 64u << 20;
  config->http.requests_max = 64;
}

static bool client_turn(struct shard_bench *bench, uint64_t post_until);
static bool shard_turn(struct shard_bench *bench, struct shard_bench_figures *figures);

static void connect_all(struct shard_bench *bench) {
  struct shard_bench_figures ignored = {0};
  uint32_t open = 0;
  for (uint32_t i = 0; i < CONNECTIONS; i++) {
    bench->tcps[i].ends = (struct segment_ends){.client_mac = {0x02, 0, 0, 0, 0, 1},
                                                .server_mac = {0x02, 0, 0, 0, 0, 2},
                                                .client_ipv4 = CLIENT_IPV4,
                                                .server_ipv4 = SERVER_IPV4,
                                                .client_port = (uint16_t)(FIRST_PORT + i),
                                                .server_port = bench->request.port};
    load_tcp_open(&bench->client, &bench->tcps[i], 1000 * i);
  }
  for (uint32_t turns = 0; open < CONNECTIONS; turns++) {
    bench_check(turns < 100000, "the connections do not open");
    bench->clock_ns += 10000;
    shard_turn(bench, &ignored);
    client_turn(bench, 0);
    while (open < CONNECTIONS && bench->tcps[open].state == LOAD_TCP_OPEN) open++;
  }
}

struct shard_bench *shard_bench_create(const struct shard_bench_options *options) {
  struct shard_bench *bench = calloc(1, sizeof *bench);
  struct shard_config config;
  bench_check(bench != NULL, "memory");
  bench->options = *options;
  bench->heap = heap_arena_create();
  struct arena *arena = heap_arena_arena(bench->heap);
  bench->wire = memory_wire_create();
  bench->records = record_ring_create(arena, RECORD_RING_BYTES);
  compile(bench);
  fill(bench, &config);
  config.messages_to[0] = config.messages_from[0] = line_ring_create(arena, 1u << 15);
  bench->clock_ns = 1000000000;
  bench->shard = shard_create(arena, &config, bench->clock_ns);
  bench_check(bench->shard != NULL, "the shard fits");
  if (options->directory) open_journal(bench, NULL, NULL);
  bench_check(options->records == SHARD_BENCH_NOWHERE || bench->journal, "a journal to keep the records");
  atomic_store(&bench->wanted, options->records);
  bench_check(pthread_create(&bench->thread, NULL, keep_records, bench) == 0, "a thread");
  load_request_make(&bench->request, LOAD_OTLP, 0);
  bench->request.violation_every = options->violation_every;
  for (uint32_t i = 0; i < OUTSTANDING; i++) {
    bench->slots[i].bytes = malloc(bench->request.length);
    bench->slots[i].length = bench->request.length;
    memcpy(bench->slots[i].bytes, bench->request.bytes, bench->request.length);
    bench->free_slots[bench->free_count++] = i;
  }
  bench->client = (struct load_wire){.queue = memory_wire_end(bench->wire, 1), .mtu = MEMORY_WIRE_MTU};
  connect_all(bench);
  return bench;
}

static void take_answers(struct shard_bench *bench, struct load_tcp *tcp, const struct driver_frame *frame) {
  for (struct load_slot *slot = load_tcp_receive(&bench->client, tcp, frame), *next; slot; slot = next) {
    next = slot->next;
    bench_check(slot->answer_status == 200, "a request was refused");
    bench->violations += load_request_violations(&bench->request, slot->number);
    bench->answered++;
    bench->free_slots[bench->free_count++] = (uint32_t)(slot - bench->slots);
  }
}

static void post(struct shard_bench *bench) {
  struct load_slot *slot = &bench->slots[bench->free_slots[--bench->free_count]];
  slot->number = bench->posted++;
  load_request_number(&bench->request, slot->number, slot->bytes);
  load_tcp_post(&bench->client, &bench->tcps[bench->turn], slot);
  bench->turn = (bench->turn + 1) % CONNECTIONS;
}

/* Answers in; then requests out, up to number `post_until`. */
static bool client_turn(struct shard_bench *bench, uint64_t post_until) {
  struct driver_queue *queue = bench->client.queue;
  struct driver_frame frames[BURST];
  bench->client.now_ns = bench->clock_ns;
  const uint32_t count = queue->operations->receive(queue, frames, BURST);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t port = (uint32_t)frames[i].bytes[36] << 8 | frames[i].bytes[37];
    if (port >= FIRST_PORT && port < FIRST_PORT + CONNECTIONS) take_answers(bench, &bench->tcps[port - FIRST_PORT], &frames[i]);
  }
  queue->operations->release(queue, frames, count);
  while (bench->posted < post_until && bench->free_count > 0) post(bench);
  for (uint32_t i = 0; i < CONNECTIONS; i++) load_tcp_step(&bench->client, &bench->tcps[i]);
  return count > 0;
}

static void read_metrics(struct shard_bench *bench) {
  static struct shard_snapshot snapshot;
  if (!bench->options.snapshot_ns) return;
  if (bench->clock_ns >= bench->snapshot_at_ns && shard_snapshot_request(bench->shard))
    bench->snapshot_at_ns = bench->clock_ns + bench->options.snapshot_ns;
  bench->snapshots += shard_snapshot_read(bench->shard, &snapshot);
}

/* As long as it has frames to take; the steps that find none belong to waiting. */
static bool shard_turn(struct shard_bench *bench, struct shard_bench_figures *figures) {
  bool busy = false;
  const uint64_t before_ns = shard_bench_thread_ns();
  while (memory_wire_waiting(bench->wire, 0)) {
    shard_step(bench->shard, bench->clock_ns, WALL_START_NS + bench->clock_ns);
    busy = true;
  }
  shard_step(bench->shard, bench->clock_ns, WALL_START_NS + bench->clock_ns);
  figures->shard_ns += shard_bench_thread_ns() - before_ns;
  return busy;
}

void shard_bench_run(struct shard_bench *bench, uint32_t requests, struct shard_bench_figures *figures) {
  const uint64_t end = bench->posted + requests, start_ns = bench_now_ns(), clock_ns = bench->clock_ns;
  uint32_t idle = 0;
  while (bench->answered < end) {
    bench->clock_ns = clock_ns + bench_now_ns() - start_ns;
    const bool client = client_turn(bench, end);
    read_metrics(bench);
    const bool busy = shard_turn(bench, figures);
    idle = busy || client ? 0 : idle + 1;
    bench_check(idle < 100000000, "the shard does not answer");
  }
  figures->wall_ns += bench_now_ns() - start_ns;
}

static uint64_t raised(struct shard_bench *bench, struct shard_snapshot *snapshot) {
  shard_snapshot_request(bench->shard);
  do shard_step(bench->shard, bench->clock_ns, WALL_START_NS + bench->clock_ns);
  while (!shard_snapshot_read(bench->shard, snapshot));
  return snapshot->engine.violations_emitted;
}

static uint64_t kept(struct shard_bench *bench) {
  const uint64_t durable = bench->journal ? journal_durable_lsn(bench->journal) : 0;
  return durable + atomic_load_explicit(&bench->forgotten, memory_order_acquire);
}

void shard_bench_change(struct shard_bench *bench, enum shard_bench_records records, uint32_t violation_every) {
  shard_bench_settle(bench);
  bench->request.violation_every = violation_every;
  atomic_store(&bench->wanted, records);
  while (atomic_load(&bench->kept_by) != records) bench_pause();
}

uint64_t shard_bench_settle(struct shard_bench *bench) {
  static struct shard_snapshot snapshot;
  const uint64_t start_ns = bench_now_ns(), wanted = raised(bench, &snapshot);
  while (kept(bench) < wanted) {
    bench_check(bench_now_ns() - start_ns < SETTLE_MOST_NS, "the journal does not keep up");
    bench_pause();
  }
  return bench_now_ns() - start_ns;
}

static void count_violations(void *context, uint64_t lsn, const struct record_header *record) {
  uint64_t *count = context;
  bench_check(record->type == RECORD_VIOLATION && lsn == *count + 1, "a wrong record was recovered");
  ++*count;
}

struct shard_bench_totals shard_bench_finish(struct shard_bench *bench) {
  static struct shard_snapshot snapshot;
  struct shard_bench_totals totals = {0};
  shard_bench_settle(bench);
  totals.violations = raised(bench, &snapshot);
  totals.spans = snapshot.shard.spans_evaluated;
  for (unsigned kind = 0; kind < FLIGHT_KINDS; kind++) totals.recorded += snapshot.flight.recorded[kind];
  bench_check(totals.spans == bench->answered * SHARD_BENCH_SPANS, "not every span was judged");
  bench_check(totals.violations == bench->violations, "not every violation was raised");
  bench_check(!bench->options.snapshot_ns || bench->snapshots > 0, "no metrics were read");
  atomic_store(&bench->stop, true);
  pthread_join(bench->thread, NULL);
  totals.forgotten = atomic_load(&bench->forgotten);
  if (bench->journal) {
    uint64_t count = 0;
    close_journal(bench);
    open_journal(bench, count_violations, &count);
    close_journal(bench);
    totals.durable = count;
  }
  bench_check(totals.durable + totals.forgotten == totals.violations, "violations that were raised are not in the journal");
  shard_destroy(bench->shard);
  rule_image_free(bench->image);
  rule_set_free(bench->set);
  load_request_free(&bench->request);
  for (uint32_t i = 0; i < OUTSTANDING; i++) free(bench->slots[i].bytes);
  memory_wire_free(bench->wire);
  heap_arena_destroy(bench->heap);
  free(bench);
  return totals;
}
