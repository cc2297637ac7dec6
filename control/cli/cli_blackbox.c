#include "cli_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One event a line. */
static void print_events(json_t *events) {
  size_t index;
  json_t *event;
  json_array_foreach(events, index, event) {
    json_dumpf(event, stdout, JSON_COMPACT);
    putchar('\n');
  }
}

static int dump(const struct cli *cli) {
  char path[512] = "/v1/blackbox";
  json_t *json;
  cli_add_argument(path, sizeof path, "shard", cli->shard);
  cli_add_argument(path, sizeof path, "kind", cli->kind);
  cli_add_argument(path, sizeof path, "limit", cli->limit);
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  print_events(json_object_get(json, "events"));
  json_decref(json);
  return CLI_OK;
}

static int stats(const struct cli *cli) {
  static const struct cli_column columns[] = {{"SHARD", "shard"},
                                              {"CAPACITY", "capacity"},
                                              {"RECORDED", "recorded"},
                                              {"SAMPLED OUT", "sampled_out"},
                                              {"SKIPPED", "skipped"},
                                              {"OVERWRITTEN", "overwritten"},
                                              {NULL, NULL}};
  json_t *json;
  const int result = cli_get(cli, "/v1/blackbox/stats", &json);
  if (result != CLI_OK) return result;
  cli_print(cli, json, json_object_get(json, "shards"), columns);
  json_decref(json);
  return CLI_OK;
}

/* A dump that was cut short has whole lines all the same: its events are read one by one. */
static int read_lines(FILE *file, const char *name) {
  char *line = NULL;
  size_t room = 0, events = 0;
  rewind(file);
  for (ssize_t length; (length = getline(&line, &room, file)) > 0;) {
    while (length > 0 && strchr("\r\n,", line[length - 1])) line[--length] = '\0';
    json_t *json = json_loads(line, 0, NULL);
    if (json && json_is_string(json_object_get(json, "kind"))) {
      puts(line);
      events++;
    }
    json_decref(json);
  }
  free(line);
  fprintf(stderr, "tripline: %s: not whole; %zu events could be read\n", name, events);
  return CLI_FAILED;
}

static int read_dump(const struct cli *cli, const char *name) {
  FILE *file = fopen(name, "re");
  if (!file) {
    const int missing = errno == ENOENT;
    fprintf(stderr, "tripline: %s: %s\n", name, strerror(errno));
    return missing ? CLI_NOT_FOUND : CLI_FAILED;
  }
  int result = CLI_OK;
  json_t *json = json_loadf(file, 0, NULL);
  if (!json_is_array(json_object_get(json, "events"))) {
    result = read_lines(file, name);
  } else if (cli->output == OUTPUT_TABLE) {
    json_t *events = json_incref(json_object_get(json, "events"));
    json_object_del(json, "events");
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    print_events(events);
    json_decref(events);
  } else {
    cli_print(cli, json, NULL, NULL);
  }
  json_decref(json);
  fclose(file);
  return result;
}

int cli_blackbox(const struct cli *cli) {
  if (cli->word_count == 2 && strcmp(cli->words[1], "dump") == 0) return dump(cli);
  if (cli->word_count == 2 && strcmp(cli->words[1], "stats") == 0) return stats(cli);
  if (cli->word_count == 3 && strcmp(cli->words[1], "read") == 0) return read_dump(cli, cli->words[2]);
  return cli_usage(cli, false);
}
