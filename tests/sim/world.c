#include "world.h"
#include "conservation.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000ull
#define STORY_NS_MAX (1800 * SECOND_NS)
#define STEPS_MAX 20000000u
#define IDLE_NS (50 * SECOND_NS)
#define IDLE_UNDISTURBED_NS (900 * SECOND_NS) /* beyond the whole story, so that no verdict depends on when spans come */

enum upset { UPSET_POWER_CUT, UPSET_RESTART, UPSET_DISK_FULL };

struct world {
  struct test_random random;
  struct simulated_appliance appliance;
  struct traffic traffic;
  struct simulated_client clients[PLAN_CLIENTS_MAX];
  struct segment_ends ends[PLAN_CLIENTS_MAX];
  uint64_t now_ns, disk_free_ns;
  uint32_t upsets_left, next_upset_at; /* by answers */
  bool undisturbed;
  struct world_result *result;
};

static uint32_t chance_of(struct test_random *random, uint32_t one_in, uint32_t most) {
  return random_below(random, one_in) ? 0 : random_below(random, most);
}

static void draw_wire(struct world *world, struct sim_wire_config *wire) {
  struct test_random *random = &world->random;
  *wire = (struct sim_wire_config){.peers = (uint16_t)world->traffic.plan.clients,
                                   .mtu = 1500,
                                   .frames = 4096,
                                   .queue_depth = random_below(random, 3) ? 512 : 16,
                                   .mac = {0x02, 0, 0, 0, 0, 2},
                                   .spread = (enum sim_spread)random_below(random, 4)};
  for (uint32_t direction = 0; direction < SIM_DIRECTIONS; direction++)
    wire->impairment[direction] = (struct sim_impairment){.loss_ppm = chance_of(random, 2, 100000),
                                                          .duplicate_ppm = chance_of(random, 2, 50000),
                                                          .reorder_ppm = chance_of(random, 2, 100000),
                                                          .corrupt_ppm = chance_of(random, 3, 5000),
                                                          .delay_ns = 1000 + random_below(random, 20000000),
                                                          .jitter_ns = chance_of(random, 2, 10000000),
                                                          .reorder_ns = 1 + random_below(random, 30000000)};
  for (uint16_t i = 0; i < wire->peers; i++) {
    const uint8_t mac[6] = {0x02, 0, 0, 0, 1, (uint8_t)i};
    memcpy(wire->peer_macs[i], mac, sizeof mac);
    memcpy(world->ends[i].client_mac, mac, sizeof mac);
    memcpy(world->ends[i].server_mac, wire->mac, sizeof mac);
    world->ends[i].client_ipv4 = 0x0a560064u + i;
    world->ends[i].server_ipv4 = APPLIANCE_IPV4;
    world->ends[i].ipv6 = random_below(random, 3) == 0;
    memcpy(world->ends[i].client_ipv6, (const uint8_t[16]){0xfd, 0x86, [14] = 1, [15] = (uint8_t)i}, 16);
    memcpy(world->ends[i].server_ipv6, appliance_ipv6, 16);
  }
}

/* A third of the stories is told in want of room: what is short comes under pressure, and must be normal again at rest. An id is
 * remembered beyond the story, so there is just room for all. */
static void press(struct world *world, struct appliance_options *options, bool undisturbed) {
  struct test_random *random = &world->random;
  const struct traffic_plan *plan = &world->traffic.plan;
  uint32_t ids = 1;
  for (uint32_t i = 0; i < plan->requests; i++) ids += plan->request[i].kind == REQUEST_SIGNED;
  options->shards = (uint16_t)(1 + random_below(random, 2));
  options->record_ring_bytes = 64u << 10;
  options->parked_max = 2 + random_below(random, 6);
  options->replay_capacity = ids;
  options->body_buffers = 1 + random_below(random, 4);
  options->address_limits[ADDRESS_REQUESTS] = 1 + random_below(random, 3);
  options->address_limits[ADDRESS_BODY_BYTES] = 262144 + 4096 * (1 + random_below(random, 4));
  /* A connection that is refused or reset may take its request twice. */
  if (undisturbed) return;
  options->connections_max = 4 + random_below(random, 2 * plan->clients);
  options->address_limits[ADDRESS_CONNECTIONS] = 2 + random_below(random, 3);
}

