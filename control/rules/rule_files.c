#include "rule_set_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rule_set *finish(struct rule_set *set, const struct rule_errors *errors, size_t errors_before) {
  if (rule_errors_total(errors) == errors_before) return set;
  rule_set_free(set);
  return NULL;
}

static bool later(const struct rule_error *a, const struct rule_error *b) {
  return a->line != b->line ? a->line > b->line : a->column > b->column;
}

/* A rule's keys are judged when all of them are known; its errors still come in the order of the text. */
static void sort_errors(struct rule_errors *errors, size_t from) {
  for (size_t i = from + 1; i < errors->count; i++) {
    const struct rule_error moved = errors->items[i];
    size_t at = i;
    for (; at > from && later(&errors->items[at - 1], &moved); at--) errors->items[at] = errors->items[at - 1];
    errors->items[at] = moved;
  }
}

static void read_text(struct rule_set *set, const char *name, const char *text, size_t length, struct rule_errors *errors) {
  struct rule_source source = {.name = name, .text = text, .length = length};
  const size_t before = errors->count;
  rule_yaml_read(set, &source, errors);
  rule_source_free(&source);
  sort_errors(errors, before);
}

struct rule_set *rule_set_parse(const char *name, const char *text, size_t length, struct rule_errors *errors) {
  const size_t before = rule_errors_total(errors);
  struct rule_set *set = rule_set_create();
  read_text(set, name, text, length, errors);
  return finish(set, errors, before);
}

struct rule_set *rule_set_parse_texts(const struct rule_text *texts, size_t count, bool keep_good, struct rule_errors *errors) {
  const size_t before = rule_errors_total(errors);
  struct rule_set *set = rule_set_create();
  for (size_t i = 0; i < count; i++) read_text(set, texts[i].name, texts[i].text, texts[i].length, errors);
  return keep_good ? set : finish(set, errors, before);
}

/* Whole content, or NULL and errno. Reads one byte beyond the limit so that a larger file is known as such. */
static char *read_all(int descriptor, size_t *length) {
  struct growing_text content = {0};
  char piece[65536];
  for (;;) {
    const ssize_t got = read(descriptor, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      growing_text_free(&content);
      return NULL;
    }
    if (got == 0) break;
    growing_text_append(&content, piece, (size_t)got);
    if (content.length > RULE_FILE_BYTES_MAX) break;
  }
  growing_text_append(&content, "", 0);
  *length = content.length;
  return content.at;
}

static void load_file(struct rule_set *set, const char *path, struct rule_errors *errors) {
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  size_t length = 0;
  char *text = descriptor < 0 ? NULL : read_all(descriptor, &length);
  const int failure = errno;
  if (descriptor >= 0) close(descriptor);
  if (!text) {
    rule_errors_add_file(errors, path, 0, "cannot be read: %s", strerror(failure));
    return;
  }
  read_text(set, path, text, length, errors);
  free(text);
}

static int is_rule_file(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  return entry->d_name[0] != '.' && dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void load_directory(struct rule_set *set, const char *path, struct rule_errors *errors) {
  struct dirent **entries = NULL;
  const int count = scandir(path, &entries, is_rule_file, by_bytes);
  if (count < 0) {
    rule_errors_add_file(errors, path, 0, "cannot be read: %s", strerror(errno));
    return;
  }
  for (int i = 0; i < count; i++) {
    char file[PATH_MAX];
    struct stat status;
    const size_t end = strlen(path);
    const int length =
        snprintf(file, sizeof file, "%s%s%s", path, end > 0 && path[end - 1] == '/' ? "" : "/", entries[i]->d_name);
    if (length < 0 || (size_t)length >= sizeof file)
      rule_errors_add_file(errors, path, 0, "the path of %s is too long", entries[i]->d_name);
    else if (stat(file, &status) == 0 && !S_ISREG(status.st_mode))
      rule_errors_add_file(errors, file, 0, "is not a regular file");
    else
      load_file(set, file, errors);
    free(entries[i]);
  }
  free(entries);
}

struct rule_set *rule_set_load(const char *const *paths, size_t path_count, struct rule_errors *errors) {
  const size_t before = rule_errors_total(errors);
  struct rule_set *set = rule_set_create();
  for (size_t i = 0; i < path_count; i++) {
    struct stat status;
    if (stat(paths[i], &status) == 0 && S_ISDIR(status.st_mode))
      load_directory(set, paths[i], errors);
    else
      load_file(set, paths[i], errors);
  }
  return finish(set, errors, before);
}
