#include "stream_story.h"
#include "client_tcp.h"
#include "stream_server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000ull
#define STUCK_NS (600 * SECOND_NS)
#define STEP_NS_MAX 5000000ull
#define CLIENTS_MAX 8u
#define PORTS_EACH 1000u

struct mover {
  struct client_tcp tcp;
  uint32_t transfers_left, to_send, expected;
  uint64_t window_ns; /* when it changes next */
  uint64_t progress, progress_ns;
  bool moody;
};

struct story {
  struct test_random random;
  struct stream_server server;
  struct mover movers[CLIENTS_MAX];
  uint32_t clients;
  uint64_t now_ns;
  struct stream_story_result *result;
};

static uint32_t chance_of(struct test_random *random, uint32_t one_in, uint32_t most) {
  return random_below(random, one_in) ? random_below(random, most) : 0;
}

static struct sim_impairment draw_impairment(struct test_random *random) {
  return (struct sim_impairment){.loss_ppm = chance_of(random, 4, 100001),
                                 .duplicate_ppm = chance_of(random, 2, 50000),
                                 .reorder_ppm = chance_of(random, 2, 100000),
                                 .corrupt_ppm = chance_of(random, 2, 10000),
                                 .delay_ns = random_below(random, 3) ? 1000000 + random_below(random, 10000000)
                                                                     : 1000000 + random_below(random, 199000000),
                                 .jitter_ns = chance_of(random, 2, 10000000),
                                 .reorder_ns = 1 + random_below(random, 30000000)};
}

static void draw_server(struct story *story) {
  struct test_random *random = &story->random;
  struct stream_server_options options = {
      .shards = (uint16_t)(1 + random_below(random, STREAM_SERVER_SHARDS_MAX)),
      .wire = {.peers = (uint16_t)story->clients,
               .mtu = random_below(random, 4) ? 1500 : 9000,
               .frames = 4096,
               .queue_depth = random_below(random, 4) ? 512 : 16,
               .mac = {0x02, 0, 0, 0, 0, 2},
               .spread = (enum sim_spread)random_below(random, 4)},
      .receive_buffer_bytes = 4096u << random_below(random, 8),
      .receive_pool_bytes = 65536u << random_below(random, 6),
      .send_buffer_bytes = 4096u << random_below(random, 8),
      .send_pool_bytes = 65536u << random_below(random, 6),
      .take_most = random_below(random, 3) ? UINT32_MAX : 1000 + random_below(random, 4000),
      .moody = random_below(random, 2),
  };
  for (uint32_t direction = 0; direction < SIM_DIRECTIONS; direction++)
    options.wire.impairment[direction] = draw_impairment(random);
  for (uint16_t i = 0; i < story->clients; i++) {
    const uint8_t mac[6] = {0x02, 0, 0, 0, 1, (uint8_t)i};
    struct segment_ends *ends = &story->movers[i].tcp.ends;
    memcpy(options.wire.peer_macs[i], mac, sizeof mac);
    memcpy(ends->client_mac, mac, sizeof mac);
    memcpy(ends->server_mac, options.wire.mac, sizeof ends->server_mac);
    ends->client_ipv4 = 0x0a560064u + i;
    ends->server_ipv4 = STREAM_SERVER_IPV4;
    ends->ipv6 = random_below(random, 2);
    memcpy(ends->client_ipv6, (const uint8_t[16]){0xfd, 0x86, [14] = 1, [15] = (uint8_t)i}, 16);
    memcpy(ends->server_ipv6, stream_server_ipv6, 16);
    /* No two clients ever have the same port: it names the pattern, and the edge of a window. */
    ends->client_port = (uint16_t)(2000 + PORTS_EACH * i);
  }
  stream_server_start(&story->server, &options, random_next(random), story->now_ns);
}

