#pragma once
/* Drops what is not needed for a difference: halves, quarters, down to one by one. */
#include <stdbool.h>

void shrink(bool *dropped, unsigned count, bool (*still_differs)(void *context), void *context);
