#pragma once
/* Random rules that the loader must take, biased so that events of the pools do meet them. */
#include "sample.h"

struct rule_maker {
  struct yard *yard;
  struct test_random *random;
  bool elements; /* paths into arrays, too */
};

/* What stands on the right of a reference: of its sort, from the pools. */
struct plain make_constant(struct rule_maker *maker, unsigned reference, enum subject subject);
void make_list(struct rule_maker *maker, struct condition *made, unsigned reference, enum subject subject);
void make_networks(struct rule_maker *maker, struct condition *made);
/* A reference beside constants; with `like` the same reference and comparison once more. */
const struct condition *make_comparison(struct rule_maker *maker, enum subject subject, const struct condition *like);
const struct condition *make_condition(struct rule_maker *maker, enum subject subject, unsigned depth);
/* A rule on single events of the kind. */
struct shape_rule *make_event_rule(struct rule_maker *maker, enum subject subject, unsigned number);
const char *make_timezone(struct rule_maker *maker);
void make_message(struct rule_maker *maker, struct shape_rule *rule);