static void begin_transfer(struct story *story, struct mover *mover) {
  static const uint16_t services[4] = {STREAM_ECHO, STREAM_ECHO, STREAM_DISCARD, STREAM_GENERATE};
  struct test_random *random = &story->random;
  const uint16_t service = services[random_below(random, 4)];
  const uint32_t size = random_below(random, 10) ? random_below(random, 200000) : random_below(random, 1200000);
  mover->transfers_left--;
  mover->progress_ns = story->now_ns;
  client_tcp_start(&mover->tcp, service, random, story->now_ns);
  const uint32_t key = mover->tcp.ends.client_port;
  mover->to_send = service == STREAM_GENERATE ? 0 : size;
  mover->expected = service == STREAM_DISCARD ? 0 : size;
  mover->tcp.own_window = random_below(random, 2) ? 65535 : 2000u << random_below(random, 8);
  uint8_t *bytes = malloc(mover->to_send + 8);
  if (!bytes) abort();
  for (uint32_t i = 0; i < mover->to_send; i++) bytes[i] = stream_pattern(key, i);
  if (service == STREAM_GENERATE) {
    memset(bytes, 0, 8);
    memcpy(bytes, &size, sizeof size);
    mover->to_send = 8;
  }
  client_tcp_write(&mover->tcp, bytes, mover->to_send);
  client_tcp_finish(&mover->tcp);
  free(bytes);
}

static void fail(const struct story *story, const struct mover *mover, const char *why) {
  const struct client_tcp *tcp = &mover->tcp;
  fprintf(stderr,
          "client %u service %u after %llu s: %s; state %d, acknowledged %u of %u, received %zu of %u, own window %u, window %u, "
          "finished %d\n",
          tcp->peer, tcp->ends.server_port, (unsigned long long)(story->now_ns / SECOND_NS), why, (int)tcp->state,
          tcp->acknowledged, mover->to_send + 1, tcp->in_bytes, mover->expected, tcp->own_window, tcp->window,
          tcp->peer_finished);
  abort();
}

static void end_transfer(struct story *story, struct mover *mover) {
  const struct client_tcp *tcp = &mover->tcp;
  if (tcp->in_bytes != mover->expected) fail(story, mover, "not all bytes came");
  for (uint32_t i = 0; i < mover->expected; i++)
    if (tcp->in[i] != stream_pattern(tcp->ends.client_port, i)) fail(story, mover, "a byte is wrong");
  story->result->bytes += mover->expected;
  story->result->transfers++;
  mover->tcp.state = CLIENT_TCP_IDLE;
}

/* A window that closes for seconds, or is small, and opens again with an update that may be lost. */
static void change_window(struct story *story, struct mover *mover) {
  struct test_random *random = &story->random;
  if (!mover->moody || story->now_ns < mover->window_ns) return;
  const uint32_t dice = random_below(random, 4);
  const uint32_t window = dice == 0 ? 0 : dice == 1 ? 1 + random_below(random, 2000) : 65535;
  mover->window_ns = story->now_ns + (window < 2000 ? random_below(random, 3000000) : random_below(random, 20000000)) * 1000ull;
  client_tcp_offer(&mover->tcp, window);
}

static bool step_mover(struct story *story, struct mover *mover) {
  struct client_tcp *tcp = &mover->tcp;
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  for (uint32_t length; (length = sim_wire_peer_receive(tcp->wire, tcp->peer, frame, sizeof frame));)
    client_tcp_frame(tcp, frame, length, story->now_ns);
  if (tcp->state == CLIENT_TCP_OPEN && tcp->acknowledged == mover->to_send + 1 && tcp->peer_finished) end_transfer(story, mover);
  const uint64_t progress = (uint64_t)tcp->acknowledged + tcp->in_bytes;
  if (progress != mover->progress) mover->progress_ns = story->now_ns;
  mover->progress = progress;
  if (tcp->state == CLIENT_TCP_OPEN && story->now_ns > mover->progress_ns + STUCK_NS) fail(story, mover, "it is stuck");
  /* Once the server's TIME-WAIT is over, a FIN sent again because its ACK was lost gets RST. */
  if (tcp->state == CLIENT_TCP_RESET && tcp->acknowledged == mover->to_send && tcp->peer_finished) end_transfer(story, mover);
  if (tcp->state == CLIENT_TCP_RESET) fail(story, mover, "it was reset");
  if (tcp->state == CLIENT_TCP_SILENT) fail(story, mover, "nothing comes any more");
  if (tcp->state == CLIENT_TCP_IDLE && mover->transfers_left) begin_transfer(story, mover);
  if (tcp->state == CLIENT_TCP_OPEN) change_window(story, mover);
  client_tcp_step(tcp, story->now_ns);
  return tcp->state == CLIENT_TCP_IDLE && !mover->transfers_left;
}

