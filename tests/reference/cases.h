#pragma once
/* What the kinds of cases share. A case is one verdict: of a rule on an event, of a rule on a trace. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct case_totals {
  uint64_t cases, matches, differences;
  uint64_t seeds, rolled_back, refused; /* requests taken back by plan, and for want of room */
};

struct yard;
/* Everything of one seed; `yard` is cleared. False when a difference was found; its smallest form has been printed. */
bool event_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool element_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool trace_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool story_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool exception_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool excepted_trace_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool betrace_event_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool betrace_trace_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool silence_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool eviction_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool wait_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
bool window_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals);
