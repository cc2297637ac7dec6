/* What stands on the command line: options before or after the words. */
#include "cli_internal.h"
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_kind { OPTION_TEXT, OPTION_FLAG, OPTION_NUMBER, OPTION_LIST };

#define FIRST_LONG 256
#define TEXT(name, field)                                                                                                        \
  { name, OPTION_TEXT, offsetof(struct cli, field), 0, 0 }
#define FLAG(name, field)                                                                                                        \
  { name, OPTION_FLAG, offsetof(struct cli, field), 0, 0 }
#define LIST(name, field, count, most)                                                                                           \
  { name, OPTION_LIST, offsetof(struct cli, field), offsetof(struct cli, count), most }

static const struct {
  const char *name;
  enum option_kind kind;
  size_t offset, count_offset;
  int most;
} known[] = {TEXT("rule", rule),
             TEXT("severity", severity),
             TEXT("trace", trace),
             TEXT("since", since),
             TEXT("until", until),
             TEXT("limit", limit),
             TEXT("after", after),
             TEXT("service", service),
             TEXT("source", source),
             TEXT("id", id),
             TEXT("order", order),
             TEXT("by", by),
             TEXT("bucket", bucket),
             TEXT("status", status),
             TEXT("correlation", correlation),
             TEXT("type", type),
             TEXT("dir", directory),
             TEXT("to", to),
             TEXT("format", format),
             TEXT("from", from),
             TEXT("shard", shard),
             TEXT("kind", kind),
             TEXT("against", against),
             TEXT("file", file),
             TEXT("expect", expect),
             TEXT("generation", generation),
             TEXT("cursor", cursor),
             TEXT("hold", hold),
             FLAG("reset", reset),
             {"count", OPTION_NUMBER, offsetof(struct cli, count), 0, 0},
             FLAG("merge", merge),
             FLAG("enabled", enabled),
             FLAG("atomic", atomic),
             FLAG("partial", partial),
             LIST("key", keys, key_count, CLI_KEYS_MAX),
             LIST("rules", rules, rules_count, CLI_RULE_FILES_MAX),
             LIST("tag", tags, tag_count, CLI_TAGS_MAX)};

#define KNOWN (sizeof known / sizeof *known)

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

static bool read_known(struct cli *cli, size_t index, const char *value) {
  char *field = (char *)cli + known[index].offset;
  switch (known[index].kind) {
  case OPTION_TEXT:
    *(const char **)(void *)field = value;
    return true;
  case OPTION_FLAG:
    *(bool *)field = true;
    return true;
  case OPTION_NUMBER:
    *(long *)(void *)field = strtol(value, NULL, 10);
    return true;
  default:
    break;
  }
  int *count = (int *)(void *)((char *)cli + known[index].count_offset);
  if (*count == known[index].most) {
    fprintf(stderr, "tripline: at most %d times --%s\n", known[index].most, known[index].name);
    return false;
  }
  ((const char **)(void *)field)[(*count)++] = value;
  return true;
}

static bool read_one(struct cli *cli, int option) {
  switch (option) {
  case 's':
    cli->socket = optarg;
    return true;
  case 'o':
    return read_output(cli, optarg);
  case 'f':
    cli->file = optarg;
    return true;
  case 'h':
    cli->help = true;
    return true;
  default:
    return option >= FIRST_LONG && read_known(cli, (size_t)(option - FIRST_LONG), optarg);
  }
}

bool cli_read_options(struct cli *cli, int count, char **arguments) {
  struct option options[KNOWN + 4] = {
      {"socket", required_argument, NULL, 's'}, {"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}};
  for (size_t i = 0; i < KNOWN; i++)
    options[i + 3] =
        (struct option){known[i].name, known[i].kind == OPTION_FLAG ? no_argument : required_argument, NULL, FIRST_LONG + (int)i};
  for (int option; (option = getopt_long(count, arguments, "s:o:f:h", options, NULL)) != -1;)
    if (!read_one(cli, option)) return false;
  if (count - optind > CLI_WORDS_MAX) {
    fprintf(stderr, "tripline: more than %d words\n", CLI_WORDS_MAX);
    return false;
  }
  while (optind < count) cli->words[cli->word_count++] = arguments[optind++];
  return true;
}
