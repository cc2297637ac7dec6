#include "expression_token_internal.h"
#include "growing_internal.h"
#include "rule_window_internal.h"
#include <stdlib.h>
#include <string.h>

struct part_list {
  struct message_part *items;
  size_t count, capacity;
  size_t literal_bytes;
};

static void add_part(struct part_list *list, struct message_part part) {
  list->items = growing_list_reserve(list->items, list->count, &list->capacity, sizeof *list->items);
  list->items[list->count++] = part;
  list->literal_bytes += part.literal.length;
}

static void flush_literal(const struct expression_context *context, struct part_list *list, struct growing_text *literal) {
  if (literal->length == 0) return;
  add_part(list, (struct message_part){.literal = region_image_text(context->region, literal->at, literal->length)});
  growing_text_free(literal);
}

/* What many events have in common: the key, and what they amount to. */
static bool add_window_part(const struct expression_context *context, const struct token *token, struct part_list *list) {
  if (token->kind == TOKEN_WORD && (image_text_is(token->word, "value") || image_text_is(token->word, "count"))) {
    const bool value = image_text_is(token->word, "value");
    add_part(list, (struct message_part){.of_window = value ? IMAGE_MESSAGE_VALUE : IMAGE_MESSAGE_COUNT});
    return true;
  }
  const struct reference *reference = reference_make(context, token->offset, token->word, token->segments, token->segment_count);
  if (!reference) return false;
  for (uint32_t i = 0; i < context->window->by_count; i++) {
    const struct image_text known = context->window->by[i]->spelling;
    if (known.length != reference->spelling.length || memcmp(known.at, reference->spelling.at, known.length) != 0) continue;
    add_part(list, (struct message_part){.reference = reference});
    return true;
  }
  expression_error(context, token->offset,
                   "a window is about many events: its message can read `value`, `count` and the references behind `by`");
  return false;
}

/* At the `$` of `${`. Returns where the text goes on, 0 for an error. */
static size_t read_hole(const struct expression_context *context, size_t start, struct part_list *list) {
  const struct source_scalar *scalar = context->scalar;
  struct token_reader reader = {.context = context, .text = scalar->value, .length = scalar->length, .at = start + 2};
  if (!memchr(scalar->value + start, '}', scalar->length - start)) {
    expression_error(context, start, "this `${` has no `}` ($${ writes it literally)");
    return 0;
  }
  const struct token token = token_next(&reader);
  if (token.kind == TOKEN_BAD) return 0;
  if (token.kind != TOKEN_WORD && token.kind != TOKEN_REFERENCE) {
    expression_error(context, token.offset, "expected a reference between `${` and `}`");
    return 0;
  }
  const bool of_window = context->window && context->window->form == WINDOW_FORM_WINDOW;
  const struct reference *reference =
      of_window ? NULL : reference_make(context, token.offset, token.word, token.segments, token.segment_count);
  if (of_window ? !add_window_part(context, &token, list) : !reference) return 0;
  const struct token closing = token_next(&reader);
  if (closing.kind == TOKEN_BAD) return 0;
  if (closing.kind != TOKEN_CLOSE_BRACE) {
    expression_error(context, closing.offset, "expected `}` after the reference");
    return 0;
  }
  if (reference) add_part(list, (struct message_part){.reference = reference});
  return reader.at;
}

static bool read_parts(const struct expression_context *context, struct part_list *list, struct growing_text *literal) {
  const struct source_scalar *scalar = context->scalar;
  for (size_t at = 0; at < scalar->length;) {
    const char *rest = scalar->value + at;
    if (strncmp(rest, "$${", 3) == 0) {
      growing_text_append(literal, "${", 2);
      at += 3;
    } else if (strncmp(rest, "${", 2) == 0) {
      flush_literal(context, list, literal);
      at = read_hole(context, at, list);
      if (at == 0) return false;
    } else {
      growing_text_append(literal, rest, 1);
      at++;
    }
  }
  flush_literal(context, list, literal);
  if (list->literal_bytes > IMAGE_MESSAGE_BYTES_MAX) {
    expression_error(context, 0, "a message has at most %u bytes", IMAGE_MESSAGE_BYTES_MAX);
    return false;
  }
  return true;
}

bool message_parse(const struct expression_context *context, const struct message_part **parts, uint32_t *part_count) {
  struct part_list list = {0};
  struct growing_text literal = {0};
  const bool good = read_parts(context, &list, &literal);
  struct message_part *copy = region_take(context->region, list.count * sizeof *copy);
  if (list.count) memcpy(copy, list.items, list.count * sizeof *copy);
  *parts = copy;
  *part_count = (uint32_t)list.count;
  free(list.items);
  growing_text_free(&literal);
  return good;
}
