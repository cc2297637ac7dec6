#include "dpdk_internal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX (sizeof(((struct dpdk_arguments *)0)->words) / sizeof(char *))

/* One frame slot of af_packet holds a whole frame and its header, and a block a whole number of slots. */
#define AF_PACKET_FRAME_SMALL 2048u
#define AF_PACKET_FRAME_JUMBO 16384u
#define AF_PACKET_BLOCK 65536u

__attribute__((format(printf, 2, 3))) static void add(struct dpdk_arguments *arguments, const char *format, ...) {
  char word[1024];
  va_list values;
  va_start(values, format);
  vsnprintf(word, sizeof word, format, values);
  va_end(values);
  if ((size_t)arguments->count + 1 >= WORDS_MAX) return;
  arguments->words[arguments->count++] = strdup(word);
}

void dpdk_vdev_name(const struct dpdk_port_config *config, char *name, size_t room) {
  static const char *const drivers[] = {
      [DPDK_PORT_AF_PACKET] = "net_af_packet", [DPDK_PORT_AF_XDP] = "net_af_xdp", [DPDK_PORT_TAP] = "net_tap",
      [DPDK_PORT_MEMIF] = "net_memif",         [DPDK_PORT_PCAP] = "net_pcap",     [DPDK_PORT_RING] = "net_ring"};
  snprintf(name, room, "%s%u", drivers[config->kind], config->index);
}

/* af_packet's transmit waits when its ring is full, so the ring holds more than the shipped load ever has under way: 4096 small
 * frames, or 1024 jumbo ones (16 MiB each way, a queue). */
static void add_af_packet(struct dpdk_arguments *arguments, const struct dpdk_port_config *port, const char *name) {
  const bool jumbo = port->mtu > 1900;
  add(arguments, "--vdev=%s,iface=%s,qpairs=%u,blocksz=%u,framesz=%u,framecnt=%u", name, port->interface, port->queues,
      AF_PACKET_BLOCK, jumbo ? AF_PACKET_FRAME_JUMBO : AF_PACKET_FRAME_SMALL, jumbo ? 1024u : 4096u);
}

static void add_vdev(struct dpdk_arguments *arguments, const struct dpdk_port_config *port) {
  char name[32];
  dpdk_vdev_name(port, name, sizeof name);
  switch ((enum dpdk_port_kind)port->kind) {
  case DPDK_PORT_AF_PACKET:
    add_af_packet(arguments, port, name);
    break;
  case DPDK_PORT_AF_XDP:
    add(arguments, "--vdev=%s,iface=%s,start_queue=0,queue_count=1,busy_budget=0", name, port->interface);
    break;
  case DPDK_PORT_TAP:
    add(arguments, "--vdev=%s,iface=%s", name, port->interface);
    break;
  case DPDK_PORT_MEMIF:
    add(arguments, "--vdev=%s,role=%s,id=0,socket=%s,socket-abstract=no", name, port->server ? "server" : "client", port->path);
    break;
  case DPDK_PORT_PCAP:
    if (port->output_path[0]) {
      add(arguments, "--vdev=%s,rx_pcap=%s,tx_pcap=%s", name, port->path, port->output_path);
    } else {
      add(arguments, "--vdev=%s,rx_pcap=%s", name, port->path);
    }
    break;
  case DPDK_PORT_RING:
    add(arguments, "--vdev=%s", name);
    break;
  case DPDK_PORT_PCI:
    break;
  }
}

static bool has_pci(const struct dpdk_start_config *config) {
  for (uint32_t i = 0; i < config->port_count; i++)
    if (config->ports[i].kind == DPDK_PORT_PCI) return true;
  return false;
}

static void add_extra(struct dpdk_arguments *arguments, const char *extra) {
  char words[1024], *rest = NULL;
  snprintf(words, sizeof words, "%s", extra);
  for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) add(arguments, "%s", word);
}

int dpdk_arguments_build(const struct dpdk_start_config *config, bool hugepages, struct dpdk_arguments *arguments) {
  *arguments = (struct dpdk_arguments){0};
  const bool pci = has_pci(config);
  add(arguments, "triplined");
  add(arguments, "-l");
  add(arguments, "%d", config->main_core);
  add(arguments, "--no-telemetry");
  add(arguments, "--file-prefix=tripline-%d", (int)getpid());
  if (hugepages) {
    add(arguments, "--in-memory"); /* no hugetlbfs mount, nothing left behind */
  } else {
    /* Implies legacy memory, which 22.11 refuses together with --in-memory. */
    add(arguments, "--no-huge");
    add(arguments, "--no-shconf");
    add(arguments, "-m");
    add(arguments, "%u", config->memory_mib);
  }
  if (!pci) {
    add(arguments, "--no-pci");
    add(arguments, "--iova-mode=va");
  }
  for (uint32_t i = 0; i < config->port_count; i++) {
    if (config->ports[i].kind == DPDK_PORT_PCI) {
      add(arguments, "-a");
      add(arguments, "%s", config->ports[i].address);
    } else {
      add_vdev(arguments, &config->ports[i]);
    }
  }
  if (config->extra) add_extra(arguments, config->extra);
  for (int i = 0; i < arguments->count; i++)
    if (!arguments->words[i]) return -ENOMEM;
  return 0;
}

void dpdk_arguments_free(struct dpdk_arguments *arguments) {
  for (int i = 0; i < arguments->count; i++) free(arguments->words[i]);
  arguments->count = 0;
}

/* Any size counts: EAL takes what it finds. */
bool dpdk_hugepages_available(void) {
  static const char *const sizes[] = {"2048kB", "1048576kB"};
  for (unsigned i = 0; i < 2; i++) {
    char path[128];
    unsigned long free_pages = 0;
    snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%s/free_hugepages", sizes[i]);
    FILE *file = fopen(path, "re");
    if (!file) continue;
    const bool read = fscanf(file, "%lu", &free_pages) == 1;
    fclose(file);
    if (read && free_pages * (i == 0 ? 2ul : 1024ul) >= 256) return true;
  }
  return false;
}
