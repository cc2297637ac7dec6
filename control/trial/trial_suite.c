#include "trial_suite.h"
#include "json_values.h"
#include "trial_test_internal.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TESTS_A_FILE_MAX 100000u
#define TEST_TRACES_MAX 4096u                /* small, so that a test begins in no time */
#define START_WALL_NS 1767225600000000000ull /* 2026-01-01T00:00:00Z, a Thursday */

struct test_file {
  struct trial_document document;
  struct rule_set *set;
  struct trial_host *host;
  json_t *violations; /* of the test that runs */
  uint64_t start_ns;
  json_t *results;
};

static void note_violation(void *context, const struct violation *violation) {
  struct test_file *file = context;
  json_t *json = trial_violation_json(violation);
  json_object_set_new(json, "at_ns", json_integer((json_int_t)(violation->wall_ns - file->start_ns)));
  json_array_append_new(file->violations, json);
}

static bool read_start(struct trial_document *document, yaml_node_t *node, uint64_t *start_ns) {
  *start_ns = START_WALL_NS;
  const char *text = node ? trial_text_of(document, node) : NULL;
  if (!text) return !node;
  if (strchr(text, 'T') && parse_time(text, 0, start_ns)) return true;
  trial_error(document, node, "a time is wanted here, as 2026-01-01T00:00:00Z");
  return false;
}

static json_t *refused(const yaml_node_t *node, const struct trial_answer *answer) {
  char text[200];
  if (answer->refusal == TRIAL_TAKEN)
    snprintf(text, sizeof text, "the span is rejected: its ids or times are not those of a span");
  else
    snprintf(text, sizeof text, "the event is refused (%s): %s, at byte %u", trial_refusal_name(answer->refusal), answer->error,
             answer->error_offset);
  return json_pack("{s:i, s:i, s:s, s:[]}", "line", (int)node->start_mark.line + 1, "column", (int)node->start_mark.column + 1,
                   "message", text, "details");
}

/* False: an event cannot be read; then nothing is said of the test but that. */
static bool play(struct test_file *file, struct trial_names *names, yaml_node_t *events, json_t *failures) {
  struct trial_stage stage = {.document = &file->document, .names = names, .start_ns = file->start_ns};
  for (size_t i = 0; i < trial_list_count(events); i++) {
    struct trial_event event;
    struct trial_answer answer = {0};
    yaml_node_t *node = trial_list_at(&file->document, events, i);
    stage.now_ns = trial_host_wall_ns(file->host);
    const bool good = trial_event_read(&stage, node, &event);
    if (good && event.advances)
      trial_host_advance(file->host, stage.now_ns + (uint64_t)event.advance_ns);
    else if (good)
      trial_host_take(file->host, &event.body, &answer);
    if (answer.refusal != TRIAL_TAKEN || answer.spans_rejected) json_array_append_new(failures, refused(node, &answer));
    trial_event_free(&event);
    if (!good) return false;
  }
  trial_host_settle(file->host);
  return true;
}

static bool read_rule_name(struct test_file *file, yaml_node_t *node, const char **rule) {
  *rule = trial_text_of(&file->document, node);
  if (!*rule) return false;
  if (rule_set_find(file->set, *rule)) return true;
  trial_error(&file->document, node, "there is no rule \"%.100s\"", *rule);
  return false;
}

static bool set_expected_id(struct trial_names *names, const json_t *wanted, size_t bytes, json_t **id) {
  char text[33];
  if (!json_is_string(wanted) || !trial_names_id(names, json_string_value(wanted), bytes, text)) return false;
  *id = json_string(text);
  return true;
}

/* Traces and spans by name, as in the events. */
static bool add_ids(struct test_file *file, struct trial_names *names, yaml_node_t *trace, yaml_node_t *spans, json_t *fields) {
  json_t *wanted = trace ? trial_json_of(&file->document, trace) : NULL, *id = NULL, *item, *ids = json_array();
  size_t index;
  bool good = !trace || set_expected_id(names, wanted, 16, &id);
  if (!good) trial_error(&file->document, trace, "a trace is named by a text");
  if (id) json_object_set_new(fields, "trace_id", id);
  json_decref(wanted);
  wanted = spans ? trial_json_of(&file->document, spans) : NULL;
  bool listed = !spans || json_is_array(wanted);
  json_array_foreach(wanted, index, item) {
    id = NULL;
    listed = listed && set_expected_id(names, item, 8, &id);
    if (id) json_array_append_new(ids, id);
  }
  if (!listed) trial_error(&file->document, spans, "spans are a list of texts");
  if (spans) json_object_set(fields, "span_ids", ids);
  json_decref(ids);
  json_decref(wanted);
  return good && listed;
}

