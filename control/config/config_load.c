#include "config_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG ((struct config *)target)
#define READER(name) static void name(struct config_reader *reader, const yaml_node_t *node, void *target)
#define CONFIG_BYTES_MAX (1u << 20)

READER(read_data_dir) { config_read_text(reader, node, CONFIG->data_dir, sizeof CONFIG->data_dir); }

READER(read_socket) { config_read_text(reader, node, CONFIG->management.socket, sizeof CONFIG->management.socket); }

READER(read_socket_group) {
  config_read_text(reader, node, CONFIG->management.socket_group, sizeof CONFIG->management.socket_group);
}

READER(read_management_listen) {
  char text[80] = "";
  config_read_text(reader, node, text, sizeof text);
  if (strcmp(text, "off") == 0) {
    CONFIG->management.listen_port = 0;
    return;
  }
  char *colon = strrchr(text, ':'), *end = NULL;
  const unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
  if (!colon || port == 0 || port > 65535 || *end || colon - text >= (int)sizeof CONFIG->management.listen_address) {
    config_complain(reader, node, "ADDRESS:PORT or off is expected here");
    return;
  }
  *colon = '\0';
  memcpy(CONFIG->management.listen_address, text, (size_t)(colon - text) + 1);
  CONFIG->management.listen_port = (uint16_t)port;
}

static const struct config_key management_keys[] = {
    {"socket", read_socket}, {"socket_group", read_socket_group}, {"listen", read_management_listen}, {NULL, NULL}};
READER(read_management) { config_read_mapping(reader, node, management_keys, target); }

READER(read_shard_count) { CONFIG->shards.count = (uint32_t)config_read_number(reader, node, 0, 32); }
READER(read_control_core) { CONFIG->shards.control_core = (int)config_read_number(reader, node, 0, 1023); }
READER(read_journal_core) { CONFIG->shards.journal_core = (int)config_read_number(reader, node, 0, 1023); }
READER(read_idle_sleep) { CONFIG->shards.idle_sleep_ns = config_read_duration(reader, node, 10000000); }
READER(read_prefault) { CONFIG->shards.prefault = config_read_bool(reader, node); }
READER(read_cores) {
  if (node->type != YAML_SEQUENCE_NODE) {
    config_complain(reader, node, "a list of core numbers is expected here");
    return;
  }
  CONFIG->shards.core_count = 0;
  for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
    const yaml_node_t *core = yaml_document_get_node(&reader->document, *item);
    const uint16_t number = (uint16_t)config_read_number(reader, core, 0, 1023);
    for (uint32_t i = 0; i < CONFIG->shards.core_count; i++)
      if (CONFIG->shards.cores[i] == number) config_complain(reader, core, "core %u is given twice", number);
    if (CONFIG->shards.core_count < 32) CONFIG->shards.cores[CONFIG->shards.core_count++] = number;
  }
}
static const struct config_key shard_keys[] = {{"count", read_shard_count},
                                               {"cores", read_cores},
                                               {"control_core", read_control_core},
                                               {"journal_core", read_journal_core},
                                               {"idle_sleep", read_idle_sleep},
                                               {"prefault", read_prefault},
                                               {NULL, NULL}};
READER(read_shards) { config_read_mapping(reader, node, shard_keys, target); }

READER(read_ports) {
  if (node->type != YAML_SEQUENCE_NODE) {
    config_complain(reader, node, "a list of ports is expected here");
    return;
  }
  CONFIG->port_count = 0;
  for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
    const yaml_node_t *port = yaml_document_get_node(&reader->document, *item);
    if (CONFIG->port_count == CONFIG_PORTS_MAX) {
      config_complain(reader, port, "at most %d ports", CONFIG_PORTS_MAX);
      return;
    }
    config_read_port(reader, port, &CONFIG->ports[CONFIG->port_count++]);
  }
  if (CONFIG->port_count == 0) config_complain(reader, node, "at least one port is needed");
}

READER(read_eal_extra) { config_read_text(reader, node, CONFIG->eal_extra, sizeof CONFIG->eal_extra); }
READER(read_eal_memory) { CONFIG->hugepage_memory_mib = (uint32_t)config_read_number(reader, node, 64, 1048576); }
static const struct config_key eal_keys[] = {{"extra", read_eal_extra}, {"memory_mib", read_eal_memory}, {NULL, NULL}};
READER(read_eal) { config_read_mapping(reader, node, eal_keys, target); }

READER(read_rule_files) {
  if (node->type != YAML_SEQUENCE_NODE) {
    config_complain(reader, node, "a list of files and folders is expected here");
    return;
  }
  CONFIG->rule_path_count = 0;
  for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
    const yaml_node_t *path = yaml_document_get_node(&reader->document, *item);
    if (CONFIG->rule_path_count == CONFIG_RULE_PATHS_MAX) {
      config_complain(reader, path, "at most %d rule paths", CONFIG_RULE_PATHS_MAX);
      return;
    }
    config_read_text(reader, path, CONFIG->rule_paths[CONFIG->rule_path_count++], CONFIG_PATH_BYTES);
  }
}
READER(read_rule_series) { CONFIG->rule_series_max = (uint32_t)config_read_number(reader, node, 0, 100000); }
static const struct config_key rules_keys[] = {{"files", read_rule_files}, {"metric_series", read_rule_series}, {NULL, NULL}};
READER(read_rules) { config_read_mapping(reader, node, rules_keys, target); }

