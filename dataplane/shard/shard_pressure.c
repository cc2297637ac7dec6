#include "shard_internal.h"

#define LOOK_EVERY_NS 100000ull
#define SHED_CONNECTIONS_A_LOOK 64u
#define HTTP2_MEMORY_UNIT 16384u      /* about an idle connection's */
#define PAUSE_AT_MOST_NS 500000000ull /* then requests are answered 503 rather than left waiting */

#define BIT(what) (1u << (what))
#define BODY(pool) (1u << (HTTP_SHORT_BODIES_SHIFT + (pool)))
#define RECEIVED (BIT(SHED_SPANS) | BIT(SHED_WEBHOOKS))

/* What a state of a resource asks for. */
struct remedy {
  uint32_t shed;        /* bits of enum shed */
  uint32_t shortages;   /* HTTP_SHORT_* */
  uint32_t withheld[2]; /* body pools closed to: what is acknowledged as received; spans acknowledged as durable */
};

struct policy {
  const char *name, *message;
  struct watermark_marks marks;
  struct remedy soft, hard; /* hard includes soft */
};

#define USUAL                                                                                                                    \
  { .soft = 12, .soft_release = 10, .hard = 14, .hard_release = 12 }
/* The smallest buffers serve most; how many of the few large ones are out says nothing about the others. */
#define BODIES(pool)                                                                                                             \
  {                                                                                                                              \
    .name = "bodies_" #pool, .message = "overloaded: body buffers are short; try again", .marks = USUAL,                         \
    .soft = {.shortages = BODY((pool)-1), .withheld = {BIT((pool)-1), 0}}, .hard = {                                             \
      .withheld = {0, BIT((pool)-1)}                                                                                             \
    }                                                                                                                            \
  }

static const struct policy policies[RESOURCES] = {
    [RESOURCE_CONNECTIONS] = {.name = "connections",
                              .message = "overloaded: connections are short; try again",
                              .marks = {.soft = 13, .soft_release = 12, .hard = 15, .hard_release = 14},
                              .soft = {.shed = BIT(SHED_IDLE_CONNECTIONS), .shortages = HTTP_SHORT_CONNECTIONS},
                              .hard = {.shed = BIT(SHED_CONNECTIONS), .shortages = HTTP_SHORT_CONNECTIONS_HARD}},
    /* The stack answers with cookies, or the oldest makes room. */
    [RESOURCE_HALF_OPEN] = {.name = "half_open", .marks = USUAL},
    /* Windows shrink as it fills, and bytes in order need none of it. */
    [RESOURCE_RECEIVE_BLOCKS] = {.name = "receive_blocks",
                                 .message = "overloaded: receive buffers are short; try again",
                                 .marks = USUAL,
                                 .hard = {.shed = BIT(SHED_IDLE_CONNECTIONS) | BIT(SHED_SPANS),
                                          .shortages = HTTP_SHORT_RECEIVE_BLOCKS}},
    [RESOURCE_SEND_BLOCKS] = {.name = "send_blocks",
                              .marks = USUAL,
                              .soft = {.shed = BIT(SHED_IDLE_CONNECTIONS), .shortages = HTTP_SHORT_SEND_BLOCKS}},
    [RESOURCE_BODIES_1] = BODIES(1),
    [RESOURCE_BODIES_2] = BODIES(2),
    [RESOURCE_BODIES_3] = BODIES(3),
    [RESOURCE_BODIES_4] = BODIES(4),
    [RESOURCE_HTTP2_CONNECTIONS] = {.name = "http2_connections",
                                    .marks = USUAL,
                                    .soft = {.shed = BIT(SHED_IDLE_CONNECTIONS), .shortages = HTTP_SHORT_HTTP2_CONNECTIONS},
                                    .hard = {.shortages = HTTP_SHORT_HTTP2_CONNECTIONS_HARD | HTTP_SHORT_HTTP2_STREAMS}},
    [RESOURCE_HTTP2_STREAMS] = {.name = "http2_streams",
                                .marks = USUAL,
                                .soft = {.shed = BIT(SHED_IDLE_CONNECTIONS), .shortages = HTTP_SHORT_HTTP2_STREAMS}},
    [RESOURCE_HTTP2_MEMORY] = {.name = "http2_memory",
                               .marks = USUAL,
                               .soft = {.shed = BIT(SHED_IDLE_CONNECTIONS), .shortages = HTTP_SHORT_HTTP2_CONNECTIONS}},
    [RESOURCE_DIGESTS] = {.name = "digests",
                          .message = "overloaded: another shard is behind; try again",
                          .marks = USUAL,
                          .soft = {.shed = BIT(SHED_SPANS)},
                          .hard = {.shed = BIT(SHED_DURABLE_SPANS)}},
    /* Closing the windows comes first: govern_receiving. */
    [RESOURCE_RECORDS] = {.name = "records",
                          .message = "overloaded: the journal is behind; try again",
                          .marks = {.soft = 12, .soft_release = 8, .hard = 14, .hard_release = 12},
                          .soft = {.shed = RECEIVED},
                          .hard = {.shed = BIT(SHED_DURABLE_SPANS)}},
    /* The oldest live trace is evicted. To refuse spans of a trace that is being watched would make verdicts wrong. */
    [RESOURCE_TRACES] = {.name = "traces", .marks = USUAL},
    /* Only time empties it: a new signed id that finds it full is answered 503. */
    [RESOURCE_REPLAY_IDS] = {.name = "replay_ids", .marks = USUAL},
    [RESOURCE_PARKED] = {.name = "parked",
                         .message = "overloaded: too many answers wait for the journal; try again",
                         .marks = USUAL,
                         .hard = {.shed = BIT(SHED_DURABLE_SPANS)}},
};

