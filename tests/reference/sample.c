#include "sample.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char *const texts[] = {"",
                                    "a",
                                    "ab",
                                    "abc",
                                    "abab",
                                    "b",
                                    "ba",
                                    "x1",
                                    "x12",
                                    "checkout",
                                    "Checkout",
                                    "payment",
                                    "GET /api/v1/users",
                                    "/orders/00000000000000000001",
                                    "/orders/00000000000000000002",
                                    "/orders/0000000000000000000",
                                    "user-17",
                                    "\xc3\xa9t\xc3\xa9",
                                    "\xe6\x97\xa5\xe6\x9c\xac",
                                    "\xf0\x9f\x98\x80",
                                    "5",
                                    "5.0",
                                    "true",
                                    "10.1.2.3",
                                    "10.200.0.1",
                                    "192.168.1.77",
                                    "::ffff:10.1.2.3",
                                    "fd00::1:2",
                                    "2001:db8::8a2e:370:7334",
                                    "::",
                                    "0.0.0.0",
                                    "10.1.2.256",
                                    "010.1.2.3",
                                    "10.1.2",
                                    "10.1.2.3 ",
                                    "fe80::1%eth0",
                                    "1:2:3:4:5:6:7:8",
                                    "1:2:3:4:5:6:1.2.3.4",
                                    "12345::",
                                    "a\nb",
                                    "ab\n",
                                    "tab\there",
                                    "quote\"d back\\slash"};
static const int64_t integers[] = {0,
                                   1,
                                   -1,
                                   2,
                                   5,
                                   100,
                                   500,
                                   503,
                                   1000000,
                                   250000000,
                                   INT64_C(1500000000),
                                   INT64_C(9007199254740992),
                                   INT64_C(9007199254740993),
                                   INT64_MAX,
                                   INT64_MIN};
static const double reals[] = {0.0,
                               -0.0,
                               1.0,
                               1.5,
                               5.0,
                               4.999,
                               9007199254740992.0,
                               9223372036854775808.0,
                               -9223372036854775808.0,
                               0.1,
                               1e300,
                               -1e300,
                               1e-300,
                               500.5,
                               503.0,
                               1e15,
                               100.00000000001,
                               -1.0};

struct plain pool_text(struct test_random *random) {
  if (random_below(random, 60) == 0) return (struct plain){.type = PLAIN_TEXT, .text = "a\0b", .length = 3};
  return plain_text(texts[random_below(random, random_below(random, 2) ? 12 : COUNT(texts))]);
}

struct plain pool_number(struct test_random *random) {
  if (random_below(random, 2)) return plain_real(reals[random_below(random, COUNT(reals))]);
  return plain_integer(integers[random_below(random, random_below(random, 2) ? 8 : COUNT(integers))]);
}

struct plain pool_constant(struct test_random *random) {
  const unsigned pick = random_below(random, 8);
  if (pick == 0) return plain_boolean(random_below(random, 2));
  return pick < 4 ? pool_number(random) : pool_text(random);
}

static struct plain odd_number(struct test_random *random) {
  static const double odd[] = {NAN, INFINITY, -INFINITY, 5e-324};
  if (random_below(random, 3) == 0) return plain_real(odd[random_below(random, COUNT(odd))]);
  struct plain value = pool_number(random);
  const bool up = random_below(random, 2);
  if (value.type == PLAIN_REAL) value.real = nextafter(value.real, up ? INFINITY : -INFINITY);
  if (value.type == PLAIN_INTEGER && value.integer != INT64_MAX && value.integer != INT64_MIN) value.integer += up ? 1 : -1;
  return value;
}

static struct plain odd_text(struct test_random *random) {
  static const char not_utf8[][4] = {"ab\xff", "\xc0\x80", "\xed\xa0\x80", "a\xe2"};
  struct plain value = pool_text(random);
  if (random_below(random, 3) == 0) return plain_text(not_utf8[random_below(random, COUNT(not_utf8))]);
  if (value.length > 0) value.length--;
  return value;
}

struct plain pool_value(struct test_random *random) {
  const unsigned pick = random_below(random, 24);
  if (pick == 0) return (struct plain){.type = PLAIN_OTHER};
  if (pick == 1) return odd_number(random);
  if (pick == 2) return odd_text(random);
  if (pick < 8) return plain_null();
  return pool_constant(random);
}

uint64_t pool_duration(struct test_random *random) {
  static const uint64_t durations[] = {0, 1, 2, 5, 500, 1000000, 250000000, 1500000000, 3600000000000, 250000001, 1234567};
  return durations[random_below(random, COUNT(durations))];
}

struct plain pool_time(struct test_random *random) {
  return plain_integer((int64_t)(POOL_TIME + random_below(random, 900) * POOL_TIME_STEP));
}

