#include "expression_token_internal.h"
#include "macro_internal.h"
#include <stdarg.h>
#include <string.h>

struct expansion {
  const struct expression_context *context;
  struct shared_names *names;
  struct composed_text *out;
  struct region scratch; /* what reading tokens leaves behind */
  struct rule_errors muted;
  unsigned depth;
};

/* A text that is being copied: the rule's own, or a macro's. */
struct frame {
  struct rule_source *source;
  const struct source_scalar *scalar;
  struct shared_name *macro; /* NULL: the rule's own */
  size_t use;                /* of a macro */
};

static size_t piece_at(struct expansion *expansion, const struct frame *frame, size_t offset, bool along,
                       struct shared_name *list) {
  const struct text_piece piece = {.source = frame->source,
                                   .scalar = frame->scalar,
                                   .offset = offset,
                                   .along = along,
                                   .macro = frame->macro,
                                   .list = list,
                                   .use = frame->use};
  return composed_text_from(expansion->out, &piece);
}

static bool complain(struct expansion *expansion, const struct frame *frame, size_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool complain(struct expansion *expansion, const struct frame *frame, size_t offset, const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  piece_at(expansion, frame, offset, true, NULL);
  composed_text_error(expansion->out, expansion->context->errors, expansion->out->text.length, message);
  return false;
}

static void copy(struct expansion *expansion, const struct frame *frame, size_t from, size_t to) {
  piece_at(expansion, frame, from, true, NULL);
  growing_text_append(&expansion->out->text, frame->scalar->value + from, to - from);
}

static struct token_reader reader_of(struct expansion *expansion, struct expression_context *quiet, const char *text,
                                     size_t length) {
  *quiet = *expansion->context;
  quiet->region = &expansion->scratch;
  quiet->errors = &expansion->muted;
  quiet->composed = NULL;
  return (struct token_reader){.context = quiet, .text = text, .length = length};
}

/* The sign is read with the number: the smallest integer has no positive twin. */
static struct token next_token(struct token_reader *reader) {
  struct token token = token_next(reader);
  const char next = reader->at < reader->length ? reader->text[reader->at] : ' ';
  if ((token.kind != TOKEN_MINUS && token.kind != TOKEN_PLUS) || next < '0' || next > '9') return token;
  reader->at = token.offset;
  token.kind = token_read_number(reader, &token.literal) ? TOKEN_LITERAL : TOKEN_BAD;
  token.length = (uint32_t)(reader->at - token.offset);
  return token;
}

/* A number, duration, true or false, as an expression writes it. */
static bool is_literal(struct expansion *expansion, const struct source_scalar *item) {
  struct expression_context quiet;
  if (item->style != SCALAR_PLAIN || item->length == 0) return false;
  struct token_reader reader = reader_of(expansion, &quiet, item->value, item->length);
  if (item->value[0] == '"') return false;
  const struct token token = next_token(&reader);
  return token.kind == TOKEN_LITERAL && reader.at == item->length;
}

static bool within_bounds(struct expansion *expansion, const struct frame *frame, size_t offset, const char *name,
                          size_t bytes_before) {
  struct shared_names *names = expansion->names;
  names->expanded_bytes += expansion->out->text.length - bytes_before;
  if (expansion->out->text.length > EXPRESSION_BYTES_MAX)
    return complain(expansion, frame, offset, "with `%s` in its place this expression has more than %u bytes", name,
                    EXPRESSION_BYTES_MAX);
  if (names->expanded_bytes > SHARED_EXPANSION_BYTES_MAX)
    return complain(expansion, frame, offset, "macros and lists become more than %u MiB of text in these rules",
                    SHARED_EXPANSION_BYTES_MAX >> 20);
  return true;
}

static bool enter(struct expansion *expansion, const struct frame *frame, size_t offset, struct shared_name *shared) {
  const struct source_place defined = shared_name_place(shared);
  shared->used = true;
  if (shared->open)
    return complain(expansion, frame, offset, "the %s `%s` (%s:%u:%u) is made of itself", shared_kind_word(shared),
                    shared->key.value, shared->source->name, defined.line, defined.column);
  if (expansion->depth == SHARED_DEPTH_MAX)
    return complain(expansion, frame, offset, "macros and lists are nested more than %u deep", SHARED_DEPTH_MAX);
  shared->open = true;
  expansion->depth++;
  return true;
}

static void leave(struct expansion *expansion, struct shared_name *shared) {
  shared->open = false;
  expansion->depth--;
}

/* The constants of a list, or of an exception when `list` is NULL: those stand where they are written. */
static bool put_constants(struct expansion *expansion, const struct frame *frame, size_t offset, struct shared_name *list,
                          const struct source_scalar *items, size_t item_count) {
  for (size_t i = 0; i < item_count; i++) {
    const struct image_text word = {.at = items[i].value, .length = (uint32_t)items[i].length};
    struct shared_name *inner = items[i].style == SCALAR_PLAIN ? shared_names_find(expansion->names, word) : NULL;
    const struct frame own = {.source = frame->source, .scalar = &items[i]};
    const struct frame *const at = list ? frame : &own;
    const size_t at_offset = list ? offset : 0, before = expansion->out->text.length;
    if (i) growing_text_append(&expansion->out->text, ", ", 2);
    if (inner && inner->is_list) {
      if (!enter(expansion, at, at_offset, inner)) return false;
      if (!put_constants(expansion, at, at_offset, inner, inner->items, inner->item_count)) return false;
      leave(expansion, inner);
      continue;
    }
    piece_at(expansion, at, at_offset, false, list);
    if (is_literal(expansion, &items[i]))
      growing_text_append(&expansion->out->text, items[i].value, items[i].length);
    else
      expression_print_string(word, &expansion->out->text);
    if (!within_bounds(expansion, at, at_offset, list ? list->key.value : items[i].value, before)) return false;
  }
  return true;
}

static bool put_list(struct expansion *expansion, const struct frame *frame, size_t offset, struct shared_name *list,
                     bool bracketed) {
  if (!enter(expansion, frame, offset, list)) return false;
  piece_at(expansion, frame, offset, false, NULL);
  if (bracketed) growing_text_append(&expansion->out->text, "[", 1);
  if (!put_constants(expansion, frame, offset, list, list->items, list->item_count)) return false;
  piece_at(expansion, frame, offset, false, NULL);
  if (bracketed) growing_text_append(&expansion->out->text, "]", 1);
  leave(expansion, list);
  return true;
}

static bool put_text(struct expansion *expansion, const struct frame *frame);

/* The closing parenthesis has a line of its own: a macro may end in a comment. */
static bool put_macro(struct expansion *expansion, const struct frame *frame, size_t offset, struct shared_name *macro) {
  const size_t before = expansion->out->text.length;
  if (!enter(expansion, frame, offset, macro)) return false;
  const size_t use = piece_at(expansion, frame, offset, false, NULL);
  growing_text_append(&expansion->out->text, "(", 1);
  const struct frame inner = {
      .source = macro->source, .scalar = &macro->text, .macro = macro, .use = frame->macro ? frame->use : use};
  if (!put_text(expansion, &inner)) return false;
  piece_at(expansion, frame, offset, false, NULL);
  growing_text_append(&expansion->out->text, "\n)", 2);
  leave(expansion, macro);
  return within_bounds(expansion, frame, offset, macro->key.value, before);
}

struct copying {
  size_t copied;
  bool list_expected, list_open; /* behind `in`; between the brackets that follow it */
  uint32_t open;                 /* parentheses and braces of this text alone */
};

/* Puts a macro or list for the word at hand; false with an error. */
static bool put_word(struct expansion *expansion, const struct frame *frame, const struct token *token, struct copying *state) {
  struct shared_name *shared = shared_names_find(expansion->names, token->word);
  const int shown = (int)(token->word.length < 64 ? token->word.length : 64);
  if (!shared && state->list_expected) {
    const char *meant = shared_names_suggest(expansion->names, token->word);
    return complain(expansion, frame, token->offset, "unknown list `%.*s`%s%s%s", shown, token->word.at,
                    meant ? "; did you mean `" : "", meant ? meant : "", meant ? "`?" : "");
  }
  if (!shared) return true;
  const bool list_place = state->list_expected || state->list_open;
  if (shared->is_list != list_place) {
    const struct source_place defined = shared_name_place(shared);
    return complain(expansion, frame, token->offset, "`%s` (%s:%u:%u) is a %s", shared->key.value, shared->source->name,
                    defined.line, defined.column,
                    shared->is_list ? "list: it stands behind `in`, or in a list" : "macro: a list is wanted here");
  }
  copy(expansion, frame, state->copied, token->offset);
  state->copied = token->offset + token->length;
  return shared->is_list ? put_list(expansion, frame, token->offset, shared, !state->list_open)
                         : put_macro(expansion, frame, token->offset, shared);
}

/* What a macro opens it must close, or it would change the meaning of what stands around it. */
static bool check_nesting(struct expansion *expansion, const struct frame *frame, const struct token *token,
                          struct copying *state) {
  const bool opens = token->kind == TOKEN_OPEN || token->kind == TOKEN_OPEN_BRACE || token->kind == TOKEN_OPEN_BRACKET;
  const bool closes = token->kind == TOKEN_CLOSE || token->kind == TOKEN_CLOSE_BRACE || token->kind == TOKEN_CLOSE_BRACKET;
  state->open += opens;
  if (frame->macro && closes && state->open == 0)
    return complain(expansion, frame, token->offset, "this closes what the macro has not opened");
  state->open -= closes && state->open > 0;
  return true;
}

static bool put_text(struct expansion *expansion, const struct frame *frame) {
  struct expression_context quiet;
  struct token_reader reader = reader_of(expansion, &quiet, frame->scalar->value, frame->scalar->length);
  struct copying state = {0};
  for (;;) {
    const struct token token = next_token(&reader);
    if (token.kind == TOKEN_END || token.kind == TOKEN_BAD) break; /* what is bad the parser will say */
    const bool cidr = state.list_expected && token.kind == TOKEN_WORD && image_text_is(token.word, "cidr");
    if (token.kind == TOKEN_WORD && !cidr && !put_word(expansion, frame, &token, &state)) return false;
    if (!check_nesting(expansion, frame, &token, &state)) return false;
    if (state.list_open && (token.kind == TOKEN_CLOSE || token.kind == TOKEN_CLOSE_BRACKET)) state.list_open = false;
    if (state.list_expected && (token.kind == TOKEN_OPEN || token.kind == TOKEN_OPEN_BRACKET)) state.list_open = true;
    state.list_expected = cidr || token.kind == TOKEN_IN;
  }
  if (frame->macro && state.open > 0)
    return complain(expansion, frame, frame->scalar->length, "the macro ends before it closes what it opened");
  copy(expansion, frame, state.copied, frame->scalar->length);
  return true;
}

/* Flags of names that an error left open are cleared: the next expression starts afresh. */
static bool finish(struct expansion *expansion, bool good) {
  for (size_t i = 0; !good && i < expansion->names->count; i++) expansion->names->items[i].open = false;
  region_free(&expansion->scratch);
  return good;
}

static struct expansion begin(const struct expression_context *context, struct composed_text *out) {
  return (struct expansion){.context = context, .names = context->shared, .out = out, .muted = {.count = RULE_ERRORS_MAX}};
}

bool macro_expand(const struct expression_context *context, struct composed_text *out) {
  struct expansion expansion = begin(context, out);
  const struct frame frame = {.source = context->source, .scalar = context->scalar};
  if (context->scalar->length <= EXPRESSION_BYTES_MAX && context->shared->count > 0)
    return finish(&expansion, put_text(&expansion, &frame));
  copy(&expansion, &frame, 0, context->scalar->length);
  return true;
}

bool macro_expand_constants(const struct expression_context *context, const struct source_scalar *items, size_t item_count,
                            struct composed_text *out) {
  struct expansion expansion = begin(context, out);
  const struct frame frame = {.source = context->source};
  return finish(&expansion, put_constants(&expansion, &frame, 0, NULL, items, item_count));
}

struct expression *expression_parse_composed(const struct expression_context *context, const struct composed_text *composed,
                                             bool of_trace) {
  struct expression_context inner = *context;
  const struct source_scalar scalar = {
      .value = composed->text.at ? composed->text.at : "", .length = composed->text.length, .style = SCALAR_BLOCK};
  inner.scalar = &scalar;
  inner.composed = composed;
  return expression_parse(&inner, of_trace);
}

struct expression *expression_parse_expanded(const struct expression_context *context, bool of_trace) {
  struct composed_text composed = {0};
  if (!context->shared || context->shared->count == 0) return expression_parse(context, of_trace);
  struct expression *parsed = macro_expand(context, &composed) ? expression_parse_composed(context, &composed, of_trace) : NULL;
  composed_text_free(&composed);
  return parsed;
}
