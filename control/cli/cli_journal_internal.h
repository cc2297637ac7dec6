#pragma once
/* `tripline journal`: reads the files themselves, with or without a daemon; only `flush` asks one. */
#include "cli_internal.h"
#include "journal_scan.h"
#include "rule_records.h"

/* NULL, and said why. */
struct journal_io *cli_journal_open(const struct cli *cli);
void cli_journal_print_damage(void *context, const struct journal_damage *damage); /* context: FILE */

/* CLI_FAILED, and said why. */
int cli_journal_read_failed(int error);
json_t *cli_journal_scan_json(const struct journal_scan *scan);
void cli_journal_print(const struct cli *cli, json_t *json); /* takes `json` */

/* cli_journal_verify.c: the whole of it, with the keys that sign its checkpoints */
int cli_journal_verify(const struct cli *cli);
/* cli_journal_export.c: records as JSON lines; violations as JSON lines or CSV */
/* cli_journal_rules.c: what a record that completes a change of the rules, or their snapshot, says; NULL: it completes none */
json_t *cli_journal_rules(struct rules_reader *reader, const struct record_header *record);
/* cli_journal_cursors.c: what a record of cursors says; NULL: it is another one, or does not add up */
json_t *cli_journal_cursors(uint64_t lsn, const struct record_header *record);
int cli_journal_dump(const struct cli *cli);
int cli_journal_export(const struct cli *cli);
