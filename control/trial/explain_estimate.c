/* What a rule costs, measured on its own program, here and now, with made-up rows: an estimate, as real values differ. */
#include "explain_internal.h"
#include "trial_document_internal.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRACES_MAX 16384u
#define BATCHES_A_LOOK 64u

struct bench {
  struct trial_host *host;
  struct explain_rule rule;
  struct event_batch *batch;
  uint64_t next_id;
  char addresses[IMAGE_PROGRAM_DEPTH_MAX][INET6_ADDRSTRLEN];
  uint32_t address_count;
};

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static struct value text_value(const char *text) {
  return (struct value){.type = VALUE_STRING, .text = text, .length = (uint32_t)strlen(text)};
}

static struct value beside(const struct value *constant, int by) {
  struct value value = *constant;
  if (value.type == VALUE_INTEGER) value.integer += (by > 0 ? value.integer < INT64_MAX : value.integer > INT64_MIN) ? by : 0;
  if (value.type == VALUE_DOUBLE) value.real += by;
  return value;
}

/* A value that the predicate holds of, as far as one is easily made. */
static struct value value_for(struct bench *bench, const struct image_predicate *predicate) {
  switch ((enum predicate_operation)predicate->operation) {
  case PREDICATE_NOT_EQUAL:
  case PREDICATE_NOT_MATCHES:
    return predicate->constant.type == VALUE_STRING ? text_value("another") : beside(&predicate->constant, 1);
  case PREDICATE_LESS:
    return beside(&predicate->constant, -1);
  case PREDICATE_GREATER:
    return beside(&predicate->constant, 1);
  case PREDICATE_IN:
    return predicate->list_count ? predicate->list[0] : (struct value){0};
  case PREDICATE_IN_NETWORKS: {
    if (!predicate->list_count || bench->address_count == IMAGE_PROGRAM_DEPTH_MAX) return (struct value){0};
    char *text = bench->addresses[bench->address_count++];
    inet_ntop(AF_INET6, predicate->networks[0].address, text, INET6_ADDRSTRLEN);
    return text_value(text);
  }
  case PREDICATE_EXISTS:
  case PREDICATE_TRUE:
  case PREDICATE_CONSTANT:
    return (struct value){.type = VALUE_BOOL, .boolean = true};
  case PREDICATE_EQUAL:
  case PREDICATE_LESS_OR_EQUAL:
  case PREDICATE_GREATER_OR_EQUAL:
  case PREDICATE_MATCHES:
  case PREDICATE_CONTAINS:
  case PREDICATE_STARTS_WITH:
  case PREDICATE_ENDS_WITH:
    break;
  }
  return predicate->constant;
}

static uint8_t word_index(const char *const *words, const struct value *value) {
  for (uint8_t i = 0; words[i]; i++)
    if (value->type == VALUE_STRING && strlen(words[i]) == value->length && memcmp(words[i], value->text, value->length) == 0)
      return i;
  return 0;
}

/* Intrinsics are made from the fields. */
static void set_intrinsic(struct event_fields *fields, enum intrinsic intrinsic, const struct value *value) {
  static const char *const kinds[] = {"unspecified", "internal", "server", "client", "producer", "consumer", NULL};
  static const char *const statuses[] = {"unset", "ok", "error", NULL};
  const bool text = value->type == VALUE_STRING;
  switch (intrinsic) {
  case INTRINSIC_NAME:
    if (text) fields->name = (struct event_text){value->text, value->length};
    return;
  case INTRINSIC_SERVICE:
    if (text) fields->service = (struct event_text){value->text, value->length};
    return;
  case INTRINSIC_KIND:
    fields->kind = word_index(kinds, value);
    return;
  case INTRINSIC_STATUS:
    fields->status = word_index(statuses, value);
    fields->firing = text && value->length == 6;
    return;
  case INTRINSIC_DURATION:
    if (value->type == VALUE_INTEGER && value->integer > 0) fields->end_ns = fields->start_ns + (uint64_t)value->integer;
    return;
  case INTRINSIC_ROOT:
    fields->has_parent = !(value->type == VALUE_BOOL && value->boolean);
    return;
  default:
    return;
  }
}

/* A place in bodies whose values the column holds. */
static int node_of_slot(const struct image_kind *kind, uint32_t slot) {
  for (uint32_t node = 0; node < kind->path_count; node++)
    for (uint32_t i = 0; i < kind->paths[node].slot_count; i++)
      if (kind->path_slots[kind->paths[node].first_slot + i] == slot) return (int)node;
  return -1;
}

static void set_value(struct bench *bench, uint32_t row, uint32_t slot, const struct value *value) {
  const struct image_column *column = &bench->rule.kind->columns[slot];
  if (column->every)
    event_path_set(bench->batch, row, node_of_slot(bench->rule.kind, slot), value);
  else
    event_batch_set(bench->batch, row, (int)slot, value);
}

struct filling {
  struct bench *bench;
  uint32_t row;
};

