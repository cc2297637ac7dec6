#include "veth.h"
#include "ethtool_features_internal.h"
#include "netlink_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct link_view {
  unsigned index, flags;
  bool veth;
  uint8_t mac[6];
  int64_t receive_drops;
};

static int read_link(int descriptor, const char *name, struct link_view *view) {
  struct netlink_message message, answer;
  netlink_begin(&message, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
  netlink_put_text(&message, IFLA_IFNAME, name);
  const int result = netlink_call(descriptor, &message, &answer);
  if (result) return result;
  const struct nlmsghdr *header = (const struct nlmsghdr *)answer.bytes;
  if (header->nlmsg_type != RTM_NEWLINK || header->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg))) return -EBADMSG;
  const struct ifinfomsg *link = NLMSG_DATA(header);
  const void *attributes = IFLA_RTA(link);
  const size_t bytes = IFLA_PAYLOAD(header);
  *view = (struct link_view){.index = (unsigned)link->ifi_index, .flags = link->ifi_flags, .receive_drops = -ENODATA};

  const struct rtattr *address = netlink_find(attributes, bytes, IFLA_ADDRESS);
  if (address && RTA_PAYLOAD(address) == sizeof view->mac) memcpy(view->mac, RTA_DATA(address), sizeof view->mac);
  const struct rtattr *information = netlink_find(attributes, bytes, IFLA_LINKINFO);
  const struct rtattr *kind = information ? netlink_find(RTA_DATA(information), RTA_PAYLOAD(information), IFLA_INFO_KIND) : NULL;
  view->veth = kind && RTA_PAYLOAD(kind) >= 4 && strncmp(RTA_DATA(kind), "veth", RTA_PAYLOAD(kind)) == 0;
  const struct rtattr *stats = netlink_find(attributes, bytes, IFLA_STATS64);
  uint64_t drops;
  const size_t at = offsetof(struct rtnl_link_stats64, rx_dropped);
  if (stats && RTA_PAYLOAD(stats) >= at + sizeof drops) {
    memcpy(&drops, (const uint8_t *)RTA_DATA(stats) + at, sizeof drops);
    view->receive_drops = (int64_t)(drops & INT64_MAX);
  }
  return 0;
}

static int delete_link(int descriptor, unsigned index) {
  struct netlink_message message;
  struct ifinfomsg *link = netlink_begin(&message, RTM_DELLINK, 0, sizeof *link);
  link->ifi_index = (int)index;
  return netlink_call(descriptor, &message, NULL);
}

/* What a killed daemon left under this name goes; nothing there is fine. */
static int clear_name(int descriptor, const char *name) {
  struct link_view view;
  const int result = read_link(descriptor, name, &view);
  if (result) return result == -ENODEV ? 0 : result;
  return view.veth ? delete_link(descriptor, view.index) : -EEXIST;
}

static void put_end(struct netlink_message *message, const char *name, const struct veth_config *config) {
  netlink_put_text(message, IFLA_IFNAME, name);
  netlink_put_u32(message, IFLA_MTU, config->mtu);
  netlink_put_u32(message, IFLA_NUM_TX_QUEUES, config->queues);
  netlink_put_u32(message, IFLA_NUM_RX_QUEUES, config->queues);
}

