#include "report_check.h"
#include <string.h>

static bool same_text(struct event_text text, const char *expected, size_t length) {
  return text.at && text.length == length && memcmp(text.at, expected, length) == 0;
}

static bool has_attribute(const struct violation *violation, const char *key, const struct plain *expected) {
  for (uint32_t i = 0; i < violation->attribute_count; i++) {
    const struct violation_attribute *attribute = &violation->attributes[i];
    if (!same_text(attribute->key, key, strlen(key))) continue;
    const struct plain value = side_plain(&attribute->value);
    return plain_identical(&value, expected);
  }
  return false;
}

const char *report_difference(const struct expected_report *report, const struct judge *judge, const struct shape_rule *rule,
                              const struct sample *sample, const struct violation *violation) {
  if (violation->fixed.severity != report->severity) return "severity";
  if (!same_text(violation->rule, rule->name, strlen(rule->name))) return "rule name";
  if (!report->message_open && !same_text(violation->message, report->message, report->message_length)) return "message";
  if (violation->attribute_count != report->attribute_count) return "number of attributes";
  for (unsigned i = 0; i < report->attribute_count; i++) {
    const unsigned reference = report->attributes[i];
    const struct plain expected = judge_read(judge, sample, reference);
    if (!has_attribute(violation, reference_facts[reference].spelling, &expected)) return reference_facts[reference].spelling;
  }
  const struct plain null = plain_null();
  const struct plain *service = sample ? &sample->service : &null;
  if (service->type == PLAIN_NULL ? violation->service.at != NULL
                                  : !same_text(violation->service, service->text, service->length))
    return "service";
  return NULL;
}
