#include "packet_script.h"
#include "network_bench.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATE_NS 3000000u
#define WORDS_MAX 32
#define LATE_TICKS 3u /* of the timestamp clock */

struct script {
  const char *path;
  unsigned line;
  bool failed, started, burst; /* burst: segments came in and no flush followed yet */
  uint64_t origin_ns, at_ns;   /* virtual time of second 0; time of the line before, from there */
  struct network_config config;
  bool ipv6;
  uint16_t vlan;
  uint32_t client_isn;
  uint16_t client_port, server_port;
  uint32_t server_iss, server_timestamp; /* of the first SYN-ACK */
  uint32_t block_base;                   /* what SACK blocks of the line are relative to */
  bool server_known;
  struct bench bench;
};

struct line {
  char *words[WORDS_MAX + 1];
  unsigned count, at;
};

static void fail(struct script *script, const char *what, const char *detail) {
  if (!script->failed) fprintf(stderr, "%s:%u: %s%s%s\n", script->path, script->line, what, *detail ? ": " : "", detail);
  script->failed = true;
}

static const char *word(struct line *line) { return line->at < line->count ? line->words[line->at++] : ""; }

static uint32_t number(struct script *script, struct line *line) {
  const char *text = word(line);
  char *end;
  errno = 0;
  const unsigned long long value = strtoull(text, &end, 0);
  if (errno || end == text || *end) fail(script, "a number is wanted", text);
  return (uint32_t)value;
}

static uint8_t flags_of(struct script *script, const char *text) {
  static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
  if (strcmp(text, "-") == 0) return 0;
  uint8_t flags = 0;
  char copy[64];
  snprintf(copy, sizeof copy, "%s", text);
  for (char *save, *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
    unsigned i = 0;
    while (i < sizeof names / sizeof *names && strcmp(names[i], name) != 0) i++;
    if (i == sizeof names / sizeof *names) fail(script, "no such flag", name);
    flags |= (uint8_t)(1u << i);
  }
  return flags;
}

