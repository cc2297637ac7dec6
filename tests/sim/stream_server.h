#pragma once
/* One to four network stacks behind a simulated wire, with the plainest of applications on them: what a client of the byte
 * streams needs, and nothing above. Every frame goes to the stack that owns its flow. Ends the process when a stack breaks a law:
 * its counters do not add up, a window's edge moves back, bytes come that were not sent. */
#include "heap_arena.h"
#include "network.h"
#include "sim_wire.h"
#include "test_random.h"

#define STREAM_SERVER_SHARDS_MAX 4u
#define STREAM_SERVER_STREAMS_MAX 64u
#define STREAM_SERVER_IPV4 0x0a560002u
extern const uint8_t stream_server_ipv6[16];

enum stream_service {
  STREAM_ECHO = 7,      /* every byte back, FIN after FIN */
  STREAM_DISCARD = 9,   /* takes all, FIN after FIN */
  STREAM_GENERATE = 19, /* eight bytes name a length: so many bytes, then FIN */
};
/* The byte at an offset of a stream, either way. `key`: the client's port. */
uint8_t stream_pattern(uint32_t key, uint32_t offset);

struct stream_server_options {
  uint16_t shards;
  struct sim_wire_config wire; /* queues are filled in */
  uint32_t receive_buffer_bytes, receive_pool_bytes, send_buffer_bytes, send_pool_bytes;
  uint32_t take_most; /* what a handler takes at once */
  bool moody;         /* handlers that take nothing for a while, receiving paused, no frames to send */
};

struct stream_server;
struct served_stream {
  struct stream_server *server;
  struct stream *stream; /* NULL: free */
  enum stream_service service;
  uint32_t key, received, written, asked;
  uint8_t request[8];
};

struct stream_server_shard {
  struct stream_server *server;
  struct driver_queue *queue;
  struct network *network;
  struct driver_frame building;
  struct stream_handler handler[3];
  struct served_stream streams[STREAM_SERVER_STREAMS_MAX];
  bool no_frames;
};

struct stream_server {
  struct stream_server_options options;
  struct heap_arena *heap;
  struct sim_wire *wire;
  struct siphash_key hash_key;
  struct test_random random;
  struct stream_server_shard shards[STREAM_SERVER_SHARDS_MAX];
  struct stream_edge {
    uint32_t edge;
    uint8_t shift;
    bool known;
  } edges[65536]; /* by client port: how far it was told that it may send */
  uint64_t delivered, opened, closed;
};

void stream_server_start(struct stream_server *server, const struct stream_server_options *options, uint64_t seed,
                         uint64_t now_ns);
/* Frames, timers, whims; the wire's clock is moved. */
void stream_server_step(struct stream_server *server, uint64_t now_ns);
/* No connection and no block is left, no wire lost count. */
void stream_server_check_rest(const struct stream_server *server);
uint32_t stream_server_connections(const struct stream_server *server);
void stream_server_stop(struct stream_server *server);
