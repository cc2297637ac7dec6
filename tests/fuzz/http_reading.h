#pragma once
/* HTTP/1.1 requests as an independent parser reads them, in the words of http_fixture.h's log. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_READING_PEER_IPV4 0x0a560001u

/* One line a request that was read to its end; valid until the next call. False when it is no comparison: more than there is room
 * for, or a method that the parser does not know. */
bool http_read(const uint8_t *bytes, size_t length, const char **lines, uint32_t *lines_bytes);