static void put32(uint8_t *at, uint32_t value) {
  for (unsigned i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* `START-END START-END`: a SACK option; returns its bytes. */
static unsigned blocks_of(struct script *script, const char *value, uint8_t bytes[40]) {
  unsigned count = 2, start, end;
  int used = 0;
  for (; count + 8 <= 40 && sscanf(value, " %u-%u%n", &start, &end, &used) == 2; value += used, count += 8) {
    put32(bytes + count, start + script->block_base);
    put32(bytes + count + 4, end + script->block_base);
  }
  if (count == 2 || value[strspn(value, " ")]) fail(script, "blocks want START-END", value);
  bytes[0] = 5;
  bytes[1] = (uint8_t)count;
  return count;
}

static void option_add(struct script *script, struct bench_segment *segment, const char *name, const char *value) {
  uint8_t *at = segment->options + segment->options_bytes;
  const unsigned long n = strtoul(value, NULL, 0);
  uint8_t bytes[40];
  unsigned count = 0;
  if (strcmp(name, "mss") == 0) {
    memcpy(bytes, (uint8_t[]){2, 4, (uint8_t)(n >> 8), (uint8_t)n}, count = 4);
  } else if (strcmp(name, "wscale") == 0) {
    memcpy(bytes, (uint8_t[]){3, 3, (uint8_t)n}, count = 3);
  } else if (strcmp(name, "sack") == 0) {
    memcpy(bytes, (uint8_t[]){4, 2}, count = 2);
  } else if (strcmp(name, "ts") == 0) {
    const char *slash = strchr(value, '/');
    const unsigned long echo = slash ? strtoul(slash + 1, NULL, 0) : 0;
    if (!slash) fail(script, "ts wants VALUE/ECHO", value);
    const uint8_t option[10] = {8,
                                10,
                                (uint8_t)(n >> 24),
                                (uint8_t)(n >> 16),
                                (uint8_t)(n >> 8),
                                (uint8_t)n,
                                (uint8_t)(echo >> 24),
                                (uint8_t)(echo >> 16),
                                (uint8_t)(echo >> 8),
                                (uint8_t)echo};
    memcpy(bytes, option, count = sizeof option);
  } else if (strcmp(name, "blocks") == 0) {
    count = blocks_of(script, value, bytes);
  } else if (strcmp(name, "nop") == 0) {
    bytes[0] = 1;
    count = 1;
  } else if (strcmp(name, "raw") == 0) {
    for (unsigned byte; count < sizeof bytes && sscanf(value + 2 * count, "%2x", &byte) == 1; count++)
      bytes[count] = (uint8_t)byte;
  } else {
    fail(script, "no such option", name);
  }
  if (segment->options_bytes + count > sizeof segment->options) {
    fail(script, "too many options", name);
    return;
  }
  memcpy(at, bytes, count);
  segment->options_bytes = (uint8_t)(segment->options_bytes + count);
}

/* `<mss 1460,wscale 7>` came apart at its spaces; `text` is its first word. */
static void options_of(struct script *script, struct line *line, const char *text, struct bench_segment *segment) {
  char all[256] = "";
  for (const char *part = text;; part = word(line)) {
    if (!*part || strlen(all) + strlen(part) + 2 > sizeof all) {
      fail(script, "options without >", text);
      return;
    }
    strcat(strcat(all, part), " ");
    if (strchr(part, '>')) break;
  }
  all[strcspn(all, ">")] = 0;
  for (char *save, *option = strtok_r(all + 1, ",", &save); option; option = strtok_r(NULL, ",", &save)) {
    char name[32] = "", value[128] = "";
    if (sscanf(option, "%31s %127[^>]", name, value) >= 1) option_add(script, segment, name, value);
  }
}

enum field { SEQ = 1, ACK = 2, LEN = 4, WIN = 8, OPTIONS = 16 };

/* The rest of a segment's line; numbers stay relative. Returns which fields were named. */
static unsigned segment_of(struct script *script, struct line *line, struct bench_segment *segment) {
  unsigned fields = 0;
  *segment = (struct bench_segment){.flags = flags_of(script, word(line)), .window = 65535};
  while (line->at < line->count) {
    const char *key = word(line);
    if (strcmp(key, "seq") == 0) {
      segment->seq = number(script, line);
      fields |= SEQ;
    } else if (strcmp(key, "ack") == 0) {
      segment->ack = number(script, line);
      fields |= ACK;
    } else if (strcmp(key, "len") == 0) {
      segment->payload_bytes = number(script, line);
      fields |= LEN;
    } else if (strcmp(key, "win") == 0) {
      segment->window = (uint16_t)number(script, line);
      fields |= WIN;
    } else if (key[0] == '<') {
      options_of(script, line, key, segment);
      fields |= OPTIONS;
    } else if (strcmp(key, "badsum") == 0) {
      segment->bad_checksum = true;
    } else if (strcmp(key, "doff") == 0) {
      segment->data_offset = (int)number(script, line);
    } else {
      fail(script, "no such field", key);
    }
  }
  return fields;
}

static void end_burst(struct script *script) {
  if (script->burst) bench_flush(&script->bench);
  script->burst = false;
}

static void start(struct script *script) {
  if (script->started) return;
  script->started = true;
  if (!bench_start(&script->bench, &script->config)) fail(script, "the network cannot be made", "");
  script->bench.ipv6 = script->ipv6;
  script->bench.vlan = script->vlan;
  script->origin_ns = script->bench.now_ns;
}

/* The value field of the timestamps option, or NULL. */
static uint8_t *timestamp_of(struct bench_segment *segment) {
  for (unsigned at = 0; at < segment->options_bytes;) {
    uint8_t *option = segment->options + at;
    if (option[0] == 0) return NULL;
    if (option[0] == 8 && at + 10 <= segment->options_bytes) return option + 2;
    if (option[0] == 1) {
      at++;
    } else if (at + 1 < segment->options_bytes && option[1] >= 2) {
      at += option[1];
    } else {
      return NULL;
    }
  }
  return NULL;
}

static uint32_t get32(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

/* Makes the clock that was sent relative; what is only late by a timer's tick is as wanted. */
static void timestamp_relate(const struct script *script, struct bench_segment *wanted, struct bench_segment *got) {
  uint8_t *sent = timestamp_of(got);
  const uint8_t *hoped = timestamp_of(wanted);
  if (!sent) return;
  const uint32_t value = get32(sent) - script->server_timestamp;
  put32(sent, hoped && value - get32(hoped) <= LATE_TICKS ? get32(hoped) : value);
}

static void inject(struct script *script, struct line *line) {
  struct bench_segment segment;
  script->block_base = script->server_iss;
  segment_of(script, line, &segment);
  segment.peer_port = script->client_port;
  segment.own_port = script->server_port;
  segment.pattern_at = segment.seq - 1;
  segment.seq += script->client_isn;
  segment.ack += script->server_iss;
  uint8_t *timestamp = timestamp_of(&segment);
  if (timestamp && (segment.flags & 0x10)) put32(timestamp + 4, get32(timestamp + 4) + script->server_timestamp);
  bench_segment_in(&script->bench, &segment);
  script->burst = true;
}

static void describe(const struct script *script, const struct bench_segment *segment, char text[200]) {
  snprintf(text, 200, "got flags %02x seq %u ack %u len %u win %u", segment->flags, segment->seq - script->server_iss,
           segment->ack - script->client_isn, segment->payload_bytes, segment->window);
}

static void expect(struct script *script, struct line *line) {
  struct bench_segment wanted, got;
  script->block_base = script->client_isn;
  const unsigned fields = segment_of(script, line, &wanted);
  const struct bench_frame *frame = bench_next(&script->bench);
  /* A timer may be up to a wheel's tick late. */
  for (uint32_t late_ns = 0; !frame && late_ns < LATE_NS; late_ns += 1000000) {
    bench_pass(&script->bench, 1000000);
    frame = bench_next(&script->bench);
  }
  if (!frame || !bench_parse(&script->bench, frame->bytes, frame->length, &got)) {
    fail(script, frame ? "not a good TCP segment" : "nothing was sent", "");
    return;
  }
  if (!script->server_known && got.flags == 0x12) {
    script->server_iss = got.seq;
    script->server_known = true;
    const uint8_t *timestamp = timestamp_of(&got);
    if (timestamp) script->server_timestamp = get32(timestamp);
  }
  timestamp_relate(script, &wanted, &got);
  char text[200];
  describe(script, &got, text);
  const uint32_t seq = got.seq - script->server_iss, ack = got.ack - script->client_isn;
  const bool same = got.peer_port == script->client_port && got.flags == wanted.flags && (!(fields & SEQ) || seq == wanted.seq) &&
                    (!(fields & ACK) || ack == wanted.ack) && got.payload_bytes == wanted.payload_bytes &&
                    (!(fields & WIN) || got.window == wanted.window) &&
                    (!(fields & OPTIONS) || (got.options_bytes == (wanted.options_bytes + 3u) / 4 * 4 &&
                                             memcmp(got.options, wanted.options, wanted.options_bytes) == 0));
  if (!same) fail(script, "not as expected", text);
  for (uint32_t i = 0; i < got.payload_bytes; i++) {
    if (got.payload[i] != bench_pattern(seq - 1 + i)) fail(script, "payload differs", text);
  }
  const uint64_t sent_ns = frame->time_ns - script->origin_ns;
  if (sent_ns + LATE_NS < script->at_ns || sent_ns > script->at_ns + LATE_NS) {
    char when[64];
    snprintf(when, sizeof when, "sent at %.4f", (double)sent_ns / 1e9);
    fail(script, "not at its time", when);
  }
}

static struct bench_stream *application(struct script *script) {
  return &script->bench.streams[script->bench.opened ? (script->bench.opened - 1) % BENCH_STREAMS : 0];
}

static void app_expect(struct script *script, struct line *line) {
  const struct bench_stream *app = application(script);
  const char *what = word(line);
  char text[100];
  snprintf(text, sizeof text, "received %u written %u peer_finished %d closed %d end %d", app->received, app->written,
           app->peer_finished, app->closed, (int)app->end);
  static const char *const ends[] = {"finished", "reset", "timed_out", "aborted"};
  bool good = false;
  if (strcmp(what, "received") == 0) {
    good = app->received == number(script, line) && !app->corrupt;
  } else if (strcmp(what, "written") == 0) {
    good = app->written == number(script, line);
  } else if (strcmp(what, "peer_finished") == 0) {
    good = app->peer_finished == (strcmp(word(line), "yes") == 0);
  } else if (strcmp(what, "open") == 0) {
    good = app->opened && !app->closed;
  } else if (strcmp(what, "closed") == 0) {
    good = app->closed && strcmp(ends[app->end], word(line)) == 0;
  } else {
    fail(script, "no such expectation", what);
  }
  if (!good) fail(script, what, text);
}

static void app_line(struct script *script, struct line *line) {
  struct bench_stream *app = application(script);
  const char *verb = word(line);
  if (strcmp(verb, "expect") == 0) {
    app_expect(script, line);
  } else if (strcmp(verb, "refuse") == 0) {
    script->bench.refuse_open = true;
  } else if (strcmp(verb, "abort_in_opened") == 0) {
    script->bench.abort_in_opened = true;
  } else if (strcmp(verb, "take") == 0) {
    const char *how_much = word(line);
    app->take_most = script->bench.take_most = strcmp(how_much, "all") == 0 ? UINT32_MAX : (uint32_t)strtoul(how_much, NULL, 0);
  } else if (!app->stream) {
    fail(script, "no open stream for", verb);
  } else if (strcmp(verb, "write") == 0) {
    bench_write(app, number(script, line));
  } else if (strcmp(verb, "resume") == 0) {
    stream_resume(app->stream);
  } else if (strcmp(verb, "close") == 0) {
    stream_close(app->stream);
  } else if (strcmp(verb, "abort") == 0) {
    stream_abort(app->stream, script->bench.now_ns);
  } else if (strcmp(verb, "abort_in_received") == 0) {
    app->abort_in_received = true;
  } else if (strcmp(verb, "close_in_received") == 0) {
    app->close_in_received = true;
  } else {
    fail(script, "no such verb", verb);
  }
  script->burst = true;
}

static const struct {
  const char *name;
  size_t offset;
} counter_names[] = {
#define COUNTER(name)                                                                                                            \
  { #name, offsetof(struct network_counters, name) }
    COUNTER(frames_received),       COUNTER(send_no_buffer),
    COUNTER(tcp_delivered),         COUNTER(tcp_opened),
    COUNTER(tcp_established),       COUNTER(tcp_refused_full),
    COUNTER(tcp_refused_half_open), COUNTER(tcp_refused_port),
    COUNTER(tcp_refused_drain),     COUNTER(tcp_resets_sent),
    COUNTER(tcp_resets_received),   COUNTER(tcp_resets_ignored),
    COUNTER(tcp_retransmits),       COUNTER(tcp_rto_fired),
    COUNTER(tcp_duplicate_acks),    COUNTER(tcp_challenge_acks),
    COUNTER(tcp_out_of_order),      COUNTER(tcp_out_of_order_dropped),
    COUNTER(tcp_duplicate_bytes),   COUNTER(tcp_window_overrun_bytes),
    COUNTER(tcp_bytes_received),    COUNTER(tcp_bytes_sent),
    COUNTER(tcp_paws_dropped),      COUNTER(tcp_timestamp_missing),
    COUNTER(tcp_acks_coalesced),    COUNTER(tcp_zero_windows),
    COUNTER(tcp_sack_refused),      COUNTER(tcp_urgent_ignored),
    COUNTER(icmp_too_big),          COUNTER(tcp_path_mtu_lowered),
    COUNTER(tcp_keep_alives_sent),  COUNTER(tcp_keep_alive_timed_out),
    COUNTER(tcp_cookies_sent),      COUNTER(tcp_cookies_accepted),
    COUNTER(tcp_cookies_rejected),  COUNTER(tcp_half_open_evicted),
#undef COUNTER
};

static void expect_counter(struct script *script, struct line *line) {
  const char *name = word(line);
  const uint8_t *counters = (const uint8_t *)network_counters(script->bench.network);
  for (unsigned i = 0; i < sizeof counter_names / sizeof *counter_names; i++) {
    if (strcmp(counter_names[i].name, name) != 0) continue;
    uint64_t value;
    memcpy(&value, counters + counter_names[i].offset, sizeof value);
    char text[64];
    snprintf(text, sizeof text, "%s is %llu", name, (unsigned long long)value);
    if (value != number(script, line)) fail(script, "counter", text);
    return;
  }
  fail(script, "no such counter", name);
}

static void expect_drop(struct script *script, struct line *line) {
  const char *name = word(line);
  for (int i = 0; i < NETWORK_DROPS; i++) {
    if (strcmp(network_drop_name((enum network_drop)i), name) != 0) continue;
    if (network_counters(script->bench.network)->drops[i] != number(script, line)) fail(script, "drop counter", name);
    return;
  }
  fail(script, "no such drop", name);
}

static void expect_idle(struct script *script) {
  const struct network_counters *counters = network_counters(script->bench.network);
  if (counters->tcp_connections || counters->tcp_half_open || script->bench.open_now ||
      !network_pools_full(script->bench.network)) {
    fail(script, "connections or blocks are left", "");
  }
}

static void nothing_sent(struct script *script) {
  struct bench_segment got;
  char text[200] = "";
  if (script->bench.seen == script->bench.sent) return;
  if (bench_next_segment(&script->bench, &got)) describe(script, &got, text);
  fail(script, "sent without being expected", text);
}

/* `icmp too_big mtu N seq N [bytes N]`, or `icmp TYPE CODE seq N`: an error about a segment of ours. */
static void icmp_line(struct script *script, struct line *line) {
  struct bench_quote quote = {
      .own_port = script->server_port, .peer_port = script->client_port, .packet_bytes = script->config.mtu};
  const char *type = word(line);
  if (strcmp(type, "too_big") == 0) {
    quote.type = script->ipv6 ? 2 : 3;
    quote.code = script->ipv6 ? 0 : 4;
  } else {
    quote.type = (uint8_t)strtoul(type, NULL, 0);
    quote.code = (uint8_t)number(script, line);
  }
  while (line->at < line->count) {
    const char *key = word(line);
    const uint32_t value = number(script, line);
    if (strcmp(key, "mtu") == 0) {
      quote.mtu = value;
    } else if (strcmp(key, "seq") == 0) {
      quote.seq = value + script->server_iss;
    } else if (strcmp(key, "bytes") == 0) {
      quote.packet_bytes = value;
    } else {
      fail(script, "no such field", key);
    }
  }
  uint8_t frame[256];
  uint32_t length = bench_icmp_error_build(&script->bench, frame, &quote);
  if (script->vlan) length = bench_vlan_insert(frame, length, script->vlan);
  bench_frame_in(&script->bench, frame, length);
  script->burst = true;
}

static void timed_line(struct script *script, struct line *line, const char *time) {
  start(script);
  const double seconds = strtod(time[0] == '+' ? time + 1 : time, NULL);
  const uint64_t at_ns = (time[0] == '+' ? script->at_ns : 0) + (uint64_t)(seconds * 1e9 + 0.5);
  const char *verb = word(line);
  if (at_ns < script->at_ns) fail(script, "time runs backwards", time);
  const bool joins = strcmp(verb, ">") == 0 || strcmp(verb, "icmp") == 0 ||
                     (strcmp(verb, "app") == 0 && strcmp(line->words[line->at], "expect") != 0);
  if (at_ns != script->at_ns || !joins) end_burst(script);
  if (script->failed) return;
  script->at_ns = at_ns;
  const uint64_t passed_ns = script->bench.now_ns - script->origin_ns;
  if (at_ns > passed_ns) bench_pass(&script->bench, at_ns - passed_ns);
  if (strcmp(verb, ">") == 0) {
    inject(script, line);
  } else if (strcmp(verb, "<") == 0) {
    expect(script, line);
  } else if (strcmp(verb, "icmp") == 0) {
    icmp_line(script, line);
  } else if (strcmp(verb, "app") == 0) {
    app_line(script, line);
  } else if (strcmp(verb, "nothing") == 0) {
    nothing_sent(script);
  } else if (strcmp(verb, "pause") == 0 || strcmp(verb, "resume") == 0) {
    network_pause_receiving(script->bench.network, verb[0] == 'p');
    script->burst = true;
  } else if (strcmp(verb, "drain") == 0) {
    network_drain(script->bench.network, script->bench.now_ns);
  } else if (strcmp(verb, "no_buffer") == 0) {
    script->bench.no_buffer = strcmp(word(line), "on") == 0;
    script->burst = true;
  } else if (strcmp(verb, "counter") == 0) {
    expect_counter(script, line);
  } else if (strcmp(verb, "drop") == 0) {
    expect_drop(script, line);
  } else if (strcmp(verb, "idle") == 0) {
    expect_idle(script);
  } else {
    fail(script, "no such verb", verb);
  }
}

static void config_line(struct script *script, struct line *line) {
  const char *key = word(line);
  const uint32_t value = number(script, line);
  struct network_config *config = &script->config;
  if (script->started) fail(script, "config after the first packet", key);
  if (strcmp(key, "mtu") == 0) {
    config->mtu = (uint16_t)value;
  } else if (strcmp(key, "receive_buffer") == 0) {
    config->receive_buffer_bytes = value;
  } else if (strcmp(key, "receive_pool") == 0) {
    config->receive_pool_bytes = value;
  } else if (strcmp(key, "send_buffer") == 0) {
    config->send_buffer_bytes = value;
  } else if (strcmp(key, "send_pool") == 0) {
    config->send_pool_bytes = value;
  } else if (strcmp(key, "half_open") == 0) {
    config->half_open_max = value;
  } else if (strcmp(key, "connections") == 0) {
    config->connections_max = value;
  } else if (strcmp(key, "ipv6") == 0) {
    script->ipv6 = value;
    config->addresses[config->address_count++] = ip_address_of_bytes(bench_own_ipv6);
  } else if (strcmp(key, "vlan") == 0) {
    script->vlan = (uint16_t)value;
    config->vlans[config->vlan_count++] = (uint16_t)value;
  } else if (strcmp(key, "idle_ms") == 0) {
    config->idle_timeout_ns = value * 1000000ull;
  } else if (strcmp(key, "keep_alive_idle_ms") == 0) {
    config->keep_alive_idle_ns = value * 1000000ull;
  } else if (strcmp(key, "keep_alive_interval_ms") == 0) {
    config->keep_alive_interval_ns = value * 1000000ull;
  } else if (strcmp(key, "keep_alive_count") == 0) {
    config->keep_alive_count = value;
  } else if (strcmp(key, "time_wait_ms") == 0) {
    config->time_wait_ns = value * 1000000ull;
  } else {
    fail(script, "no such configuration", key);
  }
}

static void client_line(struct script *script, struct line *line) {
  const char *key = word(line);
  const uint32_t value = number(script, line);
  if (script->started) end_burst(script);
  if (strcmp(key, "isn") == 0) {
    script->client_isn = value;
  } else if (strcmp(key, "to") == 0) {
    script->server_port = (uint16_t)value;
  } else {
    script->client_port = (uint16_t)value;
  }
  script->server_known = false;
}

bool packet_script_run(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) {
    perror(path);
    return false;
  }
  static struct script script;
  script = (struct script){.path = path, .client_isn = 1000, .client_port = 40000};
  bench_default_config(&script.config);
  char text[512];
  while (!script.failed && fgets(text, sizeof text, file)) {
    script.line++;
    text[strcspn(text, "#\n")] = 0;
    struct line line = {0};
    for (char *save, *next = strtok_r(text, " \t", &save); next && line.count < WORDS_MAX; next = strtok_r(NULL, " \t", &save)) {
      line.words[line.count++] = next;
    }
    if (line.count == 0) continue;
    const char *first = word(&line);
    if (strcmp(first, "config") == 0) {
      config_line(&script, &line);
    } else if (strcmp(first, "client") == 0) {
      client_line(&script, &line);
    } else {
      timed_line(&script, &line, first);
    }
  }
  fclose(file);
  if (!script.started) {
    fail(&script, "no packet in it", "");
    return false;
  }
  end_burst(&script);
  nothing_sent(&script);
  if (!bench_conserved(&script.bench)) fail(&script, "frames received are not all accounted for", "");
  for (uint32_t i = 0; i < BENCH_STREAMS; i++) {
    if (script.bench.streams[i].corrupt) fail(&script, "received bytes differ from those sent", "");
  }
  bench_stop(&script.bench);
  return !script.failed;
}