static void fill_for(void *context, uint32_t index) {
  struct filling *filling = context;
  struct bench *bench = filling->bench;
  const struct image_predicate *predicate = &bench->rule.kind->predicates[index];
  if (predicate->operation == PREDICATE_CONSTANT || predicate->between) return;
  const struct image_column *column = &bench->rule.kind->columns[predicate->column];
  const struct value value = value_for(bench, predicate);
  if (column->scope == SCOPE_INTRINSIC)
    set_intrinsic(&bench->batch->fields[filling->row], column->intrinsic, &value);
  else if (column->scope != SCOPE_COMPUTED && value.type != VALUE_NULL)
    set_value(bench, filling->row, predicate->column, &value);
}

/* Rows that the rule is meant to be true of; or rows that have all it reads, with values of no interest. */
static void fill(struct bench *bench, bool matching) {
  static const char other[] = "of no interest";
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) {
    struct event_fields *fields;
    event_batch_add(bench->batch);
    fields = &bench->batch->fields[row];
    fields->start_ns = fields->end_ns = 1767225600000000000ull;
    fields->name = fields->service = (struct event_text){other, sizeof other - 1};
    const struct value nothing = text_value(other);
    for (uint32_t slot = 0; !matching && slot < bench->rule.kind->column_count; slot++) {
      const enum column_scope scope = bench->rule.kind->columns[slot].scope;
      if (scope != SCOPE_INTRINSIC && scope != SCOPE_COMPUTED) set_value(bench, row, slot, &nothing);
    }
    struct filling filling = {.bench = bench, .row = row};
    bench->address_count = 0; /* the same texts for every row */
    if (matching && bench->rule.rule->on == RULE_ON_TRACE)
      explain_each_of_when(bench->rule.image, bench->rule.rule, &filling, fill_for);
    else if (matching)
      explain_each_predicate(bench->rule.image, bench->rule.rule, &filling, fill_for);
  }
}

static void new_ids(struct bench *bench) {
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) {
    struct event_fields *fields = &bench->batch->fields[row];
    const uint64_t id = ++bench->next_id;
    memcpy(fields->trace_id, &id, sizeof id);
    memcpy(fields->span_id, &id, sizeof id);
  }
}

/* Digests go to an owner, and that is what the rule costs too. */
static bool keeps_state(const struct bench *bench) { return bench->rule.rule->on == RULE_ON_TRACE || bench->rule.rule->window; }

static bool judge(struct bench *bench) {
  struct engine *engine = bench->host->shards[0].engine;
  if (!engine_evaluate(engine, bench->batch, bench->host->now_ns, bench->host->wall_ns)) {
    engine_rollback(engine);
    return false;
  }
  if (keeps_state(bench)) {
    engine_commit(engine);
    trial_host_pump(bench->host);
  } else {
    engine_rollback(engine);
  }
  return true;
}

/* The least of several looks: what the rule costs, not what the machine did beside. 0: it was not done. */
static double measure(struct bench *bench, bool matching, uint64_t measure_ns) {
  const uint64_t until_ns = now_ns() + measure_ns;
  double least_ns = 0;
  fill(bench, matching);
  do {
    uint64_t spent_ns = 0;
    for (unsigned i = 0; i < BATCHES_A_LOOK; i++) {
      new_ids(bench);
      bench->batch->count = EVENT_BATCH_ROWS; /* values stay as they are */
      const uint64_t began_ns = now_ns();
      if (!judge(bench)) return 0;
      spent_ns += now_ns() - began_ns;
    }
    const double look_ns = (double)spent_ns / (BATCHES_A_LOOK * EVENT_BATCH_ROWS);
    if (least_ns == 0 || look_ns < least_ns) least_ns = look_ns;
  } while (now_ns() < until_ns);
  return least_ns;
}

/* Without a verdict of a trace rule: whether spans meet its selectors is what costs. */
static uint64_t raised(const struct bench *bench) {
  const struct engine_counters *counters = trial_host_engine_counters(bench->host, 0);
  return keeps_state(bench) ? counters->digests_applied : counters->violations_rolled_back;
}

json_t *explain_estimate(const struct rule_set *alone, const char *name, uint64_t measure_ns, struct rule_errors *errors) {
  const struct trial_config config = {
      .shards = 1, .start_wall_ns = 1767225600000000000ull, .traces_max = TRACES_MAX, .captures_max = TRACES_MAX};
  struct bench bench = {.host = trial_host_create(alone, &config, errors)};
  if (!bench.host) return NULL;
  json_t *json = NULL;
  if (explain_find(bench.host->image, name, &bench.rule)) {
    bench.batch = engine_batch(bench.host->shards[0].engine, bench.rule.event);
    const double other_ns = measure(&bench, false, measure_ns / 2);
    const uint64_t before = raised(&bench);
    const double match_ns = measure(&bench, true, measure_ns / 2);
    const bool matched = raised(&bench) > before;
    json = json_pack("{s:f, s:o, s:s}", "ns_per_event", other_ns, "ns_per_match", matched ? json_real(match_ns) : json_null(),
                     "note",
                     keeps_state(&bench)
                         ? "an estimate: this rule alone, made-up events on this machine, without decoding, with the digests and "
                           "what their owner does; a match is an event that was made to meet `when` or `if`"
                         : "an estimate: this rule alone, made-up events on this machine, without decoding; a match includes its "
                           "violation");
  } else {
    trial_error_file(errors, name, "is not in its own image");
  }
  trial_host_free(bench.host);
  return json;
}
