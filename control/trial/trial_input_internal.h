#pragma once
/* What recorded traffic is, told from its bytes. */
#include "trial_host.h"

/* The first byte that is no white space begins an object or a list. */
bool trial_looks_like_json(const void *bytes, size_t length);
