#pragma once
/* Whether one event meets a condition, read straight off the manual. */
#include "sample.h"

struct judge {
  struct yard *yard; /* texts of ids; cleared by the owner */
};

struct plain judge_term(const struct judge *judge, const struct term *term, const struct sample *sample);
bool judge_condition(const struct judge *judge, const struct condition *condition, const struct sample *sample);
