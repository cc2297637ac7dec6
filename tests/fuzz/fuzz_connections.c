/* The TCP state machine as a whole: four peers with options of their own, virtual time, loss, and what applications do. A record
 * is a control byte and what its kind needs. A peer's payload is always the byte that belongs to its place, so that whatever the
 * stack takes can be checked: after every record nothing was delivered, acknowledged or told that was not sent, nothing was sent
 * beyond the peer's window or the application's bytes, and all frames are accounted for. In the end the peers mean well, and
 * whoever is still connected must have everything. */
#include "cursor.h"
#include "network_bench.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define PEERS 4u
#define FIRST_PORT 50000u
#define PEER_BYTES 32768u
#define SEGMENT_BYTES_MAX 1400u
#define GOOD_STEP_NS 100000000u
#define GOOD_STEPS 1400u /* more than twice the longest RTO */
#define REQUIRE(condition)                                                                                                       \
  do {                                                                                                                           \
    if (!(condition)) abort();                                                                                                   \
  } while (0)

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10, URG = 0x20 };
enum record { CONNECT, BYTES, ACKNOWLEDGE, TIME, FLUSH, APPLICATION, PORT_STATE, FORGED };

struct peer {
  bool known, open;                /* a SYN-ACK came for `isn`; the server's application has it */
  uint32_t isn, server_iss, tries; /* isn: of the last SYN */
  bool scales, timestamps, sack;   /* what that SYN offered; then what was agreed on */
  uint8_t shift, own_shift;        /* ours; the server's */
  uint16_t mss;
  uint32_t clock;          /* the highest timestamp sent */
  uint32_t server_clock;   /* the server's last: a cookie's options come back in the echo */
  uint32_t edge_most;      /* of the windows ever told to the server, as an offset of its bytes */
  uint32_t acknowledged;   /* by the server: offset of our bytes, FIN included */
  uint32_t server_edge;    /* right edge of the server's window as an offset */
  uint32_t got, seen_most; /* offsets of the server's bytes: in order; furthest */
  bool fin;
  bool sent[PEER_BYTES + 1];
};

struct fuzz {
  struct bench bench;
  struct peer peers[PEERS];
  bool lose; /* what the server sends */
  bool closed_by_us[BENCH_STREAMS];
};

