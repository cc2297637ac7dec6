#include "simulated_appliance.h"
#include "always_assert.h"
#include "webhook_record.h"
#include <stdlib.h>
#include <string.h>

#define MESSAGE_RING_LINES 4096u
#define VERDICT_RING_LINES 256u
#define FRAME_RING_LINES 64u
#define PARKED_MAX 256u /* a verdict ring has a line for each */
#define WINDOW_KEYS 1024u
#define COLUMN_CAPACITY 64u
#define SEGMENT_BYTES (256u * 1024u)
#define BASE_WALL_NS 1700000000000000000ull

uint64_t appliance_wall_ns(const struct simulated_appliance *appliance, uint64_t now_ns) {
  return appliance->base_wall_ns + now_ns;
}

void appliance_init(struct simulated_appliance *appliance, const struct appliance_options *options, uint64_t seed) {
  struct rule_errors errors = {0};
  *appliance = (struct simulated_appliance){.options = *options, .random = {seed}, .base_wall_ns = BASE_WALL_NS};
  if (!appliance->options.parked_max) appliance->options.parked_max = PARKED_MAX;
  if (!appliance->options.message_ring_lines) appliance->options.message_ring_lines = MESSAGE_RING_LINES;
  ALWAYS_ASSERT(appliance->options.parked_max <= PARKED_MAX);
  const struct journal_sim_io_options disk = {
      .seed = random_next(&appliance->random), .latency_least_ns = 20000, .latency_most_ns = options->disk_latency_most_ns};
  appliance->disk = options->disk ? options->disk : journal_sim_io_create(&disk);
  appliance->set = rule_set_parse("simulation.yaml", options->rules, strlen(options->rules), &errors);
  if (!appliance->set) rule_errors_print(&errors, stderr);
  ALWAYS_ASSERT(appliance->disk && appliance->set);
}

const uint8_t appliance_ipv6[16] = {0xfd, 0x86, [15] = 2};

static struct rule_image *compile(struct simulated_appliance *appliance, const struct rule_image *previous) {
  struct rule_errors errors = {0};
  struct rule_image *image =
      rule_image_compile(appliance->set, ++appliance->generation, previous, appliance->options.shards, &errors);
  ALWAYS_ASSERT(image);
  return image;
}

static void make_rings(struct simulated_appliance *appliance) {
  struct arena *arena = heap_arena_arena(appliance->heap);
  for (uint32_t from = 0; from < appliance->options.shards; from++) {
    appliance->records[from] = record_ring_create(arena, appliance->options.record_ring_bytes);
    for (uint32_t to = 0; to < appliance->options.shards; to++) {
      appliance->messages[from][to] = line_ring_create(arena, appliance->options.message_ring_lines);
      appliance->verdicts[from][to] = from == to ? NULL : line_ring_create(arena, VERDICT_RING_LINES);
      appliance->frames[from][to] = from == to ? NULL : line_ring_create(arena, FRAME_RING_LINES);
    }
  }
}

/* What the daemon does with a recovered webhook: its id is remembered as long as it would have been. */
static void visit(void *context, uint64_t lsn, const struct record_header *header) {
  struct simulated_appliance *appliance = context;
  const struct webhook_record *record = (const struct webhook_record *)header;
  (void)lsn;
  if (header->type != RECORD_WEBHOOK || record->remember_until_ns == 0) return;
  if (appliance->restored_count == appliance->restored_room) {
    appliance->restored_room = 2 * appliance->restored_room + 64;
    appliance->restored = realloc(appliance->restored, appliance->restored_room * sizeof *appliance->restored);
    ALWAYS_ASSERT(appliance->restored);
  }
  struct shard_replay_entry *entry = &appliance->restored[appliance->restored_count++];
  *entry = (struct shard_replay_entry){.remember_until_ns = record->remember_until_ns, .answer = {.status = record->status}};
  memcpy(entry->key.bytes, record->id_key, sizeof entry->key.bytes);
  memcpy(entry->body_sha256, record->body_sha256, sizeof entry->body_sha256);
  memcpy(entry->answer.correlation_id, record->correlation_id, sizeof entry->answer.correlation_id);
}

