#pragma once
/* Inside the shard room. Every field of struct shard is written by the shard's thread unless marked otherwise. */
#include "always_assert.h"
#include "hexadecimal.h"
#include "shard.h"
#include "timer_wheel.h"
#include <string.h>

/* Claims and verdicts of webhook ids between the shard that serves a request and the shard that owns the id. */
struct replay_claim_message {
  struct line_header header;
  uint32_t slot; /* the asker's parked slot; it waits for the verdict whatever becomes of its client */
  struct replay_key key;
  uint8_t body_sha256[32];
  uint64_t remember_until_ns;
};

struct replay_verdict_message {
  struct line_header header;
  uint32_t slot;
  uint8_t verdict; /* enum replay_verdict */
  struct replay_answer answer;
};

struct replay_settle_message {
  struct line_header header;
  struct replay_key key;
  struct replay_answer answer; /* status 0: release */
};

struct frame_message {
  struct line_header header;
  struct driver_frame frame;
};

enum parked_state {
  PARKED_FREE,
  PARKED_CLAIM,   /* waits for the owner's verdict */
  PARKED_RETRY,   /* the first of the same id is not settled: asks again later */
  PARKED_DURABLE, /* committed; waits for the durable mark */
  PARKED_SETTLE,  /* answered; the settle message found no room */
};

/* How a kind of body becomes spans, and what its sender is told when they are taken. */
struct span_format {
  void (*decode)(struct shard *shard, const uint8_t *body, uint32_t bytes, struct event_batch *batch, struct span_result *result);
  void (*respond)(struct shard *shard, struct http_exchange *exchange, const struct span_result *result); /* NULL: by datagram */
};

/* An answer that waits. It outlives its exchange: a webhook whose client has gone still takes effect once. */
struct parked {
  struct parked *next;                 /* durable queue, or settle queue */
  struct timer timer;                  /* retry */
  struct http_exchange *exchange;      /* NULL: the client has gone */
  const struct webhook_source *source; /* NULL: spans */
  enum parked_state state;
  uint64_t since_ns, give_up_ns;
  uint64_t position; /* in the record ring */
  enum record_durability durability;
  bool sampled; /* its answer is to be recorded, too */
  uint64_t received_ns;
  const struct span_format *format;
  struct span_result result;
  bool claimed; /* the id is ours to settle or release */
  struct replay_key key;
  uint8_t body_sha256[32];
  uint64_t remember_until_ns;
  uint64_t received_wall_ns; /* of a webhook */
  struct replay_answer answer;
};

struct parked_queue {
  struct parked *first, **last;
};

/* What a full record ring does: windows close for a while, then requests are refused. */
enum receiving { RECEIVING_OPEN, RECEIVING_PAUSED, RECEIVING_REFUSING };

struct shard {
  struct shard_config config;
  struct network *network;
  struct http_server *http;
  struct tls_server *tls; /* NULL: no listener has it */
  struct engine *engine;
  struct replay_table *replay;
  struct timer_wheel *timers; /* parked slots */
  struct http_application application;
  struct event_sink sink;
  uint64_t now_ns, wall_ns; /* of the current step */

  /* shard_flight.c */
  struct flight_recorder *recorder; /* NULL: nothing is recorded */
  bool sampled;                     /* the request in hand */
  uint64_t received_ns;             /* and when its body was whole */
  uint64_t records_refused;         /* by the record ring, when its pressure was last looked at */
  struct {
    uint64_t raised, records_refused, frames_malformed; /* told so far */
  } told;

  struct driver_frame output_frame;
  struct uuid7_source correlation;

  struct parked *slots;
  struct parked *free_slots;
  uint32_t slots_in_use;
  struct parked_queue durable, settling;

  char *scratch; /* unescaped JSON text of the request in hand */
  uint32_t scratch_bytes;
  uint8_t *datagram;                                    /* UDP payload with slack after it */
  uint8_t admission_body[HTTP_RESPONSE_BODY_BYTES_MAX]; /* of the refusal that `admit` just gave */

  enum receiving receiving;
  uint64_t receiving_since_ns;

  /* shard_pressure.c */
  struct watermark pressure[RESOURCES];
  uint64_t look_at_ns;
  uint32_t shed;                                      /* bits of enum shed */
  uint32_t shortages;                                 /* HTTP_SHORT_* */
  uint32_t withheld_received, withheld_durable_spans; /* body pools, by bit */
  const char *shed_message;
  uint32_t closing;                      /* connections that are closed and wait for their peers */
  struct address_limits *address_limits; /* NULL: none are set */
  uint32_t listener_count;
  uint16_t listener_ports[NETWORK_LISTENERS_MAX];

  bool journal_failed_seen, draining;
  uint64_t replay_expire_at_ns;

  struct shard_counters counters;

  /* control:rw shard:ro */
  CACHE_ALIGNED atomic_bool journal_failed;
  atomic_bool drain;
  atomic_uint snapshot_wanted;
  /* shard:rw control:ro */
  CACHE_ALIGNED _Atomic uint64_t generation;
  _Atomic uint64_t heartbeat;
  _Atomic uint64_t tls_generation;
  atomic_uint snapshot_taken;
  atomic_bool drained;
  /* shard:rw until snapshot_taken equals snapshot_wanted, then control:ro */
  CACHE_ALIGNED struct shard_snapshot snapshot;
};

#define SHARD_DATAGRAM_BYTES_MAX 65535u
#define SHARD_RETRY_AFTER_S 1u
#define SHARD_JOURNAL_FAILED "the journal has failed; nothing can be made durable"

/* shard_application.c: routes and admission */
void shard_application_init(struct shard *shard);
uint32_t shard_error_json(struct shard *shard, const char *code, const char *message, const uint8_t correlation_id[16],
                          uint8_t *body);
