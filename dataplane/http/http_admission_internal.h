#pragma once
/* How many requests may be in progress, of the shard and of one address. */
#include "http_connection_internal.h"

/* At the end of its header: NULL when the request may go on, else why it is answered 503. */
const char *http_admission_refusal(struct http_connection *connection, struct http_exchange *exchange);
/* The request is over. */
void http_admission_end(struct http_connection *connection, struct http_exchange *exchange);
