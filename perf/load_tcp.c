#include "load_tcp.h"
#include "bench.h"
#include <stdlib.h>
#include <string.h>

#define RETRANSMIT_NS 200000000ull
#define RECEIVE_WINDOW 65535u
#define HEADERS_BYTES 40u

static bool send_segment(struct load_wire *wire, struct load_tcp *tcp, struct segment *segment) {
  struct driver_frame frame;
  if (!wire->queue->operations->take(wire->queue, &frame)) {
    wire->no_frame++;
    return false;
  }
  segment->window = RECEIVE_WINDOW;
  segment->acknowledgement = tcp->expected;
  frame.length = segment_write(&tcp->ends, segment, frame.bytes);
  wire->queue->operations->send(wire->queue, &frame, 0);
  wire->segments_sent++;
  tcp->acknowledge_due = false;
  return true;
}

static void send_control(struct load_wire *wire, struct load_tcp *tcp, uint8_t flags) {
  struct segment segment = {.sequence = tcp->next, .flags = flags};
  if (flags & SEGMENT_SYN) {
    segment.maximum_segment = (uint16_t)(wire->mtu - HEADERS_BYTES);
    segment.window_scale = 1;
  }
  send_segment(wire, tcp, &segment);
}

void load_tcp_open(struct load_wire *wire, struct load_tcp *tcp, uint32_t initial) {
  *tcp = (struct load_tcp){.ends = tcp->ends, .state = LOAD_TCP_OPENING, .unacknowledged = initial, .next = initial};
  send_control(wire, tcp, SEGMENT_SYN);
  tcp->next = tcp->furthest = initial + 1;
  tcp->timer_ns = wire->now_ns + RETRANSMIT_NS;
}

static void send_request(struct load_wire *wire, struct load_tcp *tcp) {
  const uint32_t end = tcp->begin + tcp->slot->length, mss = wire->mtu - HEADERS_BYTES;
  const uint32_t edge = tcp->unacknowledged + tcp->window;
  while (tcp->next != end) {
    uint32_t bytes = end - tcp->next < mss ? end - tcp->next : mss;
    const int32_t room = (int32_t)(edge - tcp->next);
    if (room <= 0) return;
    if (bytes > (uint32_t)room) bytes = (uint32_t)room;
    struct segment segment = {.sequence = tcp->next,
                              .flags = SEGMENT_ACK,
                              .payload = tcp->slot->bytes + (tcp->next - tcp->begin),
                              .payload_bytes = bytes};
    if (!send_segment(wire, tcp, &segment)) return;
    if (tcp->next != tcp->furthest) wire->retransmits++;
    tcp->next += bytes;
    if ((int32_t)(tcp->next - tcp->furthest) > 0) tcp->furthest = tcp->next;
  }
}

void load_tcp_post(struct load_wire *wire, struct load_tcp *tcp, struct load_slot *slot) {
  bench_check(tcp->state == LOAD_TCP_OPEN && !tcp->slot && tcp->unacknowledged == tcp->furthest, "one request at a time");
  tcp->slot = slot;
  slot->tcp = tcp;
  slot->answer_bytes = slot->answer_wanted = 0;
  slot->answer_status = 0;
  slot->started_ns = wire->now_ns;
  tcp->begin = tcp->next;
  tcp->timer_ns = wire->now_ns + RETRANSMIT_NS;
  send_request(wire, tcp);
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

static bool take_answer(struct load_tcp *tcp, const struct segment *segment) {
  struct load_slot *slot = tcp->slot;
  const uint32_t skip = tcp->expected - segment->sequence;
  tcp->acknowledge_due = true;
  if (skip >= segment->payload_bytes) return false; /* old, or behind a hole */
  const uint32_t bytes = segment->payload_bytes - skip;
  bench_check(slot && bytes <= LOAD_ANSWER_BYTES - slot->answer_bytes, "an answer that nobody asked for, or too long");
  memcpy(slot->answer + slot->answer_bytes, segment->payload + skip, bytes);
  slot->answer_bytes += bytes;
  tcp->expected += bytes;
  if (!slot->answer_wanted) read_head(slot);
  return slot->answer_wanted && slot->answer_bytes >= slot->answer_wanted;
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
  if (tcp->slot && tcp->state == LOAD_TCP_OPEN) send_request(wire, tcp);
}

bool load_tcp_receive(struct load_wire *wire, struct load_tcp *tcp, const struct driver_frame *frame) {
  struct segment segment;
  if (!segment_read(&tcp->ends, frame->bytes, frame->length, &segment) || tcp->state == LOAD_TCP_CLOSED) return false;
  if (segment.flags & SEGMENT_RST) {
    wire->resets++;
    tcp->state = LOAD_TCP_CLOSED;
    return false;
  }
  if (tcp->state == LOAD_TCP_OPENING) {
    if (!(segment.flags & SEGMENT_SYN) || segment.acknowledgement != tcp->next) return false;
    tcp->state = LOAD_TCP_OPEN;
    tcp->unacknowledged = tcp->next;
    tcp->expected = segment.sequence + 1;
    tcp->window = segment.window;
    tcp->window_shift = segment.window_scale ? (uint8_t)(segment.window_scale - 1) : 0;
    send_control(wire, tcp, SEGMENT_ACK);
    return false;
  }
  take_acknowledgement(wire, tcp, &segment);
  const bool whole = segment.payload_bytes > 0 && take_answer(tcp, &segment);
  if (segment.flags & SEGMENT_FIN) {
    bench_check(tcp->state == LOAD_TCP_CLOSING, "the appliance closed a connection");
    tcp->expected++;
    send_control(wire, tcp, SEGMENT_ACK);
    tcp->state = LOAD_TCP_CLOSED;
  }
  return whole;
}

void load_tcp_step(struct load_wire *wire, struct load_tcp *tcp) {
  const bool waits = tcp->state == LOAD_TCP_OPENING || tcp->state == LOAD_TCP_CLOSING || tcp->slot;
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
  if (tcp->slot && tcp->state == LOAD_TCP_OPEN) send_request(wire, tcp);
  if (tcp->acknowledge_due) send_control(wire, tcp, SEGMENT_ACK);
}
