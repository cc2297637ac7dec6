#pragma once
/* Just enough rtnetlink: one request, one answer. Control's. */
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

struct netlink_request {
  struct nlmsghdr header;
  union {
    struct ifinfomsg link;
    struct ifaddrmsg address;
  };
  uint8_t attributes[512];
};

int netlink_open(void);
void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, size_t body_bytes);
void netlink_add(struct netlink_request *request, uint16_t type, const void *data, size_t bytes);
struct rtattr *netlink_nest(struct netlink_request *request, uint16_t type);
void netlink_unnest(struct netlink_request *request, struct rtattr *nest);
/* 0 or -errno as the kernel answers. */
int netlink_send(int socket, struct netlink_request *request);