static uint64_t next_moment(struct story *story) {
  uint64_t next_ns = sim_wire_next_ns(story->server.wire);
  for (uint32_t i = 0; i < story->clients; i++) {
    const uint64_t client_ns = client_tcp_next_ns(&story->movers[i].tcp);
    if (client_ns < next_ns) next_ns = client_ns;
  }
  const uint64_t soonest_ns = story->now_ns + 10000 + random_below(&story->random, 200000);
  if (next_ns < soonest_ns) return soonest_ns;
  return next_ns < story->now_ns + STEP_NS_MAX ? next_ns : story->now_ns + STEP_NS_MAX;
}

static bool step(struct story *story) {
  bool finished = true;
  stream_server_step(&story->server, story->now_ns);
  for (uint32_t i = 0; i < story->clients; i++) finished &= step_mover(story, &story->movers[i]);
  story->result->steps++;
  story->now_ns = next_moment(story);
  return finished;
}

static void start(struct story *story, uint64_t seed) {
  story->random = (struct test_random){seed * 0x9e3779b97f4a7c15ull + 7};
  story->now_ns = SECOND_NS;
  story->clients = 1 + random_below(&story->random, CLIENTS_MAX);
  draw_server(story);
  for (uint32_t i = 0; i < story->clients; i++) {
    struct mover *mover = &story->movers[i];
    mover->transfers_left = 1 + random_below(&story->random, 4);
    mover->moody = random_below(&story->random, 3) == 0;
    mover->tcp.wire = story->server.wire;
    mover->tcp.peer = (uint16_t)i;
    mover->tcp.silence_ns = 900 * SECOND_NS;
  }
}

/* What the clients no longer answer ends by the server's timers. */
static void come_to_rest(struct story *story) {
  const uint64_t until_ns = story->now_ns + 1000 * SECOND_NS;
  story->server.options.moody = false;
  for (uint16_t i = 0; i < story->server.options.shards; i++) {
    network_pause_receiving(story->server.shards[i].network, false);
    story->server.shards[i].no_frames = false;
  }
  while (stream_server_connections(&story->server) && story->now_ns < until_ns) {
    step(story);
    story->now_ns += 20000000;
  }
  stream_server_check_rest(&story->server);
}

static void sum_up(struct story *story) {
  struct stream_story_result *result = story->result;
  result->shards = story->server.options.shards;
  result->clients = story->clients;
  result->bytes += story->server.delivered;
  result->simulated_ns = story->now_ns;
  for (uint32_t direction = 0; direction < SIM_DIRECTIONS; direction++) {
    const struct sim_wire_counters *counters = sim_wire_counters(story->server.wire, (enum sim_direction)direction);
    result->frames += counters->offered;
    result->frames_lost += counters->lost + counters->missed;
    result->frames_corrupted += counters->corrupted;
    result->frames_reordered += counters->reordered;
    result->frames_duplicated += counters->duplicated;
  }
}

void stream_story_run(uint64_t seed, struct stream_story_result *result) {
  struct story *story = calloc(1, sizeof *story);
  if (!story) abort();
  *result = (struct stream_story_result){0};
  story->result = result;
  start(story, seed);
  while (!step(story)) continue;
  come_to_rest(story);
  sum_up(story);
  stream_server_stop(&story->server);
  for (uint32_t i = 0; i < story->clients; i++) client_tcp_free(&story->movers[i].tcp);
  free(story);
}
