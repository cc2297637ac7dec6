#include "cli_internal.h"
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t take_body(char *data, size_t size, size_t count, void *context) {
  struct cli_answer *answer = context;
  char *grown = realloc(answer->text, answer->length + size * count + 1);
  if (!grown) return 0;
  answer->text = grown;
  memcpy(answer->text + answer->length, data, size * count);
  answer->length += size * count;
  answer->text[answer->length] = '\0';
  return size * count;
}

static size_t take_header(char *data, size_t size, size_t count, void *context) {
  static const char name[] = "X-Tripline-Lsn: ";
  struct cli_answer *answer = context;
  const size_t length = size * count;
  if (length > sizeof name && strncasecmp(data, name, sizeof name - 1) == 0)
    snprintf(answer->lsn, sizeof answer->lsn, "%.*s", (int)strspn(data + sizeof name - 1, "0123456789"), data + sizeof name - 1);
  return length;
}

static int end_when_interrupted(void *context, curl_off_t total, curl_off_t now, curl_off_t to_send, curl_off_t sent) {
  const struct cli *cli = context;
  (void)total, (void)now, (void)to_send, (void)sent;
  return *cli->interrupted;
}

int cli_request(const struct cli *cli, const char *method, const char *path, const char *body, struct cli_answer *answer) {
  char url[4200];
  CURL *curl = curl_easy_init();
  *answer = (struct cli_answer){0};
  if (!curl) return CLI_FAILED;
  snprintf(url, sizeof url, "http://tripline%s", path);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, cli->socket);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
  if (cli->interrupted) {
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, end_when_interrupted);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, cli);
  }
  struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
  if (body) {
    headers = curl_slist_append(headers, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  const CURLcode result = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  if (result == CURLE_OK) return CLI_OK;
  if (result == CURLE_ABORTED_BY_CALLBACK) {
    free(answer->text);
    return CLI_UNREACHABLE;
  }
  fprintf(stderr, "tripline: the daemon cannot be reached at %s: %s\n", cli->socket, curl_easy_strerror(result));
  free(answer->text);
  return CLI_UNREACHABLE;
}

static void print_rule_errors(json_t *errors, const char *stand_in) {
  size_t index;
  json_t *error;
  json_array_foreach(errors, index, error) {
    const char *file = "", *message = "", *excerpt = "";
    int line = 0, column = 0, caret = 0;
    json_unpack(error, "{s:s, s:i, s:i, s:s, s:s, s:i}", "file", &file, "line", &line, "column", &column, "message", &message,
                "excerpt", &excerpt, "excerpt_column", &caret);
    fprintf(stderr, "%s:%d:%d: %s\n", stand_in ? stand_in : file, line, column, message);
    if (*excerpt) fprintf(stderr, "  %s\n  %*s\n", excerpt, caret, "^");
  }
}

int cli_explain(const struct cli_answer *answer) { return cli_explain_file(answer, NULL); }

int cli_explain_file(const struct cli_answer *answer, const char *file) {
  json_t *json = answer->text ? json_loads(answer->text, 0, NULL) : NULL;
  const char *message = json_string_value(json_object_get(json, "message"));
  print_rule_errors(json_object_get(json, "errors"), file);
  fprintf(stderr, "tripline: %s (%ld)\n", message ? message : "refused", answer->status);
  json_decref(json);
  return answer->status == 404 ? CLI_NOT_FOUND : CLI_FAILED;
}

void cli_add_argument(char *path, size_t room, const char *name, const char *value) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  size_t used = strlen(path);
  if (!value) return;
  used += (size_t)snprintf(path + used, room - used, "%c%s=", strchr(path, '?') ? '&' : '?', name);
  for (; *value && used + 4 < room; value++) {
    if (strchr(plain, *value)) {
      path[used++] = *value;
      path[used] = '\0';
    } else {
      used += (size_t)snprintf(path + used, room - used, "%%%02X", (unsigned char)*value);
    }
  }
}

int cli_get(const struct cli *cli, const char *path, json_t **json) {
  struct cli_answer answer;
  int result = cli_request(cli, "GET", path, NULL, &answer);
  *json = NULL;
  if (result != CLI_OK) return result;
  if (answer.status != 200) {
    result = cli_explain(&answer);
  } else if (!(*json = json_loads(answer.text ? answer.text : "", 0, NULL))) {
    fprintf(stderr, "tripline: the answer is not JSON\n");
    result = CLI_FAILED;
  }
  free(answer.text);
  return result;
}