const char *pressure_resource_name(enum pressure_resource resource) {
  ALWAYS_ASSERT(resource < RESOURCES);
  return policies[resource].name;
}

const char *shed_name(enum shed what) {
  static const char *const names[SHEDS] = {"idle_connections", "spans",         "webhooks",
                                           "connections",      "durable_spans", "durable_webhooks"};
  ALWAYS_ASSERT(what < SHEDS);
  return names[what];
}

static void apply(struct shard *shard, const struct policy *policy, const struct remedy *remedy) {
  shard->shed |= remedy->shed;
  shard->shortages |= remedy->shortages;
  shard->withheld_received |= remedy->withheld[0];
  shard->withheld_durable_spans |= remedy->withheld[1];
  if (policy->message && (remedy->shed & ~BIT(SHED_IDLE_CONNECTIONS))) shard->shed_message = policy->message;
}

/* Ports where webhooks are taken go on: their connections are the last to be missed. */
static uint32_t listeners_shed(const struct shard *shard) {
  uint32_t listeners = 0;
  if (!(shard->shed & BIT(SHED_CONNECTIONS))) return 0;
  for (uint32_t i = 0; i < shard->listener_count; i++)
    if (shard->listener_ports[i] != shard->config.webhooks.port) listeners |= BIT(i);
  return listeners;
}

/* From the states of all resources what is shed now. */
static void decide(struct shard *shard) {
  shard->shed = shard->shortages = shard->withheld_received = shard->withheld_durable_spans = 0;
  for (unsigned i = RESOURCES; i-- > 0;) {
    const enum pressure state = shard->pressure[i].state;
    if (i == RESOURCE_RECORDS && shard->receiving != RECEIVING_REFUSING) continue;
    if (state >= PRESSURE_SOFT) apply(shard, &policies[i], &policies[i].soft);
    if (state == PRESSURE_HARD) apply(shard, &policies[i], &policies[i].hard);
  }
  /* Spans are judged and counted still, and answered 503 all the same; a webhook that is not accepted is not judged. */
  if (shard->journal_failed_seen) {
    shard->shed |= BIT(SHED_WEBHOOKS) | BIT(SHED_DURABLE_WEBHOOKS);
    shard->shed_message = SHARD_JOURNAL_FAILED;
  }
  shard->withheld_durable_spans &= shard->withheld_received;
  network_shed_connections(shard->network, listeners_shed(shard));
}

static bool look(struct shard *shard, enum pressure_resource resource, uint64_t used, uint64_t capacity) {
  const enum pressure before = shard->pressure[resource].state;
  if (!watermark_update(&shard->pressure[resource], &policies[resource].marks, used, capacity)) return false;
  shard_flight_note(shard, FLIGHT_PRESSURE, resource,
                    (const uint64_t[FLIGHT_VALUES]){before, shard->pressure[resource].state, used, capacity});
  return true;
}

/* Back-pressure of the journal: first close the windows, then, if it stays behind, say so with 503. */
static bool govern_receiving(struct shard *shard) {
  const enum receiving before = shard->receiving;
  const struct record_ring_counters records = record_ring_read_counters(shard->config.records);
  const bool changed = look(shard, RESOURCE_RECORDS, records.bytes_waiting, record_ring_capacity(shard->config.records));
  shard->records_refused = records.refused;
  const bool pressed = shard->pressure[RESOURCE_RECORDS].state != PRESSURE_NORMAL;
  if (!pressed) {
    shard->receiving = RECEIVING_OPEN;
  } else if (shard->receiving == RECEIVING_OPEN) {
    shard->receiving = RECEIVING_PAUSED;
    shard->receiving_since_ns = shard->now_ns;
    shard->counters.receiving_paused++;
  } else if (shard->receiving == RECEIVING_PAUSED &&
             (shard->now_ns - shard->receiving_since_ns >= PAUSE_AT_MOST_NS || shard->journal_failed_seen)) {
    shard->receiving = RECEIVING_REFUSING;
  }
  if (shard->receiving == before) return changed;
  shard_flight_note(shard, FLIGHT_RECEIVING, shard->receiving, (const uint64_t[FLIGHT_VALUES]){before, records.bytes_waiting});
  network_pause_receiving(shard->network, shard->receiving == RECEIVING_PAUSED);
  return true;
}