static void open_journal(struct simulated_appliance *appliance, uint64_t now_ns) {
  int error = 0;
  struct journal_config config = {.io = appliance->disk,
                                  .node_id = {1, 2, 3},
                                  .salt = 42,
                                  .segment_bytes = SEGMENT_BYTES,
                                  .batch_bytes_max = JOURNAL_BATCH_BYTES_LEAST,
                                  .segments_ahead = 1,
                                  .ring_count = appliance->options.shards};
  memcpy(config.rings, appliance->records, sizeof appliance->records);
  if (!appliance->options.disk) journal_sim_io_set_time(appliance->disk, now_ns);
  appliance->violations = violation_store_create(appliance->disk, 65536);
  appliance->journal = journal_open(&config, visit, appliance, &appliance->recovery, &error);
  if (!appliance->journal) fprintf(stderr, "the journal does not open: %d %s\n", error, appliance->recovery.refusal);
  ALWAYS_ASSERT(appliance->violations && appliance->journal);
  appliance->reader = NULL;
  appliance->read_lsn = 0;
}

static struct siphash_key key(struct simulated_appliance *appliance) {
  struct siphash_key made;
  ALWAYS_ASSERT(sizeof made == 2 * sizeof(uint64_t));
  const uint64_t halves[2] = {random_next(&appliance->random), random_next(&appliance->random)};
  memcpy(&made, halves, sizeof made);
  return made;
}

static void fill_limits(const struct appliance_options *options, struct shard_config *config) {
  config->addresses[0] = ip_address_of_ipv4(APPLIANCE_IPV4);
  config->addresses[1] = ip_address_of_bytes(appliance_ipv6);
  config->address_count = 2;
  config->node = 7;
  config->network = (struct network_config){.connections_max = options->connections_max,
                                            .half_open_max = options->connections_max / 2,
                                            .receive_buffer_bytes = 65536,
                                            .receive_pool_bytes = options->receive_pool_bytes,
                                            .send_buffer_bytes = 65536,
                                            .send_pool_bytes = options->send_pool_bytes,
                                            .reassembly_max = 4,
                                            .idle_timeout_ns = 120000000000,
                                            .time_wait_ns = 1000000000};
  config->http = (struct http_config){.connections_max = options->connections_max,
                                      .body_pools = {{4096, options->body_buffers}, {262144, 4}},
                                      .http2 = {options->http2_connections, 4 * options->http2_connections},
                                      .header_timeout_ns = 10000000000,
                                      .body_timeout_ns = 20000000000,
                                      .keep_alive_timeout_ns = 30000000000};
  config->otlp.port = APPLIANCE_OTLP_PORT;
  config->otlp.acknowledge_durable = options->spans_durable;
  config->otlp.max_body_bytes = 262144;
  config->zipkin = config->otlp;
  config->zipkin.port = APPLIANCE_ZIPKIN_PORT;
  config->jaeger_port = APPLIANCE_JAEGER_PORT;
  config->webhooks.port = APPLIANCE_WEBHOOK_PORT;
  config->webhooks.sources = options->sources;
  config->webhooks.source_count = options->source_count;
  config->webhooks.replay_capacity = options->replay_capacity;
  config->webhooks.unit_bytes_max = journal_unit_bytes_max(JOURNAL_BATCH_BYTES_LEAST);
  config->parked_max = options->parked_max;
  config->recorder.events = options->recorder_off ? 0 : FLIGHT_EVENTS_MIN;
  config->recorder.sample_every = options->recorder_sample_every ? options->recorder_sample_every : 1;
  memcpy(config->address_limits, options->address_limits, sizeof options->address_limits);
  config->column_capacity = COLUMN_CAPACITY;
  config->traces_max = options->traces_max;
  config->captures_max = 2 * options->traces_max;
  config->trace_idle_ns = options->trace_idle_ns;
  config->window_keys_max = WINDOW_KEYS;
  config->window_blocks_max = 2 * WINDOW_KEYS;
}