void sample_make(struct sample *sample, enum subject subject, struct test_random *random) {
  *sample = (struct sample){.subject = subject, .name = pool_text(random)};
  sample->trace = 1 + random_below(random, 50);
  sample->span = 1 + random_below(random, 1u << 20);
  sample->has_parent = random_below(random, 2);
  sample->parent = sample->has_parent ? 1 + random_below(random, 1000) : 0;
  sample->firing = random_below(random, 2);
  sample->kind = random_below(random, 40) ? random_below(random, 6) : 200;
  sample->status = random_below(random, 40) ? random_below(random, 3) : 77;
  if (random_below(random, 10) == 0) sample->name = odd_text(random);
  if (random_below(random, 5)) sample->service = pool_text(random);
  sample->start_ns = (uint64_t)pool_time(random).integer + (random_below(random, 2) ? random_below(random, 1u << 30) : 0);
  sample->end_ns = sample->start_ns + pool_duration(random);
  if (random_below(random, 30) == 0) sample->end_ns = sample->start_ns - 5;
  if (random_below(random, 60) == 0) sample->start_ns = 0, sample->end_ns = UINT64_MAX;
  for (unsigned i = REF_INTRINSICS; i < element_references_from; i++)
    if (reference_facts[i].subjects >> subject & 1) sample->values[i] = pool_value(random);
}

static struct plain word(const char *const *words, unsigned count, unsigned at) { return plain_text(words[at < count ? at : 0]); }

static struct plain identifier(struct yard *yard, uint64_t number, unsigned digits) {
  char *text = yard_take(yard, 40);
  snprintf(text, 40, "%0*" PRIx64, (int)digits, number);
  return plain_text(text);
}

static struct plain duration_of(const struct sample *sample) {
  const uint64_t duration = sample->end_ns > sample->start_ns ? sample->end_ns - sample->start_ns : 0;
  return plain_integer(duration > INT64_MAX ? INT64_MAX : (int64_t)duration);
}

unsigned sample_values(const struct sample *sample, unsigned reference, struct plain values[BODY_VALUES_MAX], struct yard *yard) {
  if (reference_facts[reference].of_elements)
    return sample->body ? body_values(sample->body, &reference_facts[reference], values) : 0;
  values[0] = sample_read(sample, reference, yard);
  return values[0].type != PLAIN_NULL;
}

static struct plain read_element(const struct sample *sample, unsigned reference) {
  struct plain values[BODY_VALUES_MAX];
  return sample_values(sample, reference, values, NULL) ? values[0] : plain_null();
}

struct plain sample_read(const struct sample *sample, unsigned reference, struct yard *yard) {
  static const char *const kinds[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
  static const char *const statuses[] = {"unset", "ok", "error"};
  switch (reference) {
  case REF_NAME:
    return sample->name;
  case REF_SERVICE:
    return sample->service;
  case REF_KIND:
    return word(kinds, COUNT(kinds), sample->kind);
  case REF_STATUS:
    if (sample->subject == SUBJECT_ALERT) return plain_text(sample->firing ? "firing" : "resolved");
    return word(statuses, COUNT(statuses), sample->status);
  case REF_DURATION:
    return duration_of(sample);
  case REF_ROOT:
    return plain_boolean(!sample->has_parent);
  case REF_TRACE_ID:
    return identifier(yard, sample->trace, 32);
  case REF_SPAN_ID:
    return identifier(yard, sample->span, 16);
  case REF_PARENT_ID:
    return sample->has_parent ? identifier(yard, sample->parent, 16) : plain_null();
  case REF_START:
    return sample->start_ns > INT64_MAX ? plain_null() : plain_integer((int64_t)sample->start_ns);
  case REF_END:
    return sample->end_ns > INT64_MAX ? plain_null() : plain_integer((int64_t)sample->end_ns);
  default:
    return reference_facts[reference].of_elements ? read_element(sample, reference) : sample->values[reference];
  }
}

void plain_print(const struct plain *value) {
  static const char *const names[] = {"null", "boolean", "integer", "real", "text", "structured"};
  printf("%s ", names[value->type]);
  if (value->type == PLAIN_BOOLEAN) printf("%s", value->boolean ? "true" : "false");
  if (value->type == PLAIN_INTEGER) printf("%" PRId64, value->integer);
  if (value->type == PLAIN_REAL) printf("%.17g", value->real);
  for (uint32_t i = 0; value->type == PLAIN_TEXT && i < value->length; i++) {
    const unsigned char byte = (unsigned char)value->text[i];
    printf(byte < ' ' || byte >= 0x7f ? "\\x%02x" : "%c", byte);
  }
}

static void print_body(const struct body_node *node) {
  if (node->child_count == 0) plain_print(&node->value);
  if (node->child_count) printf(node->is_array ? "[" : "{");
  for (unsigned i = 0; i < node->child_count; i++) {
    printf("%s%s%s", i ? ", " : "", node->is_array ? "" : node->children[i].key, node->is_array ? "" : ": ");
    print_body(&node->children[i]);
  }
  if (node->child_count) printf(node->is_array ? "]" : "}");
}

void sample_print(const struct sample *sample) {
  static const char *const subjects[] = {"span", "webhook", "alert"};
  printf("  %s trace %" PRIu64 " span %" PRIu64 " parent %" PRIu64 "%s kind %u status %u firing %d start %" PRIu64
         " end %" PRIu64,
         subjects[sample->subject], sample->trace, sample->span, sample->parent, sample->has_parent ? "" : " (root)",
         sample->kind, sample->status, sample->firing, sample->start_ns, sample->end_ns);
  printf("\n    name: ");
  plain_print(&sample->name);
  printf(", service: ");
  plain_print(&sample->service);
  for (unsigned i = REF_INTRINSICS; i < element_references_from; i++) {
    if (sample->values[i].type == PLAIN_NULL) continue;
    printf(", %s: ", reference_facts[i].spelling);
    plain_print(&sample->values[i]);
  }
  if (sample->body) printf(", body: ");
  if (sample->body) print_body(sample->body);
  printf("\n");
}
