#include "client_tcp.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHT_SEGMENTS 16u
#define TIMEOUT_LEAST_NS 300000000ull
#define TIMEOUT_MOST_NS 5000000000ull
#define SILENCE_NS 30000000000ull

static void require(const struct client_tcp *tcp, bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "client %u port %u: the server %s; %zu bytes received, acknowledged %u of %u sent\n", tcp->peer,
          tcp->ends.client_port, what, tcp->in_bytes, tcp->acknowledged, tcp->furthest);
  abort();
}

static uint32_t clock_ms(const struct client_tcp *tcp) { return (uint32_t)(tcp->now_ns / 1000000) + tcp->timestamp_offset; }

static void write_selective(const struct client_tcp *tcp, struct segment_options *options) {
  const uint32_t most = options->timestamps ? 3 : 4;
  if (!tcp->wanted.selective_permitted) return;
  for (uint32_t i = 0; i < tcp->held.count && options->selective_count < most; i++) {
    const uint32_t range = (tcp->held.latest + i) % tcp->held.count, at = options->selective_count++;
    options->selective[at][0] = tcp->server_initial + 1 + tcp->held.ranges[range].start;
    options->selective[at][1] = tcp->server_initial + 1 + tcp->held.ranges[range].end;
  }
}

static void send_segment(struct client_tcp *tcp, uint32_t offset, uint32_t bytes, uint32_t flags) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  const uint32_t shift = tcp->wanted.scales ? tcp->wanted.window_shift : 0, field = tcp->own_window >> shift;
  struct segment segment = {
      .sequence = tcp->initial + 1 + offset,
      .acknowledgement = tcp->server_initial + 1 + (uint32_t)tcp->in_bytes + tcp->peer_finished,
      .flags = (uint8_t)(SEGMENT_ACK | flags),
      .window = (uint16_t)(field < 65535 ? field : 65535),
      .options = {.timestamps = tcp->wanted.timestamps, .timestamp = clock_ms(tcp), .timestamp_echo = tcp->timestamp_recent},
      .payload = bytes ? tcp->out + offset : NULL,
      .payload_bytes = bytes,
  };
  write_selective(tcp, &segment.options);
  const uint32_t edge = (uint32_t)tcp->in_bytes + ((uint32_t)segment.window << shift);
  if (edge > tcp->edge) tcp->edge = edge;
  sim_wire_peer_send(tcp->wire, tcp->peer, frame, segment_write(&tcp->ends, &segment, frame));
}

static void send_syn(struct client_tcp *tcp) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  const struct segment segment = {.sequence = tcp->initial,
                                  .flags = SEGMENT_SYN,
                                  .window = (uint16_t)(tcp->own_window < 65535 ? tcp->own_window : 65535),
                                  .options = tcp->wanted};
  tcp->edge = segment.window;
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
  tcp->own_window = random_below(random, 4) ? 65535 : 300 + random_below(random, 4000);
  tcp->maximum_segment = segments[random_below(random, 5)];
  tcp->held = tcp->selected = (struct range_set){0};
  tcp->finish_at = UINT32_MAX;
  tcp->peer_shift = 0;
  tcp->timestamp_recent = 0;
  tcp->timestamp_offset = (uint32_t)random_next(random);
  tcp->wanted = (struct segment_options){.maximum_segment = tcp->maximum_segment,
                                         .scales = random_below(random, 2),
                                         .timestamps = random_below(random, 2),
                                         .selective_permitted = random_below(random, 2),
                                         .timestamp = (uint32_t)(now_ns / 1000000) + tcp->timestamp_offset};
  if (tcp->wanted.scales) tcp->wanted.window_shift = (uint8_t)random_below(random, 8);
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

void client_tcp_offer(struct client_tcp *tcp, uint32_t window) {
  tcp->own_window = window;
  send_segment(tcp, tcp->next, 0, 0);
}

