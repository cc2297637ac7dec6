/* The defaults, what a file changes, and every complaint with the place it is about. */
#include "cmocka_test.h"
#include "config.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config config;
static char complaints[16384];

static int parse(const char *text) {
  FILE *errors = fmemopen(complaints, sizeof complaints, "w");
  assert_non_null(errors);
  complaints[0] = '\0';
  const int result = config_parse("t.yaml", text, strlen(text), &config, errors);
  fclose(errors);
  return result;
}

static void an_empty_file_is_the_default(void **state) {
  (void)state;
  static struct config expected;
  config_default(&expected);
  assert_int_equal(parse(""), 0);
  assert_memory_equal(&config, &expected, sizeof config);
  assert_string_equal(config.management.listen_address, "127.0.0.1");
  assert_int_equal(config.management.listen_port, 9464);
  assert_int_equal(config.otlp_http.port, 4318);
  assert_int_equal(config.otlp_http.max_body_bytes, 20971520);
  assert_int_equal(config.zipkin.port, 9411);
  assert_int_equal(config.zipkin.max_body_bytes, 20971520);
  assert_false(config.zipkin.acknowledge_durable);
  assert_int_equal(config.jaeger_port, 6831);
  assert_int_equal(config.webhooks.port, 8080);
  assert_int_equal(config.webhooks.source_count, 2);
  assert_int_equal(config.webhooks.sources[1].kind, WEBHOOK_ALERTMANAGER);
  assert_int_equal(config.webhooks.sources[0].window_ns, 300000000000);
  assert_int_equal(config.webhooks.sources[0].skew_ns, 30000000000);
  assert_int_equal(config.port_count, 1);
  assert_int_equal(config.ports[0].kind, PORT_EMBEDDED);
  assert_int_equal(config.shards.control_core, -1);
  assert_int_equal(config.traces.idle_ns, 3000000000);
  assert_int_equal(config.traces.limits.root_grace_ns, 0);
  assert_int_equal(config.traces.limits.max_age_ns, 60000000000);
  assert_int_equal(config.traces.limits.max_spans, 10000);
  assert_int_equal(config.traces.limits.clock_tolerance_ns, 0);
  assert_true(config.recorder.enabled);
  assert_int_equal(config.recorder.events, 4096);
  assert_int_equal(config.recorder.sample_ppm, 10000);
}

