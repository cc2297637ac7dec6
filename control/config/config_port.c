#include "config_internal.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define IPV6_NOT_NAMED UINT32_MAX
#define IPV6_MTU_LEAST 1280
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

static void read_prefix(struct config_reader *reader, const yaml_node_t *node, char *field, size_t room, int family) {
  char text[64] = "";
  struct in6_addr address;
  config_read_text(reader, node, field, room);
  memcpy(text, field, strlen(field) + 1);
  char *slash = strchr(text, '/');
  if (slash) *slash = '\0';
  if (!slash || slash[1] == '\0' || slash[1 + strspn(slash + 1, "0123456789")] ||
      atoi(slash + 1) > (family == AF_INET ? 32 : 128) || inet_pton(family, text, &address) != 1) {
    config_complain(reader, node, "an %s address with its prefix length is expected here, such as %s",
                    family == AF_INET ? "IPv4" : "IPv6", family == AF_INET ? "10.86.0.2/24" : "fd86::2/64");
    return;
  }
  const uint8_t *bytes = (const uint8_t *)&address;
  if (family == AF_INET6 &&
      (bytes[0] == 0xff || IN6_IS_ADDR_UNSPECIFIED(&address) || IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_V4MAPPED(&address)))
    config_complain(reader, node, "no host can have this address");
}

/* One value, or a list of up to `most`. Returns how many; item i of a list is complained about where it stands. */
static uint32_t items_of(struct config_reader *reader, const yaml_node_t *node, uint32_t most, const yaml_node_t **items) {
  if (node->type != YAML_SEQUENCE_NODE) {
    items[0] = node;
    return 1;
  }
  uint32_t count = 0;
  for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
    if (count == most) {
      config_complain(reader, node, "at most %u items are allowed here", most);
      break;
    }
    items[count++] = yaml_document_get_node(&reader->document, *item);
  }
  return count;
}

static void read_port_ipv4(struct config_reader *reader, const yaml_node_t *node, void *target) {
  const yaml_node_t *items[CONFIG_ADDRESSES_MAX];
  PORT->ipv4_count = items_of(reader, node, CONFIG_ADDRESSES_MAX, items);
  for (uint32_t i = 0; i < PORT->ipv4_count; i++) read_prefix(reader, items[i], PORT->ipv4[i], sizeof PORT->ipv4[i], AF_INET);
}

static void read_port_ipv6(struct config_reader *reader, const yaml_node_t *node, void *target) {
  const yaml_node_t *items[CONFIG_ADDRESSES_MAX];
  PORT->ipv6_count = items_of(reader, node, CONFIG_ADDRESSES_MAX, items);
  for (uint32_t i = 0; i < PORT->ipv6_count; i++) read_prefix(reader, items[i], PORT->ipv6[i], sizeof PORT->ipv6[i], AF_INET6);
}

static void read_port_vlans(struct config_reader *reader, const yaml_node_t *node, void *target) {
  const yaml_node_t *items[CONFIG_VLANS_MAX];
  PORT->vlan_count = items_of(reader, node, CONFIG_VLANS_MAX, items);
  for (uint32_t i = 0; i < PORT->vlan_count; i++) PORT->vlans[i] = (uint16_t)config_read_number(reader, items[i], 0, 4094);
}

static void read_port_host_ipv4(struct config_reader *reader, const yaml_node_t *node, void *target) {
  read_prefix(reader, node, PORT->host_ipv4, sizeof PORT->host_ipv4, AF_INET);
}

static void read_port_host_ipv6(struct config_reader *reader, const yaml_node_t *node, void *target) {
  read_prefix(reader, node, PORT->host_ipv6, sizeof PORT->host_ipv6, AF_INET6);
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

#define IMPAIRMENT ((struct config_impairment *)target)
static void read_loss(struct config_reader *reader, const yaml_node_t *node, void *target) {
  IMPAIRMENT->loss_ppm = config_read_share_ppm(reader, node);
}

static void read_duplicate(struct config_reader *reader, const yaml_node_t *node, void *target) {
  IMPAIRMENT->duplicate_ppm = config_read_share_ppm(reader, node);
}

static void read_reorder(struct config_reader *reader, const yaml_node_t *node, void *target) {
  IMPAIRMENT->reorder_ppm = config_read_share_ppm(reader, node);
}

static void read_delay(struct config_reader *reader, const yaml_node_t *node, void *target) {
  IMPAIRMENT->delay_ns = config_read_duration(reader, node, 1000000000);
}

static void read_seed(struct config_reader *reader, const yaml_node_t *node, void *target) {
  IMPAIRMENT->seed = config_read_number(reader, node, 0, UINT32_MAX);
}

static const struct config_key impairment_keys[] = {{"loss", read_loss},       {"duplicate", read_duplicate},
                                                    {"reorder", read_reorder}, {"delay", read_delay},
                                                    {"seed", read_seed},       {NULL, NULL}};

static void read_port_impairment(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_mapping(reader, node, impairment_keys, &PORT->impairment);
}

static const struct config_key port_keys[] = {{"name", read_port_name},
                                              {"kind", read_port_kind},
                                              {"interface", read_port_interface},
                                              {"address", read_port_address},
                                              {"path", read_port_path},
                                              {"output_path", read_port_output},
                                              {"role", read_port_role},
                                              {"ipv4", read_port_ipv4},
                                              {"ipv6", read_port_ipv6},
                                              {"host_ipv4", read_port_host_ipv4},
                                              {"host_ipv6", read_port_host_ipv6},
                                              {"vlans", read_port_vlans},
                                              {"mtu", read_port_mtu},
                                              {"queues", read_port_queues},
                                              {"verify_checksums", read_port_verify},
                                              {"impairment", read_port_impairment},
                                              {NULL, NULL}};

static void check_port(struct config_reader *reader, const yaml_node_t *node, const struct config_port *port) {
  if (port->ipv4_count + port->ipv6_count == 0)
    config_complain(reader, node, "port '%s' needs an address, `ipv4` or `ipv6`", port->name);
  if (port->ipv6_count && port->mtu < IPV6_MTU_LEAST)
    config_complain(reader, node, "port '%s': IPv6 needs an `mtu` of %d or more", port->name, IPV6_MTU_LEAST);
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
  port->ipv6_count = IPV6_NOT_NAMED;
  const unsigned errors_before = reader->error_count;
  config_read_mapping(reader, node, port_keys, port);
  if (port->kind != PORT_EMBEDDED && port->mtu == 9000 && (port->kind == PORT_AF_XDP || port->kind == PORT_TAP)) port->mtu = 1500;
  /* The shipped IPv6 address is the embedded pair's, where the MTU has room for IPv6. */
  if (port->ipv6_count == IPV6_NOT_NAMED) port->ipv6_count = port->kind == PORT_EMBEDDED && port->mtu >= IPV6_MTU_LEAST;
  if (reader->error_count == errors_before) check_port(reader, node, port);
}