static void make_shards(struct simulated_appliance *appliance, uint64_t now_ns) {
  const uint16_t shards = appliance->options.shards;
  struct shard_config common = {.shards = shards,
                                .publication = &appliance->publication,
                                .flow_key = key(appliance),
                                .isn_key = key(appliance),
                                .table_key = key(appliance),
                                .trace_key = key(appliance),
                                .replay_key = key(appliance)};
  fill_limits(&appliance->options, &common);
  for (uint16_t i = 0; i < shards; i++) {
    struct shard_config config = common;
    config.shard = i;
    config.port_first_shard = appliance->options.wire_each ? i : 0;
    config.port_shards = appliance->options.wire_each ? 1 : shards;
    sim_wire_information(appliance->wires[i], &config.port);
    config.queue = sim_wire_queue(appliance->wires[i], appliance->options.wire_each ? 0 : i);
    config.uuid_key = key(appliance);
    config.records = appliance->records[i];
    for (uint16_t other = 0; other < shards; other++) {
      config.messages_to[other] = appliance->messages[i][other];
      config.messages_from[other] = appliance->messages[other][i];
      config.verdicts_to[other] = appliance->verdicts[i][other];
      config.verdicts_from[other] = appliance->verdicts[other][i];
      config.frames_to[other] = appliance->frames[i][other];
      config.frames_from[other] = appliance->frames[other][i];
    }
    appliance->shards[i] = shard_create(heap_arena_arena(appliance->heap), &config, now_ns);
    ALWAYS_ASSERT(appliance->shards[i]);
    appliance->stalled_until_ns[i] = 0;
  }
  for (uint32_t i = 0; i < appliance->restored_count; i++) {
    const uint16_t owner = shard_of_replay_key(&common.replay_key, &appliance->restored[i].key, shards);
    ALWAYS_ASSERT(shard_restore_replay(appliance->shards[owner], &appliance->restored[i]));
  }
}

static void make_wires(struct simulated_appliance *appliance, uint64_t now_ns) {
  struct sim_wire_config config = appliance->options.wire;
  config.queues = appliance->options.wire_each ? 1 : appliance->options.shards;
  for (uint16_t i = 0; i < appliance->options.shards; i++) {
    if (i > 0 && !appliance->options.wire_each) {
      appliance->wires[i] = appliance->wires[0];
      continue;
    }
    config.seed = random_next(&appliance->random);
    appliance->wires[i] = sim_wire_create(heap_arena_arena(appliance->heap), &config);
    ALWAYS_ASSERT(appliance->wires[i]);
    sim_wire_advance(appliance->wires[i], now_ns);
  }
}

void appliance_boot(struct simulated_appliance *appliance, uint64_t now_ns) {
  appliance->boots++;
  appliance->heap = heap_arena_create();
  appliance->restored_count = 0;
  memset(appliance->snapshots, 0, sizeof appliance->snapshots);
  make_rings(appliance);
  open_journal(appliance, now_ns);
  appliance->image = compile(appliance, NULL);
  atomic_store(&appliance->publication.image, appliance->image);
  make_wires(appliance, now_ns);
  make_shards(appliance, now_ns);
}

void appliance_swap_rules(struct simulated_appliance *appliance) {
  if (appliance->retiring) return;
  appliance->retiring = appliance->image;
  appliance->image = compile(appliance, appliance->retiring);
  atomic_store(&appliance->publication.image, appliance->image);
}

void appliance_retire_rules(struct simulated_appliance *appliance) {
  if (!appliance->retiring) return;
  for (uint16_t i = 0; i < appliance->options.shards; i++)
    if (shard_generation(appliance->shards[i]) < appliance->image->generation) return;
  rule_image_free(appliance->retiring);
  appliance->retiring = NULL;
}

