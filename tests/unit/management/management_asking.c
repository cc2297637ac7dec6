#include "management_asking.h"
#include "cmocka_test.h"
#include "management_server.h"
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct appliance_double appliance;
struct management_server *asked_server;
char socket_path[64];
static char directory[32];

int asking_set_up(void **state) {
  (void)state;
  int error = 0;
  appliance_double_open(&appliance);
  strcpy(directory, "management-XXXXXX");
  assert_non_null(mkdtemp(directory));
  snprintf(socket_path, sizeof socket_path, "%s/control.sock", directory);
  const struct management_config config = {.socket_path = socket_path, .listen_address = "127.0.0.1", .listen_port = TCP_PORT};
  asked_server = management_server_start(&config, &appliance.face, &error);
  assert_non_null(asked_server);
  return 0;
}

int asking_tear_down(void **state) {
  (void)state;
  management_server_stop(asked_server);
  rmdir(directory);
  appliance_double_close(&appliance);
  return 0;
}

static size_t take(char *bytes, size_t size, size_t count, void *context) {
  struct answer *answer = context;
  if (answer->length + size * count >= sizeof answer->text) return 0;
  memcpy(answer->text + answer->length, bytes, size * count);
  answer->length += size * count;
  answer->text[answer->length] = '\0';
  return size * count;
}

/* By the socket unless `tcp`. */
struct answer *ask(const char *method, const char *path, const char *body, bool tcp) {
  static struct answer answer;
  char url[256];
  CURL *curl = curl_easy_init();
  if (answer.json) json_decref(answer.json);
  memset(&answer, 0, sizeof answer);
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", TCP_PORT, path);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  if (!tcp) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  if (body) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
  assert_int_equal(curl_easy_perform(curl), CURLE_OK);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_easy_cleanup(curl);
  answer.json = json_loads(answer.text, 0, NULL);
  return &answer;
}

void expect_status(const char *method, const char *path, const char *body, bool tcp, long status) {
  const struct answer *answer = ask(method, path, body, tcp);
  if (answer->status != status) fail_msg("%s %s: %ld %s, expected %ld", method, path, answer->status, answer->text, status);
  /* A refusal says why, in one form. */
  if (status >= 400 && !json_object_get(answer->json, "checks")) {
    assert_true(json_is_string(json_object_get(answer->json, "code")));
    assert_true(json_is_string(json_object_get(answer->json, "message")));
    assert_true(json_is_string(json_object_get(answer->json, "correlation_id")));
  }
}