static uint32_t get32(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }
static void put32(uint8_t *at, uint32_t value) {
  for (unsigned i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t contiguous(const struct peer *peer) {
  uint32_t count = 0;
  while (peer->sent[count]) count++;
  return count;
}

static struct bench_stream *application_of(struct fuzz *fuzz, uint32_t port) {
  for (uint32_t i = 0; i < BENCH_STREAMS; i++) {
    struct bench_stream *app = &fuzz->bench.streams[i];
    if (app->stream && stream_peer_port(app->stream) == port) return app;
  }
  return NULL;
}

static uint32_t written(const struct fuzz *fuzz, const struct bench_stream *app) {
  return fuzz->bench.echo ? app->received : app->written;
}

/* What the server was offered counts only as far as it took it up. */
static void syn_ack_in(struct peer *peer, const struct bench_segment *segment) {
  if (segment->ack != peer->isn + 1) return;
  const struct peer asked = *peer;
  *peer = (struct peer){.known = true,
                        .isn = asked.isn,
                        .tries = asked.tries,
                        .server_iss = segment->seq,
                        .mss = asked.mss,
                        .shift = asked.shift,
                        .clock = asked.clock,
                        .edge_most = asked.edge_most,
                        .server_edge = segment->window};
  for (uint32_t at = 0; at < segment->options_bytes && segment->options[at];) {
    const uint8_t kind = segment->options[at];
    if (kind == 3) {
      REQUIRE(asked.scales);
      peer->scales = true;
      peer->own_shift = segment->options[at + 2];
    }
    if (kind == 4) REQUIRE(asked.sack);
    if (kind == 8) REQUIRE(asked.timestamps);
    if (kind == 8) peer->server_clock = get32(segment->options + at + 2);
    peer->sack |= kind == 4;
    peer->timestamps |= kind == 8;
    at += kind == 1 ? 1u : segment->options[at + 1];
  }
}

static void options_in(struct peer *peer, const struct bench_segment *segment) {
  bool timestamps = false;
  for (uint32_t at = 0; at < segment->options_bytes && segment->options[at];) {
    const uint8_t *option = segment->options + at;
    at += option[0] == 1 ? 1u : option[1];
    if (option[0] == 8) {
      timestamps = true;
      peer->server_clock = get32(option + 2);
      /* Echoed is only what was sent. */
      REQUIRE((int32_t)(peer->clock - get32(option + 6)) >= 0);
    }
    if (option[0] != 5) continue;
    REQUIRE(peer->sack && segment->payload_bytes == 0);
    for (uint32_t i = 2; i < option[1]; i += 8) {
      const uint32_t start = get32(option + i) - peer->isn - 1, end = get32(option + i + 4) - peer->isn - 1;
      REQUIRE(start < end && end <= PEER_BYTES && start > segment->ack - peer->isn - 1);
      for (uint32_t byte = start; byte < end; byte++) REQUIRE(peer->sent[byte]);
    }
  }
  REQUIRE(timestamps == peer->timestamps);
}

static void payload_in(struct fuzz *fuzz, struct peer *peer, const struct bench_segment *segment) {
  const uint32_t offset = segment->seq - peer->server_iss - 1, end = offset + segment->payload_bytes;
  struct bench_stream *app = application_of(fuzz, segment->peer_port);
  REQUIRE(app && end <= written(fuzz, app));
  REQUIRE(segment->payload_bytes <= (peer->mss < 64 ? 64u : peer->mss));
  /* One byte beyond the window is a probe. */
  REQUIRE(end <= peer->edge_most + 1);
  for (uint32_t i = 0; i < segment->payload_bytes; i++) REQUIRE(segment->payload[i] == bench_pattern(offset + i));
  if (end > peer->seen_most) peer->seen_most = end;
  if (!fuzz->lose && offset <= peer->got && end > peer->got) peer->got = end;
}

static void frame_out(struct bench *bench, const uint8_t *bytes, uint32_t length) {
  struct fuzz *fuzz = bench->on_frame_context;
  struct bench_segment segment;
  REQUIRE(length <= bench->config.mtu + 14u);
  REQUIRE(bench_parse(bench, bytes, length, &segment));
  const uint32_t port = segment.peer_port - FIRST_PORT;
  REQUIRE(port < PEERS);
  struct peer *peer = &fuzz->peers[port];
  if (segment.flags & RST) {
    peer->known = false;
    return;
  }
  if (segment.flags & SYN) {
    /* A lost SYN-ACK changes nothing for the peer, but the server counts on it. */
    if (!peer->known || segment.seq != peer->server_iss) syn_ack_in(peer, &segment);
    return;
  }
  /* An earlier connection of the port in TIME-WAIT may still speak. */
  if (!peer->known || !application_of(fuzz, segment.peer_port)) return;
  options_in(peer, &segment);
  const uint32_t acknowledged = segment.ack - peer->isn - 1;
  REQUIRE(acknowledged <= contiguous(peer) + peer->fin);
  if (acknowledged > peer->acknowledged) peer->acknowledged = acknowledged;
  const uint32_t edge = acknowledged + ((uint32_t)segment.window << peer->own_shift);
  /* Room once promised is never taken back but for what scaling rounds off. */
  REQUIRE(edge + (1u << peer->own_shift) > peer->server_edge);
  if (edge > peer->server_edge) peer->server_edge = edge;
  if (segment.payload_bytes) payload_in(fuzz, peer, &segment);
}

static void options_add(struct peer *peer, struct bench_segment *segment, int32_t clock_step) {
  if (!peer->timestamps) return;
  const uint32_t value = peer->clock + (uint32_t)clock_step;
  uint8_t *option = segment->options + segment->options_bytes;
  memcpy(option, (const uint8_t[]){1, 1, 8, 10}, 4);
  put32(option + 4, value);
  put32(option + 8, peer->server_clock);
  segment->options_bytes = (uint8_t)(segment->options_bytes + 12);
  if (clock_step > 0) peer->clock = value;
}

/* The segment's place is `offset` in the peer's bytes; `ack` is one in the server's. */
static void segment_in(struct fuzz *fuzz, uint32_t port, struct bench_segment *segment, uint32_t offset, uint32_t ack) {
  struct peer *peer = &fuzz->peers[port];
  segment->peer_port = (uint16_t)(FIRST_PORT + port);
  segment->seq = peer->isn + 1 + offset;
  segment->ack = peer->server_iss + 1 + ack;
  segment->pattern_at = offset;
  for (uint32_t i = 0; i < segment->payload_bytes; i++) peer->sent[offset + i] = true;
  if (segment->flags & FIN) peer->fin = true;
  const uint32_t edge = ack + ((uint32_t)segment->window << (peer->scales ? peer->shift : 0));
  if ((int32_t)ack >= 0 && edge > peer->edge_most) peer->edge_most = edge;
  /* What is acknowledged will not come again. */
  if (ack <= peer->seen_most && ack > peer->got) peer->got = ack;
  bench_segment_in(&fuzz->bench, segment);
}

static void connect_peer(struct fuzz *fuzz, struct cursor *cursor, uint32_t port) {
  static const uint16_t sizes[4] = {1460, 700, 100, 40};
  struct peer *peer = &fuzz->peers[port];
  const uint8_t offer = cursor_u8(cursor);
  if (application_of(fuzz, FIRST_PORT + port)) return;
  const uint32_t tries = peer->tries + 1, clock = peer->clock + 1;
  *peer = (struct peer){.tries = tries,
                        .isn = 0xffffff00u + port * 50000 + tries * 200000,
                        .scales = offer & 1,
                        .timestamps = offer & 2,
                        .sack = offer & 4,
                        .shift = offer >> 3 & 3,
                        .mss = sizes[offer >> 5 & 3],
                        .clock = clock,
                        .edge_most = 4000};
  struct bench_segment segment = {.peer_port = (uint16_t)(FIRST_PORT + port), .seq = peer->isn, .flags = SYN, .window = 4000};
  memcpy(segment.options, (const uint8_t[]){2, 4, (uint8_t)(peer->mss >> 8), (uint8_t)peer->mss}, 4);
  segment.options_bytes = 4;
  if (peer->scales) {
    memcpy(segment.options + segment.options_bytes, (const uint8_t[]){3, 3, peer->shift, 1}, 4);
    segment.options_bytes = (uint8_t)(segment.options_bytes + 4);
  }
  if (peer->sack) {
    memcpy(segment.options + segment.options_bytes, (const uint8_t[]){4, 2, 1, 1}, 4);
    segment.options_bytes = (uint8_t)(segment.options_bytes + 4);
  }
  options_add(peer, &segment, 1);
  bench_segment_in(&fuzz->bench, &segment);
  if (!peer->known || !(offer & 0x80)) return;
  struct bench_segment done = {.flags = ACK, .window = 4000};
  options_add(peer, &done, 1);
  segment_in(fuzz, port, &done, 0, 0);
}

static void bytes_in(struct fuzz *fuzz, struct cursor *cursor, uint32_t port, uint8_t control) {
  struct peer *peer = &fuzz->peers[port];
  const int32_t distance = (int8_t)cursor_u8(cursor) * 50;
  const uint8_t size = cursor_u8(cursor), kind = cursor_u8(cursor);
  if (!peer->known) return;
  struct bench_segment segment = {.flags = ACK, .window = (uint16_t)((kind & 0x0f) * 700u), .payload_bytes = size * 6u};
  if (segment.payload_bytes > SEGMENT_BYTES_MAX) segment.payload_bytes = SEGMENT_BYTES_MAX;
  segment.flags |= (uint8_t)((kind & 0x10 ? FIN : 0) | (kind & 0x20 ? URG : 0) | (kind & 0x40 ? PSH : 0));
  int32_t offset = (int32_t)peer->acknowledged + distance;
  if (offset < 0) offset = 0;
  if ((uint32_t)offset + segment.payload_bytes > PEER_BYTES) return;
  options_add(peer, &segment, kind & 0x80 ? -3 : control >> 6);
  segment_in(fuzz, port, &segment, (uint32_t)offset, peer->got);
}

static void acknowledge(struct fuzz *fuzz, struct cursor *cursor, uint32_t port, uint8_t control) {
  struct peer *peer = &fuzz->peers[port];
  const int32_t distance = (int8_t)cursor_u8(cursor) * 100;
  const uint16_t window = cursor_be16(cursor);
  const uint8_t blocks = cursor_u8(cursor);
  if (!peer->known) return;
  struct bench_segment segment = {.flags = ACK, .window = window};
  const uint32_t ack = peer->got + (uint32_t)distance;
  options_add(peer, &segment, control >> 6);
  for (uint32_t i = 0; i < (blocks & 3u) && segment.options_bytes <= 40 - 12; i++) {
    uint8_t *option = segment.options + segment.options_bytes;
    const uint32_t start = peer->got + cursor_u8(cursor) * 50u, end = start + cursor_u8(cursor) * 50u;
    memcpy(option, (const uint8_t[]){1, 1, 5, 10}, 4);
    put32(option + 4, peer->server_iss + 1 + start);
    put32(option + 8, peer->server_iss + 1 + end);
    segment.options_bytes = (uint8_t)(segment.options_bytes + 12);
  }
  segment_in(fuzz, port, &segment, peer->acknowledged, ack);
}

static void application(struct fuzz *fuzz, struct cursor *cursor, uint32_t port) {
  struct bench *bench = &fuzz->bench;
  const uint8_t what = cursor_u8(cursor), value = cursor_u8(cursor);
  bench->take_most = what & 0x80 ? value : UINT32_MAX;
  struct bench_stream *app = application_of(fuzz, FIRST_PORT + port);
  if (!app) return;
  app->take_most = bench->take_most;
  switch (what & 7) {
  case 0:
  case 1:
    stream_resume(app->stream);
    break;
  case 2:
  case 3:
  case 4:
    if (!bench->echo) bench_write(app, value * 64u);
    break;
  case 5:
    fuzz->closed_by_us[app - bench->streams] = true;
    stream_close(app->stream);
    break;
  case 6:
    stream_abort(app->stream, bench->now_ns);
    break;
  default:
    fuzz->closed_by_us[app - bench->streams] = true;
    app->close_in_received = true;
  }
}

static void port_state(struct fuzz *fuzz, struct cursor *cursor) {
  const uint8_t what = cursor_u8(cursor);
  fuzz->bench.no_buffer = what & 1;
  fuzz->bench.refuse_open = what & 2;
  fuzz->lose = what & 4;
  network_pause_receiving(fuzz->bench.network, what & 8);
}

/* RST, SYN, ICMP and segments from anywhere near. */
static void forged(struct fuzz *fuzz, struct cursor *cursor, uint32_t port) {
  struct peer *peer = &fuzz->peers[port];
  const uint8_t kind = cursor_u8(cursor);
  const uint32_t distance = (uint32_t)(int32_t)(int16_t)cursor_be16(cursor);
  struct bench_segment segment = {.window = 0};
  if (!peer->known) return;
  if (kind & 0x80) {
    const struct bench_quote quote = {.type = 3,
                                      .code = 4,
                                      .mtu = (kind & 0x7fu) * 16u,
                                      .packet_bytes = 1500,
                                      .peer_port = (uint16_t)(FIRST_PORT + port),
                                      .seq = peer->server_iss + 1 + peer->got + distance};
    uint8_t frame[256];
    bench_frame_in(&fuzz->bench, frame, bench_icmp_error_build(&fuzz->bench, frame, &quote));
    return;
  }
  static const uint8_t flags[8] = {RST, RST | ACK, SYN, SYN | ACK, ACK, FIN | RST, 0, PSH};
  segment.flags = flags[kind & 7];
  /* On the ACK of a cookie they are what was agreed on. */
  const bool established = application_of(fuzz, FIRST_PORT + port) != NULL;
  if ((kind & 8) || !established) options_add(peer, &segment, -1);
  segment.peer_port = (uint16_t)(FIRST_PORT + port);
  segment.seq = peer->isn + 1 + peer->acknowledged + distance;
  segment.ack = peer->server_iss + 1 + peer->got + (kind >> 4 & 3u) * 500u;
  /* A SYN may open anew: then the old one's numbers are not the peer's any more. */
  if ((segment.flags & (SYN | RST)) == SYN && !established) return;
  const uint32_t ack = segment.ack - peer->server_iss - 1;
  if (ack <= peer->seen_most && ack > peer->got) peer->got = ack;
  if (ack > peer->edge_most) peer->edge_most = ack;
  bench_segment_in(&fuzz->bench, &segment);
}

/* A connection that has ended is over for its peer too: else a cookie of its could open it again. */
static void forget_ended(struct fuzz *fuzz) {
  for (uint32_t port = 0; port < PEERS; port++) {
    struct peer *peer = &fuzz->peers[port];
    const bool open = application_of(fuzz, FIRST_PORT + port) != NULL;
    if (peer->open && !open) peer->known = false;
    peer->open = open;
  }
}

static void check(struct fuzz *fuzz) {
  const struct network_counters *counters = network_counters(fuzz->bench.network);
  REQUIRE(bench_conserved(&fuzz->bench));
  REQUIRE(counters->tcp_half_open <= fuzz->bench.config.half_open_max);
  REQUIRE(counters->tcp_connections <= fuzz->bench.config.connections_max);
  REQUIRE(fuzz->bench.open_now <= counters->tcp_connections);
  REQUIRE(counters->tcp_established >= fuzz->bench.opened);
  for (uint32_t i = 0; i < BENCH_STREAMS; i++) {
    const struct bench_stream *app = &fuzz->bench.streams[i];
    if (!app->stream) continue;
    const struct peer *peer = &fuzz->peers[stream_peer_port(app->stream) - FIRST_PORT];
    REQUIRE(!app->corrupt && app->received <= contiguous(peer));
    REQUIRE(!app->peer_finished || peer->fin);
  }
  forget_ended(fuzz);
}

static void step(struct fuzz *fuzz, struct cursor *cursor) {
  const uint8_t control = cursor_u8(cursor);
  const uint32_t port = control >> 3 & 3;
  struct bench *bench = &fuzz->bench;
  switch ((enum record)(control & 7)) {
  case CONNECT:
    connect_peer(fuzz, cursor, port);
    break;
  case BYTES:
    bytes_in(fuzz, cursor, port, control);
    break;
  case ACKNOWLEDGE:
    acknowledge(fuzz, cursor, port, control);
    break;
  case TIME:
    bench->now_ns += (1000000ull << (control >> 4)) + 1;
    network_tick(bench->network, bench->now_ns, 100);
    break;
  case FLUSH:
    bench_flush(bench);
    break;
  case APPLICATION:
    application(fuzz, cursor, port);
    break;
  case PORT_STATE:
    port_state(fuzz, cursor);
    break;
  case FORGED:
    forged(fuzz, cursor, port);
    break;
  }
  check(fuzz);
}

/* The peer sends what is not acknowledged, and acknowledges what it has. */
static void good_step(struct fuzz *fuzz, uint32_t port) {
  struct peer *peer = &fuzz->peers[port];
  struct bench_stream *app = application_of(fuzz, FIRST_PORT + port);
  if (!peer->known || !app) return;
  const uint32_t have = contiguous(peer);
  /* The FIN of either side may have its number acknowledged. */
  const uint32_t offset = peer->acknowledged < have ? peer->acknowledged : have;
  struct bench_segment segment = {.flags = ACK, .window = 8000, .payload_bytes = have - offset};
  const uint32_t room = peer->server_edge > offset ? peer->server_edge - offset : 0;
  if (segment.payload_bytes > SEGMENT_BYTES_MAX) segment.payload_bytes = SEGMENT_BYTES_MAX;
  if (segment.payload_bytes > room) segment.payload_bytes = room ? room : 1;
  options_add(peer, &segment, 1);
  segment_in(fuzz, port, &segment, segment.payload_bytes ? offset : peer->acknowledged, peer->got);
  stream_resume(app->stream);
}

static bool satisfied(const struct fuzz *fuzz) {
  for (uint32_t i = 0; i < BENCH_STREAMS; i++) {
    const struct bench_stream *app = &fuzz->bench.streams[i];
    if (!app->stream) continue;
    const struct peer *peer = &fuzz->peers[stream_peer_port(app->stream) - FIRST_PORT];
    if (peer->got < written(fuzz, app)) return false;
    if (!fuzz->closed_by_us[i] && !peer->fin && app->received != contiguous(peer)) return false;
  }
  return true;
}

static void good_end(struct fuzz *fuzz) {
  struct bench *bench = &fuzz->bench;
  bench->no_buffer = bench->refuse_open = fuzz->lose = false;
  network_pause_receiving(bench->network, false);
  for (uint32_t i = 0; i < BENCH_STREAMS; i++) bench->streams[i].take_most = UINT32_MAX;
  for (uint32_t i = 0; i < GOOD_STEPS && !satisfied(fuzz); i++) {
    for (uint32_t port = 0; port < PEERS; port++) good_step(fuzz, port);
    bench->now_ns += GOOD_STEP_NS;
    network_tick(bench->network, bench->now_ns, 100);
    bench_flush(bench);
    check(fuzz);
  }
  REQUIRE(satisfied(fuzz));
}

/* Left alone, every connection ends by its own timers and gives back what it holds. */
static void quiet_end(struct fuzz *fuzz) {
  struct bench *bench = &fuzz->bench;
  for (int i = 0; i < 90; i++) {
    bench->now_ns += 1000000000;
    network_tick(bench->network, bench->now_ns, 100);
    bench_flush(bench);
    check(fuzz);
  }
  REQUIRE(bench->open_now == 0 && bench->opened == bench->closed);
  REQUIRE(network_counters(bench->network)->tcp_half_open == 0);
  REQUIRE(network_pools_full(bench->network));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct fuzz fuzz;
  memset(fuzz.peers, 0, sizeof fuzz.peers);
  memset(fuzz.closed_by_us, 0, sizeof fuzz.closed_by_us);
  fuzz.lose = false;
  struct cursor cursor = cursor_over(bytes, length);
  struct network_config config;
  bench_default_config(&config);
  const uint8_t shape = cursor_u8(&cursor);
  config.connections_max = shape & 1 ? 3 : 8;
  config.half_open_max = shape & 2 ? 1 : 4;
  config.receive_buffer_bytes = shape & 4 ? 4096 : shape & 8 ? 200000 : 20000;
  config.receive_pool_bytes = (2 + (shape >> 4 & 3u) * 8) * 2048;
  config.send_buffer_bytes = shape & 8 ? 4096 : 16384;
  config.send_pool_bytes = (4 + (shape >> 4 & 3u) * 4) * 2048;
  config.idle_timeout_ns = 20ull * 1000000000;
  config.keep_alive_idle_ns = shape & 64 ? 5ull * 1000000000 : 0;
  config.keep_alive_interval_ns = 1000000000;
  config.keep_alive_count = 3;
  REQUIRE(bench_start(&fuzz.bench, &config));
  fuzz.bench.on_frame = frame_out;
  fuzz.bench.on_frame_context = &fuzz;
  fuzz.bench.echo = shape & 128;
  for (unsigned steps = 0; cursor_left(&cursor) && steps < 1024; steps++) step(&fuzz, &cursor);
  good_end(&fuzz);
  quiet_end(&fuzz);
  bench_stop(&fuzz.bench);
  return 0;
}
