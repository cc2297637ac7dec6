#pragma once
/* UTF-8 validity (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). Threads: any. */
#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const void *bytes, size_t length);
/* The longest prefix of `length` bytes, at most `most`, that does not cut a character. */
size_t utf8_truncate(const void *bytes, size_t length, size_t most);
