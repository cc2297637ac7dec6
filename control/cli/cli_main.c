#include "cli_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_usage(const struct cli *cli, bool asked) {
  static const struct {
    const char *noun, *text;
  } nouns[] = {
      {"status", "  tripline status                         what runs, and whether it is ready\n"},
      {"rules", NULL}, /* cli_rules_help.c */
      {"violations", "  tripline violations list [FILTERS] [--order newest|oldest] [--limit N] [--after CURSOR]\n"
                     "  tripline violations count [FILTERS] [--by rule|severity|time] [--bucket 1h]\n"
                     "      FILTERS: --id ID --rule R --severity S --service S --source span|trace|webhook|alert --trace ID "
                     "--since T --until T\n"
                     "  tripline violations tail [--count N]    each new durable violation, one JSON object a line\n"
                     "  tripline violations tail --cursor NAME [--from LSN|now|oldest] [--count N]\n"
                     "                                          from where it was left; --from: of a new one\n"},
      {"webhooks",
       "  tripline webhooks list [--source S] [--status 200|202] [--id WEBHOOK_ID] [--correlation ID] [--since T] "
       "[--until T] [--limit N] [--after CURSOR]\n"
       "                                          accepted webhooks, newest first; --id needs --source\n"
       "  tripline webhooks show ID               one, by its correlation id, with headers and body as far as kept\n"},
      {"cursors",
       "  tripline cursors list                   where the readers of the journal are, and what retention holds for them\n"
       "  tripline cursors show NAME\n"
       "  tripline cursors set NAME [LSN|now|oldest] [--kind tail|sink] [--hold yes|no] [--reset]\n"
       "                                          make or advance it; backwards only with --reset\n"
       "  tripline cursors delete NAME\n"},
      {"journal",
       "  tripline journal info                   what is in it; this and the next read the files, without a daemon too\n"
       "  tripline journal verify [--key ID=FILE]...\n"
       "                                          walk all of it, checksums, hash chain and signed checkpoints; name the first "
       "break\n"
       "  tripline journal dump [--from LSN] [--limit N]\n"
       "                                          every record, one JSON object a line\n"
       "  tripline journal export [--format jsonl|csv] [--type violation|webhook] [--rule R] [--severity S] [--service S] "
       "[--source S] [--since T] [--until "
       "T]\n"
       "  tripline journal salvage --to DIR       all that can be read into a new journal in DIR\n"
       "  tripline journal flush                  (daemon) make durable what has gathered, now\n"
       "      --dir DIR: the journal's folder; ./tripline-data/journal or /var/lib/tripline/journal\n"},
      {"blackbox",
       "  tripline blackbox dump [--shard N] [--kind K] [--limit N]\n"
       "                                          what the shards met last, one JSON object a line, oldest first\n"
       "  tripline blackbox stats                 how many events were recorded, left out and overwritten\n"
       "  tripline blackbox read FILE             a dump that a crash left in the data directory; without a daemon\n"},
      {"config", "  tripline config reload                  read the certificates again; a bad one changes nothing\n"},
      {"shards", "  tripline shards list                    one line a polling core\n"},
  };
  FILE *out = asked ? stdout : stderr;
  fputs("usage: tripline [-s SOCKET] [-o table|json|yaml] NOUN VERB [ARGUMENTS]\n", out);
  const char *noun = cli->word_count ? cli->words[0] : NULL;
  bool known = false;
  for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++) known = known || (noun && strcmp(noun, nouns[i].noun) == 0);
  for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++)
    if (!known || strcmp(noun, nouns[i].noun) == 0) {
      if (nouns[i].text)
        fputs(nouns[i].text, out);
      else
        cli_rules_help(out, known && cli->word_count > 1 ? cli->words[1] : NULL);
    }
  fputs("exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 unreachable\n", out);
  return asked ? CLI_OK : CLI_USAGE;
}

static const char *default_socket(void) {
  static const char embedded[] = "./tripline-data/control.sock";
  const char *set = getenv("TRIPLINE_SOCKET");
  if (set && *set) return set;
  return access(embedded, F_OK) == 0 ? embedded : "/run/tripline/control.sock";
}

int main(int count, char **arguments) {
  static const struct {
    const char *noun;
    int (*run)(const struct cli *cli);
  } nouns[] = {
      {"status", cli_status},         {"config", cli_config},     {"shards", cli_shards},   {"rules", cli_rules},
      {"violations", cli_violations}, {"webhooks", cli_webhooks}, {"journal", cli_journal}, {"blackbox", cli_blackbox},
      {"cursors", cli_cursors},
  };
  static struct cli cli;
  cli.socket = default_socket();
  if (!cli_read_options(&cli, count, arguments)) return cli_usage(&cli, false);
  if (cli.help) return cli_usage(&cli, true);
  for (size_t i = 0; cli.word_count && i < sizeof nouns / sizeof *nouns; i++)
    if (strcmp(cli.words[0], nouns[i].noun) == 0) return nouns[i].run(&cli);
  if (cli.word_count) fprintf(stderr, "tripline: unknown noun '%s'\n", cli.words[0]);
  return cli_usage(&cli, false);
}
