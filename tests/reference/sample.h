#pragma once
/* One event as the reference evaluator keeps it: whole, for as long as the case lasts. */
#include "body_tree.h"

struct sample {
  enum subject subject;
  uint64_t trace, span, parent; /* written big-endian into the last 8 bytes of the ids */
  bool has_parent, firing;
  unsigned kind, status; /* as on the wire; unknown numbers count as 0 */
  struct plain name, service;
  uint64_t start_ns, end_ns;
  struct plain values[REFERENCES_MAX]; /* of attributes */
  const struct body_node *body;        /* of a webhook with arrays; NULL: none */
};

/* Constants of rules and values of events come from the same pools, so that rules do match. */
struct plain pool_text(struct test_random *random);
struct plain pool_number(struct test_random *random);
struct plain pool_constant(struct test_random *random);
/* Beside the constants: numbers next to them, NaN, infinities, prefixes, text that is no UTF-8. */
struct plain pool_value(struct test_random *random);
uint64_t pool_duration(struct test_random *random);
struct plain pool_time(struct test_random *random); /* Unix ns, as events begin */
#define POOL_TIME UINT64_C(1700000000000000000)
#define POOL_TIME_STEP UINT64_C(21600000000777) /* six hours and a little */

void sample_make(struct sample *sample, enum subject subject, struct test_random *random);
/* All values of a reference with `[*]`, and the one of any other; nulls are left out. */
unsigned sample_values(const struct sample *sample, unsigned reference, struct plain values[BODY_VALUES_MAX], struct yard *yard);
/* What a reference reads of it: with `[*]` the first. Ids are spelled into the yard. */
struct plain sample_read(const struct sample *sample, unsigned reference, struct yard *yard);
void sample_print(const struct sample *sample);
/* For people: a value on one line. */
void plain_print(const struct plain *value);
