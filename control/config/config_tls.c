#include "config_internal.h"
#include "listener_identity.h"
#include <string.h>

#define TLS ((struct config_tls *)target)
#define CONFIG ((struct config *)target)

static void read_certificate(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, TLS->certificate, sizeof TLS->certificate);
}

static void read_key(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, TLS->key, sizeof TLS->key);
}

static void read_client_ca(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, TLS->client_ca, sizeof TLS->client_ca);
}

static void read_client_name(struct config_reader *reader, const yaml_node_t *node, struct config_tls *tls) {
  if (tls->client_name_count == CONFIG_CLIENT_NAMES_MAX) {
    config_complain(reader, node, "at most %d client names", CONFIG_CLIENT_NAMES_MAX);
    return;
  }
  char *name = tls->client_names[tls->client_name_count++];
  config_read_text(reader, node, name, sizeof tls->client_names[0]);
  if (name[0] == '\0' || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")])
    config_complain(reader, node, "a DNS name is expected here, without wildcards");
}

static void read_client_names(struct config_reader *reader, const yaml_node_t *node, void *target) {
  if (node->type != YAML_SEQUENCE_NODE) {
    config_complain(reader, node, "a list of names is expected here");
    return;
  }
  for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
    read_client_name(reader, yaml_document_get_node(&reader->document, *item), TLS);
}

static const struct config_key listener_tls_keys[] = {{"certificate", read_certificate},
                                                      {"key", read_key},
                                                      {"client_ca", read_client_ca},
                                                      {"client_names", read_client_names},
                                                      {NULL, NULL}};

void config_read_listener_tls(struct config_reader *reader, const yaml_node_t *node, struct config_tls *tls) {
  static const char *const file_keys[] = {"certificate", "key", "client_ca"};
  const unsigned errors_before = reader->error_count;
  struct listener_identity_fault fault;
  config_read_mapping(reader, node, listener_tls_keys, tls);
  if (reader->error_count != errors_before) return;
  if (!tls->certificate[0] || !tls->key[0]) {
    config_complain(reader, node, "tls needs a certificate and a key");
  } else if (tls->client_name_count && !tls->client_ca[0]) {
    config_complain(reader, node, "client_names need a client_ca");
  } else {
    struct tls_identity *identity = listener_identity_load(tls, &fault);
    if (!identity) config_complain(reader, config_find_value(reader, node, file_keys[fault.file]), "%s", fault.what);
    tls_identity_free(identity);
  }
}

static void read_tls_connections(struct config_reader *reader, const yaml_node_t *node, void *target) {
  CONFIG->tls.connections_max = (uint32_t)config_read_number(reader, node, 16, 1u << 20);
}

static void read_handshakes(struct config_reader *reader, const yaml_node_t *node, void *target) {
  CONFIG->tls.handshakes_a_second = (uint32_t)config_read_number(reader, node, 1, 100000);
}

static void read_waiting(struct config_reader *reader, const yaml_node_t *node, void *target) {
  CONFIG->tls.waiting_max = (uint32_t)config_read_number(reader, node, 1, 1u << 20);
}

static void read_handshake_timeout(struct config_reader *reader, const yaml_node_t *node, void *target) {
  const unsigned errors_before = reader->error_count;
  CONFIG->tls.handshake_timeout_ns = config_read_duration(reader, node, 60ull * 1000000000);
  if (reader->error_count == errors_before && CONFIG->tls.handshake_timeout_ns < 100000000)
    config_complain(reader, node, "at least 100ms are needed here");
}

static const struct config_key tls_keys[] = {{"connections_max", read_tls_connections},
                                             {"handshakes_per_second", read_handshakes},
                                             {"handshakes_waiting_max", read_waiting},
                                             {"handshake_timeout", read_handshake_timeout},
                                             {NULL, NULL}};

void config_read_tls(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_mapping(reader, node, tls_keys, target);
}