void shard_refuse(struct shard *shard, struct http_exchange *exchange, uint16_t status, const char *code, const char *message);

/* shard_pressure.c */
void shard_look_at_pressure(struct shard *shard);
/* Whether this is shed now, counted when so. */
bool shard_sheds(struct shard *shard, enum shed what);
/* Body pools that requests of this kind may not take from. */
uint32_t shard_withheld_bodies(const struct shard *shard, enum shed what);

/* shard_spans.c */
enum http_disposition shard_take_spans(struct shard *shard, struct http_exchange *exchange, const struct http_request *request,
                                       const struct shard_span_listener *listener, const struct span_format *format);
void shard_answer_spans(struct shard *shard, struct parked *parked);
/* Counts it, too. */
void shard_take_span_datagram(struct shard *shard, const uint8_t *bytes, uint32_t length, const struct span_format *format,
                              struct datagram_counters *counters, const struct ip_address *source, uint16_t port);
void shard_count_datagram(struct shard *shard, struct datagram_counters *counters, enum datagram_outcome outcome,
                          const struct ip_address *source, uint16_t port, uint32_t length);

/* shard_jaeger.c */
void shard_receive_jaeger_datagram(void *context, const struct ip_address *source, uint16_t source_port, const uint8_t *bytes,
                                   uint32_t length, uint64_t now_ns);

/* shard_zipkin.c */
bool shard_is_zipkin(const struct shard *shard, uint16_t local_port);
enum http_disposition shard_handle_zipkin(struct shard *shard, struct http_exchange *exchange,
                                          const struct http_request *request);

/* shard_otlp.c */
const struct shard_span_listener *shard_otlp_listener(const struct shard *shard, uint16_t local_port); /* NULL: another port */
enum http_disposition shard_handle_otlp(struct shard *shard, struct http_exchange *exchange, const struct http_request *request);
void shard_receive_otlp_datagram(void *context, const struct ip_address *source, uint16_t source_port, const uint8_t *bytes,
                                 uint32_t length, uint64_t now_ns);
enum otlp_encoding shard_otlp_encoding(const struct http_request *request);

/* shard_webhook.c */
const struct webhook_source *shard_webhook_source(const struct shard *shard, struct http_text path);
enum http_disposition shard_handle_webhook(struct shard *shard, struct http_exchange *exchange,
                                           const struct http_request *request);
void shard_webhook_verdict(struct shard *shard, struct parked *parked, enum replay_verdict verdict,
                           const struct replay_answer *answer);
void shard_answer_webhook(struct shard *shard, struct parked *parked);

/* shard_webhook_record.c: room for the record of an accepted webhook, in the request's transaction. False: there is none, and
 * *never says whether there could be. */
bool shard_reserve_webhook_record(struct shard *shard, const struct parked *parked, const struct http_request *request,
                                  bool *never);

/* shard_claim.c: webhook ids across shards */
void shard_claim(struct shard *shard, struct parked *parked);
void shard_claim_later(struct shard *shard, struct parked *parked);
void shard_settle(struct shard *shard, struct parked *parked, bool release);
void shard_retry_settling(struct shard *shard);
void shard_receive_message(struct shard *shard, uint16_t from, const struct line_header *header);
void shard_receive_verdict(struct shard *shard, const struct replay_verdict_message *message);

/* shard_parked.c */
bool shard_parked_create(struct shard *shard, struct arena *arena);
struct parked *shard_park(struct shard *shard, struct http_exchange *exchange);
void shard_unpark(struct shard *shard, struct parked *parked);
void shard_wait_durable(struct shard *shard, struct parked *parked, uint64_t position, enum record_durability durability);
bool shard_release_durable(struct shard *shard);
void shard_fail_parked(struct shard *shard);
void parked_queue_push(struct parked_queue *queue, struct parked *parked);
struct parked *parked_queue_pop(struct parked_queue *queue);

/* shard_steering.c: frames in, out and across */
uint32_t shard_receive_frames(struct shard *shard);
uint32_t shard_take_over_frames(struct shard *shard);
struct network_output shard_network_output(struct shard *shard);

/* shard_flight.c: what goes into the flight recorder. Where there is none each costs a branch. */
bool shard_flight_create(struct shard *shard, struct arena *arena);
/* A request is about to be handled, and whether it is one of those recorded. */
void shard_flight_received(struct shard *shard, const struct http_request *request);
/* An answer that was parked is about to be given. */
void shard_flight_resume(struct shard *shard, const struct parked *parked);
/* Answers, and records that: every refusal, of the rest those that were sampled. `code`: of a refusal, else NULL. */
void shard_respond(struct shard *shard, struct http_exchange *exchange, const struct http_response *response, const char *code);
void shard_flight_refused(struct shard *shard, const struct http_request *request, uint16_t status, const char *code);
void shard_flight_datagram(struct shard *shard, const struct ip_address *source, uint16_t port, uint32_t bytes,
                           enum datagram_outcome outcome);
void shard_flight_accepted(void *context, uint16_t local_port, const struct ip_address *peer);
void shard_flight_ended(void *context, uint16_t local_port, const struct ip_address *peer, enum stream_end end);
/* Something changed, and does so seldom. */
void shard_flight_note(struct shard *shard, enum flight_kind kind, uint32_t code, const uint64_t values[FLIGHT_VALUES]);
/* Once a step: what others count. */
void shard_flight_watch(struct shard *shard);
/* Now and then: the same of what is not worth a look each step. */
void shard_flight_watch_frames(struct shard *shard);

/* shard_snapshot.c */
void shard_take_snapshot(struct shard *shard);