static void a_file_overrides_key_by_key(void **state) {
  (void)state;
  assert_int_equal(
      parse("data_dir: /srv/trip\n"
            "management: {socket: /run/c.sock, socket_group: ops, listen: '[::1]:9000'}\n"
            "shards: {count: 2, cores: [1, 3], control_core: 0, journal_core: 5, idle_sleep: 250us, prefault: true}\n"
            "ports:\n"
            "  - {name: a, kind: af_packet, interface: eth1, ipv4: 192.0.2.2/24, mtu: 1500, queues: 2,"
            " verify_checksums: yes, impairment: {loss: 2%, duplicate: 0.5%, reorder: 100%, delay: 20ms, seed: 7}}\n"
            "recorder: {enabled: false, events: 65536, sample: 0.5%}\n"
            "eal: {memory_mib: 1024, extra: --log-level=8}\n"
            "rules: {files: [a.yaml, rules.d]}\n"
            "listeners: {otlp_http: {listen: 4319, acknowledge: durable, max_body_bytes: 1MiB},"
            " zipkin: {listen: off, acknowledge: durable, max_body_bytes: 2MiB}, jaeger: {listen: 8080}}\n"
            "webhooks: {listen: 81, replay_capacity: 2048, sources: [{name: s, kind: json, acknowledge: received,"
            " window: 1m, skew: 1.5s, max_body_bytes: 2KiB}]}\n"
            "traces: {live_max: 4096, captures_max: 2048, spills_max: 8192, story_max: 16384, story_steps_max: 50000, idle: "
            "750ms, root_grace: 500ms, max_age: 2m,"
            " max_spans: 99, clock_tolerance: 20ms}\n"
            "windows: {keys_max: 512}\n"
            "journal: {segment_bytes: 16MiB, segments_ahead: 2, index_violations: 5000, hash_chain: no, retain_age: 720h,"
            " retain_bytes: 10GiB, retain_bytes_hard: 12GiB, retain_records: 1000000, cursor_stale: 90m}\n"
            "tcp: {connections_max: 128, idle_timeout: 1h, keep_alive_idle: 30s, keep_alive_interval: 5s,"
            " keep_alive_count: 4}\n"),
      0);
  assert_string_equal(complaints, "");
  assert_string_equal(config.data_dir, "/srv/trip");
  assert_int_equal(config.windows.keys_max, 512);
  assert_false(config.journal.hash_chain);
  assert_true(config.journal.retain_age_ns == 720ull * 3600 * 1000000000);
  assert_true(config.journal.retain_bytes == 10ull << 30);
  assert_true(config.journal.retain_bytes_hard == 12ull << 30);
  assert_true(config.journal.cursor_stale_ns == 5400ull * 1000000000);
  assert_int_equal(config.journal.retain_records, 1000000);
  assert_string_equal(config.management.listen_address, "[::1]");
  assert_int_equal(config.management.listen_port, 9000);
  assert_int_equal(config.shards.core_count, 2);
  assert_int_equal(config.shards.cores[1], 3);
  assert_int_equal(config.shards.journal_core, 5);
  assert_int_equal(config.shards.idle_sleep_ns, 250000);
  assert_true(config.shards.prefault);
  assert_int_equal(config.port_count, 1);
  assert_int_equal(config.ports[0].kind, PORT_AF_PACKET);
  assert_int_equal(config.ports[0].queues, 2);
  assert_true(config.ports[0].verify_checksums);
  assert_false(config.recorder.enabled);
  assert_int_equal(config.recorder.events, 65536);
  assert_int_equal(config.recorder.sample_ppm, 5000);
  assert_int_equal(config.ports[0].impairment.loss_ppm, 20000);
  assert_int_equal(config.ports[0].impairment.duplicate_ppm, 5000);
  assert_int_equal(config.ports[0].impairment.reorder_ppm, 1000000);
  assert_int_equal(config.ports[0].impairment.delay_ns, 20000000);
  assert_int_equal(config.ports[0].impairment.seed, 7);
  assert_int_equal(config.hugepage_memory_mib, 1024);
  assert_int_equal(config.rule_path_count, 2);
  assert_string_equal(config.rule_paths[1], "rules.d");
  assert_true(config.otlp_http.acknowledge_durable);
  assert_int_equal(config.otlp_http.max_body_bytes, 1048576);
  assert_int_equal(config.zipkin.port, 0);
  assert_true(config.zipkin.acknowledge_durable);
  assert_int_equal(config.zipkin.max_body_bytes, 2097152);
  assert_int_equal(config.jaeger_port, 8080);
  assert_int_equal(config.webhooks.source_count, 1);
  assert_false(config.webhooks.sources[0].acknowledge_durable);
  assert_int_equal(config.webhooks.sources[0].skew_ns, 1500000000);
  assert_int_equal(config.webhooks.sources[0].max_body_bytes, 2048);
  assert_int_equal(config.traces.idle_ns, 750000000);
  assert_int_equal(config.traces.spills_max, 8192);
  assert_int_equal(config.traces.story_max, 16384);
  assert_int_equal(config.traces.story_steps_max, 50000);
  assert_int_equal(config.traces.limits.root_grace_ns, 500000000);
  assert_int_equal(config.traces.limits.max_age_ns, 120000000000);
  assert_int_equal(config.traces.limits.max_spans, 99);
  assert_int_equal(config.traces.limits.clock_tolerance_ns, 20000000);
  assert_int_equal(config.journal.segment_bytes, 16777216);
  assert_int_equal(config.tcp.idle_timeout_ns, 3600000000000);
  assert_int_equal(config.tcp.keep_alive_idle_ns, 30000000000);
  assert_int_equal(config.tcp.keep_alive_interval_ns, 5000000000);
  assert_int_equal(config.tcp.keep_alive_count, 4);
  assert_int_equal(config.tcp.connections_per_address, 0);
  assert_int_equal(parse("tcp: {connections_per_address: 64, half_open_per_address: 8, half_open_max: 512}\n"
                         "http: {requests_max: 900, requests_per_address: 32, body_bytes_per_address: 8MiB}\n"),
                   0);
  assert_int_equal(config.tcp.connections_per_address, 64);
  assert_int_equal(config.tcp.half_open_per_address, 8);
  assert_int_equal(config.tcp.half_open_max, 512);
  assert_int_equal(config.http.requests_max, 900);
  assert_int_equal(config.http.requests_per_address, 32);
  assert_int_equal(config.http.body_bytes_per_address, 8388608);
  assert_int_equal(parse("journal: {retain_bytes: 1GiB}"), 0);
  assert_true(config.journal.retain_bytes_hard == 2ull << 30);
  assert_int_equal(parse("journal: {retain_bytes_hard: 0, retain_bytes: 1GiB}"), 0);
  assert_int_equal(config.journal.retain_bytes_hard, 0);
  assert_int_equal(parse("journal: {retain_bytes_hard: 1MiB, retain_bytes: 1GiB}"), -EINVAL);
  assert_non_null(strstr(complaints, "t.yaml:1:30: retain_bytes_hard is how far cursors may hold beyond retain_bytes"));
  assert_int_equal(parse("management: {listen: off}"), 0);
  assert_int_equal(config.management.listen_port, 0);
}

