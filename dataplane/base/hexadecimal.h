#pragma once
/* Hexadecimal text to bytes and back. Threads: any. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lower case, 2 * length characters, no NUL. */
void hex_encode(const uint8_t *bytes, size_t length, char *text);
/* Either case; false when a character is not hexadecimal. Reads 2 * length characters. */
bool hex_decode(const char *text, size_t length, uint8_t *bytes);