static bool read_expectation(struct test_file *file, struct trial_names *names, yaml_node_t *node,
                             struct trial_expectation *expectation) {
  enum { RULE, TIMES, AT, TRACE, SPANS, FIELDS };
  static const char *const keys[] = {"rule",   "times",   "at",    "trace",      "spans",        "message", "severity",
                                     "source", "service", "count", "attributes", "rule_version", NULL};
  yaml_node_t *nodes[sizeof keys / sizeof *keys];
  *expectation = (struct trial_expectation){.node = node, .fields = json_object(), .times = 1};
  if (!trial_read_mapping(&file->document, node, "an expectation", keys, nodes)) return false;
  if (!nodes[RULE]) trial_error(&file->document, node, "an expectation names its rule");
  bool good = nodes[RULE] && read_rule_name(file, nodes[RULE], &expectation->rule);
  if (nodes[TIMES]) good = trial_count_of(&file->document, nodes[TIMES], 1000000, &expectation->times) && good;
  expectation->timed = nodes[AT] != NULL;
  if (nodes[AT]) good = trial_duration_of(&file->document, nodes[AT], &expectation->at_ns) && good;
  good = add_ids(file, names, nodes[TRACE], nodes[SPANS], expectation->fields) && good;
  for (int i = FIELDS; keys[i]; i++) {
    json_t *value = nodes[i] ? trial_json_of(&file->document, nodes[i]) : NULL;
    if (value) json_object_set_new(expectation->fields, keys[i], value);
    good = good && (value || !nodes[i]);
  }
  return good;
}

struct wanted {
  struct trial_expectation *expectations;
  size_t count;
  bool strict; /* nothing else may fire */
  const yaml_node_t *silent;
};

static bool read_silent(struct test_file *file, yaml_node_t *node, struct wanted *wanted) {
  const char *rule, *text = node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
  if (strcmp(text, "true") == 0) {
    wanted->strict = true;
    return true;
  }
  if (node->type != YAML_SEQUENCE_NODE) {
    trial_error(&file->document, node, "expect_none is true, or a list of rules");
    return false;
  }
  bool good = true;
  for (size_t i = 0; i < trial_list_count(node); i++)
    good = read_rule_name(file, trial_list_at(&file->document, node, i), &rule) && good;
  wanted->silent = node;
  return good;
}

static bool read_wanted(struct test_file *file, struct trial_names *names, yaml_node_t *test, yaml_node_t *expect,
                        yaml_node_t *silent, struct wanted *wanted) {
  bool good = expect || silent;
  if (!good) trial_error(&file->document, test, "a test says what it expects: expect, or expect_none");
  if (silent) good = read_silent(file, silent, wanted) && good;
  if (!expect) return good;
  if (expect->type != YAML_SEQUENCE_NODE) {
    trial_error(&file->document, expect, "expect is a list of violations");
    return false;
  }
  wanted->strict = true;
  wanted->expectations = calloc(trial_list_count(expect) + 1, sizeof *wanted->expectations);
  for (size_t i = 0; wanted->expectations && i < trial_list_count(expect); i++) {
    good = read_expectation(file, names, trial_list_at(&file->document, expect, i), &wanted->expectations[i]) && good;
    wanted->count++;
  }
  return good && wanted->expectations;
}

static void add_result(struct test_file *file, const yaml_node_t *node, const char *name, json_t *failures) {
  json_array_append_new(file->results,
                        json_pack("{s:s, s:i, s:s, s:b, s:O, s:O}", "file", file->document.path, "line",
                                  (int)node->start_mark.line + 1, "name", name, "passed", json_array_size(failures) == 0,
                                  "failures", failures, "violations", file->violations));
}

static void run_test(struct test_file *file, yaml_node_t *node) {
  enum { NAME, START, EVENTS, EXPECT, EXPECT_NONE, KEYS };
  static const char *const keys[] = {"name", "start", "events", "expect", "expect_none", NULL};
  yaml_node_t *nodes[KEYS];
  struct wanted wanted = {0};
  struct trial_names names = {0};
  if (!trial_read_mapping(&file->document, node, "a test", keys, nodes)) return;
  if (!nodes[NAME] || !nodes[EVENTS] || nodes[EVENTS]->type != YAML_SEQUENCE_NODE) {
    trial_error(&file->document, node, "a test has a name and a list of events");
    return;
  }
  const char *name = trial_text_of(&file->document, nodes[NAME]);
  bool good = name && read_start(&file->document, nodes[START], &file->start_ns);
  good = read_wanted(file, &names, node, nodes[EXPECT], nodes[EXPECT_NONE], &wanted) && good;
  json_t *failures = json_array();
  file->violations = json_array();
  if (good && !trial_host_restart(file->host, file->start_ns)) {
    trial_error(&file->document, node, "no memory for the engine");
    good = false;
  }
  if (good && play(file, &names, nodes[EVENTS], failures)) {
    json_t *differences = trial_differences(&file->document, &names, wanted.expectations, wanted.count, wanted.strict,
                                            wanted.silent, node, file->violations);
    json_array_extend(failures, differences);
    json_decref(differences);
    add_result(file, node, name, failures);
  }
  json_decref(failures);
  json_decref(file->violations);
  file->violations = NULL;
  for (size_t i = 0; i < wanted.count; i++) json_decref(wanted.expectations[i].fields);
  free(wanted.expectations);
  trial_names_free(&names);
}

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

