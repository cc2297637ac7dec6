#include "rule_book_internal.h"
#include "rule_ledger_internal.h"
#include <string.h>

static void drop(struct rule_book *book, size_t index) {
  book->failure_count--;
  memmove(&book->failures[index], &book->failures[index + 1], (book->failure_count - index) * sizeof *book->failures);
}

void failures_clear(struct rule_book *book, const char *name) {
  for (size_t i = book->failure_count; i > 0; i--)
    if (!name || strcmp(book->failures[i - 1].name, name) == 0) drop(book, i - 1);
}

static void note(struct rule_book *book, const struct rule_failure *failure) {
  for (size_t i = book->failure_count; i > 0; i--) {
    const struct rule_failure *told = &book->failures[i - 1];
    if (failure->name[0] && strcmp(told->name, failure->name) == 0 && told->wall_ns != failure->wall_ns) drop(book, i - 1);
  }
  if (book->failure_count == RULE_FAILURES_MAX) drop(book, 0);
  book->failures[book->failure_count++] = *failure;
}

void failures_note(struct rule_book *book, const struct rule_request *request, const struct rule_result *result,
                   const struct rule_outline *outline, uint64_t wall_ns) {
  for (size_t i = 0; i < result->errors.count; i++) {
    struct rule_failure failure = {.wall_ns = wall_ns, .action = request->action, .error = result->errors.items[i]};
    const size_t at = rule_outline_at(outline, failure.error.line);
    ledger_copy_text(failure.who, sizeof failure.who, request->who);
    if (at < outline->count) ledger_copy_text(failure.name, sizeof failure.name, outline->items[at].name);
    if (!failure.name[0] && request->name_count == 1) ledger_copy_text(failure.name, sizeof failure.name, request->names[0]);
    note(book, &failure);
  }
}
