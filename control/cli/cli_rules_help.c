/* What `tripline rules [VERB] --help` says. */
#include "cli_internal.h"
#include <string.h>

static const struct {
  const char *verb, *arguments, *summary, *details;
} verbs[] = {
    {"list", "[--enabled] [--severity S] [--tag T]... [--limit N] [--after NAME]", "the rules in force, by name",
     "      --enabled       only those that are\n"
     "      --severity S    critical, high, medium, low or info\n"
     "      --tag T         only those with this tag; given again: with all of them\n"
     "      --limit, --after  a page; `next` in the JSON is where the next one begins\n"},
    {"get", "NAME", "one rule, with every key", ""},
    {"create", "-f FILE", "add the rule of a file (YAML or JSON; - is standard input)",
     "      The file holds one rule: a rule file with one, or the rule alone as JSON. Fails when the name is there already.\n"},
    {"update", "[NAME] -f FILE [--expect VERSION]", "put the rule of a file in the place of that name",
     "      --expect VERSION  only when this version is in force\n"},
    {"enable", "NAME... | --tag T...", "judge by these rules again: all of them or none",
     "      --tag T         all rules with this tag; given again: with any of them\n"},
    {"disable", "NAME... | --tag T...", "keep these rules, but do not judge by them",
     "      --tag T         all rules with this tag; given again: with any of them\n"},
    {"delete", "NAME...", "remove these rules: all of them or none",
     "      What they were is remembered: `rollback NAME VERSION` brings one back.\n"},
    {"import", "FILE [--atomic | --partial]", "add or update the rules of a file by name",
     "      --atomic        all of them or none (the default)\n"
     "      --partial       those that are good; the others are named, with their errors, and the exit code is 1\n"},
    {"apply", "[FILE|DIR...] [--merge]", "replace the whole set by these files",
     "      --merge         add or update by name instead\n"
     "      Without files: read the configured ones again.\n"},
    {"validate", "FILE|DIR...", "check files here, without a daemon", ""},
    {"export", "[NAME...]", "the rules in force as a rule file, to standard output", ""},
    {"history", "[NAME]", "the versions of a rule: when, who, what; without a name, of the whole set",
     "      The last 100 versions of each rule and the last 100 generations of the set are kept.\n"},
    {"diff", "[NAME] [--from N] [--to N]", "what differs between two versions of a rule, or generations of the set",
     "      --to N          the one in force when not given\n"
     "      --from N        the one before it when not given\n"},
    {"rollback", "NAME VERSION | --generation N", "bring back a version of a rule, or the whole set of a generation",
     "      It becomes a new version, a new generation: nothing is forgotten.\n"},
    {"failed", "", "what the last attempts did not put in force, and why", ""},
    {"test", "FILE|DIR...", "run the unit tests in *.test.yaml and the examples in rules, without a daemon",
     "      TAP; -o json has every violation. Exit code 1: a test failed; 2: a file is bad.\n"},
    {"backtest", "--rules FILE|DIR... [--against FILE|DIR|daemon] --from PCAP|JOURNAL|OTLP-FILE [--limit N]",
     "what recorded traffic would raise, and what it would not any more",
     "      --rules         the new rules; may be given again\n"
     "      --against       the rules to compare them with\n"
     "      --from          a capture, a journal's folder, or a file of OTLP or Zipkin spans\n"
     "      --limit N       violations listed of each kind of difference; 100\n"},
    {"explain", "NAME [--rules FILE|DIR...]", "what a rule reads, how it is found, where it is judged, what it costs",
     "      --rules         the files it is in; without: the daemon's rules\n"},
};

void cli_rules_help(FILE *out, const char *verb) {
  bool known = false;
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) known = known || (verb && strcmp(verb, verbs[i].verb) == 0);
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    if (known && strcmp(verb, verbs[i].verb) != 0) continue;
    fprintf(out, "  tripline rules %s %s\n                                          %s\n", verbs[i].verb, verbs[i].arguments,
            verbs[i].summary);
    if (known) fputs(verbs[i].details, out);
  }
}
