#include "load_tcp.h"
#include "bench.h"
#include <stdlib.h>
#include <string.h>

#define RETRANSMIT_NS 200000000ull
#define RECEIVE_WINDOW 65535u
#define HEADERS_BYTES 40u /* IPv4 and TCP */
#define TIMESTAMP_BYTES 12u

static bool send_segment(struct load_wire *wire, struct load_tcp *tcp, struct segment *segment) {
  struct driver_frame frame;
  if (!wire->queue->operations->take(wire->queue, &frame)) {
    wire->no_frame++;
    return false;
  }
  segment->window = RECEIVE_WINDOW;
  segment->options.timestamps = true; /* as Linux does */
  segment->options.timestamp = (uint32_t)(wire->now_ns / 1000000);
  segment->options.timestamp_echo = tcp->timestamp_recent;
  segment->acknowledgement = tcp->expected;
  frame.length = segment_write(&tcp->ends, segment, frame.bytes);
  wire->queue->operations->send(wire->queue, &frame, 0);
  wire->segments_sent++;
  tcp->acknowledge_due = tcp->acknowledge_late = false;
  return true;
}

static void send_control(struct load_wire *wire, struct load_tcp *tcp, uint8_t flags) {
  struct segment segment = {.sequence = tcp->next, .flags = flags};
  if (flags & SEGMENT_SYN) {
    segment.options.maximum_segment = (uint16_t)(wire->mtu - HEADERS_BYTES);
    segment.options.scales = true;
  }
  send_segment(wire, tcp, &segment);
}

void load_tcp_open(struct load_wire *wire, struct load_tcp *tcp, uint32_t initial) {
  *tcp = (struct load_tcp){.ends = tcp->ends, .state = LOAD_TCP_OPENING, .unacknowledged = initial, .next = initial};
  send_control(wire, tcp, SEGMENT_SYN);
  tcp->next = tcp->furthest = initial + 1;
  tcp->timer_ns = wire->now_ns + RETRANSMIT_NS;
}

/* The request that `next` lies in. */
static const struct load_slot *slot_of_next(const struct load_tcp *tcp) {
  const struct load_slot *slot = tcp->first;
  while (slot && tcp->next - slot->begin >= slot->length) slot = slot->next;
  bench_check(slot != NULL, "bytes to send of no request");
  return slot;
}

static void send_requests(struct load_wire *wire, struct load_tcp *tcp) {
  const uint32_t mss = wire->mtu - HEADERS_BYTES - TIMESTAMP_BYTES, edge = tcp->unacknowledged + tcp->window;
  if (tcp->next == tcp->posted) return;
  for (const struct load_slot *slot = slot_of_next(tcp); tcp->next != tcp->posted;) {
    const uint32_t at = tcp->next - slot->begin;
    if (at == slot->length) {
      slot = slot->next;
      continue;
    }
    const int32_t room = (int32_t)(edge - tcp->next);
    if (room <= 0) return;
    uint32_t bytes = slot->length - at < mss ? slot->length - at : mss;
    if (bytes > (uint32_t)room) bytes = (uint32_t)room;
    struct segment segment = {.sequence = tcp->next, .flags = SEGMENT_ACK, .payload = slot->bytes + at, .payload_bytes = bytes};
    if (!send_segment(wire, tcp, &segment)) return;
    if (tcp->next != tcp->furthest) wire->retransmits++;
    tcp->next += bytes;
    if ((int32_t)(tcp->next - tcp->furthest) > 0) tcp->furthest = tcp->next;
  }
}

void load_tcp_post(struct load_wire *wire, struct load_tcp *tcp, struct load_slot *slot) {
  bench_check(tcp->state == LOAD_TCP_OPEN, "the connection is open");
  slot->tcp = tcp;
  slot->next = NULL;
  slot->begin = tcp->posted;
  slot->answer_bytes = slot->answer_wanted = 0;
  slot->answer_status = 0;
  slot->started_ns = wire->now_ns;
  if (tcp->first) {
    tcp->last->next = slot;
  } else {
    tcp->first = slot;
    tcp->timer_ns = wire->now_ns + RETRANSMIT_NS;
  }
  tcp->last = slot;
  tcp->posted += slot->length;
  send_requests(wire, tcp);
}

void load_tcp_close(struct load_wire *wire, struct load_tcp *tcp) {
  tcp->state = LOAD_TCP_CLOSING;
  send_control(wire, tcp, SEGMENT_ACK | SEGMENT_FIN);
  tcp->next = tcp->furthest = tcp->next + 1;
  tcp->timer_ns = wire->now_ns + RETRANSMIT_NS;
}

/* Status and whole length, once the answer's head is there. */
static void read_head(struct load_slot *slot) {
  static const char version[] = "HTTP/1.1 ", length[] = "\r\nContent-Length: ";
  const char *end = memmem(slot->answer, slot->answer_bytes, "\r\n\r\n", 4);
  if (!end || slot->answer_bytes < sizeof version + 3) return;
  const char *number = memmem(slot->answer, (size_t)(end - slot->answer), length, sizeof length - 1);
  bench_check(memcmp(slot->answer, version, sizeof version - 1) == 0 && number, "an answer is not HTTP/1.1");
  slot->answer_status = (uint16_t)strtoul(slot->answer + sizeof version - 1, NULL, 10);
  slot->answer_wanted = (uint32_t)(end + 4 - slot->answer) + (uint32_t)strtoul(number + sizeof length - 1, NULL, 10);
}

