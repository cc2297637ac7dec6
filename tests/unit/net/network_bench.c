#include "network_bench.h"
#include <stdlib.h>
#include <string.h>

const uint8_t bench_peer_mac[6] = {0x02, 0, 0, 0, 0, 1}, bench_own_mac[6] = {0x02, 0, 0, 0, 0, 2};

const uint8_t bench_peer_ipv6[16] = {0xfd, 0x86, [15] = 1}, bench_own_ipv6[16] = {0xfd, 0x86, [15] = 2};

static void put16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}
static void put32(uint8_t *at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}
static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

uint16_t bench_checksum(const uint8_t *bytes, uint32_t length, uint32_t sum) {
  for (uint32_t i = 0; i < length; i++) {
    sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return (uint16_t)~sum;
}

static uint32_t pseudo_sum(const uint8_t *ip, uint32_t l4_bytes) {
  uint32_t sum = ip[9] + l4_bytes;
  for (int i = 12; i < 20; i += 2) sum += get16(ip + i);
  return (sum & 0xffff) + (sum >> 16);
}

/* Application. */

static void *app_opened(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns) {
  struct bench *bench = context;
  (void)local_port;
  if (bench->abort_in_opened) stream_abort(stream, now_ns);
  if (bench->refuse_open) return NULL;
  for (uint32_t i = 0; i < BENCH_STREAMS; i++) {
    struct bench_stream *app = &bench->streams[(bench->opened + i) % BENCH_STREAMS];
    if (app->opened && !app->closed) continue;
    *app = (struct bench_stream){
        .bench = bench, .stream = stream, .take_most = bench->take_most, .opened = true, .echo = bench->echo};
    bench->opened++;
    bench->open_now++;
    return app;
  }
  return NULL;
}

static uint32_t app_received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  struct bench_stream *app = state;
  app->calls++;
  uint32_t taken = length < app->take_most ? length : app->take_most;
  if (app->echo) taken = stream_write(app->stream, bytes, taken);
  for (uint32_t i = 0; i < taken; i++) {
    if (bytes[i] != bench_pattern(app->received + i)) app->corrupt = true;
  }
  app->received += taken;
  if (app->abort_in_received) {
    stream_abort(app->stream, now_ns);
  } else if (app->close_in_received) {
    stream_close(app->stream);
  }
  return taken;
}

static void app_peer_finished(void *state, uint64_t now_ns) {
  struct bench_stream *app = state;
  (void)now_ns;
  app->peer_finished = true;
  if (app->echo) stream_close(app->stream);
}

static void app_writable(void *state, uint64_t now_ns) {
  struct bench_stream *app = state;
  (void)now_ns;
  app->writable_calls++;
  if (app->echo) stream_resume(app->stream);
}

static void app_closed(void *state, enum stream_end end, uint64_t now_ns) {
  struct bench_stream *app = state;
  (void)now_ns;
  if (app->closed) abort();
  app->closed = true;
  app->end = end;
  app->stream = NULL;
  app->bench->closed++;
  app->bench->open_now--;
}

static void datagram_received(void *context, const struct ip_address *source, uint16_t source_port, const uint8_t *bytes,
                              uint32_t length, uint64_t now_ns) {
  struct bench *bench = context;
  (void)now_ns;
  (void)bytes;
  const struct ip_address ipv6 = ip_address_of_bytes(bench_peer_ipv6);
  if ((ip_address_ipv4(source) == BENCH_PEER_IPV4 || ip_address_equal(source, &ipv6)) && source_port) bench->datagrams++;
  bench->datagram_bytes += length;
}

/* Port. */

static uint8_t *output_reserve(void *context, uint32_t bytes) {
  struct bench *bench = context;
  return bench->no_buffer || bytes > BENCH_FRAME_BYTES ? NULL : bench->building;
}

