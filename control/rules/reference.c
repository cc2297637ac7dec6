#include "expression_token_internal.h"
#include "growing_internal.h"
#include "macro_internal.h"
#include <stdio.h>
#include <string.h>

static const struct {
  const char *word;
  enum reference_type type;
} intrinsics[INTRINSICS] = {
    [INTRINSIC_NAME] = {"name", REFERENCE_TEXT},
    [INTRINSIC_SERVICE] = {"service", REFERENCE_TEXT},
    [INTRINSIC_KIND] = {"kind", REFERENCE_KIND},
    [INTRINSIC_STATUS] = {"status", REFERENCE_STATUS},
    [INTRINSIC_DURATION] = {"duration", REFERENCE_DURATION},
    [INTRINSIC_ROOT] = {"root", REFERENCE_BOOLEAN},
    [INTRINSIC_TRACE_ID] = {"trace_id", REFERENCE_HEXADECIMAL},
    [INTRINSIC_SPAN_ID] = {"span_id", REFERENCE_HEXADECIMAL},
    [INTRINSIC_PARENT_ID] = {"parent_id", REFERENCE_HEXADECIMAL},
    [INTRINSIC_START] = {"start", REFERENCE_NUMBER},
    [INTRINSIC_END] = {"end", REFERENCE_NUMBER},
    [INTRINSIC_TIME_OF_DAY] = {"time_of_day", REFERENCE_TIME_OF_DAY},
    [INTRINSIC_WEEKDAY] = {"weekday", REFERENCE_WEEKDAY},
};

static const struct {
  const char *word;
  bool on[RULE_ON_ALERT + 1];
} scopes[] = {
    [SCOPE_SPAN] = {"span", {[RULE_ON_SPAN] = true, [RULE_ON_TRACE] = true}},
    [SCOPE_RESOURCE] = {"resource", {[RULE_ON_SPAN] = true, [RULE_ON_TRACE] = true}},
    [SCOPE_BODY] = {"body", {[RULE_ON_WEBHOOK] = true}},
    [SCOPE_LABEL] = {"label", {[RULE_ON_ALERT] = true}},
    [SCOPE_ANNOTATION] = {"annotation", {[RULE_ON_ALERT] = true}},
};

static const char *const names[] = {"name",     "service",   "kind",  "status",     "duration",    "root",    "trace_id",
                                    "span_id",  "parent_id", "start", "end",        "time_of_day", "weekday", "span",
                                    "resource", "body",      "label", "annotation", NULL};
static const char *const on_words[] = {"span", "trace", "webhook", "alert"};
static const char *const on_references[] = {
    "the intrinsics, span.KEY and resource.KEY",
    "the intrinsics, span.KEY and resource.KEY",
    "name, start, time_of_day, weekday and body.PATH",
    "name, status, service, start, end, time_of_day, weekday, label.KEY and annotation.KEY",
};

static int find_intrinsic(struct image_text word) {
  for (int i = 0; i < INTRINSICS; i++)
    if (image_text_is(word, intrinsics[i].word)) return i;
  return -1;
}

static int find_scope(struct image_text word) {
  for (int scope = SCOPE_SPAN; scope <= SCOPE_ANNOTATION; scope++)
    if (image_text_is(word, scopes[scope].word)) return scope;
  return -1;
}

bool reference_is_intrinsic(struct image_text word) { return find_intrinsic(word) >= 0; }
bool reference_is_scope(struct image_text word) { return find_scope(word) >= 0; }

static bool intrinsic_allowed(enum rule_on on, int intrinsic) {
  switch (intrinsic) {
  case INTRINSIC_NAME:
  case INTRINSIC_START:
  case INTRINSIC_TIME_OF_DAY:
  case INTRINSIC_WEEKDAY:
    return true;
  case INTRINSIC_STATUS:
  case INTRINSIC_SERVICE:
  case INTRINSIC_END:
    return on != RULE_ON_WEBHOOK;
  default:
    return on != RULE_ON_WEBHOOK && on != RULE_ON_ALERT;
  }
}

static const struct reference *unknown(const struct expression_context *context, size_t offset, struct image_text head) {
  const char *meant = suggest(head, names);
  if (!meant && context->shared) meant = shared_names_suggest(context->shared, head);
  const int shown = (int)(head.length < 64 ? head.length : 64);
  if (meant)
    expression_error(context, offset, "unknown reference `%.*s`; did you mean `%s`?", shown, head.at, meant);
  else
    expression_error(context, offset, "unknown reference `%.*s`: a rule can read %s", shown, head.at,
                     context->on_known ? on_references[context->on]
                                       : "the intrinsics and span. resource. body. label. annotation.");
  return NULL;
}

static const struct reference *refuse(const struct expression_context *context, size_t offset, const char *word) {
  expression_error(context, offset, "`%s` has no meaning for `on: %s`, which can read %s", word, on_words[context->on],
                   on_references[context->on]);
  return NULL;
}

static bool plain(struct image_text text) {
  for (uint32_t i = 0; i < text.length; i++)
    if (!token_word_character(text.at[i])) return false;
  return text.length > 0;
}

static bool plain_dotted(struct image_text text) {
  bool after_dot = true;
  for (uint32_t i = 0; i < text.length; i++) {
    if (text.at[i] == '.' ? after_dot : !token_word_character(text.at[i])) return false;
    after_dot = text.at[i] == '.';
  }
  return !after_dot;
}