static void durability_goes_with_acknowledgement(void **state) {
  (void)state;
  assert_int_equal(
      parse("webhooks: {sources: [{name: a}, {name: b, durability: balanced}, {name: c, durability: relaxed},"
            " {name: d, durability: strict, acknowledge: received}]}\n"
            "listeners: {otlp_grpc: {durability: balanced, acknowledge: durable}, otlp_http: {durability: relaxed}}"),
      0);
  const struct webhook_source *sources = config.webhooks.sources;
  assert_int_equal(sources[0].durability, DURABILITY_STRICT);
  assert_int_equal(sources[1].durability, DURABILITY_BALANCED);
  assert_int_equal(sources[2].durability, DURABILITY_RELAXED);
  assert_true(sources[0].acknowledge_durable && sources[1].acknowledge_durable);
  assert_false(sources[2].acknowledge_durable || sources[3].acknowledge_durable); /* nothing to wait for */
  assert_int_equal(config.otlp_grpc.durability, DURABILITY_BALANCED);
  assert_true(config.otlp_grpc.acknowledge_durable);
  assert_int_equal(config.otlp_http.durability, DURABILITY_RELAXED);
  assert_false(config.otlp_http.acknowledge_durable);
}

static void a_port_has_addresses_of_both_families_and_tags(void **state) {
  (void)state;
  assert_int_equal(parse("ports:\n  - {ipv4: [192.0.2.2/24, 192.0.2.3/24], ipv6: ['2001:db8::2/64', 'fe80::2/64'],"
                         " vlans: [0, 100, 4094]}\nudp: {reassembly_max: 64}\n"),
                   0);
  const struct config_port *port = &config.ports[0];
  assert_int_equal(port->ipv4_count, 2);
  assert_string_equal(port->ipv4[1], "192.0.2.3/24");
  assert_int_equal(port->ipv6_count, 2);
  assert_string_equal(port->ipv6[0], "2001:db8::2/64");
  assert_int_equal(port->vlan_count, 3);
  assert_int_equal(port->vlans[2], 4094);
  assert_int_equal(config.udp.reassembly_max, 64);
  /* One value is a list of one; the shipped IPv6 address is the embedded port's where there is room for it. */
  assert_int_equal(parse("ports:\n  - {ipv4: 192.0.2.2/24, ipv6: '2001:db8::2/64', vlans: 7}\n"), 0);
  assert_int_equal(port->ipv4_count + port->ipv6_count + port->vlan_count, 3);
  assert_int_equal(parse("ports:\n  - {kind: tap}\n"), 0);
  assert_int_equal(port->ipv6_count, 0);
  assert_int_equal(parse("ports:\n  - {mtu: 1279}\n"), 0);
  assert_int_equal(port->ipv6_count, 0);
  assert_int_equal(parse("ports:\n  - {mtu: 1280}\n"), 0);
  assert_string_equal(port->ipv6[0], "fd86::2/64");
  assert_int_equal(parse("ports:\n  - {ipv4: [], ipv6: '2001:db8::2/64'}\n"), 0);
}

#define SOURCE "webhooks:\n  sources:\n    - "