static bool step_shard(struct simulated_appliance *appliance, uint16_t index, uint64_t now_ns) {
  struct shard *shard = appliance->shards[index];
  if (now_ns < appliance->stalled_until_ns[index]) return true;
  ALWAYS_ASSERT(shard_snapshot_request(shard));
  const bool busy = shard_step(shard, now_ns, appliance_wall_ns(appliance, now_ns));
  ALWAYS_ASSERT(shard_snapshot_read(shard, &appliance->snapshots[index]));
  return busy;
}

bool appliance_step_shards(struct simulated_appliance *appliance, uint64_t now_ns) {
  const uint16_t shards = appliance->options.shards;
  const uint32_t first = random_below(&appliance->random, shards);
  bool busy = false;
  sim_wire_advance(appliance->wires[0], now_ns);
  for (uint32_t i = 0; i < shards; i++) busy |= step_shard(appliance, (uint16_t)((first + i) % shards), now_ns);
  appliance_retire_rules(appliance);
  return busy;
}

bool appliance_step(struct simulated_appliance *appliance, uint64_t now_ns) {
  const bool busy = appliance_step_shards(appliance, now_ns);
  journal_sim_io_set_time(appliance->disk, now_ns);
  const int written = journal_step(appliance->journal, now_ns, appliance_wall_ns(appliance, now_ns), 0);
  ALWAYS_ASSERT(written >= 0);
  return busy || written > 0;
}

uint64_t appliance_next_ns(const struct simulated_appliance *appliance) {
  const uint64_t wire_ns = sim_wire_next_ns(appliance->wires[0]), disk_ns = journal_sim_io_next_due_ns(appliance->disk);
  return wire_ns < disk_ns ? wire_ns : disk_ns;
}

const struct record_header *appliance_read(struct simulated_appliance *appliance) {
  const struct record_header *record = NULL;
  const uint64_t durable_lsn = journal_durable_lsn(appliance->journal);
  int error = 0;
  if (appliance->read_lsn >= durable_lsn) return NULL;
  if (!appliance->reader) appliance->reader = journal_reader_open(appliance->disk, 1, &error);
  ALWAYS_ASSERT(appliance->reader);
  uint64_t lsn = 0;
  const enum journal_read outcome = journal_reader_next(appliance->reader, durable_lsn, &lsn, &record);
  ALWAYS_ASSERT(outcome == JOURNAL_READ_RECORD && lsn == appliance->read_lsn + 1);
  appliance->read_lsn = lsn;
  return record;
}

void appliance_request_drain(struct simulated_appliance *appliance) {
  for (uint16_t i = 0; i < appliance->options.shards; i++) shard_request_drain(appliance->shards[i]);
}

bool appliance_drained(const struct simulated_appliance *appliance) {
  for (uint16_t i = 0; i < appliance->options.shards; i++)
    if (!shard_drained(appliance->shards[i])) return false;
  return true;
}

uint64_t appliance_flush(struct simulated_appliance *appliance, uint64_t now_ns) {
  journal_sim_io_set_time(appliance->disk, now_ns);
  ALWAYS_ASSERT(journal_drain(appliance->journal, now_ns, appliance_wall_ns(appliance, now_ns)) == 0);
  const uint64_t then_ns = appliance->disk->operations->now(appliance->disk);
  return then_ns > now_ns ? then_ns : now_ns;
}

void appliance_stop(struct simulated_appliance *appliance, bool power_cut) {
  if (appliance->reader) journal_reader_close(appliance->reader);
  violation_store_destroy(appliance->violations);
  if (power_cut) journal_sim_io_crash(appliance->disk);
  journal_close(appliance->journal);
  for (uint16_t i = 0; i < appliance->options.shards; i++) shard_destroy(appliance->shards[i]);
  if (appliance->retiring) rule_image_free(appliance->retiring);
  rule_image_free(appliance->image);
  appliance->retiring = appliance->image = NULL;
  heap_arena_destroy(appliance->heap);
}

void appliance_free(struct simulated_appliance *appliance) {
  rule_set_free(appliance->set);
  if (!appliance->options.disk) appliance->disk->operations->destroy(appliance->disk);
  free(appliance->restored);
}
