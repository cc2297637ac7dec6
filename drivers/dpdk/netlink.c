#include "netlink_internal.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static uint8_t *extend(struct netlink_message *message, size_t bytes) {
  const size_t aligned = NLMSG_ALIGN(bytes);
  if (message->overflow || aligned > sizeof message->bytes - message->length) {
    message->overflow = true;
    return NULL;
  }
  uint8_t *at = message->bytes + message->length;
  memset(at, 0, aligned);
  message->length += (uint32_t)aligned;
  return at;
}

void *netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, size_t fixed_bytes) {
  message->length = 0;
  message->overflow = false;
  struct nlmsghdr *header = (struct nlmsghdr *)extend(message, sizeof *header);
  *header = (struct nlmsghdr){.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags), .nlmsg_seq = 1};
  return extend(message, fixed_bytes);
}

void netlink_put(struct netlink_message *message, uint16_t type, const void *value, size_t value_bytes) {
  struct rtattr *attribute = (struct rtattr *)extend(message, sizeof *attribute + value_bytes);
  if (!attribute) return;
  *attribute = (struct rtattr){.rta_len = (uint16_t)(sizeof *attribute + value_bytes), .rta_type = type};
  if (value_bytes) memcpy(attribute + 1, value, value_bytes);
}

void netlink_put_u32(struct netlink_message *message, uint16_t type, uint32_t value) {
  netlink_put(message, type, &value, sizeof value);
}

void netlink_put_text(struct netlink_message *message, uint16_t type, const char *text) {
  netlink_put(message, type, text, strlen(text) + 1);
}

void netlink_put_raw(struct netlink_message *message, const void *value, size_t value_bytes) {
  uint8_t *at = extend(message, value_bytes);
  if (at) memcpy(at, value, value_bytes);
}

uint32_t netlink_nest(struct netlink_message *message, uint16_t type) {
  const uint32_t nest = message->length;
  netlink_put(message, type, NULL, 0);
  return nest;
}

void netlink_nest_end(struct netlink_message *message, uint32_t nest) {
  if (message->overflow) return;
  ((struct rtattr *)(message->bytes + nest))->rta_len = (uint16_t)(message->length - nest);
}

int netlink_open(void) {
  const int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (descriptor < 0) return -errno;
  const struct timeval patience = {.tv_sec = 5};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return descriptor;
}

int netlink_call(int descriptor, struct netlink_message *message, struct netlink_message *answer) {
  if (message->overflow) return -EMSGSIZE;
  struct nlmsghdr *header = (struct nlmsghdr *)message->bytes;
  header->nlmsg_len = message->length;
  if (!answer) header->nlmsg_flags |= NLM_F_ACK;
  if (send(descriptor, message->bytes, message->length, 0) < 0) return -errno;

  struct netlink_message own;
  struct netlink_message *into = answer ? answer : &own;
  const ssize_t got = recv(descriptor, into->bytes, sizeof into->bytes, MSG_TRUNC);
  if (got < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
  const struct nlmsghdr *reply = (const struct nlmsghdr *)into->bytes;
  if ((size_t)got > sizeof into->bytes) return -EMSGSIZE;
  if (!NLMSG_OK(reply, (size_t)got)) return -EBADMSG;
  into->length = reply->nlmsg_len;
  if (reply->nlmsg_type == NLMSG_ERROR)
    return reply->nlmsg_len < NLMSG_LENGTH(sizeof(int)) ? -EBADMSG : ((const struct nlmsgerr *)NLMSG_DATA(reply))->error;
  return answer ? 0 : -EBADMSG;
}

const struct rtattr *netlink_find(const void *attributes, size_t bytes, uint16_t type) {
  const struct rtattr *attribute = attributes;
  for (size_t left = bytes; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
    if ((attribute->rta_type & NLA_TYPE_MASK) == type) return attribute;
  return NULL;
}
