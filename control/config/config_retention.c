#include "config_internal.h"

void config_check_retention(struct config_reader *reader, const yaml_node_t *node, struct config *config) {
  const yaml_node_t *said = config_find_value(reader, node, "retain_bytes_hard");
  if (!said)
    config->journal.retain_bytes_hard = 2 * config->journal.retain_bytes;
  else if (config->journal.retain_bytes_hard && config->journal.retain_bytes_hard < config->journal.retain_bytes)
    config_complain(reader, said, "retain_bytes_hard is how far cursors may hold beyond retain_bytes: not less than that, or 0");
}
