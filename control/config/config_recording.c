/* `record` of a webhook source: what its records keep of the request. Nothing that proves who sent it is ever among that. */
#include "config_internal.h"
#include <string.h>

#define RECORDING ((struct webhook_recording *)target)

static const char token_characters[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";

/* Whoever has one of these may speak in the sender's name, now or later. */
static bool is_secret(const char *name) {
  static const char *const parts[] = {"signature",  "authorization", "cookie",  "token",  "secret",     "password",  "passwd",
                                      "credential", "api-key",       "api_key", "apikey", "access-key", "accesskey", "auth-key",
                                      "session",    "x-hub-",        "x-sig",   "hmac",   "jwt"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (strstr(name, parts[i])) return true;
  return strcmp(name, "x-auth") == 0;
}

static void read_header(struct config_reader *reader, const yaml_node_t *node, struct webhook_recording *recording) {
  char name[WEBHOOK_AUDIT_NAME_BYTES_MAX + 1] = "";
  const unsigned errors_before = reader->error_count;
  config_read_text(reader, node, name, sizeof name);
  if (reader->error_count != errors_before) return;
  for (char *at = name; *at; at++)
    if (*at >= 'A' && *at <= 'Z') *at = (char)(*at - 'A' + 'a');
  if (name[0] == '\0' || name[strspn(name, token_characters)] != '\0') {
    config_complain(reader, node, "a header's name is expected here");
    return;
  }
  if (is_secret(name)) {
    config_complain(reader, node, "'%s' holds a secret or what proves one: it is never recorded", name);
    return;
  }
  for (uint32_t i = 0; i < recording->header_count; i++)
    if (strcmp(recording->headers[i].name, name) == 0) {
      config_complain(reader, node, "header '%s' is given twice", name);
      return;
    }
  if (recording->header_count == WEBHOOK_RECORDED_NAMES_MAX) {
    config_complain(reader, node, "at most %d headers a source", WEBHOOK_RECORDED_NAMES_MAX);
    return;
  }
  recording->headers[recording->header_count].length = (uint32_t)strlen(name);
  memcpy(recording->headers[recording->header_count++].name, name, sizeof name);
}

static void read_headers(struct config_reader *reader, const yaml_node_t *node, void *target) {
  if (node->type != YAML_SEQUENCE_NODE) {
    config_complain(reader, node, "a list of header names is expected here");
    return;
  }
  for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
    read_header(reader, yaml_document_get_node(&reader->document, *item), RECORDING);
}

static void read_body_bytes(struct config_reader *reader, const yaml_node_t *node, void *target) {
  RECORDING->body_bytes = (uint32_t)config_read_number(reader, node, 0, WEBHOOK_AUDIT_BODY_BYTES_MAX);
}

void config_read_recording(struct config_reader *reader, const yaml_node_t *node, struct webhook_recording *recording) {
  static const struct config_key keys[] = {{"headers", read_headers}, {"body_bytes", read_body_bytes}, {NULL, NULL}};
  config_read_mapping(reader, node, keys, recording);
}
