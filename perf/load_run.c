#include "load_run.h"
#include "bench.h"
#include "shard_time.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_BYTES 54u /* Ethernet, IPv4, TCP */
#define FIRST_PORT 10000u
#define PORTS 50000u
#define BURST 64u
#define OPENING_MAX 64u    /* handshakes at once */
#define STEP_NS 100000ull  /* between looks at timers */
#define STEPS_A_ROUND 400u /* ACKs wait 40 to 80 ms for a request to carry them, as on Linux */
#define GIVE_UP_NS 20000000000ull

struct run {
  struct load *load;
  const struct load_plan *plan;
  struct load_result *result;
  struct load_tcp *tcps;
  struct load_slot *slots;
  uint32_t free_slots[LOAD_WINDOW_MAX], free_count;
  uint32_t turn, step_at; /* whose turn it is to post, to be looked at */
  uint64_t step_ns, answered, posted;
  bool measuring, posting;
};

static uint32_t index_of(const struct run *run, const uint8_t *frame) {
  const uint32_t address = (uint32_t)frame[30] << 24 | (uint32_t)frame[31] << 16 | (uint32_t)frame[32] << 8 | frame[33];
  const uint32_t port = (uint32_t)frame[36] << 8 | frame[37];
  if (port < FIRST_PORT || port >= FIRST_PORT + PORTS) return UINT32_MAX;
  return (address - run->load->ends.client_ipv4) * PORTS + (port - FIRST_PORT);
}

/* 503 is the right answer of an appliance whose disk is behind: no success, no failure. */
static void check_answer(struct run *run, const struct load_slot *slot) {
  const struct load_request *request = run->plan->request;
  if (slot->answer_status == 503) {
    run->result->refused++;
    return;
  }
  const char *body = memmem(slot->answer, slot->answer_bytes, "\r\n\r\n", 4);
  bool good = slot->answer_status == request->status && slot->answer_bytes == slot->answer_wanted && body;
  /* Nothing was rejected: an empty ExportTraceServiceResponse. A webhook is told of its state. */
  if (good && request->kind == LOAD_OTLP) good = slot->answer + slot->answer_bytes == body + 4;
  if (good && request->kind != LOAD_OTLP) good = strncmp(body + 4, "{\"status\":\"", 11) == 0;
  if (good) {
    run->result->all++;
    run->result->violations += load_request_violations(request, slot->number);
    if (run->measuring) histogram_record(&run->result->latency_ns, run->load->wire.now_ns - slot->started_ns);
    return;
  }
  fprintf(stderr, "answer: %.*s\n", (int)slot->answer_bytes, slot->answer);
  bench_fail("an answer is not what was expected");
}

static void receive(struct run *run, struct driver_frame *frames, uint32_t count) {
  struct load_wire *wire = &run->load->wire;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t index = frames[i].length >= HEADERS_BYTES ? index_of(run, frames[i].bytes) : UINT32_MAX;
    if (index >= run->plan->connections) continue;
    struct load_tcp *tcp = &run->tcps[index];
    for (struct load_slot *slot = load_tcp_receive(wire, tcp, &frames[i]), *next; slot; slot = next) {
      next = slot->next;
      check_answer(run, slot);
      run->answered++;
      run->free_slots[run->free_count++] = (uint32_t)(slot - run->slots);
    }
  }
  if (count) wire->queue->operations->release(wire->queue, frames, count);
}

/* The connections take turns: the next is always the one whose memory is coldest. */
static void post(struct run *run) {
  const struct load_request *request = run->plan->request;
  while (run->posting && run->free_count > 0) {
    struct load_tcp *tcp = &run->tcps[run->turn];
    run->turn = run->turn + 1 < run->plan->connections ? run->turn + 1 : 0;
    __builtin_prefetch(&run->tcps[run->turn]);
    struct load_slot *slot = &run->slots[run->free_slots[--run->free_count]];
    slot->number = run->load->numbers[request->kind]++;
    load_request_number(request, slot->number, slot->bytes);
    load_tcp_post(&run->load->wire, tcp, slot);
    run->posted++;
  }
}

static void step(struct run *run) {
  struct load_wire *wire = &run->load->wire;
  if (wire->now_ns - run->step_ns < STEP_NS) return;
  run->step_ns = wire->now_ns;
  for (uint32_t i = 0; i < run->plan->window; i++)
    if (run->slots[i].tcp) load_tcp_step(wire, run->slots[i].tcp);
  for (uint32_t i = 0; i <= run->plan->connections / STEPS_A_ROUND; i++) {
    load_tcp_look(wire, &run->tcps[run->step_at]);
    run->step_at = run->step_at + 1 < run->plan->connections ? run->step_at + 1 : 0;
  }
}

/* One turn of the loop; true when there was something to do. */
static bool poll(struct run *run) {
  struct load_wire *wire = &run->load->wire;
  struct driver_frame frames[BURST];
  wire->now_ns = bench_now_ns();
  const uint64_t posted = run->posted;
  const uint32_t count = wire->queue->operations->receive(wire->queue, frames, BURST);
  receive(run, frames, count);
  post(run);
  step(run);
  wire->queue->operations->flush(wire->queue);
  return count > 0 || run->posted != posted;
}

static void give_up_after(const struct run *run, uint64_t since_ns, const char *what) {
  if (run->load->wire.now_ns - since_ns > GIVE_UP_NS) bench_fail(what);
}

