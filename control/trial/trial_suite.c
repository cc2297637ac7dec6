/* Which files hold tests, and the rules that they are of. */
#include "trial_suite.h"
#include "trial_test_internal.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TESTS_A_FILE_MAX 100000u

/* `a/checkout.test.yaml` tests `a/checkout.yaml`, or .yml. */
static bool rules_beside(const char *path, char *rules, size_t room) {
  static const char *const ends[] = {".yaml", ".yml"};
  const char *end = strstr(path, ".test.");
  for (const char *next; end && (next = strstr(end + 1, ".test."));) end = next;
  for (size_t i = 0; end && i < 2; i++) {
    struct stat status;
    snprintf(rules, room, "%.*s%s", (int)(end - path), path, ends[i]);
    if (stat(rules, &status) == 0) return true;
  }
  return false;
}

static struct rule_set *load_named(struct trial_test_file *file, yaml_node_t *node) {
  struct trial_document *document = &file->document;
  const char *slash = strrchr(document->path, '/');
  const int folder = slash ? (int)(slash + 1 - document->path) : 0;
  const size_t count = node->type == YAML_SEQUENCE_NODE ? trial_list_count(node) : 0;
  if (count == 0) {
    trial_error(document, node, "rules are a list of files");
    return NULL;
  }
  char **paths = calloc(count, sizeof *paths);
  bool good = paths != NULL;
  for (size_t i = 0; good && i < count; i++) {
    const char *name = trial_text_of(document, trial_list_at(document, node, i));
    good = name && asprintf(&paths[i], "%.*s%s", *name == '/' ? 0 : folder, document->path, name) >= 0;
  }
  struct rule_set *set = good ? rule_set_load((const char *const *)paths, count, document->errors) : NULL;
  for (size_t i = 0; paths && i < count; i++) free(paths[i]);
  free(paths);
  return set;
}

static bool load_rules(struct trial_test_file *file, yaml_node_t *node) {
  char beside[4096];
  const char *path = beside;
  if (node) {
    file->set = load_named(file, node);
  } else if (rules_beside(file->document.path, beside, sizeof beside)) {
    file->set = rule_set_load(&path, 1, file->document.errors);
  } else {
    trial_error_file(file->document.errors, file->document.path, "names no rules, and has none beside it");
  }
  return trial_test_file_start(file);
}

static void run_tests(struct trial_test_file *file) {
  enum { RULES, TESTS, KEYS };
  static const char *const keys[] = {"rules", "tests", NULL};
  yaml_node_t *nodes[KEYS];
  struct trial_document *document = &file->document;
  if (!trial_read_mapping(document, trial_document_root(document), "a test file", keys, nodes)) return;
  if (!nodes[TESTS] || nodes[TESTS]->type != YAML_SEQUENCE_NODE || trial_list_count(nodes[TESTS]) > TESTS_A_FILE_MAX) {
    trial_error(document, trial_document_root(document), "a test file has a list of at most %u tests", TESTS_A_FILE_MAX);
    return;
  }
  if (!load_rules(file, nodes[RULES])) return;
  for (size_t i = 0; i < trial_list_count(nodes[TESTS]); i++) trial_test_run(file, trial_list_at(document, nodes[TESTS], i));
}

static bool has_end(const char *name, const char *end) {
  const size_t length = strlen(name), end_length = strlen(end);
  return length > end_length && strcmp(name + length - end_length, end) == 0;
}

static bool is_test_name(const char *name) { return has_end(name, ".test.yaml") || has_end(name, ".test.yml"); }

static int is_yaml(const struct dirent *entry) {
  return entry->d_name[0] != '.' && (has_end(entry->d_name, ".yaml") || has_end(entry->d_name, ".yml"));
}

/* A list of tests makes a test file, whatever its name. */
static bool has_tests(struct trial_document *document) {
  const yaml_node_t *root = trial_document_root(document);
  if (root->type != YAML_MAPPING_NODE) return false;
  for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; pair++) {
    const yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);
    if (key->type == YAML_SCALAR_NODE && strcmp((const char *)key->data.scalar.value, "tests") == 0) return true;
  }
  return false;
}

/* `folder`: the rules that an example is judged by, all of a folder; NULL: the file alone. Returns whether it held any tests. */
static bool run_file(const char *path, const char *folder, json_t *results, struct rule_errors *errors) {
  struct trial_test_file file = {.results = results};
  bool any = true;
  if (trial_document_load(&file.document, path, errors)) {
    if (is_test_name(path) || has_tests(&file.document)) {
      run_tests(&file);
    } else {
      const char *rules = folder ? folder : path;
      any = trial_has_examples(&file.document);
      if (any) file.set = rule_set_load(&rules, 1, errors);
      any = file.set && trial_examples_run(&file) > 0;
    }
  }
  trial_test_file_end(&file);
  return any;
}

static void run_directory(const char *path, json_t *results, struct rule_errors *errors) {
  struct dirent **entries = NULL;
  const int count = scandir(path, &entries, is_yaml, alphasort);
  bool any = false;
  for (int i = 0; i < count; i++) {
    char *name = NULL;
    const bool slash = path[0] && path[strlen(path) - 1] == '/';
    if (asprintf(&name, "%s%s%s", path, slash ? "" : "/", entries[i]->d_name) >= 0) {
      any = run_file(name, path, results, errors) || any;
      free(name);
    }
    free(entries[i]);
  }
  free(entries);
  if (!any) trial_error_file(errors, path, "has no tests: no *.test.yaml, and no rule with an example_violation");
}

json_t *trial_suite_run(const char *const *paths, size_t count, struct rule_errors *errors) {
  json_t *results = json_array(), *result;
  size_t index, passed = 0;
  for (size_t i = 0; results && i < count; i++) {
    struct stat status;
    if (stat(paths[i], &status) == 0 && S_ISDIR(status.st_mode))
      run_directory(paths[i], results, errors);
    else if (!run_file(paths[i], NULL, results, errors) && errors->count == 0)
      trial_error_file(errors, paths[i], "has no tests, and no rule with an example_violation");
  }
  json_array_foreach(results, index, result) {
    if (json_is_true(json_object_get(result, "passed"))) passed++;
  }
  const size_t all = json_array_size(results);
  return json_pack("{s:o, s:I, s:I}", "tests", results, "passed", (json_int_t)passed, "failed", (json_int_t)(all - passed));
}
