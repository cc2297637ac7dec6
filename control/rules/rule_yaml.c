#include "rule_yaml_internal.h"
#include <stdlib.h>
#include <string.h>

#define YAML_DEPTH_MAX 64u

static const char *const field_words[RULE_FIELDS + 1] = {
    [FIELD_NAME] = "name",
    [FIELD_SEVERITY] = "severity",
    [FIELD_ON] = "on",
    [FIELD_IF] = "if",
    [FIELD_WHEN] = "when",
    [FIELD_ALWAYS] = "always",
    [FIELD_NEVER] = "never",
    [FIELD_MESSAGE] = "message",
    [FIELD_ENABLED] = "enabled",
    [FIELD_TAGS] = "tags",
    [FIELD_VERSION] = "version",
    [FIELD_DESCRIPTION] = "description",
    [FIELD_MODE] = "mode",
    [FIELD_EXPRESSION] = "expression",
    [FIELD_CONDITION] = "condition",
    [FIELD_ID] = "id",
    [FIELD_TITLE] = "title",
    [FIELD_APPEND] = "append",
    [FIELD_EXCEPTIONS] = "exceptions",
    [FIELD_EXAMPLE] = "example_violation",
    [FIELD_FRAMEWORKS] = "compliance_frameworks",
    [FIELD_WITHIN] = "within",
    [FIELD_TIMEZONE] = "timezone",
    [FIELD_WINDOW] = "window",
    [FIELD_FOR] = "for",
    [FIELD_REPEAT_AFTER] = "repeat_after",
    [FIELD_SUPPRESS] = "suppress",
    [FIELD_THRESHOLD] = "threshold",
};

static void yaml_complaint(struct loader *loader) {
  const yaml_parser_t *parser = &loader->parser;
  loader->stopped = true;
  if (loader->excused) return;
  const char *problem = parser->problem ? parser->problem : "out of memory";
  if (parser->error == YAML_READER_ERROR) {
    rule_errors_add(loader->errors, loader->source, rule_source_place_of_byte(loader->source, parser->problem_offset),
                    "not a text in UTF-8: %s", problem);
    return;
  }
  const bool symbol = parser->context &&
                      (strstr(parser->context, "tag") || strstr(parser->context, "anchor") || strstr(parser->context, "alias"));
  rule_errors_add(loader->errors, loader->source, yaml_place_of(parser->problem_mark), "not YAML: %s%s%s%s",
                  parser->context ? parser->context : "", parser->context ? ", " : "", problem,
                  symbol ? " (an expression that begins with ! or & is quoted, or a block: `if: |`)" : "");
}

static void check_properties(struct loader *loader) {
  const yaml_event_t *event = &loader->event;
  const yaml_char_t *anchor = NULL, *tag = NULL;
  if (event->type == YAML_SCALAR_EVENT) {
    anchor = event->data.scalar.anchor;
    tag = event->data.scalar.tag;
  } else if (event->type == YAML_SEQUENCE_START_EVENT) {
    anchor = event->data.sequence_start.anchor;
    tag = event->data.sequence_start.tag;
  } else if (event->type == YAML_MAPPING_START_EVENT) {
    anchor = event->data.mapping_start.anchor;
    tag = event->data.mapping_start.tag;
  } else if (event->type == YAML_ALIAS_EVENT) {
    anchor = event->data.alias.anchor;
  }
  if (anchor) COMPLAIN(loader, "YAML anchors and aliases are not accepted");
  if (tag) COMPLAIN(loader, "YAML tags are not accepted; an expression that begins with ! is quoted");
}

bool yaml_next(struct loader *loader) {
  if (loader->stopped) return false;
  if (rule_errors_full(loader->errors)) {
    /* What is left unread must not pass for good. */
    loader->errors->dropped++;
    loader->stopped = true;
    return false;
  }
  yaml_event_delete(&loader->event);
  if (!yaml_parser_parse(&loader->parser, &loader->event)) {
    yaml_complaint(loader);
    return false;
  }
  check_properties(loader);
  return true;
}

