#include "appliance_double.h"
#include "cmocka_test.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char rules_text[] =
    "rules:\n"
    "  - name: first\n    on: span\n    if: name = \"a\"\n    tags: [one, two]\n"
    "  - name: second\n    when: '{name = \"b\"}'\n    always: '{name = \"c\"}'\n    enabled: false\n";

static int snapshot(void *context, struct appliance_snapshot *into) {
  *into = ((struct appliance_double *)context)->snapshot;
  return 0;
}

static const struct rule_set *rules_acquire(void *context) {
  struct appliance_double *appliance = context;
  appliance->acquired++;
  return appliance->set;
}

static void rules_release(void *context) { ((struct appliance_double *)context)->released++; }

static bool rule_matches(void *context, const struct rule_definition *rule, uint64_t *matches, bool *own_series) {
  const struct appliance_double *appliance = context;
  *matches = rule->mode == RULE_SHADOW ? 7 : 40 + rule->version;
  *own_series = appliance->rules_in_others == 0 || strcmp(rule->name, appliance->rules_in_others) != 0;
  return rule->enabled;
}

static void rule_matches_gone(void *context, uint64_t gone[RULE_MODES]) {
  memcpy(gone, ((struct appliance_double *)context)->matches_gone, RULE_MODES * sizeof *gone);
}

static int rules_apply(void *context, const struct appliance_file *files, size_t file_count, bool merge, const char *who,
                       struct rule_errors *errors, struct appliance_apply_result *result) {
  struct appliance_double *appliance = context;
  appliance->applies++;
  appliance->applied_merge = merge;
  snprintf(appliance->applied_name, sizeof appliance->applied_name, "%s", file_count ? files[0].name : "");
  snprintf(appliance->applied_who, sizeof appliance->applied_who, "%s", who);
  if (appliance->apply_result == -EINVAL) {
    struct rule_set *wrong = rule_set_parse("bad.yaml", "rules: [{name: x}]", 18, errors);
    assert_null(wrong);
  }
  *result = (struct appliance_apply_result){.generation = 7, .rules = 2, .difference = {.added = 1, .unchanged = 1}};
  return appliance->apply_result;
}

static int journal_flush(void *context, uint64_t *durable_lsn) {
  struct appliance_double *appliance = context;
  *durable_lsn = journal_durable_lsn(appliance->journal.journal);
  return appliance->flush_result;
}

static int certificates_reload(void *context, char *error, size_t room) {
  struct appliance_double *appliance = context;
  appliance->certificate_reloads++;
  if (appliance->reload_result != 0) snprintf(error, room, "webhooks: server.key: the key is not the certificate's");
  return appliance->reload_result;
}

static struct violation_store *violations(void *context) { return ((struct appliance_double *)context)->violations; }

void appliance_double_open(struct appliance_double *appliance) {
  struct rule_errors errors = {0};
  memset(appliance, 0, sizeof *appliance);
  appliance->face = (struct appliance){.context = appliance,
                                       .snapshot = snapshot,
                                       .rules_acquire = rules_acquire,
                                       .rules_release = rules_release,
                                       .rule_matches = rule_matches,
                                       .rule_matches_gone = rule_matches_gone,
                                       .rules_apply = rules_apply,
                                       .journal_flush = journal_flush,
                                       .certificates_reload = certificates_reload,
                                       .violations = violations};
  appliance->set = rule_set_parse("rules.yaml", rules_text, sizeof rules_text - 1, &errors);
  assert_non_null(appliance->set);
  appliance->io =
      journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&appliance->journal, appliance->io, 1);
  assert_int_equal(rig_open(&appliance->journal), 0);
  appliance->violations = violation_store_create(appliance->io, 1000);
  assert_non_null(appliance->violations);
  appliance->snapshot.version = "test";
  strcpy(appliance->snapshot.node, "018f0000-0000-7000-8000-000000000000");
  appliance->snapshot.shard_count = 2;
  appliance->snapshot.port_count = 1;
  strcpy(appliance->snapshot.ports[0].information.name, "trip");
  appliance->snapshot.ports[0].kind = "embedded";
  appliance->snapshot.live = appliance->snapshot.ready = true;
}

void appliance_double_add(struct appliance_double *appliance, const char *rule, uint32_t count) {
  struct record_ring *ring = appliance->journal.config.rings[0];
  for (uint32_t i = 0; i < count; i++) {
    const struct violation violation = {.wall_ns = (1700000000ull + i) * 1000000000,
                                        .rule = {rule, (uint32_t)strlen(rule)},
                                        .message = {"found", 5},
                                        .fixed = {.severity = SEVERITY_HIGH, .source = RULE_ON_SPAN, .count = 1}};
    void *record = record_ring_reserve(ring, violation_encoded_bytes(&violation));
    assert_non_null(record);
    violation_encode(&violation, record);
    record_ring_publish(ring);
  }
  assert_int_equal(journal_drain(appliance->journal.journal, appliance->journal.now_ns, appliance->journal.wall_ns), 0);
  assert_int_equal(violation_store_catch_up(appliance->violations, journal_durable_lsn(appliance->journal.journal)), 0);
}

void appliance_double_close(struct appliance_double *appliance) {
  violation_store_destroy(appliance->violations);
  rig_free(&appliance->journal);
  appliance->io->operations->destroy(appliance->io);
  rule_set_free(appliance->set);
}