READER(read_listeners) { config_read_listeners(reader, node, target); }

READER(read_webhook_listen) { CONFIG->webhooks.port = (uint16_t)config_read_number(reader, node, 1, 65535); }
READER(read_replay_capacity) { CONFIG->webhooks.replay_capacity = (uint32_t)config_read_number(reader, node, 1024, 1u << 28); }
READER(read_sources) {
  if (node->type != YAML_SEQUENCE_NODE) {
    config_complain(reader, node, "a list of sources is expected here");
    return;
  }
  CONFIG->webhooks.source_count = 0;
  for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
    const yaml_node_t *value = yaml_document_get_node(&reader->document, *item);
    if (CONFIG->webhooks.source_count == CONFIG_SOURCES_MAX) {
      config_complain(reader, value, "at most %d webhook sources", CONFIG_SOURCES_MAX);
      return;
    }
    struct webhook_source *source = &CONFIG->webhooks.sources[CONFIG->webhooks.source_count];
    config_read_source(reader, value, source);
    for (uint32_t i = 0; i < CONFIG->webhooks.source_count; i++)
      if (strcmp(CONFIG->webhooks.sources[i].name, source->name) == 0)
        config_complain(reader, value, "source '%s' is given twice", source->name);
    CONFIG->webhooks.source_count++;
  }
}
READER(read_webhook_tls) { config_read_listener_tls(reader, node, &CONFIG->webhooks.tls); }
static const struct config_key webhook_keys[] = {{"listen", read_webhook_listen},
                                                 {"replay_capacity", read_replay_capacity},
                                                 {"sources", read_sources},
                                                 {"tls", read_webhook_tls},
                                                 {NULL, NULL}};
READER(read_webhooks) { config_read_mapping(reader, node, webhook_keys, target); }

READER(read_keys_max) { CONFIG->windows.keys_max = (uint32_t)config_read_number(reader, node, 64, 1u << 26); }
static const struct config_key window_keys[] = {{"keys_max", read_keys_max}, {NULL, NULL}};
READER(read_windows) { config_read_mapping(reader, node, window_keys, target); }

READER(read_segment_bytes) { CONFIG->journal.segment_bytes = config_read_number(reader, node, 2u << 20, 1ull << 32) & ~4095ull; }
READER(read_segments_ahead) { CONFIG->journal.segments_ahead = (uint32_t)config_read_number(reader, node, 1, 16); }
READER(read_index) { CONFIG->journal.index_violations = (uint32_t)config_read_number(reader, node, 1000, 100000000); }
READER(read_hash_chain) { CONFIG->journal.hash_chain = config_read_bool(reader, node); }
READER(read_retain_age) { CONFIG->journal.retain_age_ns = config_read_duration(reader, node, 366ull * 20 * 86400 * 1000000000); }
READER(read_retain_bytes) { CONFIG->journal.retain_bytes = config_read_number(reader, node, 0, 1ull << 60); }
READER(read_retain_bytes_hard) { CONFIG->journal.retain_bytes_hard = config_read_number(reader, node, 0, 1ull << 60); }
READER(read_cursor_stale) { CONFIG->journal.cursor_stale_ns = config_read_duration(reader, node, 366ull * 86400 * 1000000000); }
READER(read_retain_records) { CONFIG->journal.retain_records = config_read_number(reader, node, 0, 1ull << 60); }
static const struct config_key journal_keys[] = {{"segment_bytes", read_segment_bytes},
                                                 {"hash_chain", read_hash_chain},
                                                 {"retain_age", read_retain_age},
                                                 {"retain_bytes", read_retain_bytes},
                                                 {"retain_records", read_retain_records},
                                                 {"segments_ahead", read_segments_ahead},
                                                 {"index_violations", read_index},
                                                 {"signing", config_read_signing},
                                                 {"retain_bytes_hard", read_retain_bytes_hard},
                                                 {"cursor_stale", read_cursor_stale},
                                                 {NULL, NULL}};
READER(read_journal) {
  config_read_mapping(reader, node, journal_keys, target);
  config_check_signing(reader, node, CONFIG);
  config_check_retention(reader, node, CONFIG);
}

