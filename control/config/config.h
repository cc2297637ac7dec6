#pragma once
/* The appliance's configuration: YAML in, typed and checked values out. A missing key takes the embedded default; an unknown key,
 * a wrong type or a value out of range is an error with file:line:column, and all errors are reported. Threads: control. */
#include "journal_checkpoint.h"
#include "trace_limits.h"
#include "webhook.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_PORTS_MAX 8
#define CONFIG_ADDRESSES_MAX 8
#define CONFIG_VLANS_MAX 16
#define CONFIG_SOURCES_MAX 64
#define CONFIG_RULE_PATHS_MAX 64
#define CONFIG_PATH_BYTES 256
#define CONFIG_CLIENT_NAMES_MAX 16

enum port_kind { PORT_EMBEDDED, PORT_AF_PACKET, PORT_AF_XDP, PORT_TAP, PORT_MEMIF, PORT_PCAP, PORT_RING, PORT_PCI };

struct config_port {
  char name[16];
  enum port_kind kind;
  char interface[16];                  /* af_packet, af_xdp, tap: kernel interface; embedded: host end */
  char address[32];                    /* pci: 0000:3b:00.0 */
  char path[CONFIG_PATH_BYTES];        /* memif: socket; pcap: file to read */
  char output_path[CONFIG_PATH_BYTES]; /* pcap: file to write; empty: none */
  bool server;                         /* memif role */
  uint32_t ipv4_count, ipv6_count, vlan_count;
  char ipv4[CONFIG_ADDRESSES_MAX][20]; /* the appliance's own, a.b.c.d/len */
  char ipv6[CONFIG_ADDRESSES_MAX][48];
  char host_ipv4[20];               /* embedded: the host end's */
  char host_ipv6[48];               /* embedded: empty when the port has no IPv6 address */
  uint16_t vlans[CONFIG_VLANS_MAX]; /* accepted ids, 0 for frames without a tag; none listed: only those */
  uint16_t mtu;
  uint16_t queues;       /* 0: one a shard */
  bool verify_checksums; /* software verification of received TCP/UDP where the port does not */
  struct config_impairment {
    uint32_t loss_ppm, duplicate_ppm, reorder_ppm; /* of the frames of each direction */
    uint64_t delay_ns, seed;
  } impairment; /* for tests: a worse wire; all rates and the delay 0: none */
};

struct config_tls {                                            /* of one listener */
  char certificate[CONFIG_PATH_BYTES], key[CONFIG_PATH_BYTES]; /* PEM files; empty: without TLS */
  char client_ca[CONFIG_PATH_BYTES];                           /* empty: clients need no certificate */
  uint32_t client_name_count;                                  /* with client_ca: one of these */
  char client_names[CONFIG_CLIENT_NAMES_MAX][128];
};

struct config {
  char data_dir[CONFIG_PATH_BYTES];
  struct {
    char socket[CONFIG_PATH_BYTES];
    char listen_address[64]; /* 127.0.0.1 */
    uint16_t listen_port;    /* 9464; 0: off */
    char socket_group[32];   /* empty: the process's */
  } management;
  struct {
    uint32_t count;     /* 0: by the number of cores */
    uint16_t cores[64]; /* empty (core_count 0): chosen */
    uint32_t core_count;
    int control_core, journal_core; /* -1: chosen */
    uint64_t idle_sleep_ns;         /* 0: always poll */
    bool prefault;                  /* all memory at start; else when first used */
  } shards;
  uint32_t port_count;
  struct config_port ports[CONFIG_PORTS_MAX];
  char eal_extra[CONFIG_PATH_BYTES]; /* appended to EAL's arguments */
  uint32_t hugepage_memory_mib;
  uint32_t rule_path_count, rule_series_max;
  char rule_paths[CONFIG_RULE_PATHS_MAX][CONFIG_PATH_BYTES];
  struct config_span_listener {
    uint16_t port; /* 4318, 4317, 9411; 0: off, Zipkin only */
    bool acknowledge_durable;
    enum record_durability durability;
    uint32_t max_body_bytes;
    struct config_tls tls;
  } otlp_http, otlp_grpc, zipkin;
  uint16_t jaeger_port; /* 6831, UDP; 0: off */
  struct {
    uint16_t port; /* 8080 */
    struct config_tls tls;
    uint32_t replay_capacity; /* ids remembered a shard */
    uint32_t source_count;
    struct webhook_source sources[CONFIG_SOURCES_MAX];
  } webhooks;
  struct {
    uint32_t live_max; /* a shard */
    uint32_t captures_max, spills_max, story_max, story_steps_max;
    uint64_t idle_ns; /* 3 s */
    struct trace_limits limits;
  } traces;
  struct {
    uint32_t keys_max; /* a shard */
  } windows;
  struct {
    uint64_t segment_bytes;
    uint32_t segments_ahead;
    uint32_t batch_bytes_max;
    uint32_t ring_bytes; /* a shard's record ring */
    uint32_t index_violations;
    bool hash_chain;
    uint64_t retain_age_ns, retain_bytes, retain_records; /* 0: no limit */
    uint64_t retain_bytes_hard;                           /* 0: cursors hold without limit */
    uint64_t cursor_stale_ns;                             /* a cursor that holds and has not moved for so long is told of */
    struct {
      char key_id[CHECKPOINT_KEY_ID_BYTES + 1]; /* empty: nothing is signed */
      char key_file[CONFIG_PATH_BYTES];
      uint64_t interval_ns;
    } signing;
  } journal;
  struct {
    bool enabled;
    uint32_t events;     /* a shard's; a power of two */
    uint32_t sample_ppm; /* of ordinary events */
  } recorder;
  struct {
    uint32_t connections_max;                                /* a shard */
    uint32_t half_open_max;                                  /* a shard; 0: a quarter of connections_max */
    uint32_t connections_per_address, half_open_per_address; /* of one shard; 0: no limit */
    uint64_t keep_alive_idle_ns, keep_alive_interval_ns;     /* RFC 9293 section 3.8.4; idle 0: never asked */
    uint32_t keep_alive_count;
    uint64_t idle_timeout_ns, header_timeout_ns, body_timeout_ns, keep_alive_timeout_ns, time_wait_ns;
    uint32_t receive_buffer_bytes, receive_pool_bytes, send_buffer_bytes, send_pool_bytes;
    struct {
      uint32_t bytes, count;
    } body_pools[4];
  } tcp;
  struct {
    uint32_t requests_max;         /* in progress, a shard; 0: as many as there are connections and streams */
    uint32_t requests_per_address; /* of one shard; 0: no limit */
    uint32_t body_bytes_per_address;
  } http;
  struct {
    uint32_t reassembly_max; /* datagrams in fragments at one time, 64 KiB each; 0: fragments are refused */
  } udp;
  struct {
    uint32_t connections_max, handshakes_a_second, waiting_max; /* a shard */
    uint64_t handshake_timeout_ns;
  } tls;
};

/* The embedded default. */
void config_default(struct config *config);
/* Reads `path` over the defaults. Returns 0, or -EINVAL after printing every error to `errors_out`, or -errno when it cannot be
 * read. Secrets are read from `secret` or `secret_file` (not readable by group or others) and never kept as text. */
int config_load(const char *path, struct config *config, FILE *errors_out);
int config_parse(const char *name, const char *text, size_t length, struct config *config, FILE *errors_out);
