#include "config_internal.h"
#include <string.h>

#define CONFIG ((struct config *)target)
#define LISTENER ((struct config_span_listener *)target)
#define READER(name) static void name(struct config_reader *reader, const yaml_node_t *node, void *target)

static uint16_t read_port(struct config_reader *reader, const yaml_node_t *node) {
  return (uint16_t)config_read_number(reader, node, 1, 65535);
}

static uint16_t read_port_or_off(struct config_reader *reader, const yaml_node_t *node) {
  const bool off = node->type == YAML_SCALAR_NODE && strcmp((const char *)node->data.scalar.value, "off") == 0;
  return off ? 0 : read_port(reader, node);
}

READER(read_acknowledge) {
  static const char *const words[] = {"received", "durable", NULL};
  LISTENER->acknowledge_durable = config_read_word(reader, node, words) == 1;
}
READER(read_durability) { LISTENER->durability = config_read_durability(reader, node); }
READER(read_body) { LISTENER->max_body_bytes = (uint32_t)config_read_number(reader, node, 1, 20971520); }
READER(read_listen) { LISTENER->port = read_port(reader, node); }
READER(read_listen_or_off) { LISTENER->port = read_port_or_off(reader, node); }
READER(read_listener_tls) { config_read_listener_tls(reader, node, &LISTENER->tls); }
static const struct config_key otlp_keys[] = {{"acknowledge", read_acknowledge}, {"durability", read_durability},
                                              {"max_body_bytes", read_body},     {"listen", read_listen},
                                              {"tls", read_listener_tls},        {NULL, NULL}};
static const struct config_key zipkin_keys[] = {{"acknowledge", read_acknowledge}, {"durability", read_durability},
                                                {"max_body_bytes", read_body},     {"listen", read_listen_or_off},
                                                {"tls", read_listener_tls},        {NULL, NULL}};
static void read_listener(struct config_reader *reader, const yaml_node_t *node, const struct config_key *keys,
                          struct config_span_listener *listener) {
  config_read_mapping(reader, node, keys, listener);
  config_check_durability(reader, node, listener->durability, &listener->acknowledge_durable);
}
READER(read_otlp_http) { read_listener(reader, node, otlp_keys, &CONFIG->otlp_http); }
READER(read_otlp_grpc) { read_listener(reader, node, otlp_keys, &CONFIG->otlp_grpc); }
READER(read_zipkin) { read_listener(reader, node, zipkin_keys, &CONFIG->zipkin); }

READER(read_jaeger_listen) { CONFIG->jaeger_port = read_port_or_off(reader, node); }
static const struct config_key jaeger_keys[] = {{"listen", read_jaeger_listen}, {NULL, NULL}};
READER(read_jaeger) { config_read_mapping(reader, node, jaeger_keys, target); }

void config_read_listeners(struct config_reader *reader, const yaml_node_t *node, struct config *config) {
  static const struct config_key keys[] = {{"otlp_http", read_otlp_http},
                                           {"otlp_grpc", read_otlp_grpc},
                                           {"zipkin", read_zipkin},
                                           {"jaeger", read_jaeger},
                                           {NULL, NULL}};
  config_read_mapping(reader, node, keys, config);
}

struct named_port {
  const char *name;
  uint16_t port; /* 0: off */
};

static void expect_distinct(struct config_reader *reader, const yaml_node_t *root, const char *protocol,
                            const struct named_port *ports, unsigned count) {
  for (unsigned i = 0; i < count; i++)
    for (unsigned j = i + 1; j < count; j++)
      if (ports[i].port && ports[i].port == ports[j].port)
        config_complain(reader, root, "%s and %s listen on the same port, %u/%s", ports[i].name, ports[j].name, ports[i].port,
                        protocol);
}

void config_expect_distinct_ports(struct config_reader *reader, const yaml_node_t *root, const struct config *config) {
  const struct named_port tcp[] = {{"otlp_http", config->otlp_http.port},
                                   {"otlp_grpc", config->otlp_grpc.port},
                                   {"zipkin", config->zipkin.port},
                                   {"webhooks", config->webhooks.port}};
  const struct named_port udp[] = {{"otlp_http", config->otlp_http.port}, {"jaeger", config->jaeger_port}};
  expect_distinct(reader, root, "tcp", tcp, sizeof tcp / sizeof *tcp);
  expect_distinct(reader, root, "udp", udp, sizeof udp / sizeof *udp);
}
