#include "dpdk_internal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const device_prefixes[] = {
    [DPDK_PORT_AF_PACKET] = "net_af_packet", [DPDK_PORT_AF_XDP] = "net_af_xdp", [DPDK_PORT_TAP] = "net_tap",
    [DPDK_PORT_MEMIF] = "net_memif",         [DPDK_PORT_PCAP] = "net_pcap",     [DPDK_PORT_RING] = "net_ring",
};

void dpdk_device_name(const struct dpdk_port_config *config, uint32_t index, char name[static 32]) {
  if (config->kind == DPDK_PORT_PCI)
    snprintf(name, 32, "%.31s", config->address);
  else
    snprintf(name, 32, "%s%u", device_prefixes[config->kind], index);
}

static int add(struct dpdk_arguments *arguments, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int add(struct dpdk_arguments *arguments, const char *format, ...) {
  if ((size_t)arguments->count + 1 >= sizeof arguments->words / sizeof arguments->words[0]) return -E2BIG;
  va_list values;
  va_start(values, format);
  const int length = vasprintf(&arguments->words[arguments->count], format, values);
  va_end(values);
  if (length < 0) {
    arguments->words[arguments->count] = NULL;
    return -ENOMEM;
  }
  arguments->count++;
  return 0;
}

/* Device arguments are `key=value,...`: a value with a separator in it would become another argument. */
static bool usable_value(const char *text) { return text[0] && !strpbrk(text, ",=[] \t\n\""); }

static int add_tap(struct dpdk_arguments *arguments, const struct dpdk_port_config *port, const char *device) {
  return usable_value(port->interface) ? add(arguments, "--vdev=%s,iface=%s", device, port->interface) : -EINVAL;
}

static int add_memif(struct dpdk_arguments *arguments, const struct dpdk_port_config *port, const char *device) {
  if (!usable_value(port->path)) return -EINVAL;
  struct dpdk_sizes sizes;
  dpdk_sizes_compute(port, &sizes);
  return add(arguments, "--vdev=%s,role=%s,socket=%s,socket-abstract=no,bsize=%u,rsize=%u,zero-copy=no", device,
             port->server ? "server" : "client", port->path, sizes.ring_frame_bytes, sizes.ring_frame_bytes > 4096 ? 10 : 11);
}

static int add_pcap(struct dpdk_arguments *arguments, const struct dpdk_port_config *port, const char *device) {
  const bool input = port->path[0], output = port->output_path[0];
  if ((!input && !output) || (input && !usable_value(port->path)) || (output && !usable_value(port->output_path))) return -EINVAL;
  return add(arguments, "--vdev=%s%s%s%s%s", device, input ? ",rx_pcap=" : "", port->path, output ? ",tx_pcap=" : "",
             port->output_path);
}

static int add_af_packet(struct dpdk_arguments *arguments, const struct dpdk_port_config *port, const char *device) {
  if (!usable_value(port->interface)) return -EINVAL;
  struct dpdk_sizes sizes;
  dpdk_sizes_compute(port, &sizes);
  return add(arguments, "--vdev=%s,iface=%s,qpairs=%u,blocksz=%u,framesz=%u,framecnt=%u", device, port->interface, port->queues,
             sizes.ring_block_bytes, sizes.ring_frame_bytes, sizes.ring_frames);
}

/* busy_budget=0: the default makes a system call of every empty poll. One queue, as a veth has no combined channels. */
static int add_af_xdp(struct dpdk_arguments *arguments, const struct dpdk_port_config *port, const char *device) {
  if (!usable_value(port->interface) || port->queues != 1) return -EINVAL;
  return add(arguments, "--vdev=%s,iface=%s,start_queue=0,queue_count=1,busy_budget=0", device, port->interface);
}

static int add_port(struct dpdk_arguments *arguments, const struct dpdk_port_config *port, uint32_t index) {
  if (port->queues == 0 || port->queues > DPDK_QUEUES_MAX || port->mtu > DPDK_MTU_MOST) return -EINVAL;
  char device[32];
  if (port->kind < DPDK_PORT_AF_PACKET || port->kind > DPDK_PORT_PCI) return -EINVAL;
  dpdk_device_name(port, index, device);
  switch ((enum dpdk_port_kind)port->kind) {
  case DPDK_PORT_AF_PACKET:
    return add_af_packet(arguments, port, device);
  case DPDK_PORT_AF_XDP:
    return add_af_xdp(arguments, port, device);
  case DPDK_PORT_TAP:
    return add_tap(arguments, port, device);
  case DPDK_PORT_MEMIF:
    return add_memif(arguments, port, device);
  case DPDK_PORT_PCAP:
    return port->queues == 1 ? add_pcap(arguments, port, device) : -EINVAL;
  case DPDK_PORT_RING:
    return add(arguments, "--vdev=%s", device);
  case DPDK_PORT_PCI:
    return usable_value(port->address) ? add(arguments, "--allow=%s", port->address) : -EINVAL;
  }
  return -EINVAL;
}

static int add_extra(struct dpdk_arguments *arguments, const char *extra) {
  static const char space[] = " \t\n";
  for (const char *at = extra ? extra : ""; *(at += strspn(at, space));) {
    const size_t length = strcspn(at, space);
    const int result = add(arguments, "%.*s", (int)length, at);
    if (result) return result;
    at += length;
  }
  return 0;
}

static int build(const struct dpdk_start_config *config, bool hugepages, struct dpdk_arguments *arguments) {
  bool pci = false;
  for (uint32_t i = 0; i < config->port_count; i++) pci |= config->ports[i].kind == DPDK_PORT_PCI;
  int result = add(arguments, "tripline");
  if (!result) result = add(arguments, "-l");
  if (!result) result = add(arguments, "%d", config->main_core);
  if (!result && !pci) result = add(arguments, "--no-pci");
  /* With a device behind an IOMMU or none, EAL must choose how it is addressed. */
  if (!result && !pci) result = add(arguments, "--iova-mode=va");
  if (!result) result = add(arguments, "--no-telemetry");
  /* --no-huge implies legacy memory, which --in-memory refuses: never both. */
  if (hugepages) {
    if (!result) result = add(arguments, "--in-memory");
  } else {
    const uint32_t needed = dpdk_memory_needed_mib(config->ports, config->port_count);
    if (!result) result = add(arguments, "--no-huge");
    if (!result) result = add(arguments, "-m");
    if (!result) result = add(arguments, "%u", config->memory_mib > needed ? config->memory_mib : needed);
    if (!result) result = add(arguments, "--no-shconf");
  }
  if (!result) result = add(arguments, "--file-prefix");
  if (!result) result = add(arguments, "tripline-%d", (int)getpid());
  if (!result) result = add(arguments, "--log-level=notice");
  for (uint32_t i = 0; !result && i < config->port_count; i++) result = add_port(arguments, &config->ports[i], i);
  if (!result) result = add_extra(arguments, config->extra);
  return result;
}

int dpdk_arguments_build(const struct dpdk_start_config *config, bool hugepages, struct dpdk_arguments *arguments) {
  memset(arguments, 0, sizeof *arguments);
  if (config->port_count > DPDK_PORTS_MAX || config->main_core < 0) return -EINVAL;
  const int result = build(config, hugepages, arguments);
  if (result) dpdk_arguments_free(arguments);
  return result;
}

void dpdk_arguments_free(struct dpdk_arguments *arguments) {
  for (int i = 0; i < arguments->count; i++) free(arguments->words[i]);
  memset(arguments, 0, sizeof *arguments);
}
