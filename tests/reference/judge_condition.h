#pragma once
/* Whether one event meets a condition, read straight off the manual. */
#include "sample.h"

struct judge {
  struct yard *yard;    /* texts of ids; cleared by the owner */
  const char *timezone; /* of the rule at hand; NULL: UTC */
};

/* What a reference reads; time of day and weekday where the rule is. */
struct plain judge_read(const struct judge *judge, const struct sample *sample, unsigned reference);

struct plain judge_term(const struct judge *judge, const struct term *term, const struct sample *sample);
bool judge_condition(const struct judge *judge, const struct condition *condition, const struct sample *sample);
