#pragma once
/* Rule unit tests: a test file's events as bytes of the formats that the product takes, and what the rules make of them. */
#include "trial_document_internal.h"
#include "trial_internal.h"

/* Ids in tests may be names: 32 or 16 hexadecimal digits are themselves, anything else stands for an id made of it. */
struct trial_name {
  char *name, id[33];
};
struct trial_names {
  struct trial_name *items;
  size_t count, capacity;
};
/* False: no memory. `bytes` is 16 for a trace, 8 for a span. */
bool trial_names_id(struct trial_names *names, const char *name, size_t bytes, char id[33]);
/* The name that gave this id, or NULL. */
const char *trial_names_find(const struct trial_names *names, const char *id);
void trial_names_free(struct trial_names *names);

/* What one entry of `events:` is. */
struct trial_event {
  bool advances;
  int64_t advance_ns;
  struct trial_body body; /* bytes: malloc'd by trial_event_read */
  char *bytes;
  char source[64];
};

/* Where and when the events of a test are. */
struct trial_stage {
  struct trial_document *document;
  struct trial_names *names;
  uint64_t start_ns, now_ns; /* Unix */
  uint32_t spans;            /* so far: those without an id are numbered */
  bool example;              /* of a rule: the name is under `span` */
};

/* False with errors. Free in any case. */
bool trial_event_read(struct trial_stage *stage, yaml_node_t *node, struct trial_event *event);
/* The event of a span alone. */
bool trial_event_of_span(struct trial_stage *stage, yaml_node_t *node, struct trial_event *event);
void trial_event_free(struct trial_event *event);
/* OTLP JSON of one span, from what a test or a rule's example says of it. NULL with errors. */
json_t *trial_span_json(struct trial_stage *stage, yaml_node_t *node);
/* {"key":..,"value":{..}} for each member that is not null. */
json_t *trial_otlp_attributes(const json_t *object);
/* A request that holds one span of one resource. */
json_t *trial_otlp_request(json_t *span, json_t *resource_attributes);

/* What a test wants: every violation expected, and no other. */
struct trial_expectation {
  yaml_node_t *node;
  json_t *fields; /* of the violation's JSON, those that are given */
  const char *rule;
  uint64_t times;
  bool timed;
  int64_t at_ns; /* after the start */
};

/* [{line, column, message, details: [..]}]: how what was raised differs from what was expected. `violations`: their JSON, with
 * "at_ns" after the start in each. `silent`: rules that must not fire, a list node or NULL. */
json_t *trial_differences(struct trial_document *document, const struct trial_names *names,
                          const struct trial_expectation *expectations, size_t count, bool strict, const yaml_node_t *silent,
                          const yaml_node_t *test, json_t *violations);

#define TRIAL_START_WALL_NS 1767225600000000000ull /* 2026-01-01T00:00:00Z, a Thursday */

/* A file of tests, or of rules with examples, while it runs. */
struct trial_test_file {
  struct trial_document document;
  struct rule_set *set;
  struct trial_host *host;
  json_t *violations; /* of the test that runs */
  uint64_t start_ns;
  json_t *results;
};
/* The engine for file->set; false with errors. */
bool trial_test_file_start(struct trial_test_file *file);
void trial_test_file_end(struct trial_test_file *file);
/* One mapping of `tests:`. */
void trial_test_run(struct trial_test_file *file, yaml_node_t *node);
/* Makes what the test raises go to file->violations; false with an error. */
bool trial_test_begin(struct trial_test_file *file, yaml_node_t *node, uint64_t start_ns);
/* Takes both. */
void trial_test_result(struct trial_test_file *file, const yaml_node_t *node, const char *name, json_t *failures);
/* NULL when the event was taken whole. */
json_t *trial_test_refusal(const yaml_node_t *node, const struct trial_answer *answer);

/* Some rule of the file has an example. */
bool trial_has_examples(struct trial_document *document);
/* trial_example.c: the example_violation of each rule in a file of rules. Returns how many there are. */
size_t trial_examples_run(struct trial_test_file *file);
