#pragma once
/* Just enough rtnetlink to make, change and read interfaces. A message is built in place; attributes nest by offset. Threads: the
 * caller's. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netlink_message {
  _Alignas(struct nlmsghdr) uint8_t bytes[16384]; /* an interface described runs to several kilobytes */
  uint32_t length;
  bool overflow; /* an attribute did not fit: send refuses */
};

/* A message of `type` with a fixed part, zeroed, of `fixed_bytes`; returns that part. */
void *netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, size_t fixed_bytes);
void netlink_put(struct netlink_message *message, uint16_t type, const void *value, size_t value_bytes);
void netlink_put_u32(struct netlink_message *message, uint16_t type, uint32_t value);
void netlink_put_text(struct netlink_message *message, uint16_t type, const char *text);
/* A second fixed part inside an attribute (a peer's ifinfomsg). */
void netlink_put_raw(struct netlink_message *message, const void *value, size_t value_bytes);
uint32_t netlink_nest(struct netlink_message *message, uint16_t type);
void netlink_nest_end(struct netlink_message *message, uint32_t nest);

int netlink_open(void);
/* Sends and waits for the acknowledgement, or for one answer when `answer` is given. 0 or -errno. */
int netlink_call(int descriptor, struct netlink_message *message, struct netlink_message *answer);
const struct rtattr *netlink_find(const void *attributes, size_t bytes, uint16_t type);
