#pragma once
/* Exceptions of a rule, as they are written. What they mean is part of the rule's condition. */
#include "rule_shape.h"

#define EXCEPTIONS_MOST 3
#define EXCEPTION_FIELDS_MOST 3
#define EXCEPTION_TUPLES_MOST 4

struct exception_shape {
  unsigned field_count;
  bool alone;           /* the one field is no list */
  bool without_comps;   /* what is compared is what it is by default */
  bool later;           /* appended as a whole */
  unsigned tuple_count; /* each compares all fields; alone and with lists, each is a list of values by itself */
  const struct condition *tuples[EXCEPTION_TUPLES_MOST][EXCEPTION_FIELDS_MOST];
  bool appended[EXCEPTION_TUPLES_MOST];
  const struct condition *fields[EXCEPTION_FIELDS_MOST]; /* comparisons like those of the tuples */
};

struct exceptions_shape {
  const struct condition *written; /* the condition without them */
  bool appended_first;             /* what is appended stands before the rule */
  unsigned count;
  struct exception_shape items[EXCEPTIONS_MOST];
};
