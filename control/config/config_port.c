#include "config_internal.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define PORT ((struct config_port *)target)

static void read_port_name(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, PORT->name, sizeof PORT->name);
}

static void read_port_kind(struct config_reader *reader, const yaml_node_t *node, void *target) {
  static const char *const words[] = {"embedded", "af_packet", "af_xdp", "tap", "memif", "pcap", "ring", "pci", NULL};
  const int kind = config_read_word(reader, node, words);
  if (kind >= 0) PORT->kind = (enum port_kind)kind;
}

static void read_port_interface(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, PORT->interface, sizeof PORT->interface);
}

static void read_port_address(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, PORT->address, sizeof PORT->address);
}

static void read_port_path(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, PORT->path, sizeof PORT->path);
}

static void read_port_output(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, PORT->output_path, sizeof PORT->output_path);
}

static void read_port_role(struct config_reader *reader, const yaml_node_t *node, void *target) {
  static const char *const words[] = {"client", "server", NULL};
  PORT->server = config_read_word(reader, node, words) == 1;
}

static void read_prefix(struct config_reader *reader, const yaml_node_t *node, char *field, size_t room) {
  char text[64] = "";
  struct in_addr address;
  config_read_text(reader, node, field, room);
  memcpy(text, field, strlen(field) + 1);
  char *slash = strchr(text, '/');
  if (slash) *slash = '\0';
  if (!slash || slash[1] == '\0' || slash[1 + strspn(slash + 1, "0123456789")] || atoi(slash + 1) > 32 ||
      inet_pton(AF_INET, text, &address) != 1)
    config_complain(reader, node, "an IPv4 address with its prefix length is expected here, such as 10.86.0.2/24");
}

static void read_port_ipv4(struct config_reader *reader, const yaml_node_t *node, void *target) {
  read_prefix(reader, node, PORT->ipv4, sizeof PORT->ipv4);
}

static void read_port_host_ipv4(struct config_reader *reader, const yaml_node_t *node, void *target) {
  read_prefix(reader, node, PORT->host_ipv4, sizeof PORT->host_ipv4);
}

static void read_port_mtu(struct config_reader *reader, const yaml_node_t *node, void *target) {
  PORT->mtu = (uint16_t)config_read_number(reader, node, 576, 9000);
}

static void read_port_queues(struct config_reader *reader, const yaml_node_t *node, void *target) {
  PORT->queues = (uint16_t)config_read_number(reader, node, 0, 32);
}

static void read_port_verify(struct config_reader *reader, const yaml_node_t *node, void *target) {
  PORT->verify_checksums = config_read_bool(reader, node);
}

static const struct config_key port_keys[] = {{"name", read_port_name},
                                              {"kind", read_port_kind},
                                              {"interface", read_port_interface},
                                              {"address", read_port_address},
                                              {"path", read_port_path},
                                              {"output_path", read_port_output},
                                              {"role", read_port_role},
                                              {"ipv4", read_port_ipv4},
                                              {"host_ipv4", read_port_host_ipv4},
                                              {"mtu", read_port_mtu},
                                              {"queues", read_port_queues},
                                              {"verify_checksums", read_port_verify},
                                              {NULL, NULL}};

static void check_port(struct config_reader *reader, const yaml_node_t *node, const struct config_port *port) {
  const bool needs_interface = port->kind == PORT_AF_PACKET || port->kind == PORT_AF_XDP;
  if (needs_interface && strcmp(port->interface, "trip0") == 0)
    config_complain(reader, node, "port '%s' needs `interface`, the kernel interface it takes over", port->name);
  if (port->kind == PORT_PCI && port->address[0] == '\0')
    config_complain(reader, node, "port '%s' needs `address`, such as 0000:3b:00.0", port->name);
  if ((port->kind == PORT_MEMIF || port->kind == PORT_PCAP) && port->path[0] == '\0')
    config_complain(reader, node, "port '%s' needs `path`", port->name);
}

void config_read_port(struct config_reader *reader, const yaml_node_t *node, struct config_port *port) {
  config_default_port(port);
  const unsigned errors_before = reader->error_count;
  config_read_mapping(reader, node, port_keys, port);
  if (port->kind != PORT_EMBEDDED && port->mtu == 9000 && (port->kind == PORT_AF_XDP || port->kind == PORT_TAP)) port->mtu = 1500;
  if (reader->error_count == errors_before) check_port(reader, node, port);
}
