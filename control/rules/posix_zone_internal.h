#pragma once
/* The TZ string of POSIX.1 (section 8.3, with the hours of RFC 9636), as in CET-1CEST,M3.5.0,M10.5.0/3. Threads: any. */
#include <stdbool.h>
#include <stdint.h>

/* Calls `add` for the changes of each year through 2100, in order; false when the string is none, or `add` said so. */
bool posix_zone_changes(const char *text, bool (*add)(void *context, int64_t from_s, int32_t offset_s), void *context);