static const struct {
  const char *text, *complaint;
} errors[] = {
    {SOURCE "{name: s, durability: relaxed, acknowledge: durable}\n",
     "t.yaml:3:51: acknowledge: durable waits for a flush, durability: relaxed answers before it\n"},
    {"listeners: {otlp_http: {durability: relaxed, acknowledge: durable}}",
     "t.yaml:1:59: acknowledge: durable waits for a flush, durability: relaxed answers before it\n"},
    {"data_dri: x", "t.yaml:1:1: unknown key 'data_dri'; did you mean 'data_dir'?\n"},
    {"shards:\n  conut: 2\n", "t.yaml:2:3: unknown key 'conut'; did you mean 'count'?\n"},
    {"frobnicate: 1", "t.yaml:1:1: unknown key 'frobnicate'\n"},
    {"tcp: {keep_alive_interval: 0s}", "t.yaml:1:28: an interval of more than 0 is expected here\n"},
    {"tcp: {}\ntcp: {}\n", "t.yaml:2:1: key 'tcp' is given twice\n"},
    {"- a", "t.yaml:1:1: a mapping of keys is expected here\n"},
    {"shards: 3", "t.yaml:1:9: a mapping of keys is expected here\n"},
    {"data_dir: [a]", "t.yaml:1:11: a single value is expected here\n"},
    {"management: {listen: 9464}", "t.yaml:1:22: ADDRESS:PORT or off is expected here\n"},
    {"management: {listen: '127.0.0.1:70000'}", "t.yaml:1:22: ADDRESS:PORT or off is expected here\n"},
    {"shards: {count: 33}", "t.yaml:1:17: a whole number from 0 to 32 is expected here\n"},
    {"shards: {count: -1}", "t.yaml:1:17: a whole number from 0 to 32 is expected here\n"},
    {"shards: {count: 1.5}", "t.yaml:1:17: a whole number from 0 to 32 is expected here\n"},
    {"shards: {count: 99999999999999999999}", "t.yaml:1:17: a whole number from 0 to 32 is expected here\n"},
    {"shards: {cores: 1}", "t.yaml:1:17: a list of core numbers is expected here\n"},
    {"shards: {cores: [1, 1]}", "t.yaml:1:21: core 1 is given twice\n"},
    {"shards: {idle_sleep: 5}", "t.yaml:1:22: a duration such as 250ms, 3s or 5m is expected here, at most 0s\n"},
    {"traces: {idle: 61s}", "t.yaml:1:16: `idle` (61000 ms) is longer than `max_age` (60000 ms): no trace would be idle first\n"},
    {"traces: {max_age: 2s}", "t.yaml:1:19: `idle` (3000 ms) is longer than `max_age` (2000 ms): no trace would be idle first\n"},
    {"traces: {root_grace: 0s}", "t.yaml:1:22: a duration of more than 0, or off, is expected here\n"},
    {"traces: {max_age: on}", "t.yaml:1:19: a duration such as 250ms, 3s or 5m is expected here, at most 86400s\n"},
    {"traces: {max_spans: 0}", "t.yaml:1:21: a whole number from 1 to 1048576 is expected here\n"},
    {"traces: {clock_tolerance: 2m}", "t.yaml:1:27: a duration such as 250ms, 3s or 5m is expected here, at most 60s\n"},
    {"traces: {idle: 2h}", "t.yaml:1:16: a duration such as 250ms, 3s or 5m is expected here, at most 3600s\n"},
    {"ports: x", "t.yaml:1:8: a list of ports is expected here\n"},
    {"ports: []", "t.yaml:1:8: at least one port is needed\n"},
    {"ports:\n  - {kind: foo}\n", "t.yaml:2:12: 'foo' is not one of: embedded, af_packet, af_xdp, tap, memif, pcap, ring, pci\n"},
    {"ports:\n  - {ipv4: 10.86.0.2}\n",
     "t.yaml:2:12: an IPv4 address with its prefix length is expected here, such as 10.86.0.2/24\n"},
    {"ports:\n  - {ipv4: 10.86.0.2/33}\n",
     "t.yaml:2:12: an IPv4 address with its prefix length is expected here, such as 10.86.0.2/24\n"},
    {"ports:\n  - {ipv4: [10.86.0.2/24, x]}\n",
     "t.yaml:2:27: an IPv4 address with its prefix length is expected here, such as 10.86.0.2/24\n"},
    {"ports:\n  - {ipv4: [1.1.1.1/8,1.1.1.2/8,1.1.1.3/8,1.1.1.4/8,1.1.1.5/8,1.1.1.6/8,1.1.1.7/8,1.1.1.8/8,1.1.1.9/8]}\n",
     "t.yaml:2:12: at most 8 items are allowed here\n"},
    {"ports:\n  - {ipv6: 10.86.0.2/24}\n",
     "t.yaml:2:12: an IPv6 address with its prefix length is expected here, such as fd86::2/64\n"},
    {"ports:\n  - {ipv6: 'fd86::2/129'}\n",
     "t.yaml:2:12: an IPv6 address with its prefix length is expected here, such as fd86::2/64\n"},
    {"ports:\n  - {ipv6: 'ff02::1/64'}\n", "t.yaml:2:12: no host can have this address\n"},
    {"ports:\n  - {ipv6: '::ffff:10.0.0.1/96'}\n", "t.yaml:2:12: no host can have this address\n"},
    {"ports:\n  - {vlans: [4095]}\n", "t.yaml:2:14: a whole number from 0 to 4094 is expected here\n"},
    {"ports:\n  - {name: x, ipv4: [], ipv6: []}\n", "t.yaml:2:5: port 'x' needs an address, `ipv4` or `ipv6`\n"},
    {"ports:\n  - {name: x, mtu: 1279, ipv6: 'fd86::2/64'}\n", "t.yaml:2:5: port 'x': IPv6 needs an `mtu` of 1280 or more\n"},
    {"udp: {reassembly_max: 257}", "t.yaml:1:23: a whole number from 0 to 256 is expected here\n"},
    {"ports:\n  - {mtu: 9001}\n", "t.yaml:2:11: a whole number from 576 to 9000 is expected here\n"},
    {"ports:\n  - {verify_checksums: maybe}\n", "t.yaml:2:24: true or false is expected here\n"},
    {"ports:\n  - {impairment: {loss: 101%}}\n", "t.yaml:2:25: a share from 0% to 100% is expected here, such as 0.5%\n"},
    {"ports:\n  - {impairment: {loss: 2}}\n", "t.yaml:2:25: a share from 0% to 100% is expected here, such as 0.5%\n"},
    {"recorder: {events: 1000}\n", "t.yaml:1:20: a whole number from 1024 to 1048576 is expected here\n"},
    {"recorder: {events: 5000}\n", "t.yaml:1:20: a power of two is expected here, such as 4096\n"},
    {"recorder: {sample: 1}\n", "t.yaml:1:20: a share from 0% to 100% is expected here, such as 0.5%\n"},
    {"recorder: {enabled: perhaps}\n", "t.yaml:1:21: true or false is expected here\n"},
    {"ports:\n  - {impairment: {delay: 2s}}\n", "t.yaml:2:26: a duration such as 250ms, 3s or 5m is expected here, at most 1s\n"},
    {"ports:\n  - {name: x, kind: memif}\n", "t.yaml:2:5: port 'x' needs `path`\n"},
    {"ports:\n  - {name: x, kind: pci}\n", "t.yaml:2:5: port 'x' needs `address`, such as 0000:3b:00.0\n"},
    {"ports:\n  - {name: abcdefghijklmnop}\n", "t.yaml:2:12: at most 15 characters are allowed here\n"},
    {"rules: {files: a.yaml}", "t.yaml:1:16: a list of files and folders is expected here\n"},
    {"listeners: {otlp_http: {listen: 0}}", "t.yaml:1:33: a whole number from 1 to 65535 is expected here\n"},
    {"listeners: {otlp_http: {listen: 4317}}", "t.yaml:1:1: otlp_http and otlp_grpc listen on the same port, 4317/tcp\n"},
    {"listeners: {zipkin: {listen: 8080}}", "t.yaml:1:1: zipkin and webhooks listen on the same port, 8080/tcp\n"},
    {"listeners: {jaeger: {listen: 4318}}", "t.yaml:1:1: otlp_http and jaeger listen on the same port, 4318/udp\n"},
    {"listeners: {otlp_http: {listen: off}}", "t.yaml:1:33: a whole number from 1 to 65535 is expected here\n"},
    {"listeners: {jaeger: {listen: 65536}}", "t.yaml:1:30: a whole number from 1 to 65535 is expected here\n"},
    {"listeners: {zipkin: {listen: [9411]}}", "t.yaml:1:30: a single value is expected here\n"},
    {"listeners: {jaeger: {acknowledge: durable}}", "t.yaml:1:22: unknown key 'acknowledge'\n"},
    {"tcp: {connections_per_address: -1}", "t.yaml:1:32: a whole number from 0 to 1048576 is expected here\n"},
    {"tcp:\n  half_open_per_address: many\n", "t.yaml:2:26: a whole number from 0 to 1048576 is expected here\n"},
    {"tcp:\n  half_open_max: 1048577\n", "t.yaml:2:18: a whole number from 0 to 1048576 is expected here\n"},
    {"tcp:\n  connections_per_adress: 1\n",
     "t.yaml:2:3: unknown key 'connections_per_adress'; did you mean 'connections_per_address'?\n"},
    {"http: {requests_max: 2000000}", "t.yaml:1:22: a whole number from 0 to 1048576 is expected here\n"},
    {"http: {requests_per_address: x}", "t.yaml:1:30: a whole number from 0 to 1048576 is expected here\n"},
    {"http: {body_bytes_per_address: 2GiB}", "t.yaml:1:32: a whole number from 0 to 1073741824 is expected here\n"},
    {"journal: {segment_bytes: 1MiB}", "t.yaml:1:26: a whole number from 2097152 to 4294967296 is expected here\n"},
    {"journal: {signing: {key_id: k1}}", "t.yaml:1:20: signing needs a key_id and a key_file\n"},
    {"journal: {signing: {interval: 99ms}}", "t.yaml:1:31: at least 100ms are needed here\n"},
    {"journal: {signing: {key_id: k1, key_file: /nonexistent/key}}",
     "t.yaml:1:43: /nonexistent/key cannot be read: No such file or directory\n"},
    {"listeners: {otlp_http: {acknowledge: maybe}}", "t.yaml:1:38: 'maybe' is not one of: received, durable\n"},
    {"webhooks: {sources: x}", "t.yaml:1:21: a list of sources is expected here\n"},
    {SOURCE "{kind: json}", "t.yaml:3:7: a source needs a name\n"},
    {SOURCE "{name: a b}", "t.yaml:3:14: a source name is made of letters, digits, '-', '_' and '.'\n"},
    {SOURCE "{name: a}\n    - {name: a}", "t.yaml:4:7: source 'a' is given twice\n"},
    {SOURCE "{name: a, kind: github}", "t.yaml:3:7: a source of this kind is signed: it needs at least one secret\n"},
    {SOURCE "{name: a, secrets: x}", "t.yaml:3:26: a list of secrets is expected here\n"},
    {SOURCE "{name: a, record: yes}", "t.yaml:3:25: a mapping of keys is expected here\n"},
    {SOURCE "{name: a, record: {header: [x]}}", "t.yaml:3:26: unknown key 'header'; did you mean 'headers'?\n"},
    {SOURCE "{name: a, record: {headers: x}}", "t.yaml:3:35: a list of header names is expected here\n"},
    {SOURCE "{name: a, record: {headers: [x y]}}", "t.yaml:3:36: a header's name is expected here\n"},
    {SOURCE "{name: a, record: {headers: ['']}}", "t.yaml:3:36: a header's name is expected here\n"},
    {SOURCE "{name: a, record: {headers: [[x]]}}", "t.yaml:3:36: a single value is expected here\n"},
    {SOURCE "{name: a, record: {headers: [x-one, X-One]}}", "t.yaml:3:43: header 'x-one' is given twice\n"},
    {SOURCE "{name: a, record: {headers: [x23456789012345678901234567890123456789012345678]}}",
     "t.yaml:3:36: at most 47 characters are allowed here\n"},
    {SOURCE "{name: a, record: {headers: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]}}",
     "t.yaml:3:84: at most 16 headers a source\n"},
    {SOURCE "{name: a, record: {body_bytes: 59.5KiB}}", "t.yaml:3:38: a whole number from 0 to 60416 is expected here\n"},
    {SOURCE "{name: a, record: {body_bytes: 60417}}", "t.yaml:3:38: a whole number from 0 to 60416 is expected here\n"},
    {SOURCE "{name: a, secrets: [{id: k}]}", "t.yaml:3:27: a secret has either `secret` or `secret_file`\n"},
    {SOURCE "{name: a, secrets: [{secret: x, secret_file: y}]}", "t.yaml:3:27: a secret has either `secret` or `secret_file`\n"},
    {SOURCE "{name: a, secrets: [{secret_file: /nonexistent/secret}]}",
     "t.yaml:3:27: secret_file /nonexistent/secret cannot be read: No such file or directory\n"},
    {SOURCE "{name: a, secrets: [{secret: whsec_short}], kind: standard-webhooks}",
     "t.yaml:3:27: the secret is not valid for this kind of source\n"},
};