static void spell_segment(const struct reference_segment *segment, struct growing_text *text) {
  if (segment->sort == SEGMENT_EVERY) {
    growing_text_append(text, "[*]", 3);
  } else if (segment->sort == SEGMENT_ELEMENT) {
    growing_text_format(text, "[%u]", segment->element);
  } else {
    growing_text_append(text, ".", 1);
    if (plain(segment->key))
      growing_text_append(text, segment->key.at, segment->key.length);
    else
      expression_print_string(segment->key, text);
  }
}

static void spell(struct reference *made, struct region *region) {
  struct growing_text text = {0};
  growing_text_append_string(&text, scopes[made->scope].word);
  if (made->scope == SCOPE_BODY) {
    for (uint32_t i = 0; i < made->segment_count; i++) spell_segment(&made->segments[i], &text);
  } else {
    growing_text_append(&text, ".", 1);
    if (plain_dotted(made->key))
      growing_text_append(&text, made->key.at, made->key.length);
    else
      expression_print_string(made->key, &text);
  }
  made->spelling = region_image_text(region, text.at, text.length);
  growing_text_free(&text);
}

/* Only paths into a body's JSON have elements, and its root is an object. */
static bool elements_check(const struct expression_context *context, size_t offset, int scope,
                           const struct reference_segment *segments, uint32_t segment_count, bool *every) {
  *every = false;
  for (uint32_t i = 0; i < segment_count; i++) {
    if (segments[i].sort == SEGMENT_MEMBER) continue;
    *every |= segments[i].sort == SEGMENT_EVERY;
    if (scope == SCOPE_BODY && i > 0) continue;
    expression_error(context, offset,
                     scope == SCOPE_BODY ? "a body is an object: [N] and [*] stand behind a key, as in body.items[0]"
                                         : "[N] and [*] go with body.PATH only");
    return false;
  }
  return true;
}

/* A key may need fewer parts when spelled canonically (one quoted string), never more. */
static const struct reference *attribute(const struct expression_context *context, size_t offset, int scope,
                                         const struct reference_segment *segments, uint32_t segment_count) {
  struct reference *made = region_take(context->region, sizeof *made);
  made->scope = (enum column_scope)scope;
  made->type = REFERENCE_ANY;
  made->segments = segments;
  made->segment_count = segment_count;
  if (!elements_check(context, offset, scope, segments, segment_count, &made->every)) return NULL;
  struct growing_text key = {0};
  for (uint32_t i = 0; i < segment_count; i++) {
    if (segments[i].sort != SEGMENT_MEMBER) continue;
    if (i > 0) growing_text_append(&key, ".", 1);
    growing_text_append(&key, segments[i].key.at, segments[i].key.length);
  }
  const bool fits = key.length <= REFERENCE_KEY_BYTES_MAX;
  if (fits)
    made->key = region_image_text(context->region, key.at, key.length);
  else
    expression_error(context, offset, "this key has %zu bytes; at most %u are allowed", key.length, REFERENCE_KEY_BYTES_MAX);
  growing_text_free(&key);
  if (!fits) return NULL;
  spell(made, context->region);
  for (uint32_t i = 0; i < segment_count; i++)
    if (segments[i].sort != SEGMENT_MEMBER) made->key = made->spelling;
  return made;
}

const struct reference *reference_make(const struct expression_context *context, size_t offset, struct image_text head,
                                       const struct reference_segment *segments, uint32_t segment_count) {
  const int intrinsic = find_intrinsic(head), scope = find_scope(head);
  if (segment_count > 0 && scope >= 0) {
    if (context->on_known && !scopes[scope].on[context->on]) return refuse(context, offset, scopes[scope].word);
    return attribute(context, offset, scope, segments, segment_count);
  }
  if (segment_count > 0 && intrinsic >= 0) {
    expression_error(context, offset, "`%s` is an intrinsic and has no parts; an attribute is written span.KEY or resource.KEY",
                     intrinsics[intrinsic].word);
    return NULL;
  }
  if (scope >= 0) {
    expression_error(context, offset, "`%s` needs a key, as in %s.KEY", scopes[scope].word, scopes[scope].word);
    return NULL;
  }
  if (intrinsic < 0) return unknown(context, offset, head);
  if (context->on_known && !intrinsic_allowed(context->on, intrinsic)) return refuse(context, offset, intrinsics[intrinsic].word);
  struct reference *made = region_take(context->region, sizeof *made);
  *made =
      (struct reference){.scope = SCOPE_INTRINSIC, .intrinsic = (enum intrinsic)intrinsic, .type = intrinsics[intrinsic].type};
  if (reference_is_calendar(made)) made->zone = context->zone;
  made->spelling = (struct image_text){.at = intrinsics[intrinsic].word, .length = (uint32_t)strlen(intrinsics[intrinsic].word)};
  return made;
}

void reference_show(const struct reference *reference, char shown[REFERENCE_SHOWN_BYTES]) {
  struct growing_text text = {0};
  reference_print(reference, &text);
  const bool cut = text.length > REFERENCE_SHOWN_BYTES - 4;
  snprintf(shown, REFERENCE_SHOWN_BYTES, "%.*s%s", (int)(cut ? REFERENCE_SHOWN_BYTES - 4 : text.length), text.at,
           cut ? "..." : "");
  growing_text_free(&text);
}
