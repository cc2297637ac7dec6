/* Frames, time and the application's acts into one network. A record is a control byte and what its kind needs; a kind of frame
 * may be made to fit a live connection (addresses, ports, sequence numbers, checksums), so that the fuzzer gets past the
 * handshake. After every record the frames received must be accounted for; at the end nothing may be left. */
#include "cursor.h"
#include "network_bench.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define PORTS 4u
#define FIRST_PORT 50000u
#define REQUIRE(condition)                                                                                                       \
  do {                                                                                                                           \
    if (!(condition)) abort();                                                                                                   \
  } while (0)

enum record { RAW_FRAME, FITTED_FRAME, SEGMENT, CONNECT, TIME, FLUSH, APPLICATION, PORT_STATE };

/* What the last frame to each peer port said: where a peer that means well would go on. */
struct live {
  uint32_t seq, ack; /* the peer's next, and what it would acknowledge */
  uint32_t edge;     /* right edge of our window */
  bool known;
};

struct fuzz {
  struct bench bench;
  struct live live[PORTS];
};

static void frame_out(struct bench *bench, const uint8_t *bytes, uint32_t length) {
  struct fuzz *fuzz = bench->on_frame_context;
  REQUIRE(length <= bench->config.mtu + 14u);
  if (length < 34 || bytes[12] != 8 || bytes[13] != 0 || bytes[23] != 6) return;
  struct bench_segment segment;
  /* Fuzzed frames may come from any address; those of the live ports come from ours. */
  if (!bench_parse(bench, bytes, length, &segment)) return;
  const uint32_t port = segment.peer_port - FIRST_PORT;
  if (port >= PORTS || (segment.flags & 0x04)) return;
  struct live *live = &fuzz->live[port];
  const uint32_t edge = segment.ack + segment.window;
  /* Room once promised is never taken back (receive_buffer_bytes needs no scale). */
  if (live->known && !(segment.flags & 0x02)) REQUIRE((int32_t)(edge - live->edge) >= 0);
  const uint32_t end = segment.seq + segment.payload_bytes + (segment.flags & 0x01 ? 1 : 0) + (segment.flags & 0x02 ? 1 : 0);
  *live = (struct live){.seq = segment.ack, .ack = end, .edge = edge, .known = true};
}

/* A distance from the live numbers, either way. */
static uint32_t distance(uint32_t number) { return (uint32_t)(int32_t)(int16_t)(uint16_t)number; }

/* Our addresses, a live port, numbers relative to the live connection, and right sums. */
static uint32_t fit(const struct fuzz *fuzz, uint8_t *frame, uint32_t length, uint8_t control) {
  if (length < 54) return length;
  const uint32_t port = control >> 6;
  const struct live *live = &fuzz->live[port];
  struct cursor cursor = cursor_over(frame + 38, 8);
  const uint32_t seq = live->seq + distance(cursor_be32(&cursor));
  const uint32_t ack = live->ack + distance(cursor_be32(&cursor));
  struct bench_segment segment = {.peer_port = (uint16_t)(FIRST_PORT + port), .seq = seq, .ack = ack};
  uint8_t header[64];
  bench_segment_build(header, &segment);
  memcpy(frame + 34, header + 34, 12);
  return bench_ipv4_finish(frame, 6, length - 34);
}

static void frame_in(struct fuzz *fuzz, struct cursor *cursor, uint8_t control, bool fitted) {
  uint8_t frame[2048];
  uint32_t length = cursor_be16(cursor) & 0x7ff;
  if (length > cursor_left(cursor)) length = (uint32_t)cursor_left(cursor);
  const uint8_t *bytes = cursor_bytes(cursor, length);
  if (!bytes) return;
  memcpy(frame, bytes, length);
  if (fitted) length = fit(fuzz, frame, length, control);
  bench_frame_in(&fuzz->bench, frame, length);
}

/* A segment in eight bytes: flags, offsets from the live numbers, window, length of payload; options from the input. */
static void segment_in(struct fuzz *fuzz, struct cursor *cursor, uint8_t control) {
  const uint32_t port = control >> 6;
  const struct live *live = &fuzz->live[port];
  struct bench_segment segment = {.peer_port = (uint16_t)(FIRST_PORT + port)};
  segment.flags = cursor_u8(cursor);
  segment.seq = live->seq + distance(cursor_be16(cursor));
  segment.ack = live->ack + distance(cursor_be16(cursor));
  segment.window = cursor_be16(cursor);
  segment.payload_bytes = cursor_u8(cursor) * 6u;
  segment.pattern_at = segment.seq;
  if (control & 0x08) {
    segment.options_bytes = cursor_u8(cursor) & 31;
    const uint8_t *options = cursor_bytes(cursor, segment.options_bytes);
    if (!options) return;
    memcpy(segment.options, options, segment.options_bytes);
  }
  bench_segment_in(&fuzz->bench, &segment);
}

