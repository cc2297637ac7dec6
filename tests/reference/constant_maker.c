#include "rule_maker.h"
#include <ctype.h>
#include <stdio.h>

static uint32_t below(struct rule_maker *maker, uint32_t bound) { return random_below(maker->random, bound); }

static struct plain identifier_constant(struct rule_maker *maker, unsigned reference) {
  char *text = yard_take(maker->yard, 40);
  const unsigned digits = reference == REF_TRACE_ID ? 32 : 16;
  snprintf(text, 40, below(maker, 2) ? "%0*x" : "%0*X", (int)digits, 1 + below(maker, reference == REF_SPAN_ID ? 1u << 20 : 50));
  return plain_text(text);
}

/* The loader takes upper-case digits of an id; the id itself is lower case. */
static struct plain lower(struct rule_maker *maker, struct plain text) {
  char *copy = yard_take(maker->yard, text.length + 1);
  for (uint32_t i = 0; i < text.length; i++) copy[i] = (char)tolower((unsigned char)text.text[i]);
  return plain_text(copy);
}

struct plain make_constant(struct rule_maker *maker, unsigned reference, enum subject subject) {
  static const char *const kinds[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
  static const char *const statuses[] = {"unset", "ok", "error"};
  static const char *const weekdays[] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};
  switch (reference_facts[reference].sort) {
  case SORT_TEXT:
    return pool_text(maker->random);
  case SORT_HEXADECIMAL:
    return lower(maker, identifier_constant(maker, reference));
  case SORT_KIND:
    return plain_text(kinds[below(maker, 6)]);
  case SORT_STATUS:
    if (subject == SUBJECT_ALERT) return plain_text(below(maker, 2) ? "firing" : "resolved");
    return plain_text(statuses[below(maker, 3)]);
  case SORT_DURATION:
    return below(maker, 3) ? plain_integer((int64_t)pool_duration(maker->random)) : pool_number(maker->random);
  case SORT_BOOLEAN:
    return plain_boolean(below(maker, 2));
  case SORT_TIME:
    return below(maker, 3) ? pool_time(maker->random) : pool_number(maker->random);
  case SORT_TIME_OF_DAY:
    return below(maker, 4) ? plain_integer(below(maker, 24 * 4) * INT64_C(900000000000)) : pool_number(maker->random);
  case SORT_WEEKDAY:
    return plain_text(weekdays[below(maker, 7)]);
  case SORT_ANY:
    break;
  }
  return pool_constant(maker->random);
}

void make_list(struct rule_maker *maker, struct condition *made, unsigned reference, enum subject subject) {
  made->list_count = 1 + below(maker, below(maker, 10) ? 4 : 20);
  struct plain *list = YARD_ARRAY(maker->yard, struct plain, made->list_count);
  for (unsigned i = 0; i < made->list_count; i++) list[i] = make_constant(maker, reference, subject);
  made->list = list;
  made->negative = below(maker, 3) == 0;
}

void make_networks(struct rule_maker *maker, struct condition *made) {
  static const char *const networks[] = {"10.0.0.0/8", "10.1.2.3/32",   "192.168.1.64/26", "0.0.0.0/0",
                                         "fd00::/8",   "2001:db8::/33", "::1/128"};
  made->list_count = 1 + below(maker, 3);
  struct plain *list = YARD_ARRAY(maker->yard, struct plain, made->list_count);
  for (unsigned i = 0; i < made->list_count; i++) list[i] = plain_text(networks[below(maker, 7)]);
  made->list = list;
  made->negative = below(maker, 3) == 0;
}
