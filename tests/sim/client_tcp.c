#include "client_tcp.h"
#include <stdlib.h>
#include <string.h>

#define FLIGHT_SEGMENTS 16u
#define TIMEOUT_LEAST_NS 300000000ull
#define TIMEOUT_MOST_NS 5000000000ull
#define SILENCE_NS 30000000000ull

static void send_segment(struct client_tcp *tcp, uint32_t offset, uint32_t bytes, uint32_t flags) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  const struct segment segment = {
      .sequence = tcp->initial + 1 + offset,
      .acknowledgement = tcp->server_initial + 1 + (uint32_t)tcp->in_bytes + tcp->peer_finished,
      .flags = (uint8_t)(SEGMENT_ACK | flags),
      .window = tcp->own_window,
      .payload = tcp->out + offset,
      .payload_bytes = bytes,
  };
  sim_wire_peer_send(tcp->wire, tcp->peer, frame, segment_write(&tcp->ends, &segment, frame));
}

static void send_syn(struct client_tcp *tcp) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  const struct segment segment = {
      .sequence = tcp->initial, .flags = SEGMENT_SYN, .window = 65535, .maximum_segment = tcp->maximum_segment};
  sim_wire_peer_send(tcp->wire, tcp->peer, frame, segment_write(&tcp->ends, &segment, frame));
}

static void arm(struct client_tcp *tcp) { tcp->timer_ns = tcp->now_ns + tcp->timeout_ns; }

void client_tcp_start(struct client_tcp *tcp, uint16_t server_port, struct test_random *random, uint64_t now_ns) {
  static const uint16_t segments[] = {1460, 1460, 1000, 536, 100};
  tcp->ends.client_port =
      (uint16_t)(tcp->ends.client_port < 1024 ? 1024 + random_below(random, 60000) : tcp->ends.client_port + 1u);
  tcp->ends.server_port = server_port;
  tcp->state = CLIENT_TCP_OPENING;
  tcp->initial = (uint32_t)random_next(random);
  tcp->out_bytes = tcp->in_bytes = 0;
  tcp->acknowledged = tcp->next = tcp->furthest = 0;
  tcp->finishing = tcp->peer_finished = false;
  tcp->window = tcp->duplicate_acknowledgements = 0;
  tcp->own_window = random_below(random, 4) ? 65535 : (uint16_t)(300 + random_below(random, 4000));
  tcp->maximum_segment = segments[random_below(random, 5)];
  tcp->now_ns = tcp->heard_ns = now_ns;
  tcp->timeout_ns = 1000000000;
  arm(tcp);
  send_syn(tcp);
}

void client_tcp_write(struct client_tcp *tcp, const void *bytes, size_t length) {
  if (tcp->out_bytes + length > tcp->out_room) {
    tcp->out_room = 2 * (tcp->out_bytes + length);
    tcp->out = realloc(tcp->out, tcp->out_room);
    if (!tcp->out) abort();
  }
  memcpy(tcp->out + tcp->out_bytes, bytes, length);
  tcp->out_bytes += length;
}

void client_tcp_finish(struct client_tcp *tcp) { tcp->finishing = true; }

void client_tcp_abort(struct client_tcp *tcp) {
  if (tcp->state == CLIENT_TCP_OPEN) send_segment(tcp, tcp->next, 0, SEGMENT_RST);
  tcp->state = CLIENT_TCP_IDLE;
}

static bool all_acknowledged(const struct client_tcp *tcp) { return tcp->acknowledged == tcp->out_bytes + tcp->finishing; }

static void send_what_fits(struct client_tcp *tcp) {
  const uint32_t end = (uint32_t)tcp->out_bytes;
  uint32_t most = FLIGHT_SEGMENTS * tcp->maximum_segment;
  if (most > tcp->window) most = tcp->window;
  while (tcp->next < end && tcp->next - tcp->acknowledged < most) {
    uint32_t bytes = end - tcp->next;
    if (bytes > tcp->maximum_segment) bytes = tcp->maximum_segment;
    if (bytes > most - (tcp->next - tcp->acknowledged)) bytes = most - (tcp->next - tcp->acknowledged);
    send_segment(tcp, tcp->next, bytes, 0);
    tcp->next += bytes;
  }
  if (tcp->finishing && tcp->next == end) {
    send_segment(tcp, end, 0, SEGMENT_FIN);
    tcp->next = end + 1;
  }
  if (tcp->next > tcp->furthest) tcp->furthest = tcp->next;
}

