#pragma once
/* Time zones of rules: a fixed offset from UTC, or the rules of a place as the system's zoneinfo has them. Threads: any. */
#include "region_internal.h"

/* NULL, or why the system has no such zone. Cheap: the zone is read when a rule set is compiled. */
const char *time_zone_check(struct image_text name);
/* The zone's changes, from the region, through the year 2100. NULL, or why there is no such zone. */
const char *time_zone_read(struct image_text name, struct region *region, struct image_zone *zone);
