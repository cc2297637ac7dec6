#pragma once
/* `tripline journal`: reads the files themselves, with or without a daemon; only `flush` asks one. */
#include "cli_internal.h"
#include "journal_scan.h"

/* NULL, and said why. */
struct journal_io *cli_journal_open(const struct cli *cli);
void cli_journal_print_damage(void *context, const struct journal_damage *damage); /* context: FILE */

/* cli_journal_export.c: records as JSON lines; violations as JSON lines or CSV */
int cli_journal_dump(const struct cli *cli);
int cli_journal_export(const struct cli *cli);
