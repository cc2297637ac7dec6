#include "config_internal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void config_complain(struct config_reader *reader, const yaml_node_t *node, const char *format, ...) {
  va_list arguments;
  reader->error_count++;
  fprintf(reader->errors, "%s:%zu:%zu: ", reader->name, node->start_mark.line + 1, node->start_mark.column + 1);
  va_start(arguments, format);
  vfprintf(reader->errors, format, arguments);
  va_end(arguments);
  fputc('\n', reader->errors);
}

const char *config_scalar(struct config_reader *reader, const yaml_node_t *node) {
  if (node->type == YAML_SCALAR_NODE) return (const char *)node->data.scalar.value;
  config_complain(reader, node, "a single value is expected here");
  return NULL;
}

void config_read_text(struct config_reader *reader, const yaml_node_t *node, char *field, size_t room) {
  const char *text = config_scalar(reader, node);
  if (!text) return;
  const size_t length = node->data.scalar.length;
  if (length >= room || memchr(text, 0, length)) {
    config_complain(reader, node, "at most %zu characters are allowed here", room - 1);
    return;
  }
  memset(field, 0, room);
  memcpy(field, text, length);
}

struct unit {
  const char *name;
  uint64_t factor;
};

/* Digits, an optional fraction, a unit; false when it is none of that or does not fit. */
static bool parse_with_unit(const char *text, const struct unit *units, uint64_t *value) {
  char *end = NULL;
  errno = 0;
  if (*text < '0' || *text > '9') return false;
  const unsigned long long whole = strtoull(text, &end, 10);
  if (errno) return false;
  double fraction = 0;
  if (*end == '.') {
    const double number = strtod(text, &end);
    fraction = number - (double)whole;
  }
  for (; units->name; units++) {
    if (strcmp(end, units->name) != 0) continue;
    if (fraction > 0 && units->factor == 1) return false;
    if (whole > UINT64_MAX / 2 / units->factor) return false;
    *value = whole * units->factor + (uint64_t)(fraction * (double)units->factor + 0.5);
    return true;
  }
  return false;
}

uint64_t config_read_number(struct config_reader *reader, const yaml_node_t *node, uint64_t least, uint64_t most) {
  static const struct unit units[] = {{"", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};
  const char *text = config_scalar(reader, node);
  uint64_t value = least;
  if (!text) return least;
  if (!parse_with_unit(text, units, &value) || value < least || value > most) {
    config_complain(reader, node, "a whole number from %llu to %llu is expected here", (unsigned long long)least,
                    (unsigned long long)most);
    return least;
  }
  return value;
}

uint64_t config_read_duration(struct config_reader *reader, const yaml_node_t *node, uint64_t most_ns) {
  static const struct unit units[] = {
      {"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000ull}, {"h", 3600000000000ull}, {NULL, 0}};
  const char *text = config_scalar(reader, node);
  uint64_t value = 0;
  if (!text) return 0;
  if (strcmp(text, "0") == 0) return 0;
  if (!parse_with_unit(text, units, &value) || value > most_ns) {
    config_complain(reader, node, "a duration such as 250ms, 3s or 5m is expected here, at most %llus",
                    (unsigned long long)(most_ns / 1000000000));
    return 0;
  }
  return value;
}

uint32_t config_read_share_ppm(struct config_reader *reader, const yaml_node_t *node) {
  static const struct unit units[] = {{"%", 10000}, {NULL, 0}};
  const char *text = config_scalar(reader, node);
  uint64_t value = 0;
  if (!text || strcmp(text, "0") == 0) return 0;
  if (!parse_with_unit(text, units, &value) || value > 1000000) {
    config_complain(reader, node, "a share from 0%% to 100%% is expected here, such as 0.5%%");
    return 0;
  }
  return (uint32_t)value;
}

bool config_read_bool(struct config_reader *reader, const yaml_node_t *node) {
  const char *text = config_scalar(reader, node);
  if (text && (strcmp(text, "true") == 0 || strcmp(text, "yes") == 0)) return true;
  if (text && (strcmp(text, "false") == 0 || strcmp(text, "no") == 0)) return false;
  if (text) config_complain(reader, node, "true or false is expected here");
  return false;
}

int config_read_word(struct config_reader *reader, const yaml_node_t *node, const char *const *words) {
  const char *text = config_scalar(reader, node);
  if (!text) return -1;
  for (int i = 0; words[i]; i++)
    if (strcmp(text, words[i]) == 0) return i;
  char list[256] = "";
  for (int i = 0; words[i]; i++) {
    const size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", words[i]);
  }
  config_complain(reader, node, "'%s' is not one of: %s", text, list);
  return -1;
}

static size_t edit_distance(const char *a, const char *b) {
  size_t row[64];
  const size_t length = strlen(b);
  if (length >= 64 || strlen(a) >= 64) return 99;
  for (size_t j = 0; j <= length; j++) row[j] = j;
  for (size_t i = 0; a[i]; i++) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 1; j <= length; j++) {
      const size_t substituted = diagonal + (a[i] != b[j - 1]);
      diagonal = row[j];
      size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
      if (substituted < best) best = substituted;
      row[j] = best;
    }
  }
  return row[length];
}

static void complain_unknown(struct config_reader *reader, const yaml_node_t *key, const struct config_key *keys) {
  const char *text = (const char *)key->data.scalar.value, *nearest = NULL;
  size_t nearest_distance = 3;
  for (; keys->name; keys++) {
    const size_t distance = edit_distance(text, keys->name);
    if (distance < nearest_distance) {
      nearest_distance = distance;
      nearest = keys->name;
    }
  }
  if (nearest) {
    config_complain(reader, key, "unknown key '%s'; did you mean '%s'?", text, nearest);
  } else {
    config_complain(reader, key, "unknown key '%s'", text);
  }
}

static bool repeated(struct config_reader *reader, const yaml_node_t *mapping, const yaml_node_pair_t *pair) {
  const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
  for (const yaml_node_pair_t *other = mapping->data.mapping.pairs.start; other < pair; other++) {
    const yaml_node_t *other_key = yaml_document_get_node(&reader->document, other->key);
    if (other_key->type == YAML_SCALAR_NODE && strcmp((char *)other_key->data.scalar.value, (char *)key->data.scalar.value) == 0)
      return true;
  }
  return false;
}

void config_read_mapping(struct config_reader *reader, const yaml_node_t *node, const struct config_key *keys, void *target) {
  if (node->type != YAML_MAPPING_NODE) {
    config_complain(reader, node, "a mapping of keys is expected here");
    return;
  }
  for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
    const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(&reader->document, pair->value);
    if (!config_scalar(reader, key)) continue;
    if (repeated(reader, node, pair)) {
      config_complain(reader, key, "key '%s' is given twice", key->data.scalar.value);
      continue;
    }
    const struct config_key *known = keys;
    while (known->name && strcmp(known->name, (const char *)key->data.scalar.value) != 0) known++;
    if (known->name) {
      known->read(reader, value, target);
    } else {
      complain_unknown(reader, key, keys);
    }
  }
}

const yaml_node_t *config_find_value(struct config_reader *reader, const yaml_node_t *node, const char *name) {
  if (node->type != YAML_MAPPING_NODE) return NULL;
  for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
    const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
    if (key->type == YAML_SCALAR_NODE && strcmp((char *)key->data.scalar.value, name) == 0)
      return yaml_document_get_node(&reader->document, pair->value);
  }
  return NULL;
}
