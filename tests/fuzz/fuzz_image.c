/* A sound image with some of its numbers changed: the verifier refuses it, or an engine runs it on events of every kind without
 * leaving its bounds. Input: for each change 2 bytes for the place, 1 for how, and 8 of a value. */
#include "always_assert.h"
#include "engine.h"
#include "image_cells.h"
#include "image_run.h"
#include "rule_set.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define CHANGES_MAX 4u
#define CHANGE_BYTES 11u

static const char rules[] =
    "rules:\n"
    "  - {name: s0, on: span, if: 'span.a = \"x\" && duration > 1', message: '${span.b} ${name}'}\n"
    "  - {name: s1, on: span, if: 'span.a = \"y\" && duration > 2'}\n"
    "  - {name: s2, on: span, if: 'span.a in [\"x\", \"z\"] || span.a = 7'}\n"
    "  - {name: s3, on: span, if: 'span.a = \"v\" || kind = server && status != ok'}\n"
    "  - {name: n0, on: span, if: 'span.b = 1'}\n"
    "  - {name: n1, on: span, if: 'span.b = 2'}\n"
    "  - {name: n2, on: span, if: 'span.b in [3, 4.5]'}\n"
    "  - {name: n3, on: span, if: 'span.b = 5'}\n"
    "  - {name: l0, on: span, if: 'span.c > 1 && !span.d'}\n"
    "  - {name: l1, on: span, if: 'span.c > 2'}\n"
    "  - {name: l2, on: span, if: 'span.c >= 2.5'}\n"
    "  - {name: l3, on: span, if: 'span.c < 9'}\n"
    "  - {name: p0, on: span, if: 'name =~ \"^op\" || name !~ \"x\" || name contains \"q\"'}\n"
    "  - {name: c0, on: span, if: 'span.e contains \"one\"'}\n"
    "  - {name: c1, on: span, if: 'span.e contains \"two\"'}\n"
    "  - {name: c2, on: span, if: 'span.e contains \"x\" || span.e =~ \"^t\"'}\n"
    "  - {name: c3, on: span, if: 'span.e contains \"y\" || span.e =~ \"r$\"'}\n"
    "  - {name: a0, on: span, if: '(span.c + span.b) * 2 > span.c - 1 || -span.b < span.d'}\n"
    "  - {name: a1, on: span, timezone: Europe/Berlin, if: 'time_of_day > 12:00 || weekday = monday'}\n"
    "  - {name: a2, on: span, if: 'span.a in cidr [\"10.0.0.0/8\"] && span.a startsWith span.e || exists span.d'}\n"
    "  - {name: w0, on: webhook, if: 'body.a.b = 1 && body.a.c = \"k\"'}\n"
    "  - {name: w1, on: webhook, if: 'body.i[*].s = \"k\" || body.i[0].s > body.a.b || body.i[*].s =~ \"x\"'}\n"
    "  - {name: k0, on: alert, if: 'label.a = \"x\" && status = firing'}\n"
    "  - {name: t0, when: '{span.a = \"x\"} && !{root}', always: '{span.b = 1} || {span.c > 4}', never: '{span.a = \"y\"}'}\n"
    "  - {name: t1, when: '{span.a = \"z\"}', never: '{span.a = \"v\"}', message: '${span.e}'}\n"
    "  - {name: t2, when: '!{span.a = \"z\"}', never: '!{span.a = \"v\"}'}\n"
    "  - {name: f0, when: '{span.a = \"x\"}', never: 'count({span.b = 1}) > 2 || sum({root}, span.c) > avg({span.b = 2}, "
    "span.b)'}\n"
    "  - {name: f1, when: '{span.a = \"x\"}', never: '{span.b = 1} >> {span.b = 2} || {root} !~ {span.b = 3}'}\n"
    "  - {name: f2, when: '{span.a = \"x\"} then {span.a = \"y\"} within 5s', always: 'trace.duration < 1s'}\n"
    "  - {name: f3, when: '{root}', never: '{span.a = \"x\"} not followed by {span.b = 1} within 2s'}\n"
    "  - {name: f4, when: '{root}', always: '{span.b = 5}', within: 3s}\n"
    "  - {name: g0, on: span, if: 'span.b > 0', window: 'count by (span.a) over 60s > 3', for: 1s}\n"
    "  - {name: g1, on: span, if: 'span.b > 0', window: 'p99(span.c) over 60s > 3', repeat_after: 2s}\n"
    "  - {name: g2, on: span, if: 'span.b > 0', window: 'change(sum(span.c)) by (span.a, name) over 6s > 1'}\n"
    "  - {name: g3, on: span, if: 'span.b > 7', window: 'absent by (span.a) for 2s'}\n"
    "  - {name: g4, on: webhook, if: 'body.a.b > 0', window: 'distinct(body.a.c) over 6s > 1'}\n"
    "  - {name: g5, on: span, if: 'span.b > 0', threshold: {count: 2, over: 5s, by: [span.a]}}\n"
    "  - {name: g6, on: span, if: 'span.b > 0', suppress: {by: [span.a], for: 5s}}\n";

static struct rule_image *image;
static struct image_cells all_cells;

static void compile(void) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("fuzz.yaml", rules, sizeof rules - 1, &errors);
  if (!set) rule_errors_print(&errors, stderr);
  ALWAYS_ASSERT(set != NULL);
  image = rule_image_compile(set, 1, NULL, 1, &errors);
  ALWAYS_ASSERT(image && engine_image_fits(image, RULE_COLUMNS_MAX));
  rule_set_free(set);
  image_cells_collect(&all_cells, image);
}

static uint64_t changed(uint8_t how, uint64_t before, uint64_t value) {
  switch (how % 5) {
  case 0:
    return value % 40;
  case 1:
    return UINT64_MAX - value % 4;
  case 2:
    return before + 1;
  case 3:
    return before - 1;
  default:
    return value;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  const struct image_cell *cells[CHANGES_MAX];
  uint64_t before[CHANGES_MAX], seed = 1;
  unsigned changes = 0;
  if (!image) compile();
  for (; changes < CHANGES_MAX && length >= CHANGE_BYTES; bytes += CHANGE_BYTES, length -= CHANGE_BYTES, changes++) {
    uint64_t value;
    memcpy(&value, bytes + 3, sizeof value);
    seed = seed * 31 + value;
    cells[changes] = &all_cells.items[((size_t)bytes[0] << 8 | bytes[1]) % all_cells.count];
    before[changes] = image_cell_read(cells[changes]);
    image_cell_write(cells[changes], changed(bytes[2], before[changes], value));
  }
  if (engine_image_fits(image, RULE_COLUMNS_MAX)) image_run(image, seed);
  while (changes-- > 0) image_cell_write(cells[changes], before[changes]);
  return 0;
}
