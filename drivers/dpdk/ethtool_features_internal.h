#pragma once
/* Switches off features of an interface by name, over the ethtool ioctl. Threads: control. */
#include <stdbool.h>

/* What leaves super-frames whole on their way out: every segmentation of TCP, UDP, SCTP and tunnels. */
bool ethtool_is_segmentation(const char *feature);
bool ethtool_is_send_checksum(const char *feature);
/* Every changeable feature that `matches` is off afterwards; 0 or -errno. */
int ethtool_features_off(const char *interface, bool (*matches)(const char *feature));