static void every_complaint_names_its_place(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    assert_int_equal(parse(errors[i].text), -EINVAL);
    if (strcmp(complaints, errors[i].complaint) != 0) fail_msg("%s\n  gives %s", errors[i].text, complaints);
  }
}

static void all_complaints_are_reported_at_once(void **state) {
  (void)state;
  assert_int_equal(parse("shards: {count: x}\ntraces: {idle: y}\nwhat: 1\n"), -EINVAL);
  assert_non_null(strstr(complaints, "t.yaml:1:17: "));
  assert_non_null(strstr(complaints, "t.yaml:2:16: "));
  assert_non_null(strstr(complaints, "t.yaml:3:1: "));
}

static void what_is_not_yaml_is_an_error_with_its_place(void **state) {
  (void)state;
  assert_int_equal(parse("shards: {count: 1\ntcp: ["), -EINVAL);
  assert_memory_equal(complaints, "t.yaml:2:", 9);
}

/* Whatever else a file asks for, these never get into a record. */
static void what_proves_a_sender_is_never_recorded(void **state) {
  static const char *const names[] = {"webhook-signature",   "svix-signature",
                                      "X-Hub-Signature-256", "X-Hub-Signature",
                                      "x-webhook-signature", "Stripe-Signature",
                                      "Authorization",       "authorization",
                                      "Proxy-Authorization", "Cookie",
                                      "Set-Cookie",          "X-Api-Key",
                                      "X-Auth-Token",        "X-Amz-Security-Token",
                                      "X-Gitlab-Token",      "X-Shopify-Hmac-Sha256",
                                      "X-Client-Secret",     "x-csrf-token",
                                      "X-Session-Id",        "ApiKey"};
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char file[256];
    snprintf(file, sizeof file, SOURCE "{name: a, record: {headers: [content-type, %s]}}\n", names[i]);
    assert_int_equal(parse(file), -EINVAL);
    assert_memory_equal(complaints, "t.yaml:3:50: '", 14);
    if (!strstr(complaints, "holds a secret or what proves one: it is never recorded\n"))
      fail_msg("%s: %s", names[i], complaints);
  }
}