void client_tcp_abort(struct client_tcp *tcp) {
  if (tcp->state == CLIENT_TCP_OPEN) send_segment(tcp, tcp->next, 0, SEGMENT_RST);
  tcp->state = CLIENT_TCP_IDLE;
}

static bool all_acknowledged(const struct client_tcp *tcp) { return tcp->acknowledged == tcp->out_bytes + tcp->finishing; }

/* How much goes in one segment: the options come off (RFC 6691). */
static uint32_t most_payload(const struct client_tcp *tcp) {
  return tcp->maximum_segment - (tcp->wanted.timestamps ? 12u : 0u) - (tcp->held.count ? 36u : 0u);
}

static void send_what_fits(struct client_tcp *tcp) {
  const uint32_t end = (uint32_t)tcp->out_bytes;
  uint32_t most = FLIGHT_SEGMENTS * tcp->maximum_segment, hole;
  if (most > tcp->window) most = tcp->window;
  while (tcp->next < end && tcp->next - tcp->acknowledged < most) {
    const uint32_t behind = range_set_skip(&tcp->selected, tcp->next, &hole);
    if (behind > tcp->next) {
      tcp->next = behind;
      continue;
    }
    uint32_t bytes = end - tcp->next;
    if (bytes > hole - tcp->next) bytes = hole - tcp->next;
    if (bytes > most_payload(tcp)) bytes = most_payload(tcp);
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

static void make_room(struct client_tcp *tcp, size_t bytes) {
  if (bytes <= tcp->in_room) return;
  tcp->in_room = 2 * bytes;
  tcp->in = realloc(tcp->in, tcp->in_room);
  if (!tcp->in) abort();
}

/* Where both have bytes, they are the same. */
static bool same_as_held(const struct client_tcp *tcp, uint32_t start, uint32_t end, const uint8_t *bytes) {
  for (uint32_t i = 0; i < tcp->held.count; i++) {
    const uint32_t from = tcp->held.ranges[i].start > start ? tcp->held.ranges[i].start : start;
    const uint32_t to = tcp->held.ranges[i].end < end ? tcp->held.ranges[i].end : end;
    if (from < to && memcmp(tcp->in + from, bytes + (from - start), to - from) != 0) return false;
  }
  return true;
}

static void take(struct client_tcp *tcp, const struct segment *segment) {
  const uint32_t at = segment->sequence - tcp->server_initial - 1, had = (uint32_t)tcp->in_bytes;
  const uint32_t end = at + segment->payload_bytes;
  if ((int32_t)at < 0 || at > had + (1u << 28)) return; /* a keep-alive probe */
  require(tcp, end <= tcp->edge + 1, "sends beyond the window");
  if (segment->flags & SEGMENT_FIN) {
    require(tcp, tcp->finish_at == UINT32_MAX || tcp->finish_at == end, "ends twice, at different places");
    tcp->finish_at = end;
  }
  require(tcp, !segment->payload_bytes || end <= tcp->finish_at, "goes on behind its end");
  if (end > had) {
    const uint32_t start = at > had ? at : had;
    if (at < had) require(tcp, memcmp(tcp->in + at, segment->payload, had - at) == 0, "sends other bytes again");
    make_room(tcp, end);
    require(tcp, same_as_held(tcp, start, end, segment->payload + (start - at)), "sends other bytes again");
    const bool in_order = start == had;
    if (in_order || range_set_add(&tcp->held, start, end)) memcpy(tcp->in + start, segment->payload + (start - at), end - start);
    if (in_order) tcp->in_bytes = range_set_reach(&tcp->held, end);
  } else if (segment->payload_bytes) {
    require(tcp, memcmp(tcp->in + at, segment->payload, segment->payload_bytes) == 0, "sends other bytes again");
  }
  if (tcp->in_bytes == tcp->finish_at) tcp->peer_finished = true;
  if (segment->payload_bytes || segment->flags & SEGMENT_FIN) send_segment(tcp, tcp->next, 0, 0);
}

static void note_selective(struct client_tcp *tcp, const struct segment_options *options) {
  for (uint32_t i = 0; i < options->selective_count; i++) {
    const uint32_t start = options->selective[i][0] - tcp->initial - 1, end = options->selective[i][1] - tcp->initial - 1;
    if (end <= tcp->acknowledged) continue; /* RFC 2883, or old */
    require(tcp, start < end && end <= tcp->furthest, "acknowledges selectively what was never sent");
    range_set_add(&tcp->selected, start, end < (uint32_t)tcp->out_bytes ? end : (uint32_t)tcp->out_bytes);
  }
}

static void acknowledge(struct client_tcp *tcp, const struct segment *segment) {
  const uint32_t acknowledged = segment->acknowledgement - tcp->initial - 1;
  const uint32_t window = (uint32_t)segment->window << tcp->peer_shift;
  if ((int32_t)(acknowledged - tcp->acknowledged) < 0) return;
  require(tcp, acknowledged <= tcp->furthest, "acknowledges what was never sent");
  if (acknowledged > tcp->acknowledged) {
    tcp->acknowledged = acknowledged;
    range_set_reach(&tcp->selected, acknowledged);
    if (tcp->next < acknowledged) tcp->next = acknowledged;
    tcp->duplicate_acknowledgements = 0;
    tcp->timeout_ns = TIMEOUT_LEAST_NS;
    arm(tcp);
  } else if (!segment->payload_bytes && window == tcp->window && tcp->furthest > acknowledged &&
             ++tcp->duplicate_acknowledgements == 3) {
    tcp->next = acknowledged;
  }
  note_selective(tcp, &segment->options);
  tcp->window = window;
}

/* What the server did not take up, or offers unasked. */
static void negotiate(struct client_tcp *tcp, const struct segment_options *offered) {
  require(tcp,
          !(offered->scales && !tcp->wanted.scales) && !(offered->timestamps && !tcp->wanted.timestamps) &&
              !(offered->selective_permitted && !tcp->wanted.selective_permitted),
          "offers an option unasked");
  tcp->wanted.scales &= offered->scales;
  tcp->wanted.timestamps &= offered->timestamps;
  tcp->wanted.selective_permitted &= offered->selective_permitted;
  if (tcp->wanted.scales) tcp->peer_shift = offered->window_shift;
  tcp->timestamp_recent = offered->timestamp;
  require(tcp, offered->maximum_segment != 0, "names no maximum segment size");
  if (offered->maximum_segment < tcp->maximum_segment) tcp->maximum_segment = offered->maximum_segment;
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
      negotiate(tcp, &segment.options);
      tcp->state = CLIENT_TCP_OPEN;
      tcp->window = segment.window;
      tcp->heard_ns = now_ns;
      arm(tcp);
    }
    if (tcp->state == CLIENT_TCP_OPEN) send_segment(tcp, tcp->next, 0, 0);
    return;
  }
  if (tcp->state != CLIENT_TCP_OPEN || !(segment.flags & SEGMENT_ACK)) return;
  require(tcp, segment.options.timestamps == tcp->wanted.timestamps, "forgets its timestamps, or invents them");
  if (tcp->wanted.timestamps && segment.sequence - tcp->server_initial - 1 <= tcp->in_bytes)
    tcp->timestamp_recent = segment.options.timestamp;
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
    tcp->selected.count = 0; /* RFC 2018 section 8: the server may have given up what it held */
  }
}

void client_tcp_step(struct client_tcp *tcp, uint64_t now_ns) {
  tcp->now_ns = now_ns;
  if (tcp->state != CLIENT_TCP_OPENING && tcp->state != CLIENT_TCP_OPEN) return;
  if (now_ns - tcp->heard_ns > (tcp->silence_ns ? tcp->silence_ns : SILENCE_NS)) {
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
