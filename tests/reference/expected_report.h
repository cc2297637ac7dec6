#pragma once
/* What a violation must say, by the manual: severity, message, attributes. */
#include "judge_condition.h"

#define EXPECTED_ATTRIBUTES_MAX 32
#define EXPECTED_MESSAGE_BYTES 8192

struct expected_report {
  unsigned severity; /* 0 info .. 4 critical */
  /* The manual does not say how a double, a structured value or text that is no UTF-8 is printed. */
  bool message_open;
  char message[EXPECTED_MESSAGE_BYTES];
  size_t message_length;
  unsigned attribute_count;
  unsigned attributes[EXPECTED_ATTRIBUTES_MAX]; /* references with a value, in no order */
};

/* `sample`: whose values are read; NULL when there is none. */
void expected_report_make(struct expected_report *report, const struct judge *judge, const struct shape_rule *rule,
                          const struct sample *sample);
