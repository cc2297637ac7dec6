#pragma once
/* Local time by the C library's own zone files. */
#include <stdint.h>

/* `zone` as a rule spells it: NULL, "+02:00", "Europe/Berlin". */
int64_t calendar_time_of_day(uint64_t at_ns, const char *zone); /* ns since midnight */
const char *calendar_weekday(uint64_t at_ns, const char *zone);