static void take(struct client_tcp *tcp, const struct segment *segment) {
  const uint32_t at = segment->sequence - tcp->server_initial - 1;
  const uint32_t skip = (uint32_t)tcp->in_bytes - at;
  if (skip <= segment->payload_bytes && !tcp->peer_finished) {
    const uint32_t fresh = segment->payload_bytes - skip;
    if (tcp->in_bytes + fresh > tcp->in_room) {
      tcp->in_room = 2 * (tcp->in_bytes + fresh);
      tcp->in = realloc(tcp->in, tcp->in_room);
      if (!tcp->in) abort();
    }
    if (fresh) memcpy(tcp->in + tcp->in_bytes, segment->payload + skip, fresh);
    tcp->in_bytes += fresh;
    tcp->peer_finished = segment->flags & SEGMENT_FIN;
  }
  if (segment->payload_bytes || segment->flags & SEGMENT_FIN) send_segment(tcp, tcp->next, 0, 0);
}

static void acknowledge(struct client_tcp *tcp, const struct segment *segment) {
  const uint32_t acknowledged = segment->acknowledgement - tcp->initial - 1;
  if (acknowledged > tcp->furthest || acknowledged < tcp->acknowledged) return;
  if (acknowledged > tcp->acknowledged) {
    tcp->acknowledged = acknowledged;
    if (tcp->next < acknowledged) tcp->next = acknowledged;
    tcp->duplicate_acknowledgements = 0;
    tcp->timeout_ns = TIMEOUT_LEAST_NS;
    arm(tcp);
  } else if (!segment->payload_bytes && segment->window == tcp->window && tcp->furthest > acknowledged &&
             ++tcp->duplicate_acknowledgements == 3) {
    tcp->next = acknowledged;
  }
  tcp->window = segment->window;
}

void client_tcp_frame(struct client_tcp *tcp, const uint8_t *frame, uint32_t length, uint64_t now_ns) {
  struct segment segment;
  tcp->now_ns = now_ns;
  if (tcp->state != CLIENT_TCP_OPENING && tcp->state != CLIENT_TCP_OPEN) return;
  if (!segment_read(&tcp->ends, frame, length, &segment)) return;
  if (segment.flags & SEGMENT_RST) {
    const bool wanted = tcp->state == CLIENT_TCP_OPEN
                            ? segment.sequence - tcp->server_initial - 1 - (uint32_t)tcp->in_bytes < 65536
                            : segment.acknowledgement == tcp->initial + 1;
    if (wanted) tcp->state = CLIENT_TCP_RESET;
    return;
  }
  if (segment.flags & SEGMENT_SYN) {
    if (tcp->state == CLIENT_TCP_OPENING && segment.acknowledgement == tcp->initial + 1) {
      tcp->server_initial = segment.sequence;
      tcp->state = CLIENT_TCP_OPEN;
      tcp->window = segment.window;
      tcp->heard_ns = now_ns;
      arm(tcp);
    }
    if (tcp->state == CLIENT_TCP_OPEN) send_segment(tcp, tcp->next, 0, 0);
    return;
  }
  if (tcp->state != CLIENT_TCP_OPEN || !(segment.flags & SEGMENT_ACK)) return;
  tcp->heard_ns = now_ns;
  acknowledge(tcp, &segment);
  take(tcp, &segment);
}

static void time_out(struct client_tcp *tcp) {
  tcp->timeout_ns = 2 * tcp->timeout_ns > TIMEOUT_MOST_NS ? TIMEOUT_MOST_NS : 2 * tcp->timeout_ns;
  arm(tcp);
  if (tcp->state == CLIENT_TCP_OPENING) {
    send_syn(tcp);
  } else if (all_acknowledged(tcp)) {
    send_segment(tcp, tcp->next - 1, 0, 0); /* a keep-alive: an answer may be lost, or the server gone */
  } else if (tcp->window == 0 && tcp->acknowledged < tcp->out_bytes) {
    send_segment(tcp, tcp->acknowledged, 1, 0);
    tcp->next = tcp->acknowledged + 1;
    if (tcp->next > tcp->furthest) tcp->furthest = tcp->next;
  } else {
    tcp->next = tcp->acknowledged;
  }
}

void client_tcp_step(struct client_tcp *tcp, uint64_t now_ns) {
  tcp->now_ns = now_ns;
  if (tcp->state != CLIENT_TCP_OPENING && tcp->state != CLIENT_TCP_OPEN) return;
  if (now_ns - tcp->heard_ns > SILENCE_NS) {
    tcp->state = CLIENT_TCP_SILENT;
    return;
  }
  if (now_ns >= tcp->timer_ns) time_out(tcp);
  if (tcp->state == CLIENT_TCP_OPEN) send_what_fits(tcp);
}

uint64_t client_tcp_next_ns(const struct client_tcp *tcp) {
  return tcp->state == CLIENT_TCP_OPENING || tcp->state == CLIENT_TCP_OPEN ? tcp->timer_ns : UINT64_MAX;
}

void client_tcp_free(struct client_tcp *tcp) {
  free(tcp->out);
  free(tcp->in);
}
