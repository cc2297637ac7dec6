/* The peer of the full-path benchmark: one thread of the kernel's own TCP and epoll that reads HTTP/1.1 posts by Content-Length
 * and answers 200 {}. It parses no more than it must, judges nothing, and so is a floor for what a kernel server does. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16384
#define BUFFER_BYTES 131072

struct connection {
  size_t length;
  char bytes[BUFFER_BYTES];
};

static struct connection *connections[CONNECTIONS_MAX];

static size_t request_bytes(const struct connection *connection) {
  const char *end = memmem(connection->bytes, connection->length, "\r\n\r\n", 4);
  const char *length = end ? memmem(connection->bytes, (size_t)(end - connection->bytes), "Content-Length: ", 16) : NULL;
  if (!end) return 0;
  const size_t total = (size_t)(end - connection->bytes) + 4 + (length ? strtoul(length + 16, NULL, 10) : 0);
  return total <= connection->length ? total : 0;
}

static bool serve(int file, struct connection *connection) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}";
  const ssize_t got = recv(file, connection->bytes + connection->length, sizeof connection->bytes - connection->length, 0);
  if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);
  connection->length += (size_t)got;
  for (size_t bytes; (bytes = request_bytes(connection)) > 0;) {
    connection->length -= bytes;
    memmove(connection->bytes, connection->bytes + bytes, connection->length);
    if (send(file, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) return false;
  }
  return connection->length < sizeof connection->bytes;
}

static void accept_all(int listener, int poll) {
  for (int file; (file = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    const int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = file};
    if (file >= CONNECTIONS_MAX || !(connections[file] = calloc(1, sizeof **connections))) {
      close(file);
      continue;
    }
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(poll, EPOLL_CTL_ADD, file, &event);
  }
}

int main(int count, char **arguments) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(4318)};
  struct epoll_event events[256];
  const int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  if (count != 2 || inet_pton(AF_INET, arguments[1], &address.sin_addr) != 1) {
    fprintf(stderr, "usage: epoll_server ADDRESS\n");
    return 2;
  }
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16384) != 0) {
    perror("listen");
    return 1;
  }
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    const int ready = epoll_wait(poll, events, 256, -1);
    for (int i = 0; i < ready; i++) {
      const int file = events[i].data.fd;
      if (file == listener) {
        accept_all(listener, poll);
      } else if (!serve(file, connections[file])) {
        close(file);
        free(connections[file]);
        connections[file] = NULL;
      }
    }
  }
}