static struct rule_set *load_named(struct test_file *file, yaml_node_t *node) {
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

static bool load_rules(struct test_file *file, yaml_node_t *node) {
  char beside[4096];
  const char *path = beside;
  if (node) {
    file->set = load_named(file, node);
  } else if (rules_beside(file->document.path, beside, sizeof beside)) {
    file->set = rule_set_load(&path, 1, file->document.errors);
  } else {
    trial_error_file(file->document.errors, file->document.path, "names no rules, and has none beside it");
  }
  const struct trial_config config = {.shards = 1,
                                      .start_wall_ns = START_WALL_NS,
                                      .traces_max = TEST_TRACES_MAX,
                                      .captures_max = TEST_TRACES_MAX,
                                      .context = file,
                                      .violation = note_violation};
  file->host = file->set ? trial_host_create(file->set, &config, file->document.errors) : NULL;
  return file->host != NULL;
}

static void run_file(const char *path, json_t *results, struct rule_errors *errors) {
  enum { RULES, TESTS, KEYS };
  static const char *const keys[] = {"rules", "tests", NULL};
  struct test_file file = {.results = results};
  yaml_node_t *nodes[KEYS];
  if (trial_document_load(&file.document, path, errors) &&
      trial_read_mapping(&file.document, trial_document_root(&file.document), "a test file", keys, nodes)) {
    if (!nodes[TESTS] || nodes[TESTS]->type != YAML_SEQUENCE_NODE || trial_list_count(nodes[TESTS]) > TESTS_A_FILE_MAX)
      trial_error(&file.document, trial_document_root(&file.document), "a test file has a list of at most %u tests",
                  TESTS_A_FILE_MAX);
    else if (load_rules(&file, nodes[RULES]))
      for (size_t i = 0; i < trial_list_count(nodes[TESTS]); i++) run_test(&file, trial_list_at(&file.document, nodes[TESTS], i));
  }
  trial_host_free(file.host);
  if (file.set) rule_set_free(file.set);
  trial_document_free(&file.document);
}

static int is_test_file(const struct dirent *entry) {
  const size_t length = strlen(entry->d_name);
  const char *end = entry->d_name + length;
  return entry->d_name[0] != '.' &&
         ((length > 10 && strcmp(end - 10, ".test.yaml") == 0) || (length > 9 && strcmp(end - 9, ".test.yml") == 0));
}

static void run_directory(const char *path, json_t *results, struct rule_errors *errors) {
  struct dirent **entries = NULL;
  const int count = scandir(path, &entries, is_test_file, alphasort);
  if (count <= 0) trial_error_file(errors, path, "has no test files (*.test.yaml)");
  for (int i = 0; i < count; i++) {
    char *name = NULL;
    const bool slash = path[0] && path[strlen(path) - 1] == '/';
    if (asprintf(&name, "%s%s%s", path, slash ? "" : "/", entries[i]->d_name) >= 0) {
      run_file(name, results, errors);
      free(name);
    }
    free(entries[i]);
  }
  free(entries);
}

json_t *trial_suite_run(const char *const *paths, size_t count, struct rule_errors *errors) {
  json_t *results = json_array(), *result;
  size_t index, passed = 0;
  for (size_t i = 0; results && i < count; i++) {
    struct stat status;
    if (stat(paths[i], &status) == 0 && S_ISDIR(status.st_mode))
      run_directory(paths[i], results, errors);
    else
      run_file(paths[i], results, errors);
  }
  json_array_foreach(results, index, result) {
    if (json_is_true(json_object_get(result, "passed"))) passed++;
  }
  const size_t all = json_array_size(results);
  return json_pack("{s:o, s:I, s:I}", "tests", results, "passed", (json_int_t)passed, "failed", (json_int_t)(all - passed));
}
