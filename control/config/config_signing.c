#include "config_internal.h"

#define CONFIG ((struct config *)target)

static void read_key_id(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, CONFIG->journal.signing.key_id, sizeof CONFIG->journal.signing.key_id);
}

static void read_key_file(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, CONFIG->journal.signing.key_file, sizeof CONFIG->journal.signing.key_file);
}

static void read_interval(struct config_reader *reader, const yaml_node_t *node, void *target) {
  const unsigned errors_before = reader->error_count;
  CONFIG->journal.signing.interval_ns = config_read_duration(reader, node, 86400ull * 1000000000);
  if (reader->error_count == errors_before && CONFIG->journal.signing.interval_ns < 100000000)
    config_complain(reader, node, "at least 100ms are needed here");
}

static const struct config_key signing_keys[] = {
    {"key_id", read_key_id}, {"key_file", read_key_file}, {"interval", read_interval}, {NULL, NULL}};

void config_read_signing(struct config_reader *reader, const yaml_node_t *node, void *target) {
  const unsigned errors_before = reader->error_count;
  char error[CONFIG_PATH_BYTES + 128];
  config_read_mapping(reader, node, signing_keys, target);
  if (reader->error_count != errors_before) return;
  if (!CONFIG->journal.signing.key_id[0] || !CONFIG->journal.signing.key_file[0]) {
    config_complain(reader, node, "signing needs a key_id and a key_file");
    return;
  }
  struct checkpoint_key *key =
      checkpoint_key_load(CONFIG->journal.signing.key_id, CONFIG->journal.signing.key_file, true, error, sizeof error);
  if (!key) config_complain(reader, config_find_value(reader, node, "key_file"), "%s", error);
  checkpoint_key_free(key);
}

void config_check_signing(struct config_reader *reader, const yaml_node_t *node, const struct config *config) {
  if (config->journal.signing.key_id[0] && !config->journal.hash_chain)
    config_complain(reader, node, "signing signs the hash chain: it needs hash_chain: true");
}