static void draw_appliance(struct world *world, const struct world_story *story) {
  struct test_random *random = &world->random;
  struct appliance_options options = {.shards = (uint16_t)(1 + random_below(random, APPLIANCE_SHARDS_MAX)),
                                      .record_ring_bytes = random_below(random, 3) ? 1u << 20 : 256u << 10,
                                      .connections_max = 64,
                                      .receive_pool_bytes = random_below(random, 3) ? 4u << 20 : 64u << 10,
                                      .send_pool_bytes = random_below(random, 3) ? 4u << 20 : 64u << 10,
                                      .body_buffers = random_below(random, 3) ? 64 : 2,
                                      .trace_idle_ns = story->undisturbed ? IDLE_UNDISTURBED_NS : IDLE_NS,
                                      .traces_max = 4096,
                                      .replay_capacity = 4096,
                                      .disk_latency_most_ns = 30000 + random_below(random, 20000000),
                                      .rules = simulation_rules};
  options.spans_durable = world->traffic.spans_durable = random_below(random, 2);
  /* What the owner of a key raises is not waited for. */
  if (!options.spans_durable && story->seed % 3) options.rules = simulation_window_rules;
  draw_wire(world, &options.wire);
  if (random_below(random, 3) == 0) press(world, &options, story->undisturbed);
  if (story->shards) options.shards = story->shards;
  request_maker_sources(&options);
  appliance_init(&world->appliance, &options, random_next(random));
}

static void plan_next_upset(struct world *world) {
  world->next_upset_at = world->traffic.answered + random_below(&world->random, world->traffic.plan.requests / 2 + 1);
}

static void boot(struct world *world) {
  appliance_boot(&world->appliance, world->now_ns);
  world->traffic.boot = world->appliance.boots;
  ledger_reread(&world->traffic.ledger);
  for (uint32_t i = 0; i < world->traffic.plan.clients; i++)
    client_attach(&world->clients[i], world->appliance.wires[0], &world->ends[i]);
}

static void start(struct world *world, const struct world_story *story, struct world_result *result) {
  *world = (struct world){.random = {story->seed * 0x9e3779b97f4a7c15ull + 1}, .undisturbed = story->undisturbed};
  world->result = result;
  world->now_ns = SECOND_NS;
  traffic_start(&world->traffic, random_next(&world->random));
  draw_appliance(world, story);
  world->traffic.rude = !story->undisturbed && random_below(&world->random, 3) == 0;
  world->upsets_left = story->undisturbed ? 0 : random_below(&world->random, 4);
  plan_next_upset(world);
  for (uint32_t i = 0; i < world->traffic.plan.clients; i++)
    client_init(&world->clients[i], &world->traffic, i, random_next(&world->random));
  boot(world);
}

static void read_journal(struct world *world) {
  for (const struct record_header *record; (record = appliance_read(&world->appliance));)
    ledger_read(&world->traffic.ledger, record);
}

static void note_life(struct world *world) {
  const struct sim_wire_counters *to = sim_wire_counters(world->appliance.wires[0], SIM_TO_APPLIANCE);
  const struct sim_wire_counters *from = sim_wire_counters(world->appliance.wires[0], SIM_TO_PEER);
  world->result->frames += to->offered + from->offered;
  world->result->frames_lost += to->lost + from->lost + to->missed + from->missed;
  for (uint16_t i = 0; i < world->appliance.options.shards; i++) {
    const struct shard_snapshot *snapshot = &world->appliance.snapshots[i];
    world->result->frames_handed_over += snapshot->shard.frames_handed_over;
    for (unsigned r = 0; r < RESOURCES; r++) {
      world->result->soft += (uint32_t)snapshot->pressure[r].entered[PRESSURE_SOFT];
      world->result->hard += (uint32_t)snapshot->pressure[r].entered[PRESSURE_HARD];
    }
  }
}