/* From the first event of a node to its last. */
void yaml_skip_node(struct loader *loader) {
  unsigned depth = 0;
  for (;;) {
    const yaml_event_type_t type = loader->event.type;
    if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT) depth++;
    if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT) depth--;
    if (depth == 0) return;
    if (depth > YAML_DEPTH_MAX) {
      COMPLAIN(loader, "nested more than %u deep", YAML_DEPTH_MAX);
      loader->stopped = true;
    }
    if (!yaml_next(loader)) return;
  }
}

struct source_scalar yaml_scalar_of(const yaml_event_t *event, struct region *region) {
  static const enum scalar_style styles[] = {
      [YAML_ANY_SCALAR_STYLE] = SCALAR_PLAIN,
      [YAML_PLAIN_SCALAR_STYLE] = SCALAR_PLAIN,
      [YAML_SINGLE_QUOTED_SCALAR_STYLE] = SCALAR_SINGLE_QUOTED,
      [YAML_DOUBLE_QUOTED_SCALAR_STYLE] = SCALAR_DOUBLE_QUOTED,
      [YAML_LITERAL_SCALAR_STYLE] = SCALAR_BLOCK,
      [YAML_FOLDED_SCALAR_STYLE] = SCALAR_BLOCK,
  };
  return (struct source_scalar){
      .value = region_copy(region, (const char *)event->data.scalar.value, event->data.scalar.length),
      .length = event->data.scalar.length,
      .line = (uint32_t)event->start_mark.line,
      .column = (uint32_t)event->start_mark.column,
      .style = styles[event->data.scalar.style],
  };
}

static bool is_null(const struct source_scalar *scalar) {
  static const char *const words[] = {"", "~", "null", "Null", "NULL"};
  if (scalar->style != SCALAR_PLAIN) return false;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (strcmp(scalar->value, words[i]) == 0) return true;
  return false;
}

/* A text without NUL, or false and an error. */
bool yaml_read_text(struct loader *loader, const char *what, struct region *region, struct source_scalar *text) {
  if (loader->event.type != YAML_SCALAR_EVENT) {
    if (loader->event.type != YAML_ALIAS_EVENT) COMPLAIN(loader, "`%s` must be a text", what);
    yaml_skip_node(loader);
    return false;
  }
  const struct source_scalar scalar = yaml_scalar_of(&loader->event, region);
  if (loader->event.data.scalar.tag) return false;
  if (memchr(scalar.value, '\0', scalar.length)) {
    COMPLAIN(loader, "`%s` holds the character U+0000", what);
    return false;
  }
  if (is_null(&scalar)) {
    COMPLAIN(loader, "`%s` has no value", what);
    return false;
  }
  *text = scalar;
  return true;
}

/* A list of texts, of which the rule has `*count` already. */
static void read_tags(struct loader *loader, const char *what, struct raw_rule *raw, struct source_scalar **tags, size_t *count) {
  struct source_scalar kept[RULE_TAGS_MAX];
  if (loader->event.type != YAML_SEQUENCE_START_EVENT) {
    COMPLAIN(loader, "`%s` must be a list of texts", what);
    yaml_skip_node(loader);
    return;
  }
  while (yaml_next(loader) && loader->event.type != YAML_SEQUENCE_END_EVENT) {
    struct source_scalar tag;
    if (*count == RULE_TAGS_MAX) {
      COMPLAIN(loader, "a rule has at most %u tags", RULE_TAGS_MAX);
      while (!loader->stopped && loader->event.type != YAML_SEQUENCE_END_EVENT) {
        yaml_skip_node(loader);
        yaml_next(loader);
      }
      break;
    }
    if (!yaml_read_text(loader, what, raw->region, &tag)) continue;
    if (tag.length == 0 || tag.length > 128)
      COMPLAIN(loader, "a tag has 1 to 128 bytes");
    else
      kept[(*count)++] = tag;
  }
  *tags = region_take(raw->region, *count * sizeof **tags);
  memcpy(*tags, kept, *count * sizeof **tags);
}

