#include "memory_wire.h"
#include "bench.h"
#include <stdlib.h>

#define FRAMES 1024u
#define FRAME_BYTES 2048u

/* From one end to the other. Positions only grow: released <= received <= sent. */
struct direction {
  uint64_t sent, received, released;
  uint32_t lengths[FRAMES];
  uint8_t bytes[FRAMES][FRAME_BYTES];
};

struct end {
  struct driver_queue face;
  struct direction *in, *out;
  struct driver_queue_counters counters;
};

struct memory_wire {
  struct end ends[2];
  struct direction directions[2];
};

static uint32_t receive(struct driver_queue *queue, struct driver_frame *frames, uint32_t most) {
  struct end *end = (struct end *)queue;
  struct direction *in = end->in;
  uint32_t count = 0;
  for (; count < most && in->received < in->sent; count++, in->received++) {
    const uint64_t at = in->received % FRAMES;
    frames[count] = (struct driver_frame){.bytes = in->bytes[at], .length = in->lengths[at]};
    end->counters.received_bytes += in->lengths[at];
  }
  end->counters.received += count;
  return count;
}

static void release(struct driver_queue *queue, struct driver_frame *frames, uint32_t count) {
  (void)frames;
  ((struct end *)queue)->in->released += count;
}

/* The same until it is sent: each end fills one frame at a time. */
static bool take(struct driver_queue *queue, struct driver_frame *frame) {
  struct end *end = (struct end *)queue;
  if (end->out->sent - end->out->released == FRAMES) {
    end->counters.no_buffer++;
    return false;
  }
  *frame = (struct driver_frame){.bytes = end->out->bytes[end->out->sent % FRAMES], .length = FRAME_BYTES};
  return true;
}

static void send(struct driver_queue *queue, struct driver_frame *frame, uint32_t offload) {
  struct end *end = (struct end *)queue;
  (void)offload;
  end->out->lengths[end->out->sent % FRAMES] = frame->length;
  end->out->sent++;
  end->counters.sent++;
  end->counters.sent_bytes += frame->length;
}

static void flush(struct driver_queue *queue) { (void)queue; }

static const struct driver_queue_counters *counters(const struct driver_queue *queue) {
  return &((const struct end *)queue)->counters;
}

static const struct driver_queue_operations operations = {
    .receive = receive, .release = release, .take = take, .send = send, .flush = flush, .counters = counters};

struct memory_wire *memory_wire_create(void) {
  struct memory_wire *wire = calloc(1, sizeof *wire);
  bench_check(wire != NULL, "memory for a wire");
  for (unsigned i = 0; i < 2; i++)
    wire->ends[i] = (struct end){.face = {&operations}, .in = &wire->directions[i], .out = &wire->directions[1 - i]};
  return wire;
}

void memory_wire_free(struct memory_wire *wire) { free(wire); }

struct driver_queue *memory_wire_end(struct memory_wire *wire, unsigned end) {
  return &wire->ends[end].face;
}

uint32_t memory_wire_waiting(const struct memory_wire *wire, unsigned end) {
  return (uint32_t)(wire->ends[end].in->sent - wire->ends[end].in->received);
}