static void check_laws(const struct world *world) {
  if (!conservation_holds(&world->appliance)) abort();
}

/* What is no request: ARP, pings, noise, a shard that the scheduler holds up, new rules. */
static void side_shows(struct world *world) {
  struct test_random *random = &world->random;
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX] = {0};
  const uint32_t dice = random_below(random, 3000);
  const uint16_t peer = (uint16_t)random_below(random, world->traffic.plan.clients);
  uint32_t length = 0;
  if (dice < 4) length = segment_write_arp_request(&world->ends[peer], frame);
  if (dice >= 4 && dice < 8) length = segment_write_echo_request(&world->ends[peer], (uint16_t)dice, frame);
  if (dice >= 8 && dice < 12) {
    length = 14 + random_below(random, 1400);
    for (uint32_t i = 12; i < length; i++) frame[i] = (uint8_t)random_next(random);
    memcpy(frame, world->ends[peer].server_mac, 6);
    if (dice & 1) memcpy(frame + 12, "\x08\x00\x45", 3);
  }
  if (length) sim_wire_peer_send(world->appliance.wires[0], peer, frame, length);
  if (dice >= 12 && dice < 24)
    world->appliance.stalled_until_ns[random_below(random, world->appliance.options.shards)] =
        world->now_ns + random_below(random, 30000000);
  if (dice == 24) appliance_swap_rules(&world->appliance);
}

static uint64_t next_moment(struct world *world, bool busy) {
  uint64_t next_ns = appliance_next_ns(&world->appliance);
  for (uint32_t i = 0; i < world->traffic.plan.clients; i++) {
    const uint64_t client_ns = client_next_ns(&world->clients[i]);
    if (client_ns < next_ns) next_ns = client_ns;
  }
  const uint64_t soonest_ns = world->now_ns + 1000 + random_below(&world->random, 20000);
  const uint64_t latest_ns = world->now_ns + (busy ? 20000 : 1000000 + random_below(&world->random, 20000000));
  if (next_ns < soonest_ns) next_ns = soonest_ns;
  return next_ns < latest_ns ? next_ns : latest_ns;
}

static bool step(struct world *world) {
  const uint64_t wall_ns = appliance_wall_ns(&world->appliance, world->now_ns);
  bool finished = true;
  const bool busy = appliance_step(&world->appliance, world->now_ns);
  check_laws(world);
  read_journal(world);
  for (uint32_t i = 0; i < world->traffic.plan.clients; i++) {
    client_step(&world->clients[i], world->now_ns, wall_ns);
    finished &= client_finished(&world->clients[i]);
  }
  world->result->steps++;
  world->now_ns = next_moment(world, busy);
  return finished;
}

/* As the daemon: requests have ten seconds to come to an end; those of clients that vanished do not. */
static void stop_in_order(struct world *world) {
  const uint64_t until_ns = world->now_ns + 10 * SECOND_NS;
  appliance_request_drain(&world->appliance);
  while (!appliance_drained(&world->appliance) && world->now_ns < until_ns) step(world);
  world->now_ns = appliance_flush(&world->appliance, world->now_ns);
  check_laws(world);
  read_journal(world);
  ledger_check_promises(&world->traffic.ledger);
}

static void end_life(struct world *world, bool power_cut) {
  if (power_cut) {
    ledger_power_cut(&world->traffic.ledger);
    world->result->power_cuts++;
  } else {
    stop_in_order(world);
    world->result->restarts++;
  }
  note_life(world);
  appliance_stop(&world->appliance, power_cut);
  world->now_ns += random_below(&world->random, 2000000000);
  boot(world);
  read_journal(world);
  ledger_check_recovered(&world->traffic.ledger);
}

