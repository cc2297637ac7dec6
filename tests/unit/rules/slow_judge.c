#include "slow_judge.h"
#include <stdio.h>
#include <stdlib.h>

#define REMEMBER_NS (60 * RIG_SECOND)

static const char *const names[] = {"charge", "check", "audit", "login"};

static unsigned pick(unsigned *random, unsigned below) { return (unsigned)rand_r(random) % below; }

static unsigned make(struct slow_condition *condition, unsigned depth, int64_t constants, unsigned *random) {
  const unsigned what = pick(random, 6);
  unsigned left = 0, right = 0;
  enum slow_kind kind = SLOW_SELECTOR;
  if (depth > 0 && what < 3) {
    kind = what == 0 ? SLOW_AND : what == 1 ? SLOW_OR : SLOW_NOT;
    left = make(condition, depth - 1, constants, random);
    if (kind != SLOW_NOT) right = make(condition, depth - 1, constants, random);
  }
  const unsigned at = condition->count++;
  condition->nodes[at].kind = kind;
  condition->nodes[at].left = left;
  condition->nodes[at].right = right;
  condition->nodes[at].test = (enum slow_test)pick(random, SLOW_TESTS);
  condition->nodes[at].constant = rand_r(random) % constants;
  return at;
}

void slow_rules_make(struct slow_rules *rules, unsigned count, int64_t constants, unsigned *random) {
  *rules = (struct slow_rules){.rules = calloc(count, sizeof *rules->rules), .count = count};
  for (unsigned i = 0; i < count; i++) {
    struct slow_rule *rule = &rules->rules[i];
    const unsigned has = 1 + pick(random, 3);
    make(&rule->when, pick(random, 3), constants, random);
    if (has & 1) make(&rule->always, pick(random, 3), constants, random);
    if (has & 2) make(&rule->never, pick(random, 3), constants, random);
  }
}

void slow_rules_free(struct slow_rules *rules) { free(rules->rules); }

static char *print(const struct slow_condition *condition, unsigned at, char *end) {
  static const char *const tests[SLOW_TESTS] = {"name = ", "status = error", "span.amount = ", "span.amount > "};
  if (condition->nodes[at].kind == SLOW_SELECTOR) {
    const enum slow_test test = condition->nodes[at].test;
    end += sprintf(end, "{%s", tests[test]);
    if (test == SLOW_NAME) end += sprintf(end, "\"%s\"", names[condition->nodes[at].constant % 4]);
    if (test >= SLOW_AMOUNT_IS) end += sprintf(end, "%lld", (long long)condition->nodes[at].constant);
    return end + sprintf(end, "}");
  }
  end += sprintf(end, "%s(", condition->nodes[at].kind == SLOW_NOT ? "!" : "");
  end = print(condition, condition->nodes[at].left, end);
  if (condition->nodes[at].kind != SLOW_NOT) {
    end += sprintf(end, "%s", condition->nodes[at].kind == SLOW_AND ? " && " : " || ");
    end = print(condition, condition->nodes[at].right, end);
  }
  return end + sprintf(end, ")");
}

char *slow_rules_print(const struct slow_rules *rules, char letter, char *end) {
  for (unsigned i = 0; i < rules->count; i++) {
    const struct slow_condition *conditions[] = {&rules->rules[i].when, &rules->rules[i].always, &rules->rules[i].never};
    static const char *const keys[] = {"when", "always", "never"};
    end += sprintf(end, "  - {name: %c%u, on: trace", letter, i);
    for (unsigned c = 0; c < 3; c++) {
      if (conditions[c]->count == 0) continue;
      end += sprintf(end, ", %s: '", keys[c]);
      end = print(conditions[c], conditions[c]->count - 1, end);
      end += sprintf(end, "'");
    }
    end += sprintf(end, "}\n");
  }
  return end;
}

static bool meets(const struct rig_span *span, enum slow_test test, int64_t constant) {
  switch (test) {
  case SLOW_NAME:
    return strcmp(span->name, names[constant % 4]) == 0;
  case SLOW_ERROR:
    return span->error;
  case SLOW_AMOUNT_IS:
    return span->amount == constant;
  default:
    return span->amount > constant;
  }
}

