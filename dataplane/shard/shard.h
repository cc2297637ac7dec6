#pragma once
/* `struct shard`: one core's whole world - its queue of a port, its network stack, HTTP, decoders, rules, traces, replay ids and
 * parked answers - and its loop, one bounded step at a time. Time comes in; nothing here blocks, allocates or asks a clock.
 *
 * Shards share nothing but SPSC rings: `messages` (trace digests, replay claims), `verdicts` (answers to claims) and `frames` (a
 * frame that the port brought to the wrong shard goes to its flow's owner), each an N x N matrix. Control talks to a shard
 * through the functions marked so. Threads: shard_step and shard_create by the shard's thread or its builder; the functions
 * marked "any" by others. */
#include "driver.h"
#include "engine.h"
#include "flight_recorder.h"
#include "histogram.h"
#include "http_server.h"
#include "network.h"
#include "otlp.h"
#include "replay_table.h"
#include "shard_pressure.h"
#include "span_result.h"
#include "tls_server.h"
#include "webhook.h"
#include <stdatomic.h>

#define SHARD_BURST_FRAMES 64
#define SHARDS_MAX 32

struct shard_replay_entry { /* recovered from the journal */
  struct replay_key key;
  uint8_t body_sha256[32];
  uint64_t remember_until_ns;
  struct replay_answer answer;
};

/* Where control publishes the rule image: one pointer for all shards, so that a digest never arrives from a generation that its
 * owner cannot see yet. */
struct image_publication {
  CACHE_ALIGNED _Atomic(const struct rule_image *) image; /* control:rw shard:ro */
};

/* The numbers that listeners have among TLS identities. */
enum shard_listener {
  SHARD_LISTENER_OTLP_HTTP,
  SHARD_LISTENER_OTLP_GRPC,
  SHARD_LISTENER_WEBHOOKS,
  SHARD_LISTENER_ZIPKIN,
  SHARD_LISTENERS
};

struct shard_config {
  uint16_t shard, shards;
  const struct image_publication *publication;
  /* The shards of one port are consecutive: they own its flows between them. */
  uint16_t port_first_shard, port_shards;
  struct driver_queue *queue;
  struct driver_port_information port;
  uint32_t address_count, vlan_count;
  struct ip_address addresses[NETWORK_ADDRESSES_MAX];
  uint16_t vlans[NETWORK_VLANS_MAX];
  struct siphash_key flow_key, isn_key, table_key, trace_key, replay_key; /* the same on all shards */
  struct siphash_key uuid_key;                                            /* of this shard */
  uint64_t node;                                                          /* into violation ids */
  struct network_config network;           /* limits and timeouts; the rest is filled by the shard */
  struct http_config http;                 /* likewise */
  uint32_t address_limits[ADDRESS_QUOTAS]; /* what one remote address may have; 0: no limit */
  struct shard_span_listener {
    uint16_t port; /* 0: none; UDP too on that of OTLP/HTTP */
    bool acknowledge_durable;
    enum record_durability durability;
    uint32_t max_body_bytes;
  } otlp, otlp_grpc, zipkin;
  uint16_t jaeger_port; /* UDP; 0: none */
  struct {
    uint16_t port;
    const struct webhook_source *sources;
    uint32_t source_count;
    uint32_t replay_capacity;
    uint32_t unit_bytes_max; /* what the journal keeps whole over a crash: a webhook with an id may raise no more */
  } webhooks;
  struct tls_config tls; /* publication NULL: no listener has TLS; the shard makes the memory */
  uint32_t parked_max;   /* answers that wait for durability or for another shard */
  uint32_t column_capacity, traces_max, captures_max, spills_max, story_max, story_steps_max;
  uint64_t trace_idle_ns;
  struct trace_limits trace_limits;
  uint32_t window_keys_max, window_blocks_max;
  struct {
    uint32_t events, sample_every; /* as of struct flight_config; events 0: nothing is recorded */
  } recorder;
  struct record_ring *records;
  struct line_ring *messages_to[SHARDS_MAX], *messages_from[SHARDS_MAX]; /* own ring included */
  struct line_ring *verdicts_to[SHARDS_MAX], *verdicts_from[SHARDS_MAX]; /* at least parked_max lines: never full; NULL for own */
  struct line_ring *frames_to[SHARDS_MAX], *frames_from[SHARDS_MAX];     /* NULL for own */
};

enum webhook_refusal { /* why a webhook request was not accepted; WEBHOOK_VERDICTS first */
                       REFUSAL_NOT_JSON = WEBHOOK_VERDICTS,
                       REFUSAL_SCHEMA,
                       REFUSAL_CONFLICT,
                       REFUSAL_REPLAY_FULL,
                       REFUSAL_OVERLOAD,
                       REFUSAL_TOO_LARGE,
                       REFUSALS,
};
const char *webhook_refusal_name(unsigned refusal);

