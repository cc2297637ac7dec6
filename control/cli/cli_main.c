#include "cli_internal.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_usage(const struct cli *cli, bool asked) {
  static const struct {
    const char *noun, *text;
  } nouns[] = {
      {"status", "  tripline status                         what runs, and whether it is ready\n"},
      {"rules",
       "  tripline rules list                     the rules in force\n"
       "  tripline rules get NAME                 one rule\n"
       "  tripline rules validate FILE|DIR...     check files here, without a daemon\n"
       "  tripline rules apply [FILE|DIR...] [--merge]\n"
       "                                          replace the whole set by these files (--merge: add or update by name);\n"
       "                                          without files: read the configured ones again\n"
       "  tripline rules test FILE|DIR...         run the unit tests in *.test.yaml, without a daemon (-o json: all of it)\n"},
      {"violations", "  tripline violations list [FILTERS] [--order newest|oldest] [--limit N] [--after CURSOR]\n"
                     "  tripline violations count [FILTERS] [--by rule|severity|time] [--bucket 1h]\n"
                     "      FILTERS: --id ID --rule R --severity S --service S --source span|trace|webhook|alert --trace ID "
                     "--since T --until T\n"
                     "  tripline violations tail [--count N]    each new durable violation, one JSON object a line\n"},
      {"journal",
       "  tripline journal info                   what is in it; this and the next read the files, without a daemon too\n"
       "  tripline journal verify [--key ID=FILE]...\n"
       "                                          walk all of it, checksums, hash chain and signed checkpoints; name the first "
       "break\n"
       "  tripline journal dump [--from LSN] [--limit N]\n"
       "                                          every record, one JSON object a line\n"
       "  tripline journal export [--format jsonl|csv] [--rule R] [--severity S] [--service S] [--source S] [--since T] [--until "
       "T]\n"
       "  tripline journal salvage --to DIR       all that can be read into a new journal in DIR\n"
       "  tripline journal flush                  (daemon) make durable what has gathered, now\n"
       "      --dir DIR: the journal's folder; ./tripline-data/journal or /var/lib/tripline/journal\n"},
      {"config", "  tripline config reload                  read the certificates again; a bad one changes nothing\n"},
      {"shards", "  tripline shards list                    one line a polling core\n"},
  };
  FILE *out = asked ? stdout : stderr;
  fputs("usage: tripline [-s SOCKET] [-o table|json|yaml] NOUN VERB [ARGUMENTS]\n", out);
  const char *noun = cli->word_count ? cli->words[0] : NULL;
  bool known = false;
  for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++) known = known || (noun && strcmp(noun, nouns[i].noun) == 0);
  for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++)
    if (!known || strcmp(noun, nouns[i].noun) == 0) fputs(nouns[i].text, out);
  fputs("exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 unreachable\n", out);
  return asked ? CLI_OK : CLI_USAGE;
}

static const char *default_socket(void) {
  static const char embedded[] = "./tripline-data/control.sock";
  const char *set = getenv("TRIPLINE_SOCKET");
  if (set && *set) return set;
  return access(embedded, F_OK) == 0 ? embedded : "/run/tripline/control.sock";
}

static bool read_output(struct cli *cli, const char *word) {
  static const char *const words[] = {"table", "json", "yaml"};
  for (int i = 0; i < 3; i++)
    if (strcmp(word, words[i]) == 0) {
      cli->output = (enum cli_output)i;
      return true;
    }
  fprintf(stderr, "tripline: -o is one of table, json, yaml\n");
  return false;
}

static bool read_options(struct cli *cli, int count, char **arguments) {
  enum { COUNT = 256, MERGE, KEY, RULES, TEXTS };
  static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"rule", required_argument, NULL, TEXTS + 0},
                                          {"severity", required_argument, NULL, TEXTS + 1},
                                          {"trace", required_argument, NULL, TEXTS + 2},
                                          {"since", required_argument, NULL, TEXTS + 3},
                                          {"until", required_argument, NULL, TEXTS + 4},
                                          {"limit", required_argument, NULL, TEXTS + 5},
                                          {"after", required_argument, NULL, TEXTS + 6},
                                          {"service", required_argument, NULL, TEXTS + 7},
                                          {"source", required_argument, NULL, TEXTS + 8},
                                          {"id", required_argument, NULL, TEXTS + 9},
                                          {"order", required_argument, NULL, TEXTS + 10},
                                          {"by", required_argument, NULL, TEXTS + 11},
                                          {"bucket", required_argument, NULL, TEXTS + 12},
                                          {"dir", required_argument, NULL, TEXTS + 13},
                                          {"to", required_argument, NULL, TEXTS + 14},
                                          {"format", required_argument, NULL, TEXTS + 15},
                                          {"from", required_argument, NULL, TEXTS + 16},
                                          {"against", required_argument, NULL, TEXTS + 17},
                                          {"rules", required_argument, NULL, RULES},
                                          {"count", required_argument, NULL, COUNT},
                                          {"merge", no_argument, NULL, MERGE},
                                          {"key", required_argument, NULL, KEY},
                                          {NULL, 0, NULL, 0}};
  /* In the order of the options above. */
  const char **const texts[] = {&cli->rule,   &cli->severity,  &cli->trace,  &cli->since,  &cli->until, &cli->limit,
                                &cli->after,  &cli->service,   &cli->source, &cli->id,     &cli->order, &cli->by,
                                &cli->bucket, &cli->directory, &cli->to,     &cli->format, &cli->from,  &cli->against};
  for (int option; (option = getopt_long(count, arguments, "s:o:h", options, NULL)) != -1;) {
    switch (option) {
    case 's':
      cli->socket = optarg;
      break;
    case 'o':
      if (!read_output(cli, optarg)) return false;
      break;
    case 'h':
      cli->help = true;
      break;
    case COUNT:
      cli->count = strtol(optarg, NULL, 10);
      break;
    case KEY:
      if (cli->key_count == CLI_KEYS_MAX) return false;
      cli->keys[cli->key_count++] = optarg;
      break;
    case RULES:
      if (cli->rules_count == CLI_RULE_FILES_MAX) {
        fprintf(stderr, "tripline: at most %d times --rules\n", CLI_RULE_FILES_MAX);
        return false;
      }
      cli->rules[cli->rules_count++] = optarg;
      break;
    case MERGE:
      cli->merge = true;
      break;
    default:
      if (option < TEXTS) return false;
      *texts[option - TEXTS] = optarg;
      break;
    }
  }
  for (; optind < count && cli->word_count < CLI_WORDS_MAX; optind++) cli->words[cli->word_count++] = arguments[optind];
  return true;
}

int main(int count, char **arguments) {
  static const struct {
    const char *noun;
    int (*run)(const struct cli *cli);
  } nouns[] = {{"status", cli_status}, {"config", cli_config},         {"shards", cli_shards},
               {"rules", cli_rules},   {"violations", cli_violations}, {"journal", cli_journal}};
  static struct cli cli;
  cli.socket = default_socket();
  if (!read_options(&cli, count, arguments)) return cli_usage(&cli, false);
  if (cli.help) return cli_usage(&cli, true);
  for (size_t i = 0; cli.word_count && i < sizeof nouns / sizeof *nouns; i++)
    if (strcmp(cli.words[0], nouns[i].noun) == 0) return nouns[i].run(&cli);
  if (cli.word_count) fprintf(stderr, "tripline: unknown noun '%s'\n", cli.words[0]);
  return cli_usage(&cli, false);
}
