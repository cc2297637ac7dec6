/* Changes of rules in the journal, for those who read it. */
#include "cli_journal_internal.h"
#include "json_values.h"
#include "rule_records.h"
#include <stdio.h>
#include <stdlib.h>

#define ITEMS_MAX 1000u /* of a change, told one by one */

static json_t *change_json(const struct rule_change *change) {
  char sha256[65];
  json_t *items = json_array();
  for (size_t i = 0; i < change->count && i < ITEMS_MAX; i++) {
    const struct rule_change_item *item = &change->items[i];
    json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:s?}", "name", item->name, "action",
                                           rule_action_word(item->action ? item->action : change->action), "by",
                                           item->action ? item->who : change->who, "version", (json_int_t)item->version,
                                           "version_before", (json_int_t)item->expected_version, "deleted", item->text == NULL,
                                           "text", item->text));
  }
  for (unsigned i = 0; i < 32; i++) snprintf(sha256 + 2 * i, 3, "%02x", change->sha256[i]);
  return json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:s, s:I, s:o}", "kind", "change", "action", rule_action_word(change->action),
                   "by", change->who, "from_generation", (json_int_t)change->from_generation, "generation",
                   (json_int_t)change->to_generation, "at", json_time(change->wall_ns), "sha256", sha256, "changes",
                   (json_int_t)change->count, "rules", items);
}

json_t *cli_journal_rules(struct rules_reader *reader, const struct record_header *record) {
  struct rule_change change;
  if (!rules_reader_take(reader, record)) return NULL;
  if (reader->kind == RULES_STREAM_CHANGE && rule_change_decode(reader->bytes, reader->total_bytes, &change) == 0) {
    json_t *json = change_json(&change);
    free(change.items);
    return json;
  }
  return json_pack("{s:s, s:I}", "kind", reader->kind == RULES_STREAM_SNAPSHOT ? "snapshot" : "set", "bytes",
                   (json_int_t)reader->total_bytes);
}
