#pragma once
/* Prometheus text format 0.0.4 of a snapshot. Threads: any. */
#include "appliance.h"

/* malloc'd text, NUL-terminated; NULL when out of memory. */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
char *metrics_render(const struct appliance *appliance, const struct appliance_snapshot *snapshot, size_t *length);
/* Of an appliance that does not run yet: what is known of its start. */
char *metrics_render_start(const struct appliance_start *start, size_t *length);