static int find_field(const char *key, size_t length) {
  for (int i = 0; i < RULE_FIELDS; i++)
    if (strlen(field_words[i]) == length && memcmp(field_words[i], key, length) == 0) return i;
  return -1;
}

static void read_value(struct loader *loader, struct raw_rule *raw, enum rule_field field) {
  if (field == FIELD_TAGS || field == FIELD_FRAMEWORKS) {
    read_tags(loader, field_words[field], raw, field == FIELD_TAGS ? &raw->tags : &raw->frameworks,
              field == FIELD_TAGS ? &raw->tag_count : &raw->framework_count);
    return;
  }
  if (field == FIELD_EXCEPTIONS || field == FIELD_EXAMPLE) {
    *(field == FIELD_EXCEPTIONS ? &raw->exceptions : &raw->example) = yaml_read_node(loader, raw->region);
    return;
  }
  if (field == FIELD_SUPPRESS || field == FIELD_THRESHOLD) {
    *(field == FIELD_SUPPRESS ? &raw->suppress : &raw->threshold) = yaml_read_node(loader, raw->region);
    return;
  }
  const bool expression = (field >= FIELD_IF && field <= FIELD_NEVER) || field == FIELD_EXPRESSION || field == FIELD_CONDITION;
  if (expression && loader->event.type == YAML_MAPPING_START_EVENT &&
      loader->event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE) {
    COMPLAIN(loader, "YAML takes this { for a mapping: quote the expression, or write it as a block (`%s: |`)",
             field_words[field]);
    loader->excused = true;
    yaml_skip_node(loader);
    if (!loader->stopped) loader->excused = false;
    return;
  }
  if (!yaml_read_text(loader, field_words[field], raw->region, &raw->fields[field])) raw->fields[field].value = NULL;
}

void yaml_unknown_key(struct loader *loader, const char *const *words, const char *where) {
  const yaml_event_t *event = &loader->event;
  const size_t length = event->data.scalar.length;
  const struct image_text key = {.at = (const char *)event->data.scalar.value, .length = (uint32_t)(length < 64 ? length : 64)};
  const char *meant = suggest(key, words);
  COMPLAIN(loader, "unknown key `%.*s` %s%s%s%s", (int)key.length, key.at, where, meant ? "; did you mean `" : "",
           meant ? meant : "", meant ? "`?" : "");
}

/* One key of a rule and its value. */
static void read_pair(struct loader *loader, struct raw_rule *raw) {
  if (loader->event.type != YAML_SCALAR_EVENT) {
    COMPLAIN(loader, "a key must be a word");
    yaml_skip_node(loader);
    if (yaml_next(loader)) yaml_skip_node(loader);
    return;
  }
  const int field = find_field((const char *)loader->event.data.scalar.value, loader->event.data.scalar.length);
  const bool again = field >= 0 && raw->present[field];
  if (field < 0)
    yaml_unknown_key(loader, field_words, "in a rule");
  else if (again)
    COMPLAIN(loader, "`%s` is given twice in this rule", field_words[field]);
  if (!yaml_next(loader)) return;
  if (field < 0 || again) {
    yaml_skip_node(loader);
    return;
  }
  raw->present[field] = true;
  read_value(loader, raw, (enum rule_field)field);
}

