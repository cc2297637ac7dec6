#pragma once
/* The whole appliance, by default in one thread: shards over the simulated wire, the rings between them, the journal on the
 * simulated disk and the index of violations, put together as the daemon does it. It can lose its power and start again: the disk
 * stays. */
#include "heap_arena.h"
#include "journal.h"
#include "journal_sim_io.h"
#include "rule_set.h"
#include "shard.h"
#include "sim_wire.h"
#include "test_random.h"
#include "violation_store.h"

#define APPLIANCE_SHARDS_MAX 4
#define APPLIANCE_SOURCES_MAX 4
#define APPLIANCE_IPV4 0x0a560002u /* 10.86.0.2 */
extern const uint8_t appliance_ipv6[16];
#define APPLIANCE_OTLP_PORT 4318
#define APPLIANCE_WEBHOOK_PORT 8080
#define APPLIANCE_ZIPKIN_PORT 9411
#define APPLIANCE_JAEGER_PORT 6831

struct appliance_options {
  uint16_t shards;
  struct sim_wire_config wire;
  bool wire_each;          /* a port and wire of its own for each shard, so that shards may be threads */
  struct journal_io *disk; /* NULL: a simulated one */
  bool spans_durable;
  uint32_t record_ring_bytes, connections_max, receive_pool_bytes, send_pool_bytes, body_buffers;
  uint64_t trace_idle_ns;
  uint32_t traces_max, replay_capacity;
  uint32_t parked_max; /* 0: 256 */
  bool recorder_off;
  uint32_t recorder_sample_every; /* 0: all */
  uint32_t message_ring_lines;    /* 0: 4096 */
  uint32_t http2_connections;     /* 0: HTTP/2 is not spoken */
  uint32_t address_limits[ADDRESS_QUOTAS];
  uint64_t disk_latency_most_ns;
  const char *rules;
  uint32_t source_count;
  struct webhook_source sources[APPLIANCE_SOURCES_MAX];
};

struct simulated_appliance {
  struct appliance_options options;
  struct test_random random;
  struct journal_io *disk;
  uint32_t boots;
  uint64_t base_wall_ns;
  struct rule_set *set;

  /* Of this life. */
  struct heap_arena *heap;
  struct sim_wire *wires[APPLIANCE_SHARDS_MAX]; /* without wire_each all the same */
  struct shard *shards[APPLIANCE_SHARDS_MAX];
  struct record_ring *records[APPLIANCE_SHARDS_MAX];
  struct line_ring *messages[APPLIANCE_SHARDS_MAX][APPLIANCE_SHARDS_MAX]; /* from, to */
  struct line_ring *verdicts[APPLIANCE_SHARDS_MAX][APPLIANCE_SHARDS_MAX];
  struct line_ring *frames[APPLIANCE_SHARDS_MAX][APPLIANCE_SHARDS_MAX];
  struct image_publication publication;
  struct rule_image *image, *retiring; /* `retiring` is freed when every shard has moved on */
  uint64_t generation;
  struct journal *journal;
  struct journal_recovery recovery;
  struct violation_store *violations;
  struct journal_reader *reader; /* from LSN 1, as far as is durable */
  uint64_t read_lsn;
  struct shard_replay_entry *restored;
  uint32_t restored_count, restored_room;
  struct shard_snapshot snapshots[APPLIANCE_SHARDS_MAX];
  uint64_t stalled_until_ns[APPLIANCE_SHARDS_MAX];
};

void appliance_init(struct simulated_appliance *appliance, const struct appliance_options *options, uint64_t seed);
void appliance_boot(struct simulated_appliance *appliance, uint64_t now_ns);
/* Each shard that is not stalled takes one step, in an order of chance, and the journal as well. Snapshots are then of this
 * moment. True when there was something to do. */
bool appliance_step(struct simulated_appliance *appliance, uint64_t now_ns);
/* The same without the journal, as when it is held up. */
bool appliance_step_shards(struct simulated_appliance *appliance, uint64_t now_ns);
/* When it wants a step even if no frame comes. */
uint64_t appliance_next_ns(const struct simulated_appliance *appliance);
/* The next durable record that was not read in this life, or NULL. */
const struct record_header *appliance_read(struct simulated_appliance *appliance);
/* Publishes the same rules as the next generation. */
void appliance_swap_rules(struct simulated_appliance *appliance);
/* Frees the image before when every shard has moved on. */
void appliance_retire_rules(struct simulated_appliance *appliance);
void appliance_request_drain(struct simulated_appliance *appliance);
bool appliance_drained(const struct simulated_appliance *appliance);
/* After the drain: the last records become durable. Returns the time it is then. The life is not over yet. */
uint64_t appliance_flush(struct simulated_appliance *appliance, uint64_t now_ns);
/* Ends the life: with `power_cut` as a disk sees it. */
void appliance_stop(struct simulated_appliance *appliance, bool power_cut);
void appliance_free(struct simulated_appliance *appliance);
uint64_t appliance_wall_ns(const struct simulated_appliance *appliance, uint64_t now_ns);