static void upset(struct world *world) {
  if (world->disk_free_ns && world->now_ns >= world->disk_free_ns) {
    journal_sim_io_set_capacity(world->appliance.disk, 0);
    world->disk_free_ns = 0;
  }
  if (world->upsets_left == 0 || world->traffic.answered < world->next_upset_at || world->disk_free_ns) return;
  world->upsets_left--;
  switch ((enum upset)random_below(&world->random, 3)) {
  case UPSET_POWER_CUT:
    end_life(world, true);
    break;
  case UPSET_RESTART:
    end_life(world, false);
    break;
  case UPSET_DISK_FULL:
    journal_sim_io_set_capacity(world->appliance.disk, 1);
    world->disk_free_ns = world->now_ns + random_below(&world->random, 2000000000);
    world->result->disk_full++;
    break;
  }
  plan_next_upset(world);
}

static void give_up(const struct world *world, const char *why) {
  fprintf(stderr, "after %llu ms and %llu steps: %s; %u of %u requests answered\n", (unsigned long long)(world->now_ns / 1000000),
          (unsigned long long)world->result->steps, why, world->traffic.answered, world->traffic.plan.requests);
  for (uint32_t i = 0; i < world->traffic.plan.clients; i++) {
    const struct simulated_client *client = &world->clients[i];
    fprintf(stderr, "client %u: %u pending, connection state %d, %zu bytes written, %u acknowledged, window %u, read %zu\n", i,
            client->pending_count, (int)client->tcp.state, client->tcp.out_bytes, client->tcp.acknowledged, client->tcp.window,
            client->tcp.in_bytes);
  }
  abort();
}

static void serve_all(struct world *world) {
  while (!step(world)) {
    if (world->now_ns > STORY_NS_MAX || world->result->steps > STEPS_MAX) give_up(world, "it does not end");
    if (!world->undisturbed) upset(world);
    side_shows(world);
  }
}

/* The clients have gone; the traces become idle, timers run out, the journal empties. */
static void come_to_rest(struct world *world) {
  const uint64_t idle_ns = world->appliance.options.trace_idle_ns;
  const uint64_t until_ns = world->now_ns + idle_ns + 130 * SECOND_NS;
  journal_sim_io_set_capacity(world->appliance.disk, 0);
  for (uint32_t i = 0; i < world->traffic.plan.clients; i++) client_tcp_abort(&world->clients[i].tcp);
  while (world->now_ns < until_ns) step(world);
  if (!conservation_at_rest(&world->appliance)) abort();
  ledger_check_promises(&world->traffic.ledger);
  traffic_check_traces(&world->traffic, idle_ns);
}

static void check_spans_accounted(const struct world *world) {
  uint64_t decoded = 0;
  for (uint16_t i = 0; i < world->appliance.options.shards; i++) decoded += world->appliance.snapshots[i].shard.spans_decoded;
  if (world->appliance.boots > 1) return;
  if (world->traffic.spans_answered <= decoded && decoded <= world->traffic.spans_sent) return;
  fprintf(stderr, "spans answered %llu <= decoded %llu <= sent %llu\n", (unsigned long long)world->traffic.spans_answered,
          (unsigned long long)decoded, (unsigned long long)world->traffic.spans_sent);
  abort();
}

void world_run(const struct world_story *story, struct world_result *result) {
  struct world *world = malloc(sizeof *world);
  if (!world) abort();
  *result = (struct world_result){0};
  start(world, story, result);
  serve_all(world);
  come_to_rest(world);
  check_spans_accounted(world);
  note_life(world);
  const struct traffic *traffic = &world->traffic;
  result->verdicts = ledger_verdicts(&traffic->ledger, &result->violations);
  result->shards = world->appliance.options.shards;
  result->clients = traffic->plan.clients;
  result->requests = traffic->plan.requests;
  result->answered = traffic->answered;
  result->refused = traffic->refused;
  result->connections = traffic->connections;
  result->broken = traffic->broken;
  result->spans = traffic->spans_answered;
  result->simulated_ns = world->now_ns;
  appliance_stop(&world->appliance, false);
  appliance_free(&world->appliance);
  for (uint32_t i = 0; i < traffic->plan.clients; i++) client_free(&world->clients[i]);
  traffic_free(&world->traffic);
  free(world);
}
