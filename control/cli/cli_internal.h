#pragma once
/* The tripline command: options, one request to the daemon, an answer printed. Exit codes: 0 ok, 1 failed, 2 usage, 3 not found,
 * 4 unreachable. */
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

enum cli_exit { CLI_OK, CLI_FAILED, CLI_USAGE, CLI_NOT_FOUND, CLI_UNREACHABLE };
enum cli_output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML };

#define CLI_WORDS_MAX 1024
#define CLI_KEYS_MAX 16
#define CLI_RULE_FILES_MAX 256
#define CLI_TAGS_MAX 64

struct cli {
  const char *socket;
  enum cli_output output;
  bool help, merge;
  /* `violations` filters as given */
  const char *rule, *severity, *trace, *since, *until, *limit, *after, *service, *source, *id, *order, *by, *bucket;
  const char *status, *correlation;           /* `webhooks` filters beside those */
  const char *type;                           /* journal export */
  const char *directory, *to, *format, *from; /* journal */
  const char *keys[CLI_KEYS_MAX];             /* --key ID=FILE of journal verify */
  int key_count;
  long count;                                      /* tail: stop after as many; 0: never */
  const char *against, *rules[CLI_RULE_FILES_MAX]; /* rules backtest, explain */
  int rules_count;
  const char *shard, *kind;               /* blackbox dump; kind: cursors set, too */
  const char *file, *expect, *generation; /* rules create, update, rollback */
  const char *tags[CLI_TAGS_MAX];         /* rules list, enable, disable */
  int tag_count;
  bool enabled, atomic, partial;
  const char *cursor, *hold; /* violations tail, cursors */
  bool reset;
  const volatile sig_atomic_t *interrupted; /* a request under way ends when it is set; NULL: nothing ends it */
  int word_count;
  const char *words[CLI_WORDS_MAX]; /* noun, verb, arguments */
};

struct cli_answer {
  long status;
  char *text; /* malloc'd */
  size_t length;
  char lsn[24]; /* X-Tripline-Lsn */
};

/* cli_options.c: false and a message when they make no sense */
bool cli_read_options(struct cli *cli, int count, char **arguments);
int cli_usage(const struct cli *cli, bool asked);
/* cli_rules_help.c: of one verb in detail, or of all */
void cli_rules_help(FILE *out, const char *verb);
/* CLI_OK when there is an answer, whatever its status. */
int cli_request(const struct cli *cli, const char *method, const char *path, const char *body, struct cli_answer *answer);
/* The request, its JSON answer, and an exit code with a message printed when it was refused. */
int cli_get(const struct cli *cli, const char *path, json_t **json);
int cli_explain(const struct cli_answer *answer);
/* The same, where errors are about what was read from `file`. */
int cli_explain_file(const struct cli_answer *answer, const char *file);
/* Adds a query's argument, escaped; nothing when it is NULL. */
void cli_add_argument(char *path, size_t room, const char *name, const char *value);

struct cli_column {
  const char *title, *key;
};
/* A list of objects as a table of some of their keys, or whole as JSON or YAML (then `whole` is printed). */
void cli_print(const struct cli *cli, json_t *whole, json_t *list, const struct cli_column *columns);
void cli_print_yaml(json_t *json);
void cli_print_pairs(json_t *object); /* name and value a line */

int cli_status(const struct cli *cli);
int cli_config(const struct cli *cli);
int cli_shards(const struct cli *cli);
int cli_rules(const struct cli *cli);
/* cli_trial*.c */
int cli_rules_test(const struct cli *cli);
int cli_rules_backtest(const struct cli *cli);
int cli_rules_explain(const struct cli *cli);
int cli_violations(const struct cli *cli);
/* cli_cursors.c */
int cli_cursors(const struct cli *cli);
int cli_tail_cursor(const struct cli *cli);
int cli_webhooks(const struct cli *cli);
int cli_journal(const struct cli *cli);
int cli_blackbox(const struct cli *cli);