static void output_commit(void *context, uint32_t bytes, uint32_t offload) {
  struct bench *bench = context;
  if (bench->on_frame) {
    bench->on_frame(bench, bench->building, bytes);
    return;
  }
  if (!bench->frames) bench->frames = malloc(BENCH_FRAMES * sizeof *bench->frames);
  struct bench_frame *frame = &bench->frames[bench->sent++ % BENCH_FRAMES];
  frame->time_ns = bench->now_ns;
  frame->length = bytes;
  frame->offload = offload;
  memcpy(frame->bytes, bench->building, bytes);
}

void bench_default_config(struct network_config *config) {
  *config = (struct network_config){
      .address_count = 1,
      .addresses = {ip_address_of_ipv4(BENCH_OWN_IPV4)},
      .mtu = 1500,
      .offload = NETWORK_OFFLOAD_RX_IPV4_VERIFY | NETWORK_OFFLOAD_RX_L4_VERIFY,
      .hash_key = {1, 2},
      .isn_key = {3, 4},
      .connections_max = 32,
      .half_open_max = 8,
      .receive_buffer_bytes = 65535,
      .receive_pool_bytes = 1u << 20,
      .send_buffer_bytes = 65536,
      .send_pool_bytes = 1u << 20,
      .idle_timeout_ns = 300ull * 1000000000,
      .reassembly_max = 4,
      .time_wait_ns = 1000000000,
  };
  memcpy(config->mac, bench_own_mac, 6);
}

bool bench_start(struct bench *bench, const struct network_config *config) {
  *bench = (struct bench){.take_most = UINT32_MAX, .now_ns = 1000000000};
  if (config) {
    bench->config = *config;
  } else {
    bench_default_config(&bench->config);
  }
  bench->handler = (struct stream_handler){.context = bench,
                                           .opened = app_opened,
                                           .received = app_received,
                                           .peer_finished = app_peer_finished,
                                           .writable = app_writable,
                                           .closed = app_closed};
  bench->config.output = (struct network_output){.context = bench, .reserve = output_reserve, .commit = output_commit};
  bench->config.tcp_listener_count = bench->config.udp_listener_count = 1;
  bench->config.tcp_listeners[0] = (struct network_tcp_listener){.port = BENCH_PORT, .handler = &bench->handler};
  bench->config.udp_listeners[0] =
      (struct network_udp_listener){.port = BENCH_UDP_PORT, .context = bench, .received = datagram_received};
  bench->heap = heap_arena_create();
  bench->network = network_create(heap_arena_arena(bench->heap), &bench->config, bench->now_ns);
  return bench->network != NULL;
}

void bench_stop(struct bench *bench) {
  heap_arena_destroy(bench->heap);
  free(bench->frames);
}

void bench_flush(struct bench *bench) { network_flush(bench->network, bench->now_ns); }

void bench_pass(struct bench *bench, uint64_t nanoseconds) {
  const uint64_t until = bench->now_ns + nanoseconds;
  while (bench->now_ns < until) {
    bench->now_ns += until - bench->now_ns < 1000000 ? until - bench->now_ns : 1000000;
    network_tick(bench->network, bench->now_ns, 1000);
    bench_flush(bench);
  }
}

void bench_frame_in(struct bench *bench, const uint8_t *bytes, uint32_t length) {
  /* Its own allocation, so that a sanitizer sees a read beyond the frame. */
  uint8_t *copy = malloc(length ? length : 1);
  memcpy(copy, bytes, length);
  network_receive(bench->network, copy, length, false, bench->now_ns);
  free(copy);
}

