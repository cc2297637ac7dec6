#include "expected_report.h"
#include "judge_window.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES_MAX 1024

static void note_term(uint64_t *read, const struct term *term) {
  if (!term) return;
  if (term->kind == TERM_REFERENCE) *read |= 1ull << term->reference;
  note_term(read, term->left);
  note_term(read, term->right);
}

static void note_condition(uint64_t *read, const struct condition *condition) {
  if (!condition) return;
  note_condition(read, condition->left);
  note_condition(read, condition->right);
  note_term(read, condition->a);
  note_term(read, condition->b);
  /* What is summed is no attribute of the first span. */
  for (unsigned i = 0; i < 2 && condition->measures[i]; i++) note_condition(read, condition->measures[i]->selector);
}

static unsigned severity_of(const struct shape_rule *rule) {
  static const char *const names[] = {"info", "low", "medium", "high", "critical"};
  for (unsigned i = 0; rule->severity && i < 5; i++)
    if (strcmp(names[i], rule->severity) == 0) return i;
  return 2;
}

static void put(struct expected_report *report, const char *text, size_t length) {
  if (report->message_length + length > sizeof report->message) return;
  memcpy(report->message + report->message_length, text, length);
  report->message_length += length;
}

/* Three decimals of the largest unit that is not more than the value, without trailing zeros. */
static void put_duration(struct expected_report *report, int64_t ns) {
  static const struct {
    const char *name;
    int64_t ns;
  } units[] = {{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}};
  unsigned unit = 0;
  while (unit < 3 && ns < units[unit].ns) unit++;
  char text[48];
  const int64_t thousandths = units[unit].ns == 1 ? 0 : ns % units[unit].ns / (units[unit].ns / 1000);
  int length = snprintf(text, sizeof text, "%" PRId64 ".%03" PRId64, ns / units[unit].ns, thousandths);
  while (text[length - 1] == '0') length--;
  if (text[length - 1] == '.') length--;
  put(report, text, (size_t)length);
  put(report, units[unit].name, strlen(units[unit].name));
}

static void put_value(struct expected_report *report, const struct plain *value, bool duration) {
  char text[48];
  switch (value->type) {
  case PLAIN_NULL:
    break;
  case PLAIN_BOOLEAN:
    put(report, value->boolean ? "true" : "false", value->boolean ? 4 : 5);
    break;
  case PLAIN_INTEGER:
    if (duration) {
      put_duration(report, value->integer);
    } else {
      put(report, text, (size_t)snprintf(text, sizeof text, "%" PRId64, value->integer));
    }
    break;
  case PLAIN_TEXT:
    report->message_open |= !plain_is_utf8(value);
    put(report, value->text, value->length);
    break;
  case PLAIN_REAL:
  case PLAIN_OTHER:
    report->message_open = true;
    break;
  }
}

/* Cut at 1,024 bytes, no character in two. */
static void cut(struct expected_report *report) {
  if (report->message_length <= MESSAGE_BYTES_MAX) return;
  report->message_length = MESSAGE_BYTES_MAX;
  while ((report->message[report->message_length] & 0xc0) == 0x80) report->message_length--;
}

static void make_message_of(struct expected_report *report, const struct judge *judge, const struct shape_rule *rule,
                            const struct sample *sample) {
  if (!rule->has_message) {
    put(report, rule->name, strlen(rule->name));
    return;
  }
  for (unsigned i = 0; i < rule->message_parts; i++) {
    const struct message_part *part = &rule->message[i];
    if (part->literal) {
      put(report, part->literal, strlen(part->literal));
    } else if (sample) {
      const struct plain value = judge_read(judge, sample, part->reference);
      put_value(report, &value, part->reference == REF_DURATION);
    }
  }
  cut(report);
}

void expected_report_make(struct expected_report *report, const struct judge *judge, const struct shape_rule *rule,
                          const struct sample *sample) {
  uint64_t read = 0;
  report->severity = severity_of(rule);
  report->message_open = false;
  report->message_length = report->attribute_count = 0;
  make_message_of(report, judge, rule, sample);
  note_condition(&read, rule->condition);
  note_condition(&read, rule->when);
  note_condition(&read, rule->never);
  for (unsigned i = 0; rule->window && i < rule->window->by_count; i++) read |= 1ull << rule->window->by[i];
  for (unsigned i = 0; i < rule->message_parts; i++)
    if (!rule->message[i].literal) read |= 1ull << rule->message[i].reference;
  for (unsigned i = 0; sample && i < reference_count; i++)
    if (read >> i & 1 && judge_read(judge, sample, i).type != PLAIN_NULL) report->attributes[report->attribute_count++] = i;
}
