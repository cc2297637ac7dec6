/* From the records of the journal to a set in force. */
#include "rule_book_internal.h"
#include "rule_ledger_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_BYTES (4u << 20)

/* One that does not follow from what is there: changes before it are missing. What it says is done all the same, and the gap
 * told. */
static void apply_over_gap(struct rule_book *book, struct rule_change *change) {
  struct rule_ledger *ledger = book->ledger;
  size_t kept = 0;
  book->gaps++;
  for (size_t i = 0; i < change->count; i++) {
    struct rule_change_item item = change->items[i];
    const struct rule_record *record = rule_ledger_find(ledger, item.name);
    const struct rule_version *current = record ? rule_record_current(record) : NULL;
    if (!item.text && !current) continue;
    item.expected_version = current ? current->version : 0;
    if (record && item.version < rule_record_next_version(record)) item.version = rule_record_next_version(record);
    change->items[kept++] = item;
  }
  change->count = kept;
  change->from_generation = ledger->generation;
  if (change->to_generation <= ledger->generation) change->to_generation = ledger->generation + 1;
  rule_ledger_apply(ledger, change);
}

static void take_change(struct rule_book *book, const char *bytes, size_t length) {
  struct rule_change change;
  if (rule_change_decode(bytes, length, &change) != 0) {
    book->gaps++;
    return;
  }
  if (rule_ledger_apply(book->ledger, &change) != 0) apply_over_gap(book, &change);
  free(change.items);
}

static void take_snapshot(struct rule_book *book, const char *bytes, size_t length) {
  struct rule_ledger *ledger = rule_ledger_decode(bytes, length, book->history_bytes_max);
  if (!ledger) {
    book->gaps++;
    return;
  }
  rule_ledger_destroy(book->ledger);
  book->ledger = ledger;
  book->gaps = 0;
}

static void add_item(struct rule_change *change, size_t *capacity, struct rule_change_item item) {
  if (change->count == *capacity) {
    *capacity = *capacity ? 2 * *capacity : 64;
    struct rule_change_item *grown = ledger_allocate(*capacity * sizeof *grown);
    if (change->count) memcpy(grown, change->items, change->count * sizeof *grown);
    free(change->items);
    change->items = grown;
  }
  change->items[change->count++] = item;
}

struct missing {
  const struct rule_set *set;
  struct rule_change *change;
  size_t *capacity;
};

static void remove_missing(void *context, struct rule_record *record) {
  const struct missing *missing = context;
  const struct rule_version *current = rule_record_current(record);
  if (!current || rule_set_find(missing->set, record->name)) return;
  add_item(missing->change, missing->capacity,
           (struct rule_change_item){
               .name = record->name, .expected_version = current->version, .version = rule_record_next_version(record)});
}

/* The whole set as an earlier release wrote it: as a change of what differs. */
static void take_former(struct rule_book *book, const char *bytes, size_t length, uint64_t wall_ns) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("journal", bytes, length, &errors);
  size_t capacity = 0;
  struct rule_change change = {.from_generation = book->ledger->generation,
                               .to_generation = book->ledger->generation + 1,
                               .wall_ns = wall_ns,
                               .action = RULE_ACTION_FORMER,
                               .who = "journal"};
  for (size_t i = 0; set && i < rule_set_count(set); i++) {
    const struct rule_definition *rule = rule_set_at(set, i);
    const struct rule_record *record = rule_ledger_find(book->ledger, rule->name);
    const struct rule_version *current = record ? rule_record_current(record) : NULL;
    struct rule_change_item item = {.name = rule->name, .expected_version = current ? current->version : 0};
    size_t text_bytes;
    item.text = rule_set_rule_text(set, i, &text_bytes);
    item.text_bytes = (uint32_t)text_bytes;
    if (current && current->text_bytes == text_bytes && memcmp(current->text, item.text, text_bytes) == 0) continue;
    const uint32_t next = record ? rule_record_next_version(record) : 1;
    item.version = rule->version > next ? rule->version : next;
    add_item(&change, &capacity, item);
  }
  if (set) rule_ledger_visit(book->ledger, remove_missing, &(struct missing){set, &change, &capacity});
  if (!set) book->gaps++;
  if (set && (change.count > 0 || book->ledger->generation == 0)) rule_ledger_apply(book->ledger, &change);
  free(change.items);
  rule_set_free(set);
  rule_errors_free(&errors);
}

