#pragma once
/* A violation read back from the record ring beside what the manual says it must be. */
#include "engine_side.h"
#include "expected_report.h"

/* What differs, in words; NULL: nothing. Ids, times and count are the caller's. */
const char *report_difference(const struct expected_report *report, const struct judge *judge, const struct shape_rule *rule,
                              const struct sample *sample, const struct violation *violation);
