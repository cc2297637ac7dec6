#include "simulated_client.h"
#include <stdio.h>
#include <stdlib.h>

void traffic_start(struct traffic *traffic, uint64_t seed) {
  *traffic = (struct traffic){0};
  traffic_plan_draw(&traffic->plan, seed);
  for (uint32_t i = 0; i < traffic->plan.traces; i++) {
    const struct plan_trace *trace = &traffic->plan.trace[i];
    traffic->always[i] = ledger_add(&traffic->ledger, RULE_ALWAYS, trace->always_event, true);
    traffic->never[i] = ledger_add(&traffic->ledger, RULE_NEVER, trace->never_event, true);
    traffic->ledger.entries[traffic->always[i]].of_trace = traffic->ledger.entries[traffic->never[i]].of_trace = true;
    traffic->traces[i] = (struct trace_memory){.always_entry = traffic->always[i], .never_entry = traffic->never[i]};
  }
}

static void check_verdict(const struct traffic *traffic, uint32_t entry, bool faulty) {
  if (traffic->ledger.entries[entry].found == faulty) return;
  fprintf(stderr, "entry e%u: a trace that is %s was judged otherwise\n", entry, faulty ? "faulty" : "blameless");
  abort();
}

/* A trace's verdict is known when all its spans were answered in this life, near enough to each other. */
void traffic_check_traces(const struct traffic *traffic, uint64_t idle_ns) {
  for (uint32_t i = 0; i < traffic->plan.traces; i++) {
    const struct trace_memory *memory = &traffic->traces[i];
    const struct plan_trace *trace = &traffic->plan.trace[i];
    if (memory->boot != traffic->boot || memory->answered < trace->parts) continue;
    if (memory->last_answered_ns - memory->first_sent_ns >= idle_ns) continue;
    check_verdict(traffic, memory->always_entry, !trace->checked);
    check_verdict(traffic, memory->never_entry, trace->forbidden);
  }
}

void traffic_free(struct traffic *traffic) { ledger_free(&traffic->ledger); }
