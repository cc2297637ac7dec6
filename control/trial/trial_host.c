#include "always_assert.h"
#include "trial_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Those of control/config/config_default.c. */
#define TRACES_MAX_DEFAULT (1u << 18)
#define CAPTURES_MAX_DEFAULT (1u << 16)
#define TRACE_IDLE_NS_DEFAULT 3000000000ull
#define TRACE_MAX_AGE_NS 60000000000ull
#define TRACE_SPANS_MAX 10000u
#define WINDOW_KEYS_MAX (1u << 14)
/* A file may hold in one body what clients send in many: roomier than the daemon's, and not touched when not needed. */
#define RECORD_RING_BYTES (64u << 20)
#define MESSAGE_RING_LINES (1u << 19)
#define MESSAGE_RING_LINES_MIN (1u << 16)
#define EXPIRE_MOST 1024u
#define START_NOW_NS 1000000000ull /* no monotonic clock stands at 0 */

static void raise(struct trial_host *host, struct trial_shard *shard) {
  uint32_t bytes;
  const void *record;
  while ((record = record_ring_peek(shard->records, &bytes))) {
    struct violation violation;
    const struct record_header *header = record;
    ALWAYS_ASSERT(header->type == RECORD_VIOLATION && violation_decode(record, bytes, &violation));
    host->counters.violations++;
    if (host->config.violation) host->config.violation(host->config.context, &violation);
    record_ring_advance(shard->records);
  }
}

static void receive(struct trial_host *host, struct trial_shard *shard, const struct line_header *header) {
  if (header->type == LINE_WINDOW_DIGEST) {
    engine_apply_window(shard->engine, (const struct window_digest *)(const void *)header, host->now_ns, host->wall_ns);
    return;
  }
  ALWAYS_ASSERT(header->type == LINE_SPAN_DIGEST);
  engine_apply_digest(shard->engine, (const struct span_digest *)(const void *)header, host->now_ns, host->wall_ns);
}

static bool pump_messages(struct trial_host *host) {
  bool any = false;
  for (uint16_t to = 0; to < host->config.shards; to++)
    for (uint16_t from = 0; from < host->config.shards; from++) {
      struct line_ring *ring = host->shards[from].messages_to[to];
      for (const struct line_header *header; (header = line_ring_peek(ring)); any = true) {
        receive(host, &host->shards[to], header);
        line_ring_consume(ring);
        raise(host, &host->shards[to]);
      }
    }
  return any;
}

void trial_host_pump(struct trial_host *host) {
  for (uint16_t i = 0; i < host->config.shards; i++) raise(host, &host->shards[i]);
  while (pump_messages(host)) {
  }
}

static bool create_shard(struct trial_host *host, uint16_t index) {
  struct arena *arena = &host->memory.arena;
  struct trial_shard *shard = &host->shards[index];
  uint32_t lines = MESSAGE_RING_LINES / host->config.shards / host->config.shards;
  uint32_t ring_lines = MESSAGE_RING_LINES_MIN;
  while (ring_lines * 2 <= lines) ring_lines *= 2;
  struct engine_config engine = {
      .shard = index,
      .shards = host->config.shards,
      .trace_key = {0x7472696c, 0x6b6579},
      .uuids = {.origin = index},
      .records = shard->records = record_ring_create(arena, RECORD_RING_BYTES),
      .column_capacity = TRIAL_COLUMNS,
      .traces_max = host->config.traces_max,
      .captures_max = host->config.captures_max,
      .idle_ns = host->config.trace_idle_ns,
      .window_keys_max = WINDOW_KEYS_MAX,
      .window_blocks_max = 2 * WINDOW_KEYS_MAX,
      .limits = {.max_age_ns = TRACE_MAX_AGE_NS, .max_spans = TRACE_SPANS_MAX},
  };
  if (!shard->records) return false;
  for (uint16_t to = 0; to < host->config.shards; to++) {
    shard->messages_to[to] = line_ring_create(arena, ring_lines);
    if (!shard->messages_to[to]) return false;
  }
  memcpy(engine.digests_to, shard->messages_to, sizeof engine.digests_to);
  shard->engine = engine_create(arena, &engine, host->now_ns);
  if (!shard->engine) return false;
  engine_adopt(shard->engine, host->image);
  return true;
}

static void no_memory(struct rule_errors *errors) {
  struct rule_error *items = realloc(errors->items, (errors->count + 1) * sizeof *items);
  if (!items) return;
  errors->items = items;
  errors->capacity = errors->count + 1;
  items[errors->count] = (struct rule_error){0};
  snprintf(items[errors->count].file, sizeof items->file, "(rules on trial)");
  snprintf(items[errors->count++].message, sizeof items->message, "no memory for the engine");
}

