#include "trial_backtest.h"
#include "json_values.h"
#include "trial_document_internal.h"
#include "trial_input_internal.h"
#include "trial_pairs_internal.h"
#include <stdlib.h>
#include <string.h>

struct side {
  struct running *running;
  enum trial_side side;
  struct trial_host *host; /* NULL: there is no such side */
};

struct running {
  const struct trial_backtest *backtest;
  struct side sides[2];
  struct trial_pairs *pairs;
  struct trial_progress progress;
  uint64_t first_ns, last_ns;  /* arrivals */
  struct image_text *windowed; /* names of the new rules with windows, in order */
  size_t windowed_count;
  uint64_t window_verdicts; /* of the new rules on a journal's webhooks: not compared */
  bool started, failed, recorded;
};

static const struct rule_definition *rule_of(const struct running *running, const struct violation *violation) {
  char name[256];
  snprintf(name, sizeof name, "%.*s", (int)violation->rule.length, violation->rule.at);
  return rule_set_find(running->backtest->rules, name);
}

static int compare_names(const void *left, const void *right) {
  const struct image_text *a = left, *b = right;
  const int order = memcmp(a->at, b->at, a->length < b->length ? a->length : b->length);
  return order ? order : a->length < b->length ? -1 : a->length > b->length;
}

static bool list_windowed(struct running *running) {
  static const enum event_kind kinds[] = {EVENT_WEBHOOK, EVENT_ALERT};
  const struct rule_image *image = trial_host_image(running->sides[SIDE_NEW].host);
  const size_t most = (size_t)image->kinds[EVENT_WEBHOOK].rule_count + image->kinds[EVENT_ALERT].rule_count;
  running->windowed = calloc(most + 1, sizeof *running->windowed);
  for (size_t k = 0; running->windowed && k < 2; k++) {
    const struct image_kind *kind = &image->kinds[kinds[k]];
    for (uint32_t r = 0; r < kind->rule_count; r++)
      if (kind->rules[r].window) running->windowed[running->windowed_count++] = kind->rules[r].name;
  }
  if (running->windowed) qsort(running->windowed, running->windowed_count, sizeof *running->windowed, compare_names);
  return running->windowed != NULL;
}

/* What windows say of a journal's webhooks depends on what else was in them. */
static bool is_windowed(const struct running *running, const struct violation *violation) {
  const struct image_text name = {.at = violation->rule.at, .length = violation->rule.length};
  return bsearch(&name, running->windowed, running->windowed_count, sizeof name, compare_names) != NULL;
}

static void note_violation(void *context, const struct violation *violation) {
  struct side *side = context;
  if (side->running->recorded && is_windowed(side->running, violation)) {
    side->running->window_verdicts++;
    return;
  }
  side->running->progress.violations++;
  trial_pairs_add(side->running->pairs, side->side, violation);
}

static void start(struct running *running, uint64_t arrived_ns) {
  running->started = true;
  if (!running->first_ns) running->first_ns = arrived_ns;
  for (int i = 0; i < 2; i++)
    if (running->sides[i].host && !trial_host_restart(running->sides[i].host, arrived_ns)) running->failed = true;
}

static void take_body(void *context, uint64_t arrived_ns, const struct trial_body *body, struct trial_answer *answer) {
  struct running *running = context;
  *answer = (struct trial_answer){.refusal = TRIAL_TOO_LARGE, .error = "no memory"};
  if (running->failed) return;
  running->recorded = running->recorded || body->recorded;
  /* A file of spans does not say when they came: a request is sent when the last of its spans has ended. */
  if (arrived_ns == 0) arrived_ns = trial_host_latest_end_ns(running->sides[SIDE_NEW].host, body);
  if (!running->started && arrived_ns) start(running, arrived_ns);
  if (running->failed) return;
  if (arrived_ns > running->last_ns) running->last_ns = arrived_ns;
  for (int i = 1; i >= 0; i--) {
    /* What CURRENT said of a recorded webhook is in the journal. */
    if (!running->sides[i].host || (body->recorded && running->sides[i].side == SIDE_CURRENT)) continue;
    trial_host_advance(running->sides[i].host, running->last_ns);
    trial_host_take(running->sides[i].host, body, answer);
  }
  running->progress.events += answer->spans + answer->webhooks + answer->alerts;
}

/* Of violations whose events are not in the journal nothing can be said where the rule is not what it was. */
static enum trial_pairing pairing_of(const struct running *running, const struct violation *violation) {
  const struct rule_definition *rule = rule_of(running, violation);
  if (!rule || !rule->enabled) return PAIRED_ONLY_CURRENT;
  const bool same =
      running->backtest->against && rule_set_same_rule(running->backtest->rules, running->backtest->against, rule->name);
  return same ? PAIRED_BOTH : PAIRED_NOT_JUDGED;
}

static void take_recorded(void *context, const struct violation *violation, bool judged_again) {
  struct running *running = context;
  running->progress.violations++;
  if (violation->wall_ns > running->last_ns) running->last_ns = violation->wall_ns;
  if (!running->first_ns) running->first_ns = violation->wall_ns;
  if (judged_again && !is_windowed(running, violation))
    trial_pairs_add(running->pairs, SIDE_CURRENT, violation);
  else
    trial_pairs_settle(running->pairs, pairing_of(running, violation), violation);
}

static void note_progress(void *context, uint64_t done_bytes, uint64_t total_bytes) {
  struct running *running = context;
  if (!running->backtest->progress) return;
  running->progress.done_bytes = done_bytes;
  running->progress.total_bytes = total_bytes;
  running->backtest->progress(running->backtest->context, &running->progress);
}

