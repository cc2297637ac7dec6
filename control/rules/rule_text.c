#include "rule_set_internal.h"
#include <stdlib.h>
#include <string.h>

/* The code point at `at` (valid UTF-8) and its bytes. */
static uint32_t decode(const unsigned char *at, unsigned *bytes) {
  *bytes = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
  uint32_t code = *bytes == 1 ? at[0] : at[0] & (0xffu >> (*bytes + 1));
  for (unsigned i = 1; i < *bytes; i++) code = code << 6 | (at[i] & 0x3fu);
  return code;
}

/* What a YAML scalar on one line may hold unescaped. */
static bool printable(uint32_t code) {
  if (code < 0xa0) return code >= ' ' && code < 0x7f;
  return code != 0x2028 && code != 0x2029 && code != 0xfeff && code != 0xfffe && code != 0xffff;
}

static bool all_printable(const char *text) {
  unsigned bytes;
  for (const unsigned char *at = (const unsigned char *)text; *at; at += bytes)
    if (!printable(decode(at, &bytes))) return false;
  return true;
}

static void print_single_quoted(const char *text, struct growing_text *out) {
  growing_text_append(out, "'", 1);
  for (; *text; text++) growing_text_append(out, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
  growing_text_append(out, "'", 1);
}

static void print_double_quoted(const char *text, struct growing_text *out) {
  growing_text_append(out, "\"", 1);
  unsigned bytes;
  for (const unsigned char *at = (const unsigned char *)text; *at; at += bytes) {
    const uint32_t code = decode(at, &bytes);
    if (code == '"' || code == '\\')
      growing_text_format(out, "\\%c", (char)code);
    else if (code == '\n')
      growing_text_append_string(out, "\\n");
    else if (code > 0xffff)
      growing_text_format(out, "\\U%08x", code);
    else if (!printable(code))
      growing_text_format(out, "\\u%04x", code);
    else
      growing_text_append(out, (const char *)at, bytes);
  }
  growing_text_append(out, "\"", 1);
}

void rule_text_print_scalar(const char *text, struct growing_text *out) {
  if (all_printable(text))
    print_single_quoted(text, out);
  else
    print_double_quoted(text, out);
}

static void print_key(const char *key, const char *text, struct growing_text *out) {
  if (!text) return;
  growing_text_format(out, "    %s: ", key);
  rule_text_print_scalar(text, out);
  growing_text_append(out, "\n", 1);
}

void rule_text_print(const struct parsed_rule *parsed, struct growing_text *out) {
  const struct rule_definition *rule = &parsed->definition;
  growing_text_format(out, "  - name: '%s'\n    severity: %s\n    on: %s\n", rule->name, rule_severity_words[rule->severity],
                      rule_on_words[rule->on]);
  if (!rule->enabled) growing_text_append_string(out, "    enabled: false\n");
  if (rule->mode != RULE_ENFORCE) growing_text_format(out, "    mode: %s\n", rule_mode_words[rule->mode]);
  print_key("title", rule->title, out);
  print_key("description", rule->description, out);
  print_key("timezone", rule->timezone, out);
  print_key("if", rule->condition_text, out);
  print_key("when", rule->when_text, out);
  print_key("always", rule->always_text, out);
  print_key("never", rule->never_text, out);
  if (rule->within_ns) {
    growing_text_append_string(out, "    within: ");
    trace_within_print(rule->within_ns, out);
    growing_text_append_string(out, "\n");
  }
  window_print_keys(parsed, out);
  const char *otherwise = rule->title ? rule->title : rule->name;
  if (parsed->has_message && (strcmp(rule->message, otherwise) != 0 || strstr(rule->message, "${")))
    print_key("message", rule->message, out);
  growing_text_append(out, parsed->example_text.at ? parsed->example_text.at : "", parsed->example_text.length);
  if (rule->tag_count == 0) return;
  growing_text_append_string(out, "    tags: [");
  for (size_t i = 0; i < rule->tag_count; i++) {
    if (i) growing_text_append_string(out, ", ");
    rule_text_print_scalar(rule->tags[i], out);
  }
  growing_text_append_string(out, "]\n");
}

char *rule_set_text(const struct rule_set *set, size_t *length) {
  struct growing_text out = {0};
  growing_text_append_string(&out, set->count ? "rules:\n" : "rules: []\n");
  for (size_t i = 0; i < set->count; i++) {
    const struct rule_entry *entry = &set->entries[i];
    growing_text_append(&out, entry->parsed->content.at, entry->parsed->content.length);
    if (entry->definition.version) growing_text_format(&out, "    version: %u\n", entry->definition.version);
  }
  if (length) *length = out.length;
  return out.at;
}