static void open_all(struct run *run) {
  struct load *load = run->load;
  const uint64_t since_ns = load->wire.now_ns = bench_now_ns();
  load->incarnation++;
  for (uint32_t opened = 0, begun = 0; opened < run->plan->connections;) {
    while (begun < run->plan->connections && begun < opened + OPENING_MAX) {
      struct load_tcp *tcp = &run->tcps[begun];
      tcp->ends = load->ends;
      tcp->ends.server_port = run->plan->request->port;
      tcp->ends.client_ipv4 += begun / PORTS;
      tcp->ends.client_port = (uint16_t)(FIRST_PORT + begun % PORTS);
      load_tcp_open(&load->wire, tcp, (uint32_t)(load->incarnation * 0x10000000u + begun * 97));
      begun++;
    }
    poll(run);
    while (opened < begun && run->tcps[opened].state == LOAD_TCP_OPEN) opened++;
    give_up_after(run, since_ns, "the connections do not open");
  }
}

static void close_all(struct run *run) {
  const uint64_t since_ns = run->load->wire.now_ns;
  for (uint32_t closed = 0, begun = 0; closed < run->plan->connections;) {
    while (begun < run->plan->connections && begun < closed + OPENING_MAX) load_tcp_close(&run->load->wire, &run->tcps[begun++]);
    poll(run);
    while (closed < begun && run->tcps[closed].state == LOAD_TCP_CLOSED) closed++;
    give_up_after(run, since_ns, "the connections do not close");
  }
}

/* Posts for so long; the share of idle turns, by time. */
static double post_for(struct run *run, double seconds) {
  const uint64_t start_ns = bench_now_ns(), end_ns = start_ns + (uint64_t)(seconds * 1e9);
  uint64_t idle_ns = 0;
  for (uint64_t before_ns = start_ns; before_ns < end_ns;) {
    const bool busy = poll(run);
    const uint64_t now_ns = bench_now_ns();
    if (!busy) idle_ns += now_ns - before_ns;
    before_ns = now_ns;
  }
  return (double)idle_ns / (double)(bench_now_ns() - start_ns);
}

static void measure(struct run *run) {
  struct load_result *result = run->result;
  run->posting = true;
  post_for(run, run->plan->seconds / 10);
  run->measuring = true;
  const uint64_t start_ns = bench_now_ns(), all = result->all;
  const double shard = shard_time_seconds(run->plan->appliance);
  result->idle = post_for(run, run->plan->seconds);
  result->shard_seconds = shard_time_seconds(run->plan->appliance) - shard;
  result->seconds = (double)(bench_now_ns() - start_ns) / 1e9;
  result->requests = result->all - all;
  run->measuring = run->posting = false;
  for (const uint64_t since_ns = bench_now_ns(); run->answered != run->posted;) {
    poll(run);
    give_up_after(run, since_ns, "the last answers do not come");
  }
}

void load_run(struct load *load, const struct load_plan *plan, struct load_result *result) {
  bench_check(plan->connections > 0 && plan->connections <= LOAD_CONNECTIONS_MAX && plan->window <= LOAD_WINDOW_MAX &&
                  plan->window > 0,
              "a plan beyond the generator");
  *result = (struct load_result){0};
  struct run run = {.load = load, .plan = plan, .result = result};
  run.tcps = calloc(plan->connections, sizeof *run.tcps);
  run.slots = calloc(plan->window, sizeof *run.slots);
  bench_check(run.tcps && run.slots, "memory");
  for (uint32_t i = 0; i < plan->window; i++) {
    run.slots[i].length = plan->request->length;
    run.slots[i].bytes = malloc(plan->request->length);
    bench_check(run.slots[i].bytes != NULL, "memory");
    memcpy(run.slots[i].bytes, plan->request->bytes, plan->request->length);
    run.free_slots[run.free_count++] = i;
  }
  const uint64_t retransmits = load->wire.retransmits, segments = load->wire.segments_sent, resets = load->wire.resets;
  open_all(&run);
  measure(&run);
  close_all(&run);
  bench_check(load->wire.resets == resets, "the appliance reset a connection");
  result->retransmits = load->wire.retransmits - retransmits;
  result->segments = load->wire.segments_sent - segments;
  for (uint32_t i = 0; i < plan->window; i++) free(run.slots[i].bytes);
  free(run.slots);
  free(run.tcps);
}

void load_resolve(struct load *load) {
  struct driver_queue *queue = load->wire.queue;
  struct driver_frame frame;
  const uint64_t since_ns = bench_now_ns();
  for (uint64_t asked_ns = 0;;) {
    const uint64_t now_ns = bench_now_ns();
    if (now_ns - since_ns > GIVE_UP_NS) bench_fail("the appliance does not answer ARP");
    if (now_ns - asked_ns > 100000000 && queue->operations->take(queue, &frame)) {
      asked_ns = now_ns;
      frame.length = segment_write_arp_request(&load->ends, frame.bytes);
      queue->operations->send(queue, &frame, 0);
      queue->operations->flush(queue);
    }
    if (queue->operations->receive(queue, &frame, 1) == 0) continue;
    const bool reply = frame.length >= 42 && frame.bytes[12] == 0x08 && frame.bytes[13] == 0x06 && frame.bytes[21] == 2;
    if (reply) memcpy(load->ends.server_mac, frame.bytes + 6, 6);
    queue->operations->release(queue, &frame, 1);
    if (reply) return;
  }
}
