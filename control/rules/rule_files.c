#include "always_assert.h"
#include "rule_load_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct rule_set *rule_set_parse(const char *name, const char *text, size_t length, struct rule_errors *errors) {
  return rule_set_parse_texts(&(struct rule_text){.name = name, .text = text, .length = length}, 1, false, errors);
}

struct rule_set *rule_set_parse_texts(const struct rule_text *texts, size_t count, bool keep_good, struct rule_errors *errors) {
  struct rule_load load;
  rule_load_begin(&load, errors);
  for (size_t i = 0; i < count; i++) rule_load_add(&load, texts[i].name, texts[i].text, texts[i].length, NULL);
  return rule_load_finish(&load, keep_good);
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

/* The name of a file is kept behind its text. */
static void load_file(struct rule_load *load, const char *path) {
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  size_t length = 0;
  char *text = descriptor < 0 ? NULL : read_all(descriptor, &length);
  const int failure = errno;
  if (descriptor >= 0) close(descriptor);
  if (!text) {
    rule_errors_add_file(load->errors, path, 0, "cannot be read: %s", strerror(failure));
    return;
  }
  const size_t name_bytes = strlen(path) + 1;
  char *both = realloc(text, length + 1 + name_bytes);
  ALWAYS_ASSERT(both != NULL);
  memcpy(both + length + 1, path, name_bytes);
  rule_load_add(load, both + length + 1, both, length, both);
}

/* Unit tests (`checkout.test.yaml`) lie beside the rules. */
static int is_rule_file(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  if (entry->d_name[0] == '.' || !dot || (strcmp(dot, ".yaml") != 0 && strcmp(dot, ".yml") != 0)) return 0;
  return dot - entry->d_name < 5 || strncmp(dot - 5, ".test", 5) != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void load_directory(struct rule_load *load, const char *path) {
  struct dirent **entries = NULL;
  const int count = scandir(path, &entries, is_rule_file, by_bytes);
  if (count < 0) {
    rule_errors_add_file(load->errors, path, 0, "cannot be read: %s", strerror(errno));
    return;
  }
  for (int i = 0; i < count; i++) {
    char file[PATH_MAX];
    struct stat status;
    const size_t end = strlen(path);
    const int length =
        snprintf(file, sizeof file, "%s%s%s", path, end > 0 && path[end - 1] == '/' ? "" : "/", entries[i]->d_name);
    if (length < 0 || (size_t)length >= sizeof file)
      rule_errors_add_file(load->errors, path, 0, "the path of %s is too long", entries[i]->d_name);
    else if (stat(file, &status) == 0 && !S_ISREG(status.st_mode))
      rule_errors_add_file(load->errors, file, 0, "is not a regular file");
    else
      load_file(load, file);
    free(entries[i]);
  }
  free(entries);
}

struct rule_set *rule_set_load(const char *const *paths, size_t path_count, struct rule_errors *errors) {
  struct rule_load load;
  rule_load_begin(&load, errors);
  for (size_t i = 0; i < path_count; i++) {
    struct stat status;
    if (stat(paths[i], &status) == 0 && S_ISDIR(status.st_mode))
      load_directory(&load, paths[i]);
    else
      load_file(&load, paths[i]);
  }
  return rule_load_finish(&load, false);
}
