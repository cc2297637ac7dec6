#pragma once
/* Character classes and lists of header text. Threads: any. */
#include "http_server.h"

/* The token character in lower case; 0 for what is no token character (RFC 9110 section 5.6.2). */
extern const uint8_t http_token_lower[256];

/* Without spaces and tabs at either end. */
struct http_text http_text_trimmed(struct http_text text);
/* The next element of a comma-separated list, trimmed, maybe empty; false at the end. Start with the whole value. */
bool http_list_next(struct http_text *list, struct http_text *element);
/* Every byte may stand in a field value (RFC 9110 section 5.5). */
bool http_value_valid(const char *at, uint32_t length);
