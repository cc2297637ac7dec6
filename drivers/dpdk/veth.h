#pragma once
/* The embedded port's veth pair, made over netlink (no external command): host end with an address, appliance end without one and
 * with IPv6 off; both up, MTU set, TSO/GSO/checksum offloads that would break af_packet switched off on the host end (ethtool
 * ioctl). A pair left by a killed daemon is taken over. Threads: control. */
#include <stdint.h>

struct veth_config {
  const char *host_name;      /* trip0 */
  const char *appliance_name; /* trip0p */
  const char *host_ipv4;      /* 10.86.0.1/24 */
  uint16_t mtu;
  uint16_t queues;
};

/* 0 or -errno; *step names what failed. `appliance_mac` receives the peer end's address. */
int veth_create(const struct veth_config *config, uint8_t appliance_mac[6], const char **step);
int veth_remove(const char *host_name);
/* The interface's receive drops as the kernel counts them; -errno when unknown. */
int64_t veth_receive_drops(const char *name);