uint32_t bench_ipv4_finish(uint8_t *frame, uint8_t protocol, uint32_t l4_bytes) {
  memcpy(frame, bench_own_mac, 6);
  memcpy(frame + 6, bench_peer_mac, 6);
  put16(frame + 12, 0x0800);
  uint8_t *ip = frame + 14;
  memset(ip, 0, 20);
  ip[0] = 0x45;
  put16(ip + 2, 20 + l4_bytes);
  put16(ip + 6, 0x4000);
  ip[8] = 64;
  ip[9] = protocol;
  put32(ip + 12, BENCH_PEER_IPV4);
  put32(ip + 16, BENCH_OWN_IPV4);
  put16(ip + 10, bench_checksum(ip, 20, 0));
  uint8_t *l4 = ip + 20;
  if (protocol == 6 || protocol == 17) {
    const uint32_t at = protocol == 6 ? 16 : 6;
    put16(l4 + at, 0);
    put16(l4 + at, bench_checksum(l4, l4_bytes, pseudo_sum(ip, l4_bytes)));
  }
  return 34 + l4_bytes;
}

void bench_ipv6_sum(const uint8_t *frame, uint8_t *l4, uint8_t protocol, uint32_t bytes) {
  uint32_t sum = protocol + bytes;
  for (int i = 22; i < 54; i += 2) sum += get16(frame + i);
  sum = (sum & 0xffff) + (sum >> 16);
  uint8_t *at = l4 + (protocol == 6 ? 16 : protocol == 17 ? 6 : 2);
  put16(at, 0);
  put16(at, bench_checksum(l4, bytes, sum));
}

uint32_t bench_ipv6_finish(uint8_t *frame, uint8_t next, uint32_t payload_bytes) {
  memcpy(frame, bench_own_mac, 6);
  memcpy(frame + 6, bench_peer_mac, 6);
  put16(frame + 12, 0x86dd);
  put32(frame + 14, 6u << 28);
  put16(frame + 18, payload_bytes);
  frame[20] = next;
  frame[21] = 64;
  memcpy(frame + 22, bench_peer_ipv6, 16);
  memcpy(frame + 38, bench_own_ipv6, 16);
  return 54 + payload_bytes;
}

uint32_t bench_ipv6_convert(uint8_t *frame, uint32_t length) {
  const uint8_t protocol = frame[23];
  const uint32_t l4_bytes = length - 34;
  memmove(frame + 54, frame + 34, l4_bytes);
  bench_ipv6_finish(frame, protocol, l4_bytes);
  bench_ipv6_sum(frame, frame + 54, protocol, l4_bytes);
  return length + 20;
}

uint32_t bench_vlan_insert(uint8_t *frame, uint32_t length, uint16_t vlan) {
  memmove(frame + 16, frame + 12, length - 12);
  put16(frame + 12, 0x8100);
  put16(frame + 14, vlan);
  return length + 4;
}

uint32_t bench_segment_build(uint8_t *frame, const struct bench_segment *segment) {
  uint8_t *tcp = frame + 34;
  const uint32_t header_bytes = 20 + (segment->options_bytes + 3u) / 4 * 4;
  memset(tcp, 0, header_bytes);
  put16(tcp, segment->peer_port);
  put16(tcp + 2, segment->own_port ? segment->own_port : BENCH_PORT);
  put32(tcp + 4, segment->seq);
  put32(tcp + 8, segment->ack);
  tcp[12] = (uint8_t)((segment->data_offset ? (uint32_t)segment->data_offset : header_bytes / 4) << 4);
  tcp[13] = segment->flags;
  put16(tcp + 14, segment->window);
  memcpy(tcp + 20, segment->options, segment->options_bytes);
  for (uint32_t i = 0; i < segment->payload_bytes; i++) {
    tcp[header_bytes + i] = segment->payload ? segment->payload[i] : bench_pattern(segment->pattern_at + i);
  }
  const uint32_t length = bench_ipv4_finish(frame, 6, header_bytes + segment->payload_bytes);
  if (segment->bad_checksum) tcp[16] ^= 0x55;
  return length;
}

void bench_icmp_error_sum(const struct bench *bench, uint8_t *frame, uint32_t length) {
  if (bench->ipv6) {
    bench_ipv6_sum(frame, frame + 54, 58, length - 54);
    return;
  }
  put16(frame + 36, 0);
  put16(frame + 36, bench_checksum(frame + 34, length - 34, 0));
}

