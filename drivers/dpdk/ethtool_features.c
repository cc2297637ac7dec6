#include "ethtool_features_internal.h"
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* "gso off" alone leaves tx-udp-segmentation on, and with it the super-frames of UDP senders. */
bool ethtool_is_segmentation(const char *feature) {
  return strncmp(feature, "tx-", 3) == 0 && (strstr(feature, "segmentation") || strncmp(feature, "tx-gso-", 7) == 0);
}

bool ethtool_is_send_checksum(const char *feature) { return strncmp(feature, "tx-checksum-", 12) == 0; }

static int call(int descriptor, const char *interface, void *command) {
  struct ifreq request = {.ifr_data = command};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", interface);
  return ioctl(descriptor, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

static int feature_count(int descriptor, const char *interface, uint32_t *count) {
  _Alignas(struct ethtool_sset_info) uint8_t room[sizeof(struct ethtool_sset_info) + sizeof *count] = {0};
  struct ethtool_sset_info *sets = (struct ethtool_sset_info *)room;
  *sets = (struct ethtool_sset_info){.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES};
  const int result = call(descriptor, interface, sets);
  if (result) return result;
  memcpy(count, sets->data, sizeof *count);
  return sets->sset_mask != 0 && *count > 0 && *count < 4096 ? 0 : -EOPNOTSUPP;
}

static int switch_off(int descriptor, const char *interface, bool (*matches)(const char *), uint32_t count,
                      struct ethtool_gstrings *names, struct ethtool_sfeatures *request) {
  names->cmd = ETHTOOL_GSTRINGS;
  names->string_set = ETH_SS_FEATURES;
  names->len = count;
  int result = call(descriptor, interface, names);
  if (result) return result;
  request->cmd = ETHTOOL_SFEATURES;
  request->size = (count + 31) / 32;
  for (uint32_t i = 0; i < count && i < names->len; i++) {
    char name[ETH_GSTRING_LEN + 1] = {0};
    memcpy(name, names->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
    if (matches(name)) request->features[i / 32].valid |= 1u << (i % 32);
  }
  /* A positive answer says that some of them cannot be changed here: those were never on for a veth. */
  result = call(descriptor, interface, request);
  return result < 0 ? result : 0;
}

int ethtool_features_off(const char *interface, bool (*matches)(const char *feature)) {
  const int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  uint32_t count = 0;
  int result = feature_count(descriptor, interface, &count);
  if (result == 0) {
    struct ethtool_gstrings *names = calloc(1, sizeof *names + (size_t)count * ETH_GSTRING_LEN);
    struct ethtool_sfeatures *request =
        calloc(1, sizeof *request + (count + 31) / 32 * sizeof(struct ethtool_set_features_block));
    result = names && request ? switch_off(descriptor, interface, matches, count, names, request) : -ENOMEM;
    free(names);
    free(request);
  }
  close(descriptor);
  return result;
}
