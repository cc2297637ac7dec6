#pragma once
/* Whole traces, kept span by span, and what the rules say of them. A selector that came with generation G was asked of no span
 * before G; a rule is judged on no trace that is older than its newest selector. */
#include "expected_report.h"

#define STORY_SELECTORS_MAX 32
#define STORY_RULES_MAX 64
#define STORY_SPAN_IDS_MAX 16

struct story_rule {
  const struct shape_rule *shape;
  unsigned from, to; /* generations that have it */
};

struct story {
  const struct story_rule *rules;
  unsigned rule_count;
  const struct condition *const *selectors;
  unsigned selector_count;
  const struct sample *samples;
  unsigned sample_count;
  const bool *rule_dropped; /* by the shrinker */
  uint64_t clock_tolerance_ns;
  uint64_t idle_ns, root_grace_ns, max_age_ns; /* the last two: 0 is off */
  bool facts;                                  /* rules speak of more than selectors: what any span changes is news */
  bool waits;                                  /* and give spans time to come */
  unsigned max_spans;                          /* 0: off */
  unsigned table;                              /* so many traces a shard; 0: room for all */
};

struct arrival {
  unsigned sample;
  unsigned generation; /* of the shard that judged the span */
  uint64_t at_ns;
  bool again; /* the trace had this span already */
};

bool story_has_rule(const struct story *story, unsigned rule, unsigned generation);

enum trace_state { TRACE_IS_LIVE, TRACE_IS_REMEMBERED, TRACE_IS_FORGOTTEN };

struct judged_trace {
  struct judged_trace *next;
  uint64_t trace;
  unsigned owner, opened; /* shard; the oldest generation of its spans */
  enum trace_state state;
  uint64_t last_arrival_ns, limit_ns, first_ns, last_ns;
  struct arrival *arrivals;
  unsigned arrival_count;
  bool raised[STORY_RULES_MAX];
  uint64_t remembered;        /* as which one of all */
  uint64_t looked_ns;         /* when what had matured was judged last */
  bool ripe[STORY_RULES_MAX]; /* rules that could have been raised for what had matured before the last span came */
};

/* What is looked at of a trace. */
struct trace_view {
  struct trace_judge *judge;
  const struct judged_trace *trace;
  unsigned generation;
  uint64_t limit_ns;   /* spans that start later are not seen */
  uint64_t matured_ns; /* a span whose time to be followed is not over by then still may be */
};

struct trace_verdict {
  struct trace_verdict *next;
  unsigned rule;
  const struct judged_trace *trace;
  const struct sample *first; /* the first span that met `when`; NULL: none */
  uint32_t count;
  unsigned span_count;
  uint64_t spans[STORY_SPAN_IDS_MAX];
  uint64_t first_ns, last_ns;
  bool matched;
};

struct trace_judge {
  const struct story *story;
  struct judge judge;
  struct yard *yard; /* of traces and verdicts */
  struct judged_trace *traces;
  struct trace_verdict *verdicts; /* newest first; the caller takes them */
  int8_t *met;                    /* [selector][sample]: -1 not asked yet */
  uint64_t judged, fired, remembered, evicted;
};

void trace_judge_open(struct trace_judge *judge, const struct story *story, struct yard *yard, struct yard *scratch);
struct judged_trace *trace_judge_find(struct trace_judge *judge, uint64_t trace);
/* A span comes to the owner of its trace, whose rules are of `now_generation`. */
void trace_judge_arrive(struct trace_judge *judge, unsigned owner, unsigned sample, unsigned generation, unsigned now_generation,
                        uint64_t now_ns);
/* When the next trace will be complete; UINT64_MAX: there is none. */
uint64_t trace_judge_next_due(const struct trace_judge *judge);
/* Traces of this owner that have been idle for long enough are complete. */
void trace_judge_pass(struct trace_judge *judge, unsigned owner, unsigned now_generation, uint64_t now_ns);
/* Whether a span met a selector, as far as it was asked. */
bool trace_judge_met(struct trace_judge *judge, unsigned selector, const struct arrival *arrival, unsigned generation);
/* The trace breaks the rule. `never_alone`: while `always` may still be met. */
bool trace_judge_breaks(struct trace_judge *judge, const struct judged_trace *trace, unsigned rule, unsigned generation,
                        uint64_t matured_ns, bool never_alone);
bool trace_judge_holds(const struct trace_view *view, const struct condition *condition);
/* Once true, true whatever comes: no negation, but two in a row are none. `or_matures`: or once time has passed. */
bool trace_judge_stays(const struct condition *condition, bool or_matures);
bool trace_judge_mentions(const struct condition *condition, unsigned selector);
/* Of a rule whose time has passed, at any moment after that; the verdict is then among the expected ones. */
bool trace_judge_ripens(struct trace_judge *judge, struct judged_trace *trace, unsigned rule, unsigned now_generation,
                        uint64_t now_ns);
/* A rule that came while the trace was open, with selectors that were there: it may be raised at once or at completion. */
bool trace_judge_may_raise(struct trace_judge *judge, struct judged_trace *trace, unsigned rule, unsigned now_generation);
