/* Named cursors: listed, set, deleted; and a tail that goes on where one is. */
#include "cli_internal.h"
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_LIMIT 10000
#define TAIL_WAIT_SECONDS 10
#define PASS_RECORDS 1000 /* what was only passed is acknowledged by so many: each acknowledgement is a record itself */

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
  (void)number;
  interrupted = 1;
}

static const struct cli_column columns[] = {
    {"NAME", "name"},         {"KIND", "kind"},   {"HOLD", "hold"},   {"LSN", "lsn"}, {"LAG", "lag_records"},
    {"LOST", "lost_records"}, {"STALE", "stale"}, {"MOVED", "moved"}, {"WHO", "who"}, {NULL, NULL}};

/* Its place among the API's paths; escaped, so that any name is only a name there. */
static void path_of(char path[512], const char *name, const char *verb) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  size_t used = (size_t)snprintf(path, 512, "/v1/cursors/");
  for (; *name && used < 480; name++)
    used += (size_t)snprintf(path + used, 512 - used, strchr(plain, *name) ? "%c" : "%%%02X", (unsigned char)*name);
  snprintf(path + used, 512 - used, "%s", verb);
}

static int list_cursors(const struct cli *cli) {
  json_t *json;
  const int result = cli_get(cli, "/v1/cursors", &json);
  if (result != CLI_OK) return result;
  cli_print(cli, json, json_object_get(json, "cursors"), columns);
  json_decref(json);
  return CLI_OK;
}

static void print_one(const struct cli *cli, json_t *json) {
  if (cli->output == OUTPUT_TABLE)
    cli_print_pairs(json);
  else
    cli_print(cli, json, NULL, NULL);
}

static int show_cursor(const struct cli *cli, const char *name) {
  char path[512];
  json_t *json;
  path_of(path, name, "");
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  print_one(cli, json);
  json_decref(json);
  return CLI_OK;
}

/* "now", "oldest", or an LSN. NULL: none of them. */
static json_t *place_of(const char *text) {
  char *end;
  if (strcmp(text, "now") == 0 || strcmp(text, "oldest") == 0) return json_string(text);
  errno = 0;
  const unsigned long long lsn = strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && lsn <= INT64_MAX ? json_integer((json_int_t)lsn) : NULL;
}

/* *answered: the cursor, when the answer is one. */
static int ask(const struct cli *cli, const char *method, const char *path, json_t *body, json_t **answered, long *status) {
  struct cli_answer answer;
  char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
  json_decref(body);
  *answered = NULL;
  int result = cli_request(cli, method, path, text, &answer);
  free(text);
  *status = 0;
  if (result != CLI_OK) return result;
  *status = answer.status;
  if (answer.status == 200 || answer.status == 201)
    *answered = json_loads(answer.text ? answer.text : "", 0, NULL);
  else
    result = cli_explain(&answer);
  free(answer.text);
  return result;
}

static int set_cursor(const struct cli *cli) {
  char path[512];
  long status;
  json_t *body = json_object(), *answered;
  json_t *place = cli->word_count == 4 ? place_of(cli->words[3]) : NULL;
  const bool hold = cli->hold && strcmp(cli->hold, "yes") == 0, no_hold = cli->hold && strcmp(cli->hold, "no") == 0;
  if (place) json_object_set_new(body, "lsn", place);
  if (cli->kind) json_object_set_new(body, "kind", json_string(cli->kind));
  if (cli->hold) json_object_set_new(body, "hold", json_boolean(hold));
  if ((cli->word_count == 4 && !place) || (cli->hold && !hold && !no_hold) || (cli->reset && !place)) {
    fprintf(stderr, "tripline: an LSN, now or oldest; --hold yes|no\n");
    json_decref(body);
    return CLI_USAGE;
  }
  path_of(path, cli->words[2], cli->reset ? "/reset" : "");
  const int result = ask(cli, cli->reset ? "POST" : "PUT", path, body, &answered, &status);
  if (result == CLI_OK) print_one(cli, answered);
  json_decref(answered);
  return result;
}

static int delete_cursor(const struct cli *cli, const char *name) {
  char path[512];
  long status;
  json_t *answered;
  path_of(path, name, "");
  const int result = ask(cli, "DELETE", path, NULL, &answered, &status);
  if (result == CLI_OK && cli->output != OUTPUT_TABLE) print_one(cli, answered);
  json_decref(answered);
  return result;
}

int cli_cursors(const struct cli *cli) {
  const char *verb = cli->word_count > 1 ? cli->words[1] : "";
  if (cli->word_count == 2 && strcmp(verb, "list") == 0) return list_cursors(cli);
  if (cli->word_count == 3 && strcmp(verb, "show") == 0) return show_cursor(cli, cli->words[2]);
  if (cli->word_count >= 3 && cli->word_count <= 4 && strcmp(verb, "set") == 0) return set_cursor(cli);
  if (cli->word_count == 3 && strcmp(verb, "delete") == 0) return delete_cursor(cli, cli->words[2]);
  return cli_usage(cli, false);
}

/* A tail with a cursor. */
struct tail {
  const struct cli *cli;
  struct cli waiting; /* the same, whose requests end when a signal came */
  const char *name;
  json_int_t lsn; /* where the cursor is */
  long seen;
};

