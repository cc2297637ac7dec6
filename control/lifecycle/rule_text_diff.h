#pragma once
/* Two short texts, line by line. Threads: any. */
#include <stddef.h>

/* All lines of both, each with ` `, `-` or `+` before it (malloc'd). Beyond 2,000 lines a side the rest counts as one. */
char *rule_text_diff(const char *from, size_t from_bytes, const char *to, size_t to_bytes);