uint32_t bench_icmp_error_build(const struct bench *bench, uint8_t *frame, const struct bench_quote *quote) {
  const uint32_t at = bench->ipv6 ? 54 : 34, quoted_header = bench->ipv6 ? 40 : 20;
  uint8_t *icmp = frame + at, *ip = icmp + 8, *tcp = ip + quoted_header;
  memset(icmp, 0, 8 + quoted_header + 8);
  icmp[0] = quote->type;
  icmp[1] = quote->code;
  put32(icmp + 4, quote->mtu);
  if (bench->ipv6) {
    put32(ip, 6u << 28);
    put16(ip + 4, quote->packet_bytes - 40);
    ip[6] = 6;
    memcpy(ip + 8, bench_own_ipv6, 16);
    memcpy(ip + 24, bench_peer_ipv6, 16);
  } else {
    put16(ip, 0x4500);
    put16(ip + 2, quote->packet_bytes);
    put16(ip + 6, 0x4000);
    ip[9] = 6;
    put32(ip + 12, BENCH_OWN_IPV4);
    put32(ip + 16, BENCH_PEER_IPV4);
  }
  put16(tcp, quote->own_port ? quote->own_port : BENCH_PORT);
  put16(tcp + 2, quote->peer_port);
  put32(tcp + 4, quote->seq);
  const uint32_t bytes = 8 + quoted_header + 8;
  const uint32_t length = bench->ipv6 ? bench_ipv6_finish(frame, 58, bytes) : bench_ipv4_finish(frame, 1, bytes);
  bench_icmp_error_sum(bench, frame, length);
  return length;
}

void bench_segment_in(struct bench *bench, const struct bench_segment *segment) {
  uint8_t frame[BENCH_FRAME_BYTES];
  uint32_t length = bench_segment_build(frame, segment);
  if (bench->ipv6) {
    length = bench_ipv6_convert(frame, length);
    if (segment->bad_checksum) frame[54 + 16] ^= 0x55;
  }
  if (bench->vlan) length = bench_vlan_insert(frame, length, bench->vlan);
  bench_frame_in(bench, frame, length);
}

const struct bench_frame *bench_next(struct bench *bench) {
  if (bench->seen == bench->sent) return NULL;
  if (bench->sent - bench->seen > BENCH_FRAMES) abort();
  return &bench->frames[bench->seen++ % BENCH_FRAMES];
}

static bool ipv4_good(const struct bench *bench, const uint8_t *ip, uint32_t bytes) {
  if (bytes < 40 || ip[0] != 0x45 || ip[9] != 6 || get16(ip + 2) != bytes) return false;
  if (get32(ip + 12) != BENCH_OWN_IPV4 || get32(ip + 16) != BENCH_PEER_IPV4 || bytes > bench->config.mtu) return false;
  if (!(bench->config.offload & NETWORK_OFFLOAD_TX_IPV4_CHECKSUM) && bench_checksum(ip, 20, 0) != 0) return false;
  return (bench->config.offload & NETWORK_OFFLOAD_TX_L4_CHECKSUM) ||
         bench_checksum(ip + 20, bytes - 20, pseudo_sum(ip, bytes - 20)) == 0;
}

static bool ipv6_good(const struct bench *bench, const uint8_t *ip, uint32_t bytes) {
  if (bytes < 60 || get32(ip) != 6u << 28 || get16(ip + 4) != bytes - 40 || ip[6] != 6 || ip[7] != 64) return false;
  if (memcmp(ip + 8, bench_own_ipv6, 16) != 0 || memcmp(ip + 24, bench_peer_ipv6, 16) != 0 || bytes > bench->config.mtu)
    return false;
  uint32_t sum = 6 + bytes - 40;
  for (int i = 8; i < 40; i += 2) sum += get16(ip + i);
  return (bench->config.offload & NETWORK_OFFLOAD_TX_L4_CHECKSUM) ||
         bench_checksum(ip + 40, bytes - 40, (sum & 0xffff) + (sum >> 16)) == 0;
}

