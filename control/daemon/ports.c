#include "daemon_internal.h"
#include "impaired_queue.h"
#include "veth.h"
#include <errno.h>
#include <string.h>

static void log_dpdk(void *context, int level, const char *line) {
  (void)context;
  log_line((enum log_level)level, "dpdk", "%s", line);
}

static enum dpdk_port_kind dpdk_kind(enum port_kind kind) {
  switch (kind) {
  case PORT_EMBEDDED:
  case PORT_AF_PACKET:
    return DPDK_PORT_AF_PACKET;
  case PORT_AF_XDP:
    return DPDK_PORT_AF_XDP;
  case PORT_TAP:
    return DPDK_PORT_TAP;
  case PORT_MEMIF:
    return DPDK_PORT_MEMIF;
  case PORT_PCAP:
    return DPDK_PORT_PCAP;
  case PORT_RING:
    return DPDK_PORT_RING;
  case PORT_PCI:
    return DPDK_PORT_PCI;
  }
  return DPDK_PORT_RING;
}

static bool single_queue(enum port_kind kind) {
  return kind == PORT_AF_XDP || kind == PORT_PCAP || kind == PORT_MEMIF || kind == PORT_RING;
}

/* Which shards each port feeds: all of them when it is alone, else as many as its queues. */
static int assign_shards(struct daemon *daemon) {
  uint32_t next = 0;
  for (uint32_t i = 0; i < daemon->config.port_count; i++) {
    const struct config_port *config = &daemon->config.ports[i];
    struct daemon_port *port = &daemon->ports[i];
    uint32_t queues = config->queues;
    if (!queues) queues = daemon->config.port_count == 1 && !single_queue(config->kind) ? daemon->cores.count : 1;
    if (next + queues > daemon->cores.count) {
      log_error("ports", "port %s: its %u queues need more shards than the %u there are", config->name, queues,
                daemon->cores.count);
      return -EINVAL;
    }
    *port = (struct daemon_port){.config = config, .first_shard = (uint16_t)next, .queues = (uint16_t)queues};
    next += queues;
  }
  daemon->port_count = daemon->config.port_count;
  daemon->shard_count = next; /* cores beyond stay unused */
  return 0;
}

static int make_veth(struct daemon_port *port, uint8_t mac[6]) {
  const char *step = "";
  snprintf(port->veth_host, sizeof port->veth_host, "%s", port->config->interface);
  snprintf(port->veth_appliance, sizeof port->veth_appliance, "%.14sp", port->config->interface);
  const struct veth_config veth = {.host_name = port->veth_host,
                                   .appliance_name = port->veth_appliance,
                                   .host_ipv4 = port->config->host_ipv4,
                                   .host_ipv6 = port->config->ipv6_count ? port->config->host_ipv6 : NULL,
                                   .mtu = port->config->mtu,
                                   .queues = port->queues,
                                   .complete_checksums = port->config->verify_checksums};
  const int result = veth_create(&veth, mac, &step);
  if (result == 0) return 0;
  log_error("ports", "port %s: %s: %s%s", port->config->name, step, strerror(-result),
            result == -EPERM ? " (the embedded port needs root, or CAP_NET_ADMIN and CAP_NET_RAW)" : "");
  port->veth_host[0] = '\0';
  return result;
}

static int open_ports(struct daemon *daemon, const struct dpdk_port_config *configs) {
  for (uint32_t i = 0; i < daemon->port_count; i++) {
    int error = 0;
    daemon->ports[i].port = dpdk_port_open(&configs[i], &error);
    if (!daemon->ports[i].port) {
      log_error("ports", "port %s cannot be opened: %s", configs[i].name, strerror(error < 0 ? -error : error));
      return error < 0 ? error : -error;
    }
  }
  return 0;
}

int ports_start(struct daemon *daemon) {
  struct dpdk_port_config configs[CONFIG_PORTS_MAX];
  int result = assign_shards(daemon);
  for (uint32_t i = 0; result == 0 && i < daemon->port_count; i++) {
    struct daemon_port *port = &daemon->ports[i];
    const struct config_port *from = port->config;
    struct dpdk_port_config *to = &configs[i];
    *to = (struct dpdk_port_config){.kind = (int)dpdk_kind(from->kind),
                                    .server = from->server,
                                    .mtu = from->mtu,
                                    .queues = port->queues,
                                    .group_frames = from->kind != PORT_EMBEDDED && from->ipv6_count > 0,
                                    .verify_checksums = from->verify_checksums};
    memcpy(to->name, from->name, sizeof to->name);
    memcpy(to->interface, from->interface, sizeof to->interface);
    memcpy(to->address, from->address, sizeof to->address);
    memcpy(to->path, from->path, sizeof to->path);
    memcpy(to->output_path, from->output_path, sizeof to->output_path);
    if (from->kind != PORT_EMBEDDED) continue;
    result = make_veth(port, to->mac);
    memcpy(to->interface, port->veth_appliance, sizeof to->interface);
  }
  if (result != 0) return result;
  const struct dpdk_start_config start = {.main_core = daemon->cores.control,
                                          .memory_mib = daemon->config.hugepage_memory_mib,
                                          .extra = daemon->config.eal_extra,
                                          .ports = configs,
                                          .port_count = daemon->port_count,
                                          .log = log_dpdk};
  result = dpdk_start(&start);
  if (result != 0) {
    log_error("ports", "DPDK does not start: %s", strerror(-result));
    return result;
  }
  return open_ports(daemon, configs);
}

#define IMPAIRED_LATE_NS 1000000u
#define IMPAIRED_STORE_FRAMES 4096u

struct driver_queue *ports_queue(struct daemon *daemon, struct daemon_port *port, uint16_t queue) {
  struct driver_queue *inner = dpdk_port_queue(port->port, queue);
  const struct config_impairment *from = &port->config->impairment;
  if (!from->loss_ppm && !from->duplicate_ppm && !from->reorder_ppm && !from->delay_ns) return inner;
  const struct impaired_config config = {.loss_ppm = from->loss_ppm,
                                         .duplicate_ppm = from->duplicate_ppm,
                                         .reorder_ppm = from->reorder_ppm,
                                         .delay_ns = from->delay_ns,
                                         .late_ns = IMPAIRED_LATE_NS,
                                         .seed = from->seed * SHARDS_MAX + queue,
                                         .frame_bytes = dpdk_port_information(port->port)->frame_bytes,
                                         .store_frames = IMPAIRED_STORE_FRAMES,
                                         .clock_ns = monotonic_ns};
  if (queue == 0) log_warning("ports", "port %s is impaired on purpose: frames are lost, doubled or late", port->config->name);
  return port->impaired[queue] = impaired_queue_create(&daemon->arena, inner, &config);
}

void ports_run(struct daemon *daemon) {
  for (uint32_t i = 0; i < daemon->port_count; i++) {
    const int result = dpdk_port_start(daemon->ports[i].port);
    if (result != 0) log_error("ports", "port %s does not start: %s", daemon->ports[i].config->name, strerror(-result));
  }
}

void ports_stop(struct daemon *daemon) {
  for (uint32_t i = 0; i < daemon->port_count; i++)
    if (daemon->ports[i].port) dpdk_port_close(daemon->ports[i].port);
  dpdk_stop();
  for (uint32_t i = 0; i < daemon->port_count; i++)
    if (daemon->ports[i].veth_host[0]) veth_remove(daemon->ports[i].veth_host);
}
