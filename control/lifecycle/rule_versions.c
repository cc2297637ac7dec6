/* The versions of a record, and which are forgotten. */
#include "always_assert.h"
#include "rule_ledger_internal.h"
#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const struct rule_version *version) {
  return sizeof *version + version->text_bytes + strlen(version->who) + 2;
}

struct rule_version *ledger_add_version(struct rule_ledger *ledger, struct rule_record *record,
                                        const struct rule_version *fields) {
  const size_t who_bytes = strlen(fields->who) + 1;
  struct rule_version *version = malloc(sizeof *version + who_bytes + fields->text_bytes + 1);
  ALWAYS_ASSERT(version != NULL);
  *version = *fields;
  version->record = record;
  version->older = version->newer = NULL;
  version->who = memcpy(version->bytes, fields->who, who_bytes);
  if (fields->text) {
    char *text = memcpy(version->bytes + who_bytes, fields->text, fields->text_bytes);
    text[fields->text_bytes] = '\0';
    version->text = text;
  }
  if (record->version_count == record->version_capacity) {
    record->version_capacity = record->version_capacity ? 2 * record->version_capacity : 1;
    record->versions = reallocarray(record->versions, record->version_capacity, sizeof(struct rule_version *));
    ALWAYS_ASSERT(record->versions != NULL);
  }
  record->versions[record->version_count++] = version;
  record->machine.in_force = fields->text != NULL;
  ledger->versions++;
  return version;
}

void ledger_supersede(struct rule_ledger *ledger, struct rule_version *version) {
  version->older = ledger->newest;
  if (ledger->newest) ledger->newest->newer = version;
  ledger->newest = version;
  if (!ledger->oldest) ledger->oldest = version;
  ledger->history_bytes += bytes_of(version);
}

/* The oldest of its record. What was in force before the one that follows it cannot be told any more. */
static void forget(struct rule_ledger *ledger, struct rule_version *version) {
  struct rule_record *record = version->record;
  ALWAYS_ASSERT(record->versions[0] == version);
  const uint64_t until = record->version_count > 1 ? record->versions[1]->generation : ledger->generation;
  if (version->text && until > ledger->oldest_whole) ledger->oldest_whole = until;
  if (version->older) version->older->newer = version->newer;
  if (version->newer) version->newer->older = version->older;
  if (ledger->oldest == version) ledger->oldest = version->newer;
  if (ledger->newest == version) ledger->newest = version->older;
  ledger->history_bytes -= bytes_of(version);
  ledger->versions--;
  ledger->versions_forgotten++;
  record->version_count--;
  memmove(record->versions, record->versions + 1, record->version_count * sizeof(struct rule_version *));
  record->shortened = true;
  free(version);
}

void ledger_shorten(struct rule_ledger *ledger, struct rule_record *record) {
  while (record->version_count > RULE_VERSIONS_MAX) forget(ledger, record->versions[0]);
}

void ledger_keep_within_bounds(struct rule_ledger *ledger) {
  while (ledger->oldest && ledger->history_bytes > ledger->history_bytes_max) {
    struct rule_record *record = ledger->oldest->record;
    forget(ledger, ledger->oldest);
    rule_ledger_tidy(ledger, record);
  }
}

void ledger_add_generation(struct rule_ledger *ledger, const struct rule_generation *generation) {
  ledger->generations[ledger->generation_count++ % RULE_GENERATIONS_MAX] = *generation;
}

const struct rule_version *rule_record_newest(const struct rule_record *record) {
  return record->version_count ? record->versions[record->version_count - 1] : NULL;
}

const struct rule_version *rule_record_current(const struct rule_record *record) {
  const struct rule_version *newest = rule_record_newest(record);
  return newest && newest->text ? newest : NULL;
}

const struct rule_version *rule_record_version(const struct rule_record *record, uint32_t version) {
  for (uint32_t i = 0; i < record->version_count; i++)
    if (record->versions[i]->version == version) return record->versions[i]->text ? record->versions[i] : NULL;
  return NULL;
}

const struct rule_version *rule_record_at(const struct rule_record *record, uint64_t generation) {
  const struct rule_version *found = NULL;
  for (uint32_t i = 0; i < record->version_count && record->versions[i]->generation <= generation; i++)
    found = record->versions[i];
  return found && found->text ? found : NULL;
}

uint32_t rule_record_next_version(const struct rule_record *record) {
  const struct rule_version *newest = rule_record_newest(record);
  if (!newest) return 1;
  return newest->version < UINT32_MAX ? newest->version + 1 : newest->version;
}

struct rule_ledger_counters rule_ledger_count(const struct rule_ledger *ledger) {
  struct rule_ledger_counters counters = {.names = ledger->names,
                                          .versions = ledger->versions,
                                          .history_bytes = ledger->history_bytes,
                                          .versions_forgotten = ledger->versions_forgotten};
  return counters;
}
