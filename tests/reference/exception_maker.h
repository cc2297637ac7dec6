#pragma once
#include "exception_shape.h"
#include "rule_maker.h"

/* Exceptions, and the condition with them; `selector`: makes of a tuple what a trace is asked. */
struct exceptions_shape *make_exceptions(struct rule_maker *maker, enum subject subject);
const struct condition *make_excepted(struct rule_maker *maker, const struct exceptions_shape *exceptions,
                                      const struct condition *(*selector)(void *context, const struct condition *tuple),
                                      void *context);
