#pragma once
/* Shards over a clean simulated wire with the journal in the test's hand, and clients that post one request at a time. */
#include "client_tcp.h"
#include "request_maker.h"
#include "simulated_appliance.h"

#define RIG_CLIENTS 8
#define RIG_MS 1000000ull
#define RIG_DELAY_NS 20000ull

struct rig_answer {
  unsigned status; /* 0: none yet */
  char head[1024], body[2048];
};

struct shard_rig {
  struct simulated_appliance appliance;
  struct appliance_options options; /* to be changed between rig_init and rig_start */
  struct client_tcp clients[RIG_CLIENTS];
  size_t parsed[RIG_CLIENTS];
  struct test_random random;
  uint64_t now_ns;
  bool journal_held_up;
  void (*beside)(void *context, uint64_t now_ns); /* in each step, when set */
  void *beside_context;
};

void rig_init(struct shard_rig *rig, uint16_t shards);
void rig_start(struct shard_rig *rig);
void rig_stop(struct shard_rig *rig);
/* Steps of 10 us. */
void rig_pass(struct shard_rig *rig, uint64_t ns);
/* Steps of 1 ms: for long times in which little happens. */
void rig_sleep(struct shard_rig *rig, uint64_t ns);
/* One step. */
void rig_step(struct shard_rig *rig, uint64_t ns);
void rig_connect(struct shard_rig *rig, uint32_t client, uint16_t port);
/* Opens a connection when there is none to this port, and writes the request. */
void rig_post(struct shard_rig *rig, uint32_t client, uint16_t port, const char *head, const void *body, size_t body_bytes);
void rig_post_order(struct shard_rig *rig, uint32_t client, const char *source, const char *order, unsigned amount);
/* With a signature; `genuine` false: one that does not match. */
void rig_post_signed(struct shard_rig *rig, uint32_t client, const char *id, const char *order, unsigned amount, bool genuine);
/* The next whole answer that a client has read; status 0 when there is none. */
struct rig_answer rig_answer(struct shard_rig *rig, uint32_t client);
/* Waits for it, at most a virtual second. */
struct rig_answer rig_wait(struct shard_rig *rig, uint32_t client);
/* Summed over the shards. */
#define RIG_SUM(rig, member) rig_sum(rig, offsetof(struct shard_snapshot, member))
uint64_t rig_sum(const struct shard_rig *rig, size_t offset);
