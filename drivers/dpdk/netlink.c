#include "netlink_internal.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int netlink_open(void) {
  const int file = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  return file < 0 ? -errno : file;
}

void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, size_t body_bytes) {
  memset(request, 0, sizeof *request);
  request->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_bytes);
  request->header.nlmsg_type = type;
  request->header.nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST | NLM_F_ACK);
}

static struct rtattr *end_of(struct netlink_request *request) {
  return (struct rtattr *)(void *)((uint8_t *)request + NLMSG_ALIGN(request->header.nlmsg_len));
}

void netlink_add(struct netlink_request *request, uint16_t type, const void *data, size_t bytes) {
  struct rtattr *attribute = end_of(request);
  attribute->rta_type = type;
  attribute->rta_len = (uint16_t)RTA_LENGTH(bytes);
  if (bytes) memcpy(RTA_DATA(attribute), data, bytes);
  request->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

struct rtattr *netlink_nest(struct netlink_request *request, uint16_t type) {
  struct rtattr *nest = end_of(request);
  netlink_add(request, type, NULL, 0);
  return nest;
}

void netlink_unnest(struct netlink_request *request, struct rtattr *nest) {
  nest->rta_len = (uint16_t)((uint8_t *)end_of(request) - (uint8_t *)nest);
}

int netlink_send(int socket, struct netlink_request *request) {
  _Alignas(8) uint8_t answer[4096];
  if (send(socket, request, request->header.nlmsg_len, 0) < 0) return -errno;
  const ssize_t got = recv(socket, answer, sizeof answer, 0);
  if (got < 0) return -errno;
  const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer;
  if ((size_t)got < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || header->nlmsg_type != NLMSG_ERROR) return -EPROTO;
  return ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
}
