#pragma once
/* `tripline rules test`: runs test files and the examples in rule files. Threads: one. */
#include "rule_set.h"
#include <jansson.h>

/* Files, and directories of which all `*.test.yaml` and the examples of all rule files run. Returns {"tests": [{file, line, name,
 * passed, failures: [{line, column, message, details}], violations}], "passed", "failed"}; errors in files are added and what
 * they hold does not run. NULL: no memory. */
json_t *trial_suite_run(const char *const *paths, size_t count, struct rule_errors *errors);
