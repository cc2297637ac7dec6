#include "config_internal.h"
#include <string.h>

enum record_durability config_read_durability(struct config_reader *reader, const yaml_node_t *node) {
  static const char *const words[] = {"strict", "balanced", "relaxed", NULL};
  const int word = config_read_word(reader, node, words);
  return word < 0 ? DURABILITY_STRICT : (enum record_durability)word;
}

void config_check_durability(struct config_reader *reader, const yaml_node_t *node, enum record_durability durability,
                             bool *acknowledge_durable) {
  if (durability != DURABILITY_RELAXED) return;
  const yaml_node_t *said = config_find_value(reader, node, "acknowledge");
  if (said && *acknowledge_durable)
    config_complain(reader, said, "acknowledge: durable waits for a flush, durability: relaxed answers before it");
  *acknowledge_durable = false;
}