/* Makes it when it is not there. */
static int find_cursor(struct tail *tail) {
  char path[512];
  struct cli_answer answer;
  path_of(path, tail->name, "");
  int result = cli_request(tail->cli, "GET", path, NULL, &answer);
  if (result != CLI_OK) return result;
  json_t *json = answer.status == 200 ? json_loads(answer.text, 0, NULL) : NULL;
  if (answer.status == 404) {
    long status;
    json_t *place = place_of(tail->cli->from ? tail->cli->from : "now");
    if (!place) {
      fprintf(stderr, "tripline: --from is an LSN, now or oldest\n");
      free(answer.text);
      return CLI_USAGE;
    }
    result = ask(tail->cli, "PUT", path, json_pack("{s:o}", "lsn", place), &json, &status);
    if (json) fprintf(stderr, "tripline: cursor %s is new\n", tail->name);
  } else if (!json) {
    result = cli_explain(&answer);
  }
  free(answer.text);
  tail->lsn = json_integer_value(json_object_get(json, "lsn"));
  json_decref(json);
  return result;
}

/* Returns when it is durable. Its lines were printed: without this they come again, so it is tried for as long as it may help. */
static int acknowledge(struct tail *tail, json_int_t lsn) {
  char path[512], body[96];
  path_of(path, tail->name, "");
  snprintf(body, sizeof body, "{\"lsn\":%lld,\"expected_lsn\":%lld}", (long long)lsn, (long long)tail->lsn);
  for (;;) {
    struct cli_answer answer;
    const int result = cli_request(tail->cli, "PUT", path, body, &answer);
    const bool done = result == CLI_OK && answer.status == 200, again = result == CLI_OK && answer.status == 503 && !interrupted;
    int refused = result;
    if (!done && !again) {
      if (result == CLI_OK) refused = cli_explain(&answer);
      fprintf(stderr, "tripline: cursor %s stays at LSN %lld: what was printed after that comes again\n", tail->name,
              (long long)tail->lsn);
    }
    if (result == CLI_OK) free(answer.text);
    if (done) tail->lsn = lsn;
    if (done) return CLI_OK;
    if (!again) return refused;
    sleep(1);
  }
}

static bool print_line(json_t *json) {
  char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
  const bool good = text && fputs(text, stdout) >= 0 && putchar('\n') != EOF;
  free(text);
  return good;
}

static int stay_at(const struct tail *tail) {
  fprintf(stderr, "tripline: standard output cannot be written: cursor %s stays at LSN %lld\n", tail->name, (long long)tail->lsn);
  return CLI_FAILED;
}

static int print_and_acknowledge(struct tail *tail, json_t *json) {
  const json_t *list = json_object_get(json, "violations");
  json_int_t position = json_integer_value(json_object_get(json, "position"));
  size_t index, count = json_array_size(list);
  json_t *violation;
  json_array_foreach(list, index, violation) {
    if (!print_line(violation)) return stay_at(tail);
    if (!interrupted) continue;
    position = json_integer_value(json_object_get(violation, "lsn"));
    count = index + 1;
    break;
  }
  if (fflush(stdout) != 0) return stay_at(tail);
  tail->seen += (long)count;
  return count > 0 || position - tail->lsn >= PASS_RECORDS ? acknowledge(tail, position) : CLI_OK;
}

/* The gap is a line like the others, so that whoever reads them cannot miss it. */
static int print_gap(struct tail *tail, const json_t *gap) {
  const json_int_t from = json_integer_value(json_object_get(gap, "from")), to = json_integer_value(json_object_get(gap, "to"));
  json_t *line = json_pack("{s:{s:I, s:I}}", "gap", "from", from, "to", to);
  const bool printed = print_line(line) && fflush(stdout) == 0;
  json_decref(line);
  if (!printed) return stay_at(tail);
  fprintf(stderr, "tripline: LSN %lld to %lld were removed before cursor %s had them\n", (long long)from, (long long)to,
          tail->name);
  return acknowledge(tail, to);
}

static int read_on(struct tail *tail) {
  char path[512] = "/v1/violations", limit[24];
  const long left = tail->cli->count ? tail->cli->count - tail->seen : TAIL_LIMIT;
  struct cli_answer answer;
  snprintf(limit, sizeof limit, "%ld", left < TAIL_LIMIT ? left : TAIL_LIMIT);
  cli_add_argument(path, sizeof path, "cursor", tail->name);
  cli_add_argument(path, sizeof path, "limit", limit);
  snprintf(path + strlen(path), sizeof path - strlen(path), "&wait=%d", TAIL_WAIT_SECONDS);
  int result = cli_request(&tail->waiting, "GET", path, NULL, &answer);
  if (result != CLI_OK) return interrupted ? CLI_OK : result;
  json_t *json = json_loads(answer.text ? answer.text : "", 0, NULL);
  const json_t *gap = json_object_get(json, "gap");
  /* What it reads from is what this tail has acknowledged, or another one uses the same name. */
  if (answer.status == 200 || gap) tail->lsn = json_integer_value(json_object_get(json, "lsn"));
  if (answer.status == 200)
    result = print_and_acknowledge(tail, json);
  else if (answer.status == 410 && gap)
    result = print_gap(tail, gap);
  else
    result = cli_explain(&answer);
  json_decref(json);
  free(answer.text);
  return result;
}

int cli_tail_cursor(const struct cli *cli) {
  struct tail tail = {.cli = cli, .waiting = *cli, .name = cli->cursor};
  const struct sigaction action = {.sa_handler = on_signal};
  tail.waiting.interrupted = &interrupted;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  signal(SIGPIPE, SIG_IGN); /* a line that nobody takes is not acknowledged */
  int result = find_cursor(&tail);
  while (result == CLI_OK && !interrupted && (cli->count == 0 || tail.seen < cli->count)) result = read_on(&tail);
  return result;
}