/* What became of a datagram of spans. Nobody is told but the counters: received = the sum of these. */
enum datagram_outcome {
  DATAGRAM_ACCEPTED,
  DATAGRAM_MALFORMED,
  DATAGRAM_PROTOCOL,  /* of another encoding than the port's */
  DATAGRAM_METHOD,    /* a call of something else than the port offers */
  DATAGRAM_TOO_LARGE, /* raises more than fits in one piece */
  DATAGRAM_OVERLOAD,
  DATAGRAM_OUTCOMES,
};
const char *datagram_outcome_name(enum datagram_outcome outcome);

/* Single writer: the shard. */
struct shard_counters {
  uint64_t steps, steps_busy, long_loops, busy_cycles, idle_cycles;
  uint64_t frames_handed_over, frames_taken_over, frames_hand_over_dropped;
  uint64_t burst_sizes[SHARD_BURST_FRAMES + 1];
  uint64_t spans_decoded, spans_evaluated, spans_rejected[SPAN_REJECTS], spans_rejected_overload, spans_rejected_malformed;
  uint64_t otlp_requests[2], otlp_grpc_calls; /* calls are among the protobuf requests */
  uint64_t zipkin_requests;
  struct datagram_counters {
    uint64_t received, outcomes[DATAGRAM_OUTCOMES];
  } otlp_datagrams, jaeger_datagrams;
  uint64_t webhooks_accepted, webhooks_durable, webhooks_received_only, webhooks_repeated;
  uint64_t webhooks_refused[REFUSALS];
  uint64_t webhook_secret_used[64][WEBHOOK_SECRETS_MAX]; /* by source, secret */
  uint64_t shed[SHEDS];                                  /* requests and datagrams; connections are counted where they are */
  uint64_t overload_answers, receiving_paused, parked_exhausted, messages_no_room;
  uint32_t parked;                              /* gauge: answers waiting */
  uint32_t webhooks_pending;                    /* gauge: accepted, not durable yet */
  struct histogram park_ns[DURABILITY_RELAXED]; /* by durability: from commit to answer, durable acknowledgement */
};

/* Everything a shard counts, at one instant between two steps. */
struct shard_snapshot {
  uint64_t taken_ns; /* monotonic */
  uint64_t generation;
  struct shard_counters shard;
  struct network_counters network;
  struct http_counters http;
  struct tls_counters tls;
  struct engine_counters engine;
  struct replay_counters replay;
  struct driver_queue_counters queue;
  struct record_ring_counters records;
  struct line_ring_counters messages_out; /* summed over destinations */
  struct address_counters addresses;
  struct watermark pressure[RESOURCES];
  struct flight_counters flight;
  uint32_t shedding; /* bits of enum shed */
  bool drained;
};

struct shard;

/* NULL when the arena fails. */
struct shard *shard_create(struct arena *arena, const struct shard_config *config, uint64_t now_ns);
/* Gives back the little that is not from the arena. The shard's thread has stopped. */
void shard_destroy(struct shard *shard);
/* Before the first step. False when the table is full. */
bool shard_restore_replay(struct shard *shard, const struct shard_replay_entry *entry);
/* One bounded turn of the loop. True when there was something to do. */
bool shard_step(struct shard *shard, uint64_t now_ns, uint64_t wall_ns);
/* The thread's own accounting of the step it just ran, in timestamp-counter cycles. */
void shard_account(struct shard *shard, uint64_t cycles, bool busy, bool long_loop);
/* Which shard owns a replay id. */
uint16_t shard_of_replay_key(const struct siphash_key *key, const struct replay_key *replay, uint16_t shards);

/* Any thread. */
uint64_t shard_generation(const struct shard *shard); /* adopted; older images are no longer read */
uint64_t shard_rule_matches(const struct shard *shard, uint32_t match_slot);
uint64_t shard_tls_generation(const struct shard *shard); /* likewise, of the TLS identities */
/* To read events from, also in a signal handler; NULL when nothing is recorded. */
const struct flight_recorder *shard_flight_recorder(const struct shard *shard);
void shard_set_journal_failed(struct shard *shard, bool failed);
void shard_request_drain(struct shard *shard);
bool shard_drained(const struct shard *shard); /* no request in progress, no live trace */
/* Asks for a snapshot and copies it when the shard has taken it; false: not yet, call again. One asking thread at a time. */
bool shard_snapshot_request(struct shard *shard);
bool shard_snapshot_read(struct shard *shard, struct shard_snapshot *snapshot);
/* Steps so far, for liveness. */
uint64_t shard_heartbeat(const struct shard *shard);
