#pragma once
/* CIDR membership by the C library's reading of addresses. */
#include "plain_value.h"

/* `network` is a text like 10.0.0.0/8; false for what is no address. */
bool network_has(const struct plain *network, const struct plain *value);