static void set_count(json_t *object, const char *key, uint64_t count) {
  json_object_set_new(object, key, json_integer((json_int_t)count));
}

static json_t *bodies_json(const struct trial_counters *counters) {
  json_t *refused = json_object(), *rejected = json_object(), *json = json_object();
  for (unsigned i = TRIAL_TAKEN + 1; i < TRIAL_REFUSALS; i++)
    if (counters->taken[i]) set_count(refused, trial_refusal_name((enum trial_refusal)i), counters->taken[i]);
  for (unsigned i = 0; i < SPAN_REJECTS; i++)
    if (counters->spans_rejected[i]) set_count(rejected, span_reject_name((enum span_reject)i), counters->spans_rejected[i]);
  set_count(json, "bodies", counters->bodies);
  set_count(json, "bodies_judged", counters->taken[TRIAL_TAKEN]);
  json_object_set_new(json, "bodies_refused", refused);
  set_count(json, "spans", counters->spans_decoded);
  set_count(json, "spans_judged", counters->spans_judged);
  json_object_set_new(json, "spans_rejected", rejected);
  set_count(json, "spans_in_refused_bodies", counters->spans_refused);
  set_count(json, "webhooks_judged", counters->webhooks_judged);
  set_count(json, "alerts_judged", counters->alerts_judged);
  return json;
}

static void add_capture(json_t *json, const struct trial_report *report) {
  set_count(json, "frames", report->frames);
  set_count(json, "frames_read", report->frames_read);
  set_count(json, "segments", report->segments);
  set_count(json, "datagrams", report->datagrams);
  set_count(json, "connections", report->connections);
  set_count(json, "requests", report->requests);
}

static void add_journal(json_t *json, const struct running *running, const struct trial_report *report) {
  set_count(json, "records", report->journal_records);
  set_count(json, "recorded_violations", report->recorded_violations);
  set_count(json, "recorded_webhooks", report->recorded_webhooks);
  json_t *not_judged = json_object();
  for (unsigned i = 0; i < UNJUDGED_REASONS; i++)
    if (report->webhooks_not_judged[i])
      set_count(not_judged, trial_unjudged_name((enum trial_unjudged)i), report->webhooks_not_judged[i]);
  set_count(json, "webhooks_judged", report->webhooks_judged);
  json_object_set_new(json, "webhooks_not_judged", not_judged);
  set_count(json, "window_verdicts_not_compared", running->window_verdicts);
  set_count(json, "damages", report->journal_damages);
  json_object_set_new(
      json, "note",
      json_string("webhooks whose bodies are in the journal were judged again, but for rules with windows; spans and "
                  "other bodies are not in it. What those raised counts as both where the rule is unchanged "
                  "(--against), as only_current where it is gone or disabled, else as not_judged"));
}

static json_t *input_json(const struct running *running, const struct trial_report *report) {
  json_t *json =
      report->recording == RECORDING_JOURNAL ? json_object() : bodies_json(trial_host_counters(running->sides[SIDE_NEW].host));
  json_t *unread = json_object();
  for (unsigned i = 0; i < UNREADS; i++)
    if (report->unread[i]) set_count(unread, trial_unread_name((enum trial_unread)i), report->unread[i]);
  json_object_set_new(json, "recording", json_string(running->backtest->recording));
  json_object_set_new(json, "format", json_string(report->format));
  json_object_set_new(json, "first", running->first_ns ? json_time(running->first_ns) : json_null());
  json_object_set_new(json, "last", running->last_ns ? json_time(running->last_ns) : json_null());
  json_object_set_new(json, "unread", unread);
  if (report->recording == RECORDING_CAPTURE) add_capture(json, report);
  if (report->recording == RECORDING_JOURNAL) add_journal(json, running, report);
  return json;
}

static bool create_sides(struct running *running, struct rule_errors *errors) {
  const struct rule_set *sets[2] = {running->backtest->rules, running->backtest->against};
  for (int i = 0; i < 2; i++) {
    struct side *side = &running->sides[i];
    *side = (struct side){.running = running, .side = (enum trial_side)i};
    const struct trial_config config = {
        .shards = running->backtest->shards, .start_wall_ns = 1, .context = side, .violation = note_violation};
    if (sets[i] && !(side->host = trial_host_create(sets[i], &config, errors))) return false;
  }
  return true;
}

json_t *trial_backtest_run(const struct trial_backtest *backtest, struct rule_errors *errors) {
  struct running running = {.backtest = backtest, .pairs = trial_pairs_create(backtest->limit)};
  const struct trial_reader reader = {
      .context = &running, .body = take_body, .violation = take_recorded, .progress = note_progress};
  struct trial_report report;
  json_t *result = NULL;
  if (running.pairs && create_sides(&running, errors) && list_windowed(&running) &&
      trial_recording_read(backtest->recording, &reader, &report, errors)) {
    if (running.failed) {
      trial_error_file(errors, backtest->recording, "no memory for the engine");
    } else {
      for (int i = 1; i >= 0; i--)
        if (running.sides[i].host) trial_host_settle(running.sides[i].host);
      result = trial_pairs_finish(running.pairs, report.recording == RECORDING_JOURNAL);
      json_object_set_new(result, "input", input_json(&running, &report));
    }
  }
  for (int i = 0; i < 2; i++) trial_host_free(running.sides[i].host);
  trial_pairs_free(running.pairs);
  free(running.windowed);
  return result;
}