static bool look_at_network(struct shard *shard) {
  struct network_use use;
  network_use(shard->network, &use);
  bool changed = look(shard, RESOURCE_CONNECTIONS, use.connections.used, use.connections.capacity);
  changed |= look(shard, RESOURCE_HALF_OPEN, use.half_open.used, use.half_open.capacity);
  changed |= look(shard, RESOURCE_RECEIVE_BLOCKS, use.receive_blocks.used, use.receive_blocks.capacity);
  changed |= look(shard, RESOURCE_SEND_BLOCKS, use.send_blocks.used, use.send_blocks.capacity);
  return changed;
}

static bool look_at_http(struct shard *shard) {
  struct http_use use;
  bool changed = false;
  http_server_use(shard->http, &use);
  shard->closing = use.closing;
  for (unsigned i = 0; i < HTTP_BODY_POOLS; i++)
    changed |= look(shard, (enum pressure_resource)(RESOURCE_BODIES_1 + i), use.bodies[i].used, use.bodies[i].capacity);
  changed |= look(shard, RESOURCE_HTTP2_CONNECTIONS, use.http2_connections.used, use.http2_connections.capacity);
  changed |= look(shard, RESOURCE_HTTP2_STREAMS, use.http2_streams.used, use.http2_streams.capacity);
  changed |= look(shard, RESOURCE_HTTP2_MEMORY, use.http2_memory.used, use.http2_memory.capacity);
  return changed;
}

static bool look_at_digests(struct shard *shard) {
  uint32_t fullest = 0;
  for (uint16_t to = 0; to < shard->config.shards; to++) {
    const uint32_t waiting = line_ring_read_counters(shard->config.messages_to[to]).lines_waiting;
    if (waiting > fullest) fullest = waiting;
  }
  return look(shard, RESOURCE_DIGESTS, fullest, line_ring_capacity(shard->config.messages_to[shard->config.shard]));
}

static bool look_at_rest(struct shard *shard) {
  bool changed = look_at_digests(shard);
  changed |= look(shard, RESOURCE_TRACES, engine_counters(shard->engine)->traces_live, shard->config.traces_max);
  changed |= look(shard, RESOURCE_REPLAY_IDS, replay_table_counters(shard->replay)->live, shard->config.webhooks.replay_capacity);
  changed |= look(shard, RESOURCE_PARKED, shard->slots_in_use, shard->config.parked_max);
  return changed;
}

/* What is above where the state ends, in pieces of `unit`. */
static uint64_t excess(const struct shard *shard, enum pressure_resource resource, uint32_t unit) {
  const struct watermark *watermark = &shard->pressure[resource];
  const struct watermark_marks *marks = &policies[resource].marks;
  const uint8_t mark = watermark->state == PRESSURE_HARD ? marks->hard_release : marks->soft_release;
  const uint64_t release = watermark->capacity * mark / WATERMARK_PARTS;
  if (watermark->state == PRESSURE_NORMAL || watermark->used <= release) return 0;
  return (watermark->used - release + unit - 1) / unit;
}

/* No more idle connections are ended than the release asks for; those whose peers have yet to answer our FIN count as gone. */
static uint32_t idle_most(const struct shard *shard) {
  uint64_t most = excess(shard, RESOURCE_CONNECTIONS, 1);
  const uint64_t http2 = excess(shard, RESOURCE_HTTP2_CONNECTIONS, 1);
  const uint64_t memory = excess(shard, RESOURCE_HTTP2_MEMORY, HTTP2_MEMORY_UNIT);
  if (http2 > most) most = http2;
  if (memory > most) most = memory;
  if (shard->shortages & (HTTP_SHORT_CONNECTIONS_HARD | HTTP_SHORT_HTTP2_CONNECTIONS_HARD)) return (uint32_t)most;
  return most > shard->closing ? (uint32_t)(most - shard->closing) : 0;
}

void shard_look_at_pressure(struct shard *shard) {
  bool changed = govern_receiving(shard);
  changed |= shard->journal_failed_seen && !(shard->shed & BIT(SHED_DURABLE_WEBHOOKS));
  if (shard->now_ns >= shard->look_at_ns) {
    shard->look_at_ns = shard->now_ns + LOOK_EVERY_NS;
    changed |= look_at_network(shard);
    changed |= look_at_http(shard);
    changed |= look_at_rest(shard);
    shard_flight_watch_frames(shard);
    if (changed) decide(shard);
    if (shard->shortages)
      http_server_shed(shard->http, shard->shortages, SHED_CONNECTIONS_A_LOOK, idle_most(shard), shard->now_ns);
  } else if (changed) {
    decide(shard);
  }
}

bool shard_sheds(struct shard *shard, enum shed what) {
  if (!(shard->shed & BIT(what))) return false;
  shard->counters.shed[what]++;
  return true;
}

uint32_t shard_withheld_bodies(const struct shard *shard, enum shed what) {
  if (what == SHED_SPANS || what == SHED_WEBHOOKS) return shard->withheld_received;
  return what == SHED_DURABLE_SPANS ? shard->withheld_durable_spans : 0;
}
