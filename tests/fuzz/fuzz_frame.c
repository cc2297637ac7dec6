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
/* In bits 3 to 5 of a fitted frame's control byte. */
enum fitting { FIT_TCP, FIT_IPV6, FIT_FRAGMENT, FIT_IPV6_FRAGMENT, FIT_ICMPV6, FIT_UDP, FIT_EXTENSION, FIT_TCP_TOO };

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
  REQUIRE(length <= bench->config.mtu + 14u + (bytes[12] == 0x81 ? 4 : 0));
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

/* Right headers in front of the payload; `protocol` has its sum there, 0 for none. */
static uint32_t fit_ipv6(uint8_t *frame, uint32_t length, uint8_t next, uint32_t protocol) {
  if (length < 62) return length;
  const uint32_t bytes = length - 54;
  bench_ipv6_finish(frame, next, bytes);
  if (next == 58) frame[21] = frame[61] & 1 ? 255 : 64;
  if (protocol && bytes >= 20) bench_ipv6_sum(frame, frame + 54, (uint8_t)protocol, bytes);
  return length;
}

/* Few identifications and few sources, so that fragments meet. */
static uint32_t fit_fragment(uint8_t *frame, uint32_t length) {
  if (length < 42) return length;
  const uint8_t identification = frame[19] & 3, high = frame[20] & 0x3f, low = frame[21], source = frame[28] & 3;
  bench_ipv4_finish(frame, 17, length - 34);
  frame[19] = identification;
  frame[20] = high;
  frame[21] = low;
  frame[28] = source;
  frame[24] = frame[25] = 0;
  const uint16_t sum = bench_checksum(frame + 14, 20, 0);
  frame[24] = (uint8_t)(sum >> 8);
  frame[25] = (uint8_t)sum;
  return length;
}

static uint32_t fit_ipv6_fragment(uint8_t *frame, uint32_t length) {
  length = fit_ipv6(frame, length, 44, 0);
  if (length < 62) return length;
  if (frame[55] & 1) frame[54] = 17;
  frame[58] = frame[59] = frame[60] = 0;
  frame[61] &= 3;
  return length;
}

static uint32_t fit_as(const struct fuzz *fuzz, uint8_t *frame, uint32_t length, uint8_t control) {
  switch ((enum fitting)(control >> 3 & 7)) {
  case FIT_TCP:
  case FIT_TCP_TOO:
    return fit(fuzz, frame, length, control);
  case FIT_IPV6:
    length = fit(fuzz, frame, length, control);
    return length < 54 ? length : bench_ipv6_convert(frame, length);
  case FIT_FRAGMENT:
    return fit_fragment(frame, length);
  case FIT_IPV6_FRAGMENT:
    return fit_ipv6_fragment(frame, length);
  case FIT_ICMPV6:
    return fit_ipv6(frame, length, 58, 58);
  case FIT_UDP:
    return fit_ipv6(frame, length, 17, 17);
  case FIT_EXTENSION:
    return fit_ipv6(frame, length, frame[20], 0);
  }
  return length;
}

/* The owner is a matter of the bytes alone, and only those within the frame. */
static void check_owner(const uint8_t *frame, uint32_t length) {
  const struct siphash_key key = {1, 2};
  uint8_t *copy = malloc(length ? length : 1);
  memcpy(copy, frame, length);
  const int owner = network_flow_owner(&key, copy, length, 3);
  REQUIRE(owner >= -1 && owner < 3 && owner == network_flow_owner(&key, copy, length, 3));
  free(copy);
}

static void frame_in(struct fuzz *fuzz, struct cursor *cursor, uint8_t control, bool fitted) {
  uint8_t frame[2048 + 64];
  uint32_t length = cursor_be16(cursor) & 0x7ff;
  if (length > cursor_left(cursor)) length = (uint32_t)cursor_left(cursor);
  const uint8_t *bytes = cursor_bytes(cursor, length);
  if (!bytes) return;
  memcpy(frame, bytes, length);
  if (fitted) length = fit_as(fuzz, frame, length, control);
  if (fitted && length >= 14 && fuzz->bench.config.vlan_count && (control & 0x40))
    length = bench_vlan_insert(frame, length, frame[11]);
  check_owner(frame, length);
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
  REQUIRE(counters->reassembly_held <= fuzz->bench.config.reassembly_max);
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
  config.addresses[config.address_count++] = ip_address_of_bytes(bench_own_ipv6);
  config.reassembly_max = 2;
  /* Tag 1 is what the peer's MAC ends in; frames without one stay ours. */
  if (shape & 16) {
    config.vlan_count = 2;
    config.vlans[1] = 1;
  }
  config.idle_timeout_ns = 20ull * 1000000000;
  if (shape & 64) config.offload = 0;
  REQUIRE(bench_start(&fuzz.bench, &config));
  fuzz.bench.on_frame = frame_out;
  fuzz.bench.on_frame_context = &fuzz;
  fuzz.bench.echo = shape & 128;
  fuzz.bench.ipv6 = shape & 32; /* what segments and connections go over */
  for (unsigned steps = 0; cursor_left(&cursor) && steps < 4096; steps++) step(&fuzz, &cursor);
  quiet_end(&fuzz);
  bench_stop(&fuzz.bench);
  return 0;
}