bool bench_parse(const struct bench *bench, const uint8_t *bytes, uint32_t length, struct bench_segment *segment) {
  if (length < 54 || memcmp(bytes, bench_peer_mac, 6) != 0 || memcmp(bytes + 6, bench_own_mac, 6) != 0) return false;
  uint32_t offset = 14;
  if (bench->vlan) {
    if (get16(bytes + 12) != 0x8100 || get16(bytes + 14) != bench->vlan) return false;
    offset = 18;
  }
  if (get16(bytes + offset - 2) != (bench->ipv6 ? 0x86ddu : 0x0800u)) return false;
  const uint8_t *ip = bytes + offset;
  if (!(bench->ipv6 ? ipv6_good(bench, ip, length - offset) : ipv4_good(bench, ip, length - offset))) return false;
  offset += bench->ipv6 ? 40 : 20;
  const uint8_t *tcp = bytes + offset;
  const uint32_t tcp_bytes = length - offset, header_bytes = (uint32_t)(tcp[12] >> 4) * 4;
  if (header_bytes < 20 || header_bytes > tcp_bytes) return false;
  *segment = (struct bench_segment){
      .own_port = (uint16_t)get16(tcp),
      .peer_port = (uint16_t)get16(tcp + 2),
      .seq = get32(tcp + 4),
      .ack = get32(tcp + 8),
      .flags = tcp[13],
      .window = (uint16_t)get16(tcp + 14),
      .options_bytes = (uint8_t)(header_bytes - 20),
      .payload = tcp + header_bytes,
      .payload_bytes = tcp_bytes - header_bytes,
  };
  memcpy(segment->options, tcp + 20, segment->options_bytes);
  return true;
}

bool bench_next_segment(struct bench *bench, struct bench_segment *segment) {
  const struct bench_frame *frame = bench_next(bench);
  return frame && bench_parse(bench, frame->bytes, frame->length, segment);
}

uint32_t bench_connect(struct bench *bench, uint16_t peer_port, uint32_t isn) {
  struct bench_segment segment = {
      .peer_port = peer_port, .seq = isn, .flags = 0x02, .window = 65535, .options = {2, 4, 5, 0xb4}, .options_bytes = 4};
  bench->seen = bench->sent;
  bench_segment_in(bench, &segment);
  struct bench_segment answer;
  if (!bench_next_segment(bench, &answer) || answer.flags != 0x12) abort();
  segment = (struct bench_segment){.peer_port = peer_port, .seq = isn + 1, .ack = answer.seq + 1, .flags = 0x10, .window = 65535};
  bench_segment_in(bench, &segment);
  bench_flush(bench);
  return answer.seq;
}

uint32_t bench_write(struct bench_stream *stream, uint32_t length) {
  uint32_t done = 0;
  while (done < length) {
    uint8_t bytes[1024];
    const uint32_t part = length - done < sizeof bytes ? length - done : (uint32_t)sizeof bytes;
    for (uint32_t i = 0; i < part; i++) bytes[i] = bench_pattern(stream->written + i);
    const uint32_t written = stream_write(stream->stream, bytes, part);
    stream->written += written;
    done += written;
    if (written < part) break;
  }
  return done;
}

bool bench_conserved(const struct bench *bench) {
  const struct network_counters *counters = network_counters(bench->network);
  uint64_t sum = counters->arp_answered + counters->nd_answered + counters->icmp_answered + counters->icmp_too_big +
                 counters->fragments_kept + counters->udp_delivered + counters->tcp_delivered;
  for (int i = 0; i < NETWORK_DROPS; i++) sum += counters->drops[i];
  return sum == counters->frames_received;
}