static int create_pair(int descriptor, const struct veth_config *config) {
  struct netlink_message message;
  netlink_begin(&message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
  put_end(&message, config->host_name, config);
  const uint32_t information = netlink_nest(&message, IFLA_LINKINFO);
  netlink_put_text(&message, IFLA_INFO_KIND, "veth");
  const uint32_t data = netlink_nest(&message, IFLA_INFO_DATA);
  const uint32_t peer = netlink_nest(&message, VETH_INFO_PEER);
  const struct ifinfomsg peer_link = {0};
  netlink_put_raw(&message, &peer_link, sizeof peer_link);
  put_end(&message, config->appliance_name, config);
  netlink_nest_end(&message, peer);
  netlink_nest_end(&message, data);
  netlink_nest_end(&message, information);
  return netlink_call(descriptor, &message, NULL);
}

/* Where IPv6 is not there, or /proc/sys is read-only, the end talks at most to itself: the appliance drops and counts that. */
static int disable_ipv6(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
  const int descriptor = open(path, O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return errno == ENOENT || errno == EROFS || errno == EACCES ? 0 : -errno;
  const int result = write(descriptor, "1", 1) == 1 ? 0 : -errno;
  close(descriptor);
  return result;
}

static int quieten(int descriptor, unsigned index) {
  struct netlink_message message;
  struct ifinfomsg *link = netlink_begin(&message, RTM_SETLINK, 0, sizeof *link);
  link->ifi_index = (int)index;
  const uint32_t families = netlink_nest(&message, IFLA_AF_SPEC);
  const uint32_t ipv4 = netlink_nest(&message, AF_INET);
  const uint32_t settings = netlink_nest(&message, IFLA_INET_CONF);
  netlink_put_u32(&message, IPV4_DEVCONF_FORWARDING, 0);
  netlink_put_u32(&message, IPV4_DEVCONF_RP_FILTER, 1);
  netlink_put_u32(&message, IPV4_DEVCONF_ARP_IGNORE, 8);
  netlink_nest_end(&message, settings);
  netlink_nest_end(&message, ipv4);
  netlink_nest_end(&message, families);
  return netlink_call(descriptor, &message, NULL);
}

static int set_up(int descriptor, unsigned index) {
  struct netlink_message message;
  struct ifinfomsg *link = netlink_begin(&message, RTM_SETLINK, 0, sizeof *link);
  link->ifi_index = (int)index;
  link->ifi_flags = IFF_UP;
  link->ifi_change = IFF_UP;
  return netlink_call(descriptor, &message, NULL);
}

static int parse_address(const char *text, int family, void *address, uint8_t *prefix_bits) {
  char digits[INET6_ADDRSTRLEN];
  const char *slash = strchr(text, '/');
  if (!slash || (size_t)(slash - text) >= sizeof digits) return -EINVAL;
  memcpy(digits, text, (size_t)(slash - text));
  digits[slash - text] = 0;
  char *end;
  const unsigned long bits = strtoul(slash + 1, &end, 10);
  if (end == slash + 1 || *end || bits > (family == AF_INET ? 32 : 128) || inet_pton(family, digits, address) != 1)
    return -EINVAL;
  *prefix_bits = (uint8_t)bits;
  return 0;
}

static int add_address(int descriptor, unsigned index, const char *text) {
  struct in_addr address;
  uint8_t prefix_bits;
  const int result = parse_address(text, AF_INET, &address, &prefix_bits);
  if (result) return result;
  struct netlink_message message;
  struct ifaddrmsg *header = netlink_begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *header);
  header->ifa_family = AF_INET;
  header->ifa_prefixlen = prefix_bits;
  header->ifa_index = index;
  netlink_put(&message, IFA_LOCAL, &address, sizeof address);
  netlink_put(&message, IFA_ADDRESS, &address, sizeof address);
  if (prefix_bits < 31) {
    const struct in_addr broadcast = {.s_addr = address.s_addr | htonl((uint32_t)(0xffffffffull >> prefix_bits))};
    netlink_put(&message, IFA_BROADCAST, &broadcast, sizeof broadcast);
  }
  return netlink_call(descriptor, &message, NULL);
}

/* No duplicate detection: the pair is ours alone, and the address would be no use until it is over. */
static int add_ipv6_address(int descriptor, unsigned index, const char *text) {
  struct in6_addr address;
  uint8_t prefix_bits;
  int result = parse_address(text, AF_INET6, &address, &prefix_bits);
  if (result) return result;
  struct netlink_message message;
  struct ifaddrmsg *header = netlink_begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *header);
  header->ifa_family = AF_INET6;
  header->ifa_prefixlen = prefix_bits;
  header->ifa_flags = IFA_F_NODAD;
  header->ifa_index = index;
  netlink_put(&message, IFA_LOCAL, &address, sizeof address);
  netlink_put(&message, IFA_ADDRESS, &address, sizeof address);
  result = netlink_call(descriptor, &message, NULL);
  /* Without IPv6 in the kernel, or switched off there, clients of this host have IPv4. */
  return result == -EOPNOTSUPP || result == -EAFNOSUPPORT || result == -EACCES || result == -EPERM ? 0 : result;
}