void rule_book_recover(struct rule_book *book, const struct record_header *record) {
  struct rules_reader *reader = &book->reader;
  if (!rules_reader_take(reader, record)) return;
  if (reader->kind == RULES_STREAM_CHANGE)
    take_change(book, reader->bytes, reader->total_bytes);
  else if (reader->kind == RULES_STREAM_SNAPSHOT)
    take_snapshot(book, reader->bytes, reader->total_bytes);
  else if (reader->kind == RULES_STREAM_FORMER)
    take_former(book, reader->bytes, reader->total_bytes, record->wall_ns);
  else
    book->gaps++;
}

/* Rule texts put together to documents of a size that one parse takes. */
struct documents {
  struct rule_text *texts;
  size_t count;
};

static void add_text(void *context, struct rule_record *record) {
  static const char head[] = "rules:\n";
  struct documents *documents = context;
  const struct rule_version *current = rule_record_current(record);
  if (!current) return;
  struct rule_text *last = documents->count ? &documents->texts[documents->count - 1] : NULL;
  if (!last || last->length + current->text_bytes > DOCUMENT_BYTES) {
    documents->texts = reallocarray(documents->texts, documents->count + 1, sizeof *documents->texts);
    last = &documents->texts[documents->count++];
    char *memory = ledger_allocate(DOCUMENT_BYTES + current->text_bytes + sizeof head);
    memcpy(memory, head, sizeof head - 1);
    *last = (struct rule_text){.name = "journal", .text = memory, .length = sizeof head - 1};
  }
  memcpy((char *)(uintptr_t)last->text + last->length, current->text, current->text_bytes);
  last->length += current->text_bytes;
}

static void settle(void *context, struct rule_record *record) {
  struct rule_book *book = context;
  record->machine.state = record->machine.in_force ? RULE_PERSISTED : RULE_NONEXISTENT;
  book->in_state[RULE_PERSISTED] += record->machine.in_force;
}

int rule_book_recovered(struct rule_book *book, struct rule_result *result) {
  struct documents documents = {0};
  *result = (struct rule_result){0};
  rules_reader_free(&book->reader);
  if (book->gaps)
    refuse(result, 0, "%llu changes of the rules in the journal do not follow from what is before them: rules may be missing",
           (unsigned long long)book->gaps);
  if (book->ledger->generation == 0) return 0;
  rule_ledger_visit(book->ledger, add_text, &documents);
  struct rule_set *set = rule_set_parse_texts(documents.texts, documents.count, false, &result->errors);
  for (size_t i = 0; i < documents.count; i++) free((void *)(uintptr_t)documents.texts[i].text);
  free(documents.texts);
  if (!set) return -EINVAL;
  rule_set_sort(set);
  for (size_t i = 0; i < rule_set_count(set); i++) {
    const struct rule_record *record = rule_ledger_find(book->ledger, rule_set_at(set, i)->name);
    rule_set_set_version(set, i, rule_record_current(record)->version);
    book->enabled += rule_set_at(set, i)->enabled;
  }
  void *image = NULL;
  const struct rule_book_operations *operations = &book->operations;
  if (operations->compile(operations->context, set, book->ledger->generation, &result->errors, &image, book->sha256) != 0) {
    rule_set_free(set);
    return -EINVAL;
  }
  book->set = set;
  rule_ledger_visit(book->ledger, settle, book);
  operations->publish(operations->context, image);
  result->generation = book->ledger->generation;
  result->rules = (uint32_t)rule_set_count(set);
  memcpy(result->sha256, book->sha256, sizeof result->sha256);
  return 1;
}