static bool holds(const struct slow_condition *condition, unsigned at, const struct slow_trace *trace) {
  const unsigned left = condition->nodes[at].left, right = condition->nodes[at].right;
  switch (condition->nodes[at].kind) {
  case SLOW_AND:
    return holds(condition, left, trace) && holds(condition, right, trace);
  case SLOW_OR:
    return holds(condition, left, trace) || holds(condition, right, trace);
  case SLOW_NOT:
    return !holds(condition, left, trace);
  default:
    for (unsigned i = 0; i < trace->span_count; i++)
      if (meets(&trace->spans[i], condition->nodes[at].test, condition->nodes[at].constant)) return true;
    return false;
  }
}

static bool is_true(const struct slow_condition *condition, const struct slow_trace *trace) {
  return condition->count && holds(condition, condition->count - 1, trace);
}

/* A never that a later span could undo waits for completion. */
static bool has_not(const struct slow_condition *condition) {
  for (unsigned i = 0; i < condition->count; i++)
    if (condition->nodes[i].kind == SLOW_NOT) return true;
  return false;
}

static void judge(struct slow_trace *trace, const struct slow_rules *rules, bool completed) {
  for (unsigned r = 0; r < rules->count; r++) {
    const struct slow_rule *rule = &rules->rules[r];
    const bool late = trace->state == SLOW_REMEMBERED;
    if (trace->raised[r] || !is_true(&rule->when, trace)) continue;
    const bool never_counts = completed || late || (!has_not(&rule->when) && !has_not(&rule->never));
    const bool never = never_counts && is_true(&rule->never, trace);
    const bool always = completed && rule->always.count && !is_true(&rule->always, trace);
    if (!never && !always) continue;
    trace->raised[r] = 1;
    trace->expected[r]++;
  }
}

static void complete(struct slow_trace *trace, const struct slow_rules *rules, uint64_t now_ns) {
  judge(trace, rules, true);
  trace->state = SLOW_REMEMBERED;
  trace->completed_ns = now_ns;
}

void slow_trace_open(struct slow_trace *trace, const struct slow_rules *rules) {
  *trace = (struct slow_trace){.raised = calloc(rules->count, 1), .expected = calloc(rules->count, sizeof(uint32_t))};
}

void slow_trace_close(struct slow_trace *trace) {
  free(trace->raised);
  free(trace->expected);
}

enum trace_completion slow_trace_add(struct slow_trace *trace, const struct slow_rules *rules, const struct rig_span *span,
                                     const struct trace_limits *limits, uint64_t now_ns) {
  if (trace->state == SLOW_UNKNOWN) {
    memset(trace->raised, 0, rules->count);
    trace->span_count = 0;
    trace->state = SLOW_LIVE;
    trace->opened_ns = now_ns;
    trace->root_ns = 0;
  }
  assert_true(trace->span_count < SLOW_SPANS_MAX);
  trace->spans[trace->span_count++] = *span;
  if (trace->state == SLOW_LIVE) trace->arrival_ns = now_ns;
  if (trace->state == SLOW_LIVE && !(span->span & RIG_CHILD) && !trace->root_ns) trace->root_ns = now_ns;
  judge(trace, rules, false);
  if (trace->state != SLOW_LIVE || !limits->max_spans || trace->span_count < limits->max_spans) return TRACE_COMPLETIONS;
  complete(trace, rules, now_ns);
  return TRACE_COMPLETE_SPANS;
}

void slow_trace_forget(struct slow_trace *trace, uint64_t now_ns) {
  if (trace->state == SLOW_REMEMBERED && now_ns - trace->completed_ns >= REMEMBER_NS) trace->state = SLOW_UNKNOWN;
}

enum trace_completion slow_trace_pass(struct slow_trace *trace, const struct slow_rules *rules, const struct trace_limits *limits,
                                      uint64_t idle_ns, uint64_t now_ns) {
  if (trace->state != SLOW_LIVE) return TRACE_COMPLETIONS;
  const uint64_t idle_at = trace->arrival_ns + idle_ns;
  const uint64_t age_at = limits->max_age_ns ? trace->opened_ns + limits->max_age_ns : UINT64_MAX;
  const uint64_t root_at = limits->root_grace_ns && trace->root_ns ? trace->root_ns + limits->root_grace_ns : UINT64_MAX;
  const uint64_t limit_at = age_at < root_at ? age_at : root_at;
  if (now_ns < idle_at && now_ns < limit_at) return TRACE_COMPLETIONS;
  complete(trace, rules, now_ns);
  return idle_at < limit_at ? TRACE_COMPLETE_IDLE : root_at < age_at ? TRACE_COMPLETE_ROOT : TRACE_COMPLETE_AGE;
}
