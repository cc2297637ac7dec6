#include "composed_text_internal.h"
#include "macro_internal.h"
#include <stdlib.h>
#include <string.h>

size_t composed_text_from(struct composed_text *composed, const struct text_piece *piece) {
  composed->pieces = growing_list_reserve(composed->pieces, composed->count, &composed->capacity, sizeof *composed->pieces);
  composed->pieces[composed->count] = *piece;
  composed->pieces[composed->count].start = composed->text.length;
  return composed->count++;
}

void composed_text_append(struct composed_text *composed, const struct composed_text *more) {
  for (size_t i = 0; i < more->count; i++) {
    const size_t made = composed_text_from(composed, &more->pieces[i]);
    composed->pieces[made].start += more->pieces[i].start;
  }
  if (more->text.length) growing_text_append(&composed->text, more->text.at, more->text.length);
}

void composed_text_free(struct composed_text *composed) {
  growing_text_free(&composed->text);
  free(composed->pieces);
  *composed = (struct composed_text){0};
}

const struct text_piece *composed_text_piece(const struct composed_text *composed, size_t offset) {
  size_t low = 0, high = composed->count;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (composed->pieces[middle].start <= offset)
      low = middle;
    else
      high = middle;
  }
  return &composed->pieces[low];
}

static struct source_place place_in(const struct text_piece *piece, size_t offset) {
  return rule_source_place(piece->source, piece->scalar, piece->along ? piece->offset + (offset - piece->start) : piece->offset);
}

struct source_place composed_text_place(const struct composed_text *composed, size_t offset) {
  return place_in(composed_text_piece(composed, offset), offset);
}

/* A list may have the same fault in each of its constants. */
static bool said(const struct rule_errors *errors, struct source_place place, const char *message) {
  const struct rule_error *last = errors->count ? &errors->items[errors->count - 1] : NULL;
  return last && !rule_errors_full(errors) && last->line == place.line && last->column == place.column &&
         strncmp(last->message, message, strlen(message)) == 0;
}

void composed_text_error(const struct composed_text *composed, struct rule_errors *errors, size_t offset, const char *message) {
  const struct text_piece *piece = composed_text_piece(composed, offset);
  const struct source_place place = place_in(piece, offset);
  if (piece->list && said(errors, place, message)) return;
  if (piece->list) {
    const struct source_place defined = shared_name_place(piece->list);
    rule_errors_add(errors, piece->source, place, "%s (list `%.*s`, %s:%u:%u)", message, (int)piece->list->name.length,
                    piece->list->name.at, piece->list->source->name, defined.line, defined.column);
  } else if (piece->macro) {
    const struct text_piece *use = &composed->pieces[piece->use];
    const struct source_place used = place_in(use, use->start);
    const bool again = piece->macro->complained;
    piece->macro->complained = true;
    /* Where it is written when that is news, afterwards where it is used. */
    if (again)
      rule_errors_add(errors, use->source, used, "in macro `%.*s`, %s:%u:%u: %s", (int)piece->macro->name.length,
                      piece->macro->name.at, piece->source->name, place.line, place.column, message);
    else
      rule_errors_add(errors, piece->source, place, "%s (macro `%.*s`, used at %s:%u:%u)", message,
                      (int)piece->macro->name.length, piece->macro->name.at, use->source->name, used.line, used.column);
  } else {
    rule_errors_add(errors, piece->source, place, "%s", message);
  }
}