static void what_is_recorded_of_a_source(void **state) {
  (void)state;
  const struct webhook_recording *recording = &config.webhooks.sources[0].recording;
  assert_int_equal(parse(SOURCE "{name: a}"), 0);
  assert_int_equal(recording->header_count, 0);
  assert_int_equal(recording->body_bytes, 0);
  assert_int_equal(parse(SOURCE "{name: a, record: {headers: [Content-Type, webhook-id, idempotency-key], body_bytes: 59KiB}}"),
                   0);
  assert_int_equal(recording->header_count, 3);
  assert_string_equal(recording->headers[0].name, "content-type");
  assert_int_equal(recording->headers[0].length, 12);
  assert_string_equal(recording->headers[2].name, "idempotency-key");
  assert_int_equal(recording->body_bytes, 60416);
}

static bool signs_as(const struct webhook_source *source, uint32_t index, const char *text) {
  struct webhook_secret expected;
  assert_int_equal(webhook_secret_prepare(source->kind, text, (uint32_t)strlen(text), &expected), 0);
  return memcmp(&expected.inner, &source->secrets[index].inner, sizeof expected.inner) == 0 &&
         memcmp(&expected.outer, &source->secrets[index].outer, sizeof expected.outer) == 0;
}

/* `kind` after `secrets` still decides how they are read. */
static void a_standard_webhooks_secret_is_base64(void **state) {
  (void)state;
  assert_int_equal(parse(SOURCE "{name: a, secrets: [{id: k1, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}],"
                                " kind: standard-webhooks}"),
                   0);
  const struct webhook_source *source = &config.webhooks.sources[0];
  assert_int_equal(source->secret_count, 1);
  assert_string_equal(source->secrets[0].id, "k1");
  assert_true(signs_as(source, 0, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
  assert_null(memmem(&config, sizeof config, "MfKQ9r8GKYqr", 12)); /* never kept as text */
}

static void at_most_eight_secrets(void **state) {
  (void)state;
  char text[512] = SOURCE "{name: a, secrets: [";
  for (unsigned i = 0; i < 9; i++) strcat(text, "{secret: x},");
  strcat(text, "]}");
  assert_int_equal(parse(text), -EINVAL);
  assert_non_null(strstr(complaints, "at most 8 secrets a source"));
}

static int parse_with_secret_file(const char *path) {
  char text[512];
  snprintf(text, sizeof text, SOURCE "{name: a, kind: github, secrets: [{secret_file: %s}]}", path);
  return parse(text);
}

static void a_secret_file_is_its_owners_alone(void **state) {
  (void)state;
  char path[] = "/tmp/test_config_secret_XXXXXX";
  const int file = mkstemp(path);
  assert_true(file >= 0);
  assert_int_equal(write(file, "hush\n", 5), 5);
  static const mode_t open_modes[] = {0644, 0640, 0604, 0620};
  for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
    assert_int_equal(fchmod(file, open_modes[i]), 0);
    assert_int_equal(parse_with_secret_file(path), -EINVAL);
    assert_non_null(strstr(complaints, "may be read by others than its owner; chmod 0600 it"));
  }
  assert_int_equal(fchmod(file, 0600), 0);
  assert_int_equal(parse_with_secret_file(path), 0);
  assert_true(signs_as(&config.webhooks.sources[0], 0, "hush")); /* the newline is not part of it */
  assert_int_equal(ftruncate(file, 0), 0);
  assert_int_equal(parse_with_secret_file(path), -EINVAL);
  assert_non_null(strstr(complaints, "is empty or too long"));
  close(file);
  unlink(path);
}

static void signing_needs_the_chain(void **state) {
  (void)state;
  char path[] = "/tmp/test_config_key_XXXXXX", text[256];
  const int file = mkstemp(path);
  assert_int_equal(write(file, "0123456789abcdef\n", 17), 17);
  snprintf(text, sizeof text, "journal: {signing: {key_id: k1, key_file: %s}, hash_chain: no}", path);
  assert_int_equal(parse(text), -EINVAL);
  assert_non_null(strstr(complaints, "signing signs the hash chain: it needs hash_chain: true"));
  snprintf(text, sizeof text, "journal: {signing: {key_id: k1, key_file: %s}}", path);
  assert_int_equal(parse(text), 0);
  assert_int_equal(config.journal.signing.interval_ns, 60000000000u);
  assert_int_equal(fchmod(file, 0640), 0);
  assert_int_equal(parse(text), -EINVAL);
  assert_non_null(strstr(complaints, "may be read by others than its owner"));
  close(file);
  unlink(path);
}

/* PEM files made by the openssl command line, in a folder of their own. */
static char certificates[] = "/tmp/tripline-certificates-XXXXXX";

static int make_certificates(void **state) {
  (void)state;
  char command[512];
  if (!mkdtemp(certificates)) return -1;
  snprintf(command, sizeof command, "sh '%s' %s", MAKE_CERTIFICATES, certificates);
  return system(command);
}

static int remove_certificates(void **state) {
  (void)state;
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", certificates);
  return system(command);
}

/* The listener's mapping on a line of its own; every $ is the folder. */
static int parse_tls(const char *mapping) {
  char text[2048] = "listeners:\n  otlp_grpc:\n    tls: ";
  for (size_t length = strlen(text); *mapping && length + sizeof certificates < sizeof text; mapping++) {
    length += (size_t)(*mapping == '$' ? snprintf(text + length, sizeof text - length, "%s", certificates)
                                       : snprintf(text + length, sizeof text - length, "%c", *mapping));
  }
  return parse(text);
}

static void expect_tls_complaint(const char *mapping, const char *start, const char *end) {
  assert_int_equal(parse_tls(mapping), -EINVAL);
  const size_t length = strlen(complaints), tail = strlen(end);
  if (strncmp(complaints, start, strlen(start)) != 0 || length < tail + 1 ||
      strncmp(complaints + length - tail - 1, end, tail) != 0)
    fail_msg("'%s' is not '%s ... %s'", complaints, start, end);
}

static void tls_of_a_listener(void **state) {
  (void)state;
  assert_int_equal(parse_tls("{certificate: $/server.pem, key: $/server.key, client_ca: $/authority.pem,"
                             " client_names: [collector.test, b.test]}\n"
                             "tls: {connections_max: 100, handshakes_per_second: 50, handshakes_waiting_max: 7,"
                             " handshake_timeout: 3s}\n"),
                   0);
  assert_string_equal(complaints, "");
  const struct config_tls *tls = &config.otlp_grpc.tls;
  assert_non_null(strstr(tls->certificate, "/server.pem"));
  assert_non_null(strstr(tls->client_ca, "/authority.pem"));
  assert_int_equal(tls->client_name_count, 2);
  assert_string_equal(tls->client_names[1], "b.test");
  assert_string_equal(config.otlp_http.tls.certificate, "");
  assert_string_equal(config.webhooks.tls.certificate, "");
  assert_int_equal(config.tls.connections_max, 100);
  assert_int_equal(config.tls.handshakes_a_second, 50);
  assert_int_equal(config.tls.waiting_max, 7);
  assert_int_equal(config.tls.handshake_timeout_ns, 3000000000);
}

static void tls_complaints_name_the_place(void **state) {
  (void)state;
  expect_tls_complaint("{certificate: $/server.pem}", "t.yaml:3:10: ", "tls needs a certificate and a key");
  expect_tls_complaint("{certificate: $/server.pem, key: $/server.key, client_names: [a]}",
                       "t.yaml:3:10: ", "client_names need a client_ca");
  expect_tls_complaint("{certificate: $/none.pem,\n          key: $/server.key}",
                       "t.yaml:3:24: ", "/none.pem cannot be read: No such file or directory");
  expect_tls_complaint("{certificate: $/server.pem,\n          key: $/renewed.key}",
                       "t.yaml:4:16: ", "/renewed.key: the key is not the certificate's");
  expect_tls_complaint("{certificate: $/server.pem,\n          key: $/server.key,\n          client_ca: $/server.key}",
                       "t.yaml:5:22: ", "/server.key: there is no certificate in PEM in it");
  expect_tls_complaint("{certificate: $, key: $/server.key}", "t.yaml:3:24: ", " is no file of at most 1048576 bytes");
  expect_tls_complaint("{certificate: $/server.pem, key: $/server.key, client_ca: $/authority.pem, client_names: ['*.test']}",
                       "t.yaml:3:", "a DNS name is expected here, without wildcards");
  expect_tls_complaint("{certificate: $/server.pem, key: $/server.key, ca: x}", "t.yaml:3:", "");
  assert_int_equal(parse("tls: {handshake_timeout: 0s}"), -EINVAL);
  assert_string_equal(complaints, "t.yaml:1:26: at least 100ms are needed here\n");
  char key[128];
  snprintf(key, sizeof key, "%s/server.key", certificates);
  assert_int_equal(chmod(key, 0640), 0);
  expect_tls_complaint("{certificate: $/server.pem,\n          key: $/server.key}",
                       "t.yaml:4:16: ", "/server.key may be read by others than its owner; chmod 0600 it");
  assert_int_equal(chmod(key, 0600), 0);
}

static void a_file_that_is_not_there(void **state) {
  (void)state;
  FILE *out = fmemopen(complaints, sizeof complaints, "w");
  assert_non_null(out);
  assert_int_equal(config_load("/nonexistent/tripline.yaml", &config, out), -ENOENT);
  fclose(out);
  assert_string_equal(complaints, "/nonexistent/tripline.yaml: No such file or directory\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_file_is_the_default),
      cmocka_unit_test(durability_goes_with_acknowledgement),
      cmocka_unit_test(a_port_has_addresses_of_both_families_and_tags),
      cmocka_unit_test(a_file_overrides_key_by_key),
      cmocka_unit_test(every_complaint_names_its_place),
      cmocka_unit_test(all_complaints_are_reported_at_once),
      cmocka_unit_test(what_is_not_yaml_is_an_error_with_its_place),
      cmocka_unit_test(what_proves_a_sender_is_never_recorded),
      cmocka_unit_test(what_is_recorded_of_a_source),
      cmocka_unit_test(a_standard_webhooks_secret_is_base64),
      cmocka_unit_test(at_most_eight_secrets),
      cmocka_unit_test(a_secret_file_is_its_owners_alone),
      cmocka_unit_test(signing_needs_the_chain),
      cmocka_unit_test(a_file_that_is_not_there),
      cmocka_unit_test(tls_of_a_listener),
      cmocka_unit_test(tls_complaints_name_the_place),
  };
  return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