READER(read_connections) { CONFIG->tcp.connections_max = (uint32_t)config_read_number(reader, node, 16, 1u << 20); }
READER(read_tcp_idle) { CONFIG->tcp.idle_timeout_ns = config_read_duration(reader, node, 86400ull * 1000000000); }
READER(read_half_open) { CONFIG->tcp.half_open_max = (uint32_t)config_read_number(reader, node, 0, 1u << 20); }
READER(read_connections_per_address) {
  CONFIG->tcp.connections_per_address = (uint32_t)config_read_number(reader, node, 0, 1u << 20);
}
READER(read_half_open_per_address) {
  CONFIG->tcp.half_open_per_address = (uint32_t)config_read_number(reader, node, 0, 1u << 20);
}
READER(read_keep_alive_idle) { CONFIG->tcp.keep_alive_idle_ns = config_read_duration(reader, node, 86400ull * 1000000000); }
READER(read_keep_alive_interval) {
  CONFIG->tcp.keep_alive_interval_ns = config_read_duration(reader, node, 3600ull * 1000000000);
  if (CONFIG->tcp.keep_alive_interval_ns == 0) config_complain(reader, node, "an interval of more than 0 is expected here");
}
READER(read_keep_alive_count) { CONFIG->tcp.keep_alive_count = (uint32_t)config_read_number(reader, node, 1, 127); }
static const struct config_key tcp_keys[] = {{"connections_max", read_connections},
                                             {"connections_per_address", read_connections_per_address},
                                             {"half_open_max", read_half_open},
                                             {"half_open_per_address", read_half_open_per_address},
                                             {"idle_timeout", read_tcp_idle},
                                             {"keep_alive_idle", read_keep_alive_idle},
                                             {"keep_alive_interval", read_keep_alive_interval},
                                             {"keep_alive_count", read_keep_alive_count},
                                             {NULL, NULL}};

READER(read_requests_max) { CONFIG->http.requests_max = (uint32_t)config_read_number(reader, node, 0, 1u << 20); }
READER(read_requests_per_address) { CONFIG->http.requests_per_address = (uint32_t)config_read_number(reader, node, 0, 1u << 20); }
READER(read_body_bytes_per_address) {
  CONFIG->http.body_bytes_per_address = (uint32_t)config_read_number(reader, node, 0, 1u << 30);
}
static const struct config_key http_keys[] = {{"requests_max", read_requests_max},
                                              {"requests_per_address", read_requests_per_address},
                                              {"body_bytes_per_address", read_body_bytes_per_address},
                                              {NULL, NULL}};
READER(read_http) { config_read_mapping(reader, node, http_keys, target); }
READER(read_reassembly) { CONFIG->udp.reassembly_max = (uint32_t)config_read_number(reader, node, 0, 256); }
static const struct config_key udp_keys[] = {{"reassembly_max", read_reassembly}, {NULL, NULL}};
READER(read_udp) { config_read_mapping(reader, node, udp_keys, target); }
READER(read_tcp) { config_read_mapping(reader, node, tcp_keys, target); }

static const struct config_key top_keys[] = {{"data_dir", read_data_dir},
                                             {"management", read_management},
                                             {"shards", read_shards},
                                             {"ports", read_ports},
                                             {"eal", read_eal},
                                             {"rules", read_rules},
                                             {"listeners", read_listeners},
                                             {"webhooks", read_webhooks},
                                             {"traces", config_read_traces},
                                             {"windows", read_windows},
                                             {"journal", read_journal},
                                             {"recorder", config_read_recorder},
                                             {"tcp", read_tcp},
                                             {"http", read_http},
                                             {"udp", read_udp},
                                             {"tls", config_read_tls},
                                             {NULL, NULL}};

static int read_document(struct config_reader *reader, yaml_parser_t *parser, struct config *config) {
  if (!yaml_parser_load(parser, &reader->document)) {
    fprintf(reader->errors, "%s:%zu:%zu: %s\n", reader->name, parser->problem_mark.line + 1, parser->problem_mark.column + 1,
            parser->problem ? parser->problem : "not YAML");
    return -EINVAL;
  }
  const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
  if (root) {
    config_read_mapping(reader, root, top_keys, config);
    config_expect_distinct_ports(reader, root, config);
  }
  yaml_document_delete(&reader->document);
  return reader->error_count ? -EINVAL : 0;
}

int config_parse(const char *name, const char *text, size_t length, struct config *config, FILE *errors_out) {
  struct config_reader reader = {.name = name, .errors = errors_out};
  yaml_parser_t parser;
  config_default(config);
  if (!yaml_parser_initialize(&parser)) return -ENOMEM;
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
  const int result = read_document(&reader, &parser, config);
  yaml_parser_delete(&parser);
  return result;
}

int config_load(const char *path, struct config *config, FILE *errors_out) {
  FILE *file = fopen(path, "re");
  if (!file) {
    const int error = errno;
    fprintf(errors_out, "%s: %s\n", path, strerror(error));
    return -error;
  }
  char *text = malloc(CONFIG_BYTES_MAX);
  const size_t length = text ? fread(text, 1, CONFIG_BYTES_MAX, file) : 0;
  fclose(file);
  int result = -ENOMEM;
  if (text && length == CONFIG_BYTES_MAX) {
    fprintf(errors_out, "%s: longer than %u bytes\n", path, CONFIG_BYTES_MAX);
    result = -EFBIG;
  } else if (text) {
    result = config_parse(path, text, length, config, errors_out);
  }
  if (text) explicit_bzero(text, length);
  free(text);
  return result;
}