/* As much of `bytes` as belongs to the slot's answer. */
static uint32_t take_part(struct load_slot *slot, const uint8_t *bytes, uint32_t length) {
  const uint32_t room = (slot->answer_wanted ? slot->answer_wanted : LOAD_ANSWER_BYTES) - slot->answer_bytes;
  uint32_t part = length < room ? length : room;
  memcpy(slot->answer + slot->answer_bytes, bytes, part);
  slot->answer_bytes += part;
  if (slot->answer_wanted) return part;
  read_head(slot);
  bench_check(slot->answer_wanted ? slot->answer_wanted <= LOAD_ANSWER_BYTES : slot->answer_bytes < LOAD_ANSWER_BYTES,
              "an answer is too long");
  if (slot->answer_wanted && slot->answer_bytes > slot->answer_wanted) {
    part -= slot->answer_bytes - slot->answer_wanted;
    slot->answer_bytes = slot->answer_wanted;
  }
  return part;
}

static struct load_slot *take_answers(struct load_tcp *tcp, const struct segment *segment) {
  struct load_slot *done = NULL, **end = &done;
  const uint32_t skip = tcp->expected - segment->sequence;
  tcp->acknowledge_due = true;
  if (skip >= segment->payload_bytes) return NULL; /* old, or behind a hole */
  for (uint32_t at = skip; at < segment->payload_bytes;) {
    struct load_slot *slot = tcp->first;
    bench_check(slot != NULL, "an answer that nobody asked for");
    at += take_part(slot, segment->payload + at, segment->payload_bytes - at);
    if (!slot->answer_wanted || slot->answer_bytes < slot->answer_wanted) continue;
    tcp->first = slot->next;
    slot->next = NULL;
    slot->tcp = NULL;
    *end = slot;
    end = &slot->next;
  }
  tcp->expected += segment->payload_bytes - skip;
  return done;
}

static void take_acknowledgement(struct load_wire *wire, struct load_tcp *tcp, const struct segment *segment) {
  const uint32_t fresh = segment->acknowledgement - tcp->unacknowledged;
  if (fresh > tcp->furthest - tcp->unacknowledged) return;
  const uint32_t window = (uint32_t)segment->window << tcp->window_shift;
  if (fresh) {
    tcp->unacknowledged += fresh;
    if ((int32_t)(tcp->next - tcp->unacknowledged) < 0) tcp->next = tcp->unacknowledged;
    tcp->duplicates = 0;
    tcp->timer_ns = wire->now_ns + RETRANSMIT_NS;
  } else if (tcp->furthest != tcp->unacknowledged && !segment->payload_bytes && window == tcp->window && ++tcp->duplicates == 3) {
    tcp->next = tcp->unacknowledged;
  }
  tcp->window = window;
  if (tcp->state == LOAD_TCP_OPEN) send_requests(wire, tcp);
}

struct load_slot *load_tcp_receive(struct load_wire *wire, struct load_tcp *tcp, const struct driver_frame *frame) {
  struct segment segment;
  if (!segment_read(&tcp->ends, frame->bytes, frame->length, &segment) || tcp->state == LOAD_TCP_CLOSED) return NULL;
  if (segment.flags & SEGMENT_RST) {
    wire->resets++;
    tcp->state = LOAD_TCP_CLOSED;
    return NULL;
  }
  if (tcp->state == LOAD_TCP_OPENING) {
    if (!(segment.flags & SEGMENT_SYN) || segment.acknowledgement != tcp->next) return NULL;
    tcp->state = LOAD_TCP_OPEN;
    tcp->unacknowledged = tcp->posted = tcp->next;
    tcp->expected = segment.sequence + 1;
    tcp->window = segment.window;
    tcp->window_shift = segment.options.scales ? segment.options.window_shift : 0;
    tcp->timestamp_recent = segment.options.timestamp;
    send_control(wire, tcp, SEGMENT_ACK);
    return NULL;
  }
  bench_check(segment.options.timestamps, "the appliance does not keep to the timestamps it agreed to");
  tcp->timestamp_recent = segment.options.timestamp;
  take_acknowledgement(wire, tcp, &segment);
  struct load_slot *done = segment.payload_bytes ? take_answers(tcp, &segment) : NULL;
  if (segment.flags & SEGMENT_FIN) {
    bench_check(tcp->state == LOAD_TCP_CLOSING, "the appliance closed a connection");
    tcp->expected++;
    send_control(wire, tcp, SEGMENT_ACK);
    tcp->state = LOAD_TCP_CLOSED;
  }
  return done;
}

void load_tcp_step(struct load_wire *wire, struct load_tcp *tcp) {
  const bool waits = tcp->state == LOAD_TCP_OPENING || tcp->state == LOAD_TCP_CLOSING || tcp->first;
  if (waits && wire->now_ns >= tcp->timer_ns) {
    tcp->timer_ns = wire->now_ns + RETRANSMIT_NS;
    if (tcp->state == LOAD_TCP_OPENING || tcp->state == LOAD_TCP_CLOSING) {
      const uint32_t after = tcp->next;
      tcp->next--;
      send_control(wire, tcp, tcp->state == LOAD_TCP_OPENING ? SEGMENT_SYN : SEGMENT_ACK | SEGMENT_FIN);
      tcp->next = after;
      wire->retransmits++;
    } else {
      tcp->next = tcp->unacknowledged;
    }
  }
  if (tcp->state == LOAD_TCP_OPEN) send_requests(wire, tcp);
}

void load_tcp_look(struct load_wire *wire, struct load_tcp *tcp) {
  load_tcp_step(wire, tcp);
  if (tcp->acknowledge_late) send_control(wire, tcp, SEGMENT_ACK);
  tcp->acknowledge_late = tcp->acknowledge_due;
}