/* The kernel opens the queues of an interface a moment after it says up; until then what is sent is lost. */
static int wait_running(int descriptor, const char *name) {
  const unsigned tries = 2000, pause_us = 1000;
  for (unsigned try = 0; try < tries; try++) {
    struct link_view view;
    const int result = read_link(descriptor, name, &view);
    if (result || view.flags & IFF_RUNNING) return result;
    usleep(pause_us);
  }
  return -ETIMEDOUT;
}

static int bring_up(int descriptor, const struct veth_config *config, uint8_t appliance_mac[6], const char **step) {
  struct link_view host, appliance;
  *step = "look up the new pair";
  int result = read_link(descriptor, config->host_name, &host);
  if (!result) result = read_link(descriptor, config->appliance_name, &appliance);
  if (result) return result;
  memcpy(appliance_mac, appliance.mac, sizeof appliance.mac);
  *step = "switch IPv6 off on the appliance end";
  if ((result = disable_ipv6(config->appliance_name))) return result;
  *step = "keep the kernel's IP from the appliance end";
  if ((result = quieten(descriptor, appliance.index))) return result;
  *step = "switch segmentation offloads off on the host end";
  if ((result = ethtool_features_off(config->host_name, ethtool_is_segmentation))) return result;
  *step = "switch checksum offloads off on the host end";
  if (config->complete_checksums && (result = ethtool_features_off(config->host_name, ethtool_is_send_checksum))) return result;
  *step = "give the host end its address";
  if ((result = add_address(descriptor, host.index, config->host_ipv4))) return result;
  *step = "give the host end its IPv6 address";
  if (config->host_ipv6 && (result = add_ipv6_address(descriptor, host.index, config->host_ipv6))) return result;
  *step = "bring the pair up";
  if ((result = set_up(descriptor, host.index))) return result;
  if ((result = set_up(descriptor, appliance.index))) return result;
  *step = "wait until the pair runs";
  if ((result = wait_running(descriptor, config->host_name))) return result;
  return wait_running(descriptor, config->appliance_name);
}

static bool usable_name(const char *name) {
  return name[0] && strlen(name) < IFNAMSIZ && !strpbrk(name, "/: \t\n") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int veth_create(const struct veth_config *config, uint8_t appliance_mac[6], const char **step) {
  const char *unused;
  if (!step) step = &unused;
  *step = "check the pair's names, queues and address";
  struct in6_addr address;
  uint8_t prefix_bits;
  if (!usable_name(config->host_name) || !usable_name(config->appliance_name) || config->queues == 0 ||
      strcmp(config->host_name, config->appliance_name) == 0 ||
      parse_address(config->host_ipv4, AF_INET, &address, &prefix_bits) != 0 ||
      (config->host_ipv6 && parse_address(config->host_ipv6, AF_INET6, &address, &prefix_bits) != 0))
    return -EINVAL;
  *step = "open a netlink socket";
  const int descriptor = netlink_open();
  if (descriptor < 0) return descriptor;
  *step = "take over what has the host end's name";
  int result = clear_name(descriptor, config->host_name);
  if (!result) {
    *step = "take over what has the appliance end's name";
    result = clear_name(descriptor, config->appliance_name);
  }
  if (!result) {
    *step = "make the veth pair";
    result = create_pair(descriptor, config);
    if (!result && (result = bring_up(descriptor, config, appliance_mac, step))) clear_name(descriptor, config->host_name);
  }
  close(descriptor);
  if (result == 0) *step = NULL;
  return result;
}

int veth_remove(const char *host_name) {
  const int descriptor = netlink_open();
  if (descriptor < 0) return descriptor;
  struct link_view view;
  int result = read_link(descriptor, host_name, &view);
  if (!result) result = view.veth ? delete_link(descriptor, view.index) : -EEXIST;
  close(descriptor);
  return result;
}

int64_t veth_receive_drops(const char *name) {
  const int descriptor = netlink_open();
  if (descriptor < 0) return descriptor;
  struct link_view view;
  const int result = read_link(descriptor, name, &view);
  close(descriptor);
  return result ? result : view.receive_drops;
}
