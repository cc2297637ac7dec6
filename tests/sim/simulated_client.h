#pragma once
/* A client of the appliance: takes its requests from the plan one connection after the other, pipelines, repeats what was not
 * answered, and holds each answer against what it must be. */
#include "client_tcp.h"
#include "ledger.h"
#include "request_maker.h"

#define CLIENT_PIPELINE_MAX 4

/* The first answer to a signed webhook, which every repetition must get again. */
struct signed_memory {
  bool answered;
  uint32_t entry;
  char body[128];
};

struct trace_memory {
  uint32_t always_entry, never_entry;
  uint32_t boot; /* of its first span; UINT32_MAX: spans came in several lives */
  uint32_t answered;
  uint64_t first_sent_ns, last_answered_ns;
};

/* What all clients share. */
struct traffic {
  struct traffic_plan plan;
  struct ledger ledger;
  struct signed_memory signed_requests[PLAN_REQUESTS_MAX];
  struct trace_memory traces[PLAN_TRACES_MAX];
  uint32_t always[PLAN_TRACES_MAX], never[PLAN_TRACES_MAX]; /* entries, as the request maker wants them */
  uint64_t spans_sent, spans_answered; /* every attempt counts as sent, a datagram as two: the wire may double it */
  uint32_t answered, refused, connections, broken;
  uint32_t boot;
  bool spans_durable, rude;
};

struct pending_request {
  uint32_t request, attempts;
  uint32_t entries[PLAN_EVENTS_A_REQUEST];
  struct model_bytes body;
  bool written;
};

struct simulated_client {
  struct traffic *traffic;
  uint32_t number;
  struct test_random random;
  struct client_tcp tcp;
  uint32_t plan_at;
  struct pending_request pending[CLIENT_PIPELINE_MAX];
  uint32_t pending_count;
  bool closing;
  size_t parsed;
  uint64_t wake_ns, now_ns;
  uint64_t doom_ns; /* when a rude client leaves in the middle of things */
};

void traffic_start(struct traffic *traffic, uint64_t seed);
/* The traces' part of the verdict, which only the whole story gives. */
void traffic_check_traces(const struct traffic *traffic, uint64_t idle_ns);
void traffic_free(struct traffic *traffic);
void client_init(struct simulated_client *client, struct traffic *traffic, uint32_t number, uint64_t seed);
/* The appliance has a new wire. */
void client_attach(struct simulated_client *client, struct sim_wire *wire, const struct segment_ends *ends);
void client_step(struct simulated_client *client, uint64_t now_ns, uint64_t wall_ns);
uint64_t client_next_ns(const struct simulated_client *client);
/* Every request of its own was answered as it must be. */
bool client_finished(const struct simulated_client *client);
void client_free(struct simulated_client *client);
