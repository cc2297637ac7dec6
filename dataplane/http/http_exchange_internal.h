#pragma once
/* What the exchanges of both HTTP versions have in common: the first member of an HTTP/1.1 connection and of an HTTP/2 stream. */
#include "http_server.h"

struct http_exchange {
  void (*respond)(struct http_exchange *exchange, const struct http_response *response, uint64_t now_ns);
  struct http_request request;
  void *data;
  bool charged; /* to its address, as a request in progress */
};
