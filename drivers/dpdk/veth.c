#include "veth.h"
#include "netlink_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

unsigned if_nametoindex(const char *name); /* <net/if.h> does not go with <linux/if.h> */

static int link_request(int socket, const char *name, uint16_t type, void (*fill)(struct netlink_request *, uint32_t),
                        uint32_t value) {
  struct netlink_request request;
  netlink_begin(&request, type, 0, sizeof request.link);
  request.link.ifi_index = (int)if_nametoindex(name);
  if (request.link.ifi_index == 0) return -ENODEV;
  if (fill) fill(&request, value);
  return netlink_send(socket, &request);
}

static void fill_up(struct netlink_request *request, uint32_t value) {
  request->link.ifi_flags = request->link.ifi_change = value;
}

static void add_name(struct netlink_request *request, const char *name) {
  netlink_add(request, IFLA_IFNAME, name, strlen(name) + 1);
}

static void add_shape(struct netlink_request *request, const struct veth_config *config) {
  const uint32_t mtu = config->mtu, queues = config->queues;
  netlink_add(request, IFLA_MTU, &mtu, sizeof mtu);
  netlink_add(request, IFLA_NUM_TX_QUEUES, &queues, sizeof queues);
  netlink_add(request, IFLA_NUM_RX_QUEUES, &queues, sizeof queues);
}

static int create_pair(int socket, const struct veth_config *config) {
  struct netlink_request request;
  const struct ifinfomsg peer = {0};
  netlink_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof request.link);
  add_name(&request, config->host_name);
  add_shape(&request, config);
  struct rtattr *info = netlink_nest(&request, IFLA_LINKINFO);
  netlink_add(&request, IFLA_INFO_KIND, "veth", 4);
  struct rtattr *data = netlink_nest(&request, IFLA_INFO_DATA);
  struct rtattr *other = netlink_nest(&request, VETH_INFO_PEER);
  memcpy((uint8_t *)&request + NLMSG_ALIGN(request.header.nlmsg_len), &peer, sizeof peer);
  request.header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(request.header.nlmsg_len) + sizeof peer);
  add_name(&request, config->appliance_name);
  add_shape(&request, config);
  netlink_unnest(&request, other);
  netlink_unnest(&request, data);
  netlink_unnest(&request, info);
  return netlink_send(socket, &request);
}

static int add_address(int socket, const char *name, const char *prefix) {
  struct netlink_request request;
  struct in_addr address;
  char text[32];
  snprintf(text, sizeof text, "%.*s", (int)strcspn(prefix, "/"), prefix);
  if (inet_pton(AF_INET, text, &address) != 1) return -EINVAL;
  const char *slash = strchr(prefix, '/');
  netlink_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof request.address);
  request.address = (struct ifaddrmsg){
      .ifa_family = AF_INET, .ifa_prefixlen = (uint8_t)(slash ? atoi(slash + 1) : 32), .ifa_index = if_nametoindex(name)};
  netlink_add(&request, IFA_LOCAL, &address, sizeof address);
  netlink_add(&request, IFA_ADDRESS, &address, sizeof address);
  return netlink_send(socket, &request);
}

static int ethtool_set(const char *name, uint32_t command, uint32_t value) {
  struct ethtool_value setting = {.cmd = command, .data = value};
  struct ifreq request = {.ifr_data = (void *)&setting};
  const int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (file < 0) return -errno;
  snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", name);
  const int result = ioctl(file, SIOCETHTOOL, &request) == 0 ? 0 : -errno;
  close(file);
  return result;
}

static bool is_veth(const char *name) {
  struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
  struct ifreq request = {.ifr_data = (void *)&info};
  const int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (file < 0) return false;
  snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", name);
  const bool veth = ioctl(file, SIOCETHTOOL, &request) == 0 && strcmp(info.driver, "veth") == 0;
  close(file);
  return veth;
}

/* Router solicitations and the like would be frames that nobody sent on purpose. */
static void disable_ipv6(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
  FILE *file = fopen(path, "we");
  if (!file) return; /* a kernel without IPv6 */
  fputs("1\n", file);
  fclose(file);
}

static int read_mac(const char *name, uint8_t mac[6]) {
  struct ifreq request = {0};
  const int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (file < 0) return -errno;
  snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", name);
  const int result = ioctl(file, SIOCGIFHWADDR, &request) == 0 ? 0 : -errno;
  close(file);
  memcpy(mac, request.ifr_hwaddr.sa_data, 6);
  return result;
}

static int set_up(int socket, const struct veth_config *config, uint8_t appliance_mac[6], const char **step) {
  disable_ipv6(config->appliance_name);
  disable_ipv6(config->host_name);
  /* A segment larger than a frame slot would be cut: the host must not send one. Sums are filled, so that they can be checked. */
  *step = "switching off segmentation offload";
  int result = ethtool_set(config->host_name, ETHTOOL_STSO, 0);
  if (result == 0) result = ethtool_set(config->host_name, ETHTOOL_SGSO, 0);
  if (result == 0) result = ethtool_set(config->host_name, ETHTOOL_STXCSUM, 0);
  if (result != 0) return result;
  *step = "adding the host address";
  if ((result = add_address(socket, config->host_name, config->host_ipv4)) != 0) return result;
  *step = "bringing the pair up";
  result = link_request(socket, config->host_name, RTM_NEWLINK, fill_up, IFF_UP);
  if (result == 0) result = link_request(socket, config->appliance_name, RTM_NEWLINK, fill_up, IFF_UP);
  if (result != 0) return result;
  *step = "reading the hardware address";
  return read_mac(config->appliance_name, appliance_mac);
}

int veth_create(const struct veth_config *config, uint8_t appliance_mac[6], const char **step) {
  *step = "opening netlink";
  const int socket = netlink_open();
  if (socket < 0) return socket;
  *step = "creating the veth pair";
  int result = create_pair(socket, config);
  if (result == -EEXIST) {
    *step = "taking over an interface of the same name that is no veth";
    if (is_veth(config->host_name)) {
      result = link_request(socket, config->host_name, RTM_DELLINK, NULL, 0);
      if (result == 0) result = create_pair(socket, config);
    }
  }
  if (result == 0) {
    result = set_up(socket, config, appliance_mac, step);
    if (result != 0) link_request(socket, config->host_name, RTM_DELLINK, NULL, 0);
  }
  close(socket);
  return result;
}

int veth_remove(const char *host_name) {
  const int socket = netlink_open();
  if (socket < 0) return socket;
  const int result = link_request(socket, host_name, RTM_DELLINK, NULL, 0);
  close(socket);
  return result;
}

int64_t veth_receive_drops(const char *name) {
  char path[128];
  long long drops = 0;
  snprintf(path, sizeof path, "/sys/class/net/%s/statistics/rx_dropped", name);
  FILE *file = fopen(path, "re");
  if (!file) return -errno;
  const bool read = fscanf(file, "%lld", &drops) == 1;
  fclose(file);
  return read ? drops : -EIO;
}
