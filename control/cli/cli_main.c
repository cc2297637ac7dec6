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
       "                                          without files: read the configured ones again\n"},
      {"violations",
       "  tripline violations list [--rule R] [--severity S] [--trace ID] [--since T] [--until T] [--limit N] [--after CURSOR]\n"
       "  tripline violations tail [--count N]    each new durable violation, one JSON object a line\n"},
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
  enum { RULE = 256, SEVERITY, TRACE, SINCE, UNTIL, LIMIT, AFTER, COUNT, MERGE };
  static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"rule", required_argument, NULL, RULE},
                                          {"severity", required_argument, NULL, SEVERITY},
                                          {"trace", required_argument, NULL, TRACE},
                                          {"since", required_argument, NULL, SINCE},
                                          {"until", required_argument, NULL, UNTIL},
                                          {"limit", required_argument, NULL, LIMIT},
                                          {"after", required_argument, NULL, AFTER},
                                          {"count", required_argument, NULL, COUNT},
                                          {"merge", no_argument, NULL, MERGE},
                                          {NULL, 0, NULL, 0}};
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
    case RULE:
      cli->rule = optarg;
      break;
    case SEVERITY:
      cli->severity = optarg;
      break;
    case TRACE:
      cli->trace = optarg;
      break;
    case SINCE:
      cli->since = optarg;
      break;
    case UNTIL:
      cli->until = optarg;
      break;
    case LIMIT:
      cli->limit = optarg;
      break;
    case AFTER:
      cli->after = optarg;
      break;
    case COUNT:
      cli->count = strtol(optarg, NULL, 10);
      break;
    case MERGE:
      cli->merge = true;
      break;
    default:
      return false;
    }
  }
  for (; optind < count && cli->word_count < CLI_WORDS_MAX; optind++) cli->words[cli->word_count++] = arguments[optind];
  return true;
}

int main(int count, char **arguments) {
  static const struct {
    const char *noun;
    int (*run)(const struct cli *cli);
  } nouns[] = {{"status", cli_status},
               {"config", cli_config},
               {"shards", cli_shards},
               {"rules", cli_rules},
               {"violations", cli_violations}};
  static struct cli cli;
  cli.socket = default_socket();
  if (!read_options(&cli, count, arguments)) return cli_usage(&cli, false);
  if (cli.help) return cli_usage(&cli, true);
  for (size_t i = 0; cli.word_count && i < sizeof nouns / sizeof *nouns; i++)
    if (strcmp(cli.words[0], nouns[i].noun) == 0) return nouns[i].run(&cli);
  if (cli.word_count) fprintf(stderr, "tripline: unknown noun '%s'\n", cli.words[0]);
  return cli_usage(&cli, false);
}