static void read_rule(struct loader *loader) {
  if (loader->event.type != YAML_MAPPING_START_EVENT) {
    COMPLAIN(loader, "a rule must be a mapping with `name:` and so on");
    yaml_skip_node(loader);
    return;
  }
  if (loader->load->rule_count >= RULES_MAX) {
    COMPLAIN(loader, "more than %u rules", RULES_MAX);
    loader->stopped = true;
    return;
  }
  struct raw_rule whole = {.region = &loader->file->region}, *const raw = &whole;
  const struct source_place place = yaml_place_of(loader->event.start_mark);
  raw->line = place.line;
  raw->column = place.column;
  while (yaml_next(loader) && loader->event.type != YAML_MAPPING_END_EVENT) read_pair(loader, raw);
  loader->load->rule_count++;
  if (!loader->stopped) rule_load_keep(loader->load, loader->file, raw);
}

static void read_rules(struct loader *loader) {
  if (loader->event.type != YAML_SEQUENCE_START_EVENT) {
    COMPLAIN(loader, "`rules` must be a list");
    yaml_skip_node(loader);
    return;
  }
  while (yaml_next(loader) && loader->event.type != YAML_SEQUENCE_END_EVENT) read_rule(loader);
}

static int find_top(const yaml_event_t *event, const char *const *words) {
  for (int i = 0; words[i]; i++)
    if (strcmp((const char *)event->data.scalar.value, words[i]) == 0) return i;
  return -1;
}

static void read_document(struct loader *loader) {
  static const char *const words[] = {"rules", "macros", "lists", NULL};
  if (loader->event.type != YAML_MAPPING_START_EVENT) {
    COMPLAIN(loader, "a rule file is a mapping with `rules:`, `macros:` or `lists:`");
    yaml_skip_node(loader);
    return;
  }
  const struct source_place place = yaml_place_of(loader->event.start_mark);
  bool found[3] = {false}, any = false;
  while (yaml_next(loader) && loader->event.type != YAML_MAPPING_END_EVENT) {
    const bool scalar = loader->event.type == YAML_SCALAR_EVENT;
    const int word = scalar ? find_top(&loader->event, words) : -1;
    const bool again = word >= 0 && found[word];
    if (!scalar)
      COMPLAIN(loader, "a key must be a word");
    else if (word < 0)
      yaml_unknown_key(loader, words, "in a rule file");
    else if (again)
      COMPLAIN(loader, "`%s` is given twice", words[word]);
    if (!scalar) yaml_skip_node(loader);
    if (!yaml_next(loader)) return;
    if (word < 0 || again)
      yaml_skip_node(loader);
    else if (word == 0)
      read_rules(loader);
    else
      yaml_read_shared(loader, word == 2);
    if (word >= 0) any = found[word] = true;
  }
  if (!any && !loader->stopped) rule_errors_add(loader->errors, loader->source, place, "the key `rules:` is missing");
}

void rule_yaml_read(struct rule_load *load, struct rule_file *file) {
  struct rule_source *source = &file->source;
  struct rule_errors *errors = load->errors;
  struct loader loader = {.source = source, .errors = errors, .load = load, .file = file};
  if (source->length > RULE_FILE_BYTES_MAX) {
    rule_errors_add_file(errors, source->name, 0, "a rule file has at most %u bytes", RULE_FILE_BYTES_MAX);
    return;
  }
  if (!yaml_parser_initialize(&loader.parser)) {
    rule_errors_add_file(errors, source->name, 0, "out of memory");
    return;
  }
  /* Told, not guessed: columns are counted in UTF-8. */
  yaml_parser_set_encoding(&loader.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&loader.parser, (const unsigned char *)source->text, source->length);
  yaml_next(&loader);
  if (yaml_next(&loader)) {
    if (loader.event.type == YAML_DOCUMENT_START_EVENT && yaml_next(&loader)) {
      read_document(&loader);
      yaml_next(&loader);
      if (yaml_next(&loader) && loader.event.type != YAML_STREAM_END_EVENT)
        COMPLAIN(&loader, "a rule file holds one YAML document");
    } else if (!loader.stopped) {
      rule_errors_add_file(errors, source->name, 0, "the file is empty: expected the key `rules:`");
    }
  }
  yaml_event_delete(&loader.event);
  yaml_parser_delete(&loader.parser);
}
