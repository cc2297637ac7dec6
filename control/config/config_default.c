#include "config_internal.h"
#include <string.h>

static void set_text(char *field, size_t room, const char *text) {
  memset(field, 0, room);
  memcpy(field, text, strlen(text));
}
#define SET_TEXT(field, text) set_text((field), sizeof(field), (text))

void config_default_port(struct config_port *port) {
  *port = (struct config_port){.kind = PORT_EMBEDDED, .mtu = 9000};
  SET_TEXT(port->name, "trip");
  SET_TEXT(port->interface, "trip0");
  port->ipv4_count = port->ipv6_count = 1;
  SET_TEXT(port->ipv4[0], "10.86.0.2/24");
  SET_TEXT(port->ipv6[0], "fd86::2/64");
  SET_TEXT(port->host_ipv6, "fd86::1/64");
  SET_TEXT(port->host_ipv4, "10.86.0.1/24");
}

void config_default_source(struct webhook_source *source) {
  *source = (struct webhook_source){.kind = WEBHOOK_JSON,
                                    .acknowledge_durable = true,
                                    .max_body_bytes = 1048576,
                                    .window_ns = 300ull * 1000000000,
                                    .skew_ns = 30ull * 1000000000};
}

static void default_sources(struct config *config) {
  /* Unsigned, so that a first curl and a stock Alertmanager work; a real configuration brings secrets. */
  config->webhooks.source_count = 2;
  config_default_source(&config->webhooks.sources[0]);
  SET_TEXT(config->webhooks.sources[0].name, "orders");
  config_default_source(&config->webhooks.sources[1]);
  SET_TEXT(config->webhooks.sources[1].name, "alertmanager");
  config->webhooks.sources[1].kind = WEBHOOK_ALERTMANAGER;
}

static void default_tcp(struct config *config) {
  config->tcp.connections_max = 16384;
  config->tcp.idle_timeout_ns = 120ull * 1000000000;
  config->tcp.keep_alive_idle_ns = 60ull * 1000000000;
  config->tcp.keep_alive_interval_ns = 10ull * 1000000000;
  config->tcp.keep_alive_count = 3;
  config->tcp.header_timeout_ns = 10ull * 1000000000;
  config->tcp.body_timeout_ns = 60ull * 1000000000;
  config->tcp.keep_alive_timeout_ns = 75ull * 1000000000;
  config->tcp.time_wait_ns = 2ull * 1000000000;
  config->tcp.receive_buffer_bytes = 262144;
  config->tcp.receive_pool_bytes = 64u << 20;
  config->tcp.send_buffer_bytes = 16384;
  config->tcp.send_pool_bytes = 32u << 20;
  config->udp.reassembly_max = 16;
  static const struct { uint32_t bytes, count; } pools[4] = {{8192, 4096}, {131072, 512}, {2u << 20, 32}, {22u << 20, 4}};
  for (unsigned i = 0; i < 4; i++) {
    config->tcp.body_pools[i].bytes = pools[i].bytes;
    config->tcp.body_pools[i].count = pools[i].count;
  }
}

static void default_tls(struct config *config) {
  config->tls.connections_max = 4096;
  config->tls.handshakes_a_second = 1000; /* about a fifth of a core with a P-256 key */
  config->tls.waiting_max = 1024;
  config->tls.handshake_timeout_ns = 10ull * 1000000000;
}

void config_default(struct config *config) {
  memset(config, 0, sizeof *config);
  SET_TEXT(config->data_dir, "./tripline-data");
  SET_TEXT(config->management.socket, "./tripline-data/control.sock");
  SET_TEXT(config->management.listen_address, "127.0.0.1");
  config->management.listen_port = 9464;
  config->shards.control_core = config->shards.journal_core = -1;
  config->port_count = 1;
  config_default_port(&config->ports[0]);
  config->hugepage_memory_mib = 512;
  config->rule_series_max = 1000;
  config->otlp_http.port = 4318;
  config->otlp_http.max_body_bytes = 20971520;
  config->otlp_grpc.port = 4317;
  config->otlp_grpc.max_body_bytes = 4194304; /* what gRPC's own libraries take by default */
  config->zipkin.port = 9411;
  config->zipkin.max_body_bytes = 20971520;
  config->jaeger_port = 6831;
  config->webhooks.port = 8080;
  config->webhooks.replay_capacity = 1u << 18;
  default_sources(config);
  config->traces.live_max = 1u << 18;
  config->traces.captures_max = 1u << 16;
  config->traces.spills_max = 1u << 18;
  config->traces.story_max = 1u << 18;
  config->traces.story_steps_max = 4000000;
  config->traces.idle_ns = 3ull * 1000000000;
  config->traces.limits = (struct trace_limits){.max_age_ns = 60ull * 1000000000, .max_spans = 10000};
  config->windows.keys_max = 1u << 14;
  config->journal.segment_bytes = 64u << 20;
  config->journal.segments_ahead = 1;
  config->journal.batch_bytes_max = 1u << 20;
  config->journal.ring_bytes = 8u << 20;
  config->journal.index_violations = 1000000;
  config->journal.hash_chain = true;
  config->journal.cursor_stale_ns = 24ull * 3600 * 1000000000;
  config->journal.signing.interval_ns = 60ull * 1000000000;
  config->recorder.enabled = true;
  config->recorder.events = 4096;
  config->recorder.sample_ppm = 10000;
  default_tcp(config);
  default_tls(config);
}