static void connect_port(struct fuzz *fuzz, uint8_t control) {
  const uint32_t port = control >> 6;
  struct live *live = &fuzz->live[port];
  live->known = false;
  struct bench_segment segment = {.peer_port = (uint16_t)(FIRST_PORT + port),
                                  .seq = 0xfffffff0u + port * 100000u + (uint32_t)fuzz->bench.now_ns,
                                  .flags = 0x02,
                                  .window = 8192,
                                  .options = {2, 4, 2, 0x58},
                                  .options_bytes = 4};
  bench_segment_in(&fuzz->bench, &segment);
  if (!live->known) return;
  segment =
      (struct bench_segment){.peer_port = segment.peer_port, .seq = live->seq, .ack = live->ack, .flags = 0x10, .window = 8192};
  bench_segment_in(&fuzz->bench, &segment);
}

static void application(struct fuzz *fuzz, struct cursor *cursor) {
  struct bench *bench = &fuzz->bench;
  const uint8_t what = cursor_u8(cursor), value = cursor_u8(cursor);
  struct bench_stream *app = &bench->streams[value % BENCH_STREAMS];
  bench->take_most = what & 0x80 ? value : UINT32_MAX;
  if (!app->stream) return;
  app->take_most = bench->take_most;
  switch (what & 7) {
  case 0:
    stream_resume(app->stream);
    break;
  case 1:
    bench_write(app, value * 64u);
    break;
  case 2:
    stream_close(app->stream);
    break;
  case 3:
    stream_abort(app->stream, bench->now_ns);
    break;
  case 4:
    app->abort_in_received = true;
    break;
  case 5:
    app->close_in_received = true;
    break;
  default:
    app->echo = !app->echo;
  }
}

static void port_state(struct fuzz *fuzz, struct cursor *cursor) {
  const uint8_t what = cursor_u8(cursor);
  fuzz->bench.no_buffer = what & 1;
  fuzz->bench.refuse_open = what & 2;
  fuzz->bench.abort_in_opened = what & 4;
  network_pause_receiving(fuzz->bench.network, what & 8);
  if ((what & 0xf0) == 0xf0) network_drain(fuzz->bench.network, fuzz->bench.now_ns);
}

static void check(const struct fuzz *fuzz) {
  const struct network_counters *counters = network_counters(fuzz->bench.network);
  REQUIRE(bench_conserved(&fuzz->bench));
  REQUIRE(counters->tcp_half_open <= fuzz->bench.config.half_open_max);
  REQUIRE(counters->tcp_connections <= fuzz->bench.config.connections_max);
  REQUIRE(fuzz->bench.open_now <= counters->tcp_connections);
}

static void step(struct fuzz *fuzz, struct cursor *cursor) {
  const uint8_t control = cursor_u8(cursor);
  struct bench *bench = &fuzz->bench;
  switch ((enum record)(control & 7)) {
  case RAW_FRAME:
  case FITTED_FRAME:
    frame_in(fuzz, cursor, control, (control & 7) == FITTED_FRAME);
    break;
  case SEGMENT:
    segment_in(fuzz, cursor, control);
    break;
  case CONNECT:
    connect_port(fuzz, control);
    break;
  case TIME:
    bench->now_ns += (1000000ull << (control >> 4)) + 1;
    network_tick(bench->network, bench->now_ns, 100);
    break;
  case FLUSH:
    bench_flush(bench);
    break;
  case APPLICATION:
    application(fuzz, cursor);
    break;
  case PORT_STATE:
    port_state(fuzz, cursor);
    break;
  }
  check(fuzz);
}

/* Left alone, every connection ends by its own timers and gives back what it holds. */
static void quiet_end(struct fuzz *fuzz) {
  struct bench *bench = &fuzz->bench;
  bench->no_buffer = false;
  network_pause_receiving(bench->network, false);
  for (int i = 0; i < 90; i++) {
    bench->now_ns += 1000000000;
    network_tick(bench->network, bench->now_ns, 100);
    bench_flush(bench);
  }
  REQUIRE(bench->open_now == 0 && bench->opened == bench->closed);
  REQUIRE(network_pools_full(bench->network));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct fuzz fuzz;
  memset(fuzz.live, 0, sizeof fuzz.live);
  struct cursor cursor = cursor_over(bytes, length);
  struct network_config config;
  bench_default_config(&config);
  const uint8_t shape = cursor_u8(&cursor);
  config.connections_max = 4;
  config.half_open_max = 2;
  config.receive_buffer_bytes = shape & 1 ? 4096 : 20000;
  config.receive_pool_bytes = (shape >> 1 & 3u) * 8192;
  config.send_buffer_bytes = shape & 8 ? 2048 : 16384;
  config.send_pool_bytes = (1 + (shape >> 4 & 3u)) * 4096;
  config.idle_timeout_ns = 20ull * 1000000000;
  if (shape & 64) config.offload = 0;
  REQUIRE(bench_start(&fuzz.bench, &config));
  fuzz.bench.on_frame = frame_out;
  fuzz.bench.on_frame_context = &fuzz;
  fuzz.bench.echo = shape & 128;
  for (unsigned steps = 0; cursor_left(&cursor) && steps < 4096; steps++) step(&fuzz, &cursor);
  quiet_end(&fuzz);
  bench_stop(&fuzz.bench);
  return 0;
}
