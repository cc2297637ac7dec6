#pragma once
/* Prometheus text format 0.0.4 of a snapshot. Threads: any. */
#include "appliance.h"

/* malloc'd text, NUL-terminated; NULL when out of memory. */
char *metrics_render(const struct appliance *appliance, const struct appliance_snapshot *snapshot, size_t *length);
