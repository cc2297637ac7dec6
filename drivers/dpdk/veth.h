#pragma once
/* The embedded port's veth pair, made over netlink (no external command): host end with an address, appliance end without one and
 * with IPv6 off; both up, MTU set, segmentation offloads off on the host end (ethtool ioctl), as af_packet would cut the
 * super-frames that they leave whole. A pair left by a killed daemon is taken over; an interface of another kind is not.
 *
 * The kernel's own IP still hears the appliance end. On a host that routes it would send what it hears back into the pair, again
 * and again, so there the end has strict reverse-path filtering (no route leads to it: all is dropped) and answers no ARP.
 * Threads: control. */
#include <stdbool.h>
#include <stdint.h>

struct veth_config {
  const char *host_name;      /* trip0 */
  const char *appliance_name; /* trip0p */
  const char *host_ipv4;      /* 10.86.0.1/24 */
  const char *host_ipv6;      /* fd86::1/64; NULL: none. Left out where the host has no IPv6. */
  uint16_t mtu;
  uint16_t queues;
  bool complete_checksums; /* the host end sums TCP and UDP in full, so that the appliance can verify them */
};

/* 0 or -errno; *step names what failed. `appliance_mac` receives the peer end's address. */
int veth_create(const struct veth_config *config, uint8_t appliance_mac[6], const char **step);
/* Both ends. -ENODEV when there is none, -EEXIST when it is no veth. */
int veth_remove(const char *host_name);
/* The interface's receive drops as the kernel counts them; -errno when unknown. */
int64_t veth_receive_drops(const char *name);