/* A rule in shadow mode fires here as any other: that is what it is on trial for. The image is ours alone so far. */
static void leave_shadow(const struct image_rule *rules, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) ((struct image_rule *)(uintptr_t)&rules[i])->shadow = false;
}

/* The shards from nothing, at the start of time. */
static bool start(struct trial_host *host) {
  trial_memory_init(&host->memory);
  host->wall_ns = host->config.start_wall_ns;
  host->now_ns = START_NOW_NS;
  host->next_shard = 0;
  host->counters = (struct trial_counters){0};
  for (uint16_t i = 0; i < host->config.shards; i++)
    if (!create_shard(host, i)) return false;
  return true;
}

bool trial_host_restart(struct trial_host *host, uint64_t start_wall_ns) {
  trial_memory_free(&host->memory);
  host->config.start_wall_ns = start_wall_ns;
  return start(host);
}

struct trial_host *trial_host_create(const struct rule_set *set, const struct trial_config *config, struct rule_errors *errors) {
  ALWAYS_ASSERT(config->shards >= 1 && config->shards <= IMAGE_SHARDS_MAX);
  struct trial_host *host = calloc(1, sizeof *host);
  if (!host) {
    no_memory(errors);
    return NULL;
  }
  host->config = *config;
  if (!host->config.traces_max) host->config.traces_max = TRACES_MAX_DEFAULT;
  if (!host->config.captures_max) host->config.captures_max = CAPTURES_MAX_DEFAULT;
  if (!host->config.trace_idle_ns) host->config.trace_idle_ns = TRACE_IDLE_NS_DEFAULT;
  host->image = rule_image_compile(set, 1, NULL, config->shards, errors);
  for (unsigned kind = 0; host->image && kind < EVENT_KINDS; kind++)
    leave_shadow(host->image->kinds[kind].rules, host->image->kinds[kind].rule_count);
  if (host->image) leave_shadow(host->image->trace_rules, host->image->trace_rule_count);
  if (host->image) ALWAYS_ASSERT(engine_image_fits(host->image, TRIAL_COLUMNS));
  if (host->image && start(host)) return host;
  if (host->image) no_memory(errors);
  trial_host_free(host);
  return NULL;
}

void trial_host_free(struct trial_host *host) {
  if (!host) return;
  trial_memory_free(&host->memory);
  if (host->image) rule_image_free(host->image);
  free(host->body);
  free(host->scratch);
  free(host);
}

/* One instant: all that is due. */
static void expire(struct trial_host *host) {
  for (uint16_t i = 0; i < host->config.shards; i++) {
    while (engine_expire(host->shards[i].engine, host->now_ns, host->wall_ns, EXPIRE_MOST) == EXPIRE_MOST)
      raise(host, &host->shards[i]);
  }
  trial_host_pump(host);
}

/* Windows pass without an event, and what is absent is so from the start on. */
static bool anything_waits(const struct trial_host *host) {
  return host->image->window_count > 0 || trial_host_traces_live(host) > 0;
}

void trial_host_advance(struct trial_host *host, uint64_t wall_ns) {
  if (wall_ns <= host->wall_ns) return;
  const uint64_t step_ns = (wall_ns - host->wall_ns) / 10000 > TRIAL_STEP_NS ? (wall_ns - host->wall_ns) / 10000 : TRIAL_STEP_NS;
  while (host->wall_ns < wall_ns) {
    const uint64_t left_ns = wall_ns - host->wall_ns;
    const uint64_t wait_ns = left_ns < step_ns || !anything_waits(host) ? left_ns : step_ns;
    host->wall_ns += wait_ns;
    host->now_ns += wait_ns;
    expire(host);
  }
}

void trial_host_settle(struct trial_host *host) {
  while (trial_host_traces_live(host) > 0) trial_host_advance(host, host->wall_ns + TRIAL_STEP_NS);
}

void trial_host_drain(struct trial_host *host) {
  for (uint16_t i = 0; i < host->config.shards; i++)
    while (engine_drain(host->shards[i].engine, host->now_ns, host->wall_ns, EXPIRE_MOST) > 0) raise(host, &host->shards[i]);
  trial_host_pump(host);
}

uint64_t trial_host_wall_ns(const struct trial_host *host) { return host->wall_ns; }

uint64_t trial_host_traces_live(const struct trial_host *host) {
  uint64_t live = 0;
  for (uint16_t i = 0; i < host->config.shards; i++) live += engine_counters(host->shards[i].engine)->traces_live;
  return live;
}

const struct trial_counters *trial_host_counters(const struct trial_host *host) { return &host->counters; }

const struct rule_image *trial_host_image(const struct trial_host *host) { return host->image; }

const struct engine_counters *trial_host_engine_counters(const struct trial_host *host, uint16_t shard) {
  return engine_counters(host->shards[shard].engine);
}
