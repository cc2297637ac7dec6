/* As many rules as a set may have, of the kinds that people write, are read and compiled, and fit a shard. Loading must grow with
 * them and not faster. */
#include "cmocka_test.h"

#include "engine.h"
#include "rule_text_support.h"
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
#define RULES 20000u
#else
#define RULES 100000u
#endif
/* 4 s on an idle machine; what is quadratic takes minutes. */
#define SECONDS_MAX 60.0

static unsigned pick(unsigned below) { return (unsigned)random() % below; }

/* 30 % equality, thresholds, sets, 5 % regular expressions, substrings, 5 % on traces, and some with macros and exceptions. */
static char *add_rule(char *end, unsigned number) {
  const unsigned kind = pick(100), service = pick(3000), operation = pick(5000), attribute = pick(200);
  end += sprintf(end, "  - name: rule-%06u\n    severity: high\n    tags: [team-%u]\n", number, number % 50);
  if (kind < 5)
    return end +
           sprintf(end,
                   "    when: |\n      {service = \"svc-%u\" && name = \"op.%u\"}\n    always: |\n      {name = \"op.%u\"}\n",
                   service, operation, pick(5000));
  end += sprintf(end, "    on: span\n    message: \"${name} of ${service}\"\n    if: |\n      ");
  if (kind < 35) return end + sprintf(end, "service = \"svc-%u\" && name = \"op.%u\"\n", service, operation);
  if (kind < 60) return end + sprintf(end, "service = \"svc-%u\" && span.a%u.key > %u\n", service, attribute, pick(100000));
  if (kind < 75)
    return end + sprintf(end, "name = \"op.%u\" && span.a%u.key in [\"v%u\", \"v%u\", \"v%u\"]\n", operation, attribute,
                         pick(5000), pick(5000), pick(5000));
  if (kind < 80)
    return end + sprintf(end, "service = \"svc-%u\" && span.a%u.key =~ \"^/api/v%u/[a-z]+/%u$\"\n", service, attribute % 20,
                         pick(9), pick(50));
  if (kind < 90) return end + sprintf(end, "production && service = \"svc-%u\" && duration > %ums\n", service, pick(5000));
  return end +
         sprintf(end,
                 "service = \"svc-%u\" && !(span.a%u.key contains \"test%u\")\n    exceptions: [{name: e, fields: name, values: "
                 "[op.%u]}]\n",
                 service, attribute, pick(300), operation);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void as_many_rules_as_there_may_be(void **state) {
  (void)state;
  struct rule_errors errors = {0};
  char *text = malloc(RULES * 400u + 4096), *end = text;
  srandom(7);
  end += sprintf(
      end, "macros: {production: 'resource.deployment.environment in live && !root'}\nlists: {live: [prod, canary]}\nrules:\n");
  for (unsigned i = 0; i < RULES; i++) end = add_rule(end, i);
  const double start = seconds();
  struct rule_set *set = parse_text(text, &errors);
  const double read = seconds();
  if (!set) rule_errors_print(&errors, stderr);
  assert_non_null(set);
  assert_int_equal(rule_set_count(set), RULES);
  struct rule_image *image = rule_image_compile(set, 1, NULL, 1, &errors);
  if (!image) rule_errors_print(&errors, stderr);
  assert_non_null(image);
  const double compiled = seconds();
  struct rule_image *next = rule_image_compile(set, 2, image, 1, &errors);
  assert_non_null(next);
  print_message("# %u rules: read in %.2f s, compiled in %.2f s, again in %.2f s\n", RULES, read - start, compiled - read,
                seconds() - compiled);
  assert_true(seconds() - start < SECONDS_MAX);
  assert_true(engine_image_fits(next, RULE_COLUMNS_MAX));
  assert_int_equal(next->rule_count, RULES);
  rule_image_free(next);
  rule_image_free(image);
  size_t length;
  char *canonical = rule_set_text(set, &length);
  struct rule_set *again = rule_set_parse("again.yaml", canonical, length, &errors);
  assert_non_null(again);
  assert_int_equal(rule_set_compare(again, set).unchanged, RULES);
  rule_set_free(again);
  rule_set_free(set);
  /* One more than there may be. */
#ifndef SANITIZED
  end += sprintf(end, "  - {name: last, on: span, if: root}\n");
  assert_null(parse_text(text, &errors));
  assert_string_equal(errors.items[0].message, "more than 100000 rules");
#endif
  rule_errors_free(&errors);
  free(canonical);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_many_rules_as_there_may_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
