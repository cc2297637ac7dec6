#include "config_internal.h"
#include <string.h>

#define TRACES (&((struct config *)target)->traces)
#define READER(name) static void name(struct config_reader *reader, const yaml_node_t *node, void *target)
#define SECOND_NS 1000000000ull
#define HOUR_NS (3600 * SECOND_NS)

/* Off is 0; a duration that is given is more than that. */
static uint64_t read_duration_or_off(struct config_reader *reader, const yaml_node_t *node, uint64_t most_ns) {
  if (node->type == YAML_SCALAR_NODE && strcmp((const char *)node->data.scalar.value, "off") == 0) return 0;
  const unsigned before = reader->error_count;
  const uint64_t duration_ns = config_read_duration(reader, node, most_ns);
  if (duration_ns == 0 && reader->error_count == before)
    config_complain(reader, node, "a duration of more than 0, or off, is expected here");
  return duration_ns;
}

READER(read_live_max) { TRACES->live_max = (uint32_t)config_read_number(reader, node, 1024, 1u << 28); }
READER(read_captures_max) { TRACES->captures_max = (uint32_t)config_read_number(reader, node, 1024, 1u << 26); }
READER(read_spills_max) { TRACES->spills_max = (uint32_t)config_read_number(reader, node, 1024, 1u << 28); }
READER(read_story_max) { TRACES->story_max = (uint32_t)config_read_number(reader, node, 1024, 1u << 28); }
READER(read_story_steps_max) { TRACES->story_steps_max = (uint32_t)config_read_number(reader, node, 1000, 1u << 31); }
READER(read_idle) { TRACES->idle_ns = config_read_duration(reader, node, HOUR_NS); }
READER(read_root_grace) { TRACES->limits.root_grace_ns = read_duration_or_off(reader, node, HOUR_NS); }
READER(read_max_age) { TRACES->limits.max_age_ns = read_duration_or_off(reader, node, 24 * HOUR_NS); }
READER(read_max_spans) { TRACES->limits.max_spans = (uint32_t)config_read_number(reader, node, 1, 1u << 20); }
READER(read_clock_tolerance) { TRACES->limits.clock_tolerance_ns = config_read_duration(reader, node, 60 * SECOND_NS); }

void config_read_traces(struct config_reader *reader, const yaml_node_t *node, void *target) {
  static const struct config_key keys[] = {{"live_max", read_live_max},
                                           {"captures_max", read_captures_max},
                                           {"spills_max", read_spills_max},
                                           {"story_max", read_story_max},
                                           {"story_steps_max", read_story_steps_max},
                                           {"idle", read_idle},
                                           {"root_grace", read_root_grace},
                                           {"max_age", read_max_age},
                                           {"max_spans", read_max_spans},
                                           {"clock_tolerance", read_clock_tolerance},
                                           {NULL, NULL}};
  const unsigned before = reader->error_count;
  config_read_mapping(reader, node, keys, target);
  if (reader->error_count != before || TRACES->limits.max_age_ns == 0 || TRACES->idle_ns <= TRACES->limits.max_age_ns) return;
  const yaml_node_t *idle = config_find_value(reader, node, "idle"), *age = config_find_value(reader, node, "max_age");
  config_complain(reader, idle ? idle : age, "`idle` (%llu ms) is longer than `max_age` (%llu ms): no trace would be idle first",
                  (unsigned long long)(TRACES->idle_ns / 1000000), (unsigned long long)(TRACES->limits.max_age_ns / 1000000));
}
