#pragma once
/* Inside `tripline rules`. */
#include "cli_internal.h"

/* The whole file (malloc'd, NUL-terminated), or NULL and a message. `-` is standard input. */
char *cli_read_file(const char *path, size_t *length);
bool cli_is_rule_name(const char *name);
/* A POST, PUT or DELETE whose answer is printed by `print`, which steals it; `file`: what the body was read from, for errors, or
 * NULL. */
int cli_rules_send(const struct cli *cli, const char *method, const char *path, const char *body, const char *file,
                   int (*print)(const struct cli *cli, json_t *answer));
int cli_print_rule(const struct cli *cli, json_t *rule);
int cli_print_applied(const struct cli *cli, json_t *answer);

int cli_rules_create(const struct cli *cli);
int cli_rules_update(const struct cli *cli);
int cli_rules_delete(const struct cli *cli);
int cli_rules_toggle(const struct cli *cli, bool enabled);
int cli_rules_import(const struct cli *cli);
int cli_rules_rollback(const struct cli *cli);
int cli_rules_history(const struct cli *cli);
int cli_rules_diff(const struct cli *cli);
int cli_rules_failed(const struct cli *cli);
int cli_rules_export(const struct cli *cli);
